# SPDX-License-Identifier: Apache-2.0
#
# The short names. The build itself is CMakeLists.txt with CMakePresets.json.

SHELL := /bin/sh
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Seconds that each fuzz target runs.
SECONDS ?= 600
# More arguments for make run, make bench (the command) and make test (ctest).
ARGS ?=
INSTALL := scripts/install-dependencies.sh
COMMAND := build/cairn

.DEFAULT_GOAL := help
.PHONY: help build run test bench fuzz asan tsan coverage format clean install-deps

help:
	@echo 'make run           install what is missing, build, run the demonstration'
	@echo 'make test          install what is missing, build, run all tests'
	@echo 'make build         install what is missing, build build/cairn and build/libcairn.so'
	@echo 'make bench         measure, as JSON lines'
	@echo 'make asan, tsan    the tests under sanitizers'
	@echo 'make fuzz          all fuzz targets, SECONDS=600 each, then their planted bugs'
	@echo 'make coverage      the tests with a report of covered lines'
	@echo 'make format        format the sources in place'
	@echo 'make clean         remove what was built'
	@echo 'make install-deps  install the Debian packages for build and tests'
	@echo 'Settings: JOBS=$(JOBS)  ARGS="more arguments"'

install-deps:
	@$(INSTALL) test

build:
	@$(INSTALL) build
	@cmake --preset release
	@cmake --build build --parallel $(JOBS) --target cairn cairn_shared

run:
	@$(INSTALL) run
	@cmake --preset release
	@cmake --build build --parallel $(JOBS) --target cairn cairn_shared
	@$(COMMAND) demo $(ARGS)

test:
	@$(INSTALL) test
	@cmake --preset release -DCAIRN_TESTS=ON
	@cmake --build build --parallel $(JOBS)
	@ctest --test-dir build --output-on-failure --no-tests=error --parallel $(JOBS) $(ARGS)

bench:
	@$(MAKE) --no-print-directory build >&2
	@$(COMMAND) bench --json $(ARGS)

asan tsan:
	@$(INSTALL) test
	@cmake --preset $@ -DCAIRN_TESTS=ON
	@cmake --build build-$@ --parallel $(JOBS)
	@scripts/run-sanitized.sh $@ \
	    ctest --test-dir build-$@ --output-on-failure --no-tests=error --parallel $(JOBS) $(ARGS)

fuzz:
	@$(INSTALL) fuzz
	@JOBS=$(JOBS) tests/fuzz.sh $(SECONDS)

coverage:
	@$(INSTALL) coverage
	@cmake --preset coverage -DCAIRN_TESTS=ON
	@cmake --build build-coverage --parallel $(JOBS)
	@find build-coverage -name '*.gcda' -delete
	@ctest --test-dir build-coverage --output-on-failure --no-tests=error --parallel $(JOBS)
	@gcovr --root . --filter src/ --exclude '.*_(test|fuzz)\.c' \
	    --html-details build-coverage/coverage.html --print-summary build-coverage
	@echo 'build-coverage/coverage.html'

format:
	@$(INSTALL) format
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

clean:
	@rm -rf build build-debug build-asan build-tsan build-fuzz build-coverage
