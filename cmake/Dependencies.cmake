# SPDX-License-Identifier: Apache-2.0
#
# What Cairn takes from the system: Debian packages only. Each is checked for its version, and
# named with its Debian package when it is missing. scripts/install-dependencies.sh lists the same
# packages.

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "Cairn builds on Linux; this is ${CMAKE_SYSTEM_NAME}.")
endif()

find_package(PkgConfig QUIET)
if(NOT PkgConfig_FOUND)
  message(FATAL_ERROR "pkg-config is missing: install Debian's package pkg-config "
                      "(or run: make install-deps).")
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# cairn_require(<pkg-config module> <least version> <Debian package>) gives PkgConfig::<module>.
function(cairn_require module version package)
  pkg_check_modules(${module} QUIET IMPORTED_TARGET GLOBAL "${module}>=${version}")
  if(${module}_FOUND)
    message(STATUS "Found ${module} ${${module}_VERSION}")
    return()
  endif()
  execute_process(COMMAND "${PKG_CONFIG_EXECUTABLE}" --modversion ${module}
                  OUTPUT_VARIABLE found ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(found STREQUAL "")
    set(found "none")
  endif()
  message(FATAL_ERROR "Cairn needs ${module} >= ${version}; found: ${found}. "
                      "Install Debian's package ${package} (or run: make install-deps).")
endfunction()

cairn_require(libsodium 1.0.18 libsodium-dev)
cairn_require(libisal 2.30 libisal-dev)
cairn_require(liburing 2.3 liburing-dev)
cairn_require(libxxhash 0.8.1 libxxhash-dev)

# xxHash is used from its header alone (XXH_INLINE_ALL, defined where it is included), so that the
# hash is inlined into the table look-up; its shared library is not linked.
add_library(cairn_xxhash INTERFACE)
target_include_directories(cairn_xxhash SYSTEM INTERFACE ${libxxhash_INCLUDE_DIRS})

include(Blake3)

# Tests need cmocka. AUTO leaves them out where it is missing, so that a build needs less than a
# test run.
if(CAIRN_TESTS STREQUAL "AUTO")
  pkg_check_modules(cmocka QUIET IMPORTED_TARGET GLOBAL "cmocka>=1.1.5")
  set(CAIRN_TESTS_ENABLED ${cmocka_FOUND})
  if(NOT cmocka_FOUND)
    message(STATUS "No tests: cmocka >= 1.1.5 is missing (Debian's package libcmocka-dev)")
  endif()
elseif(CAIRN_TESTS)
  cairn_require(cmocka 1.1.5 libcmocka-dev)
  set(CAIRN_TESTS_ENABLED ON)
else()
  set(CAIRN_TESTS_ENABLED OFF)
endif()
