# SPDX-License-Identifier: Apache-2.0
#
# Tests, found by name:
#   src/<room>/<name>_test.c   <room>/<name>    cmocka, linked with the archives of all rooms
#   tests/<name>_test.c        library/<name>   cmocka, linked with libcairn.so and nothing else
#   tests/<name>.sh, .py       system/<name>    scripts (what they share goes to folders below tests/)
# A test that cannot run here exits with 77; CI accepts that only if tests/allowed-skips.txt names it.

# A guard against hanging, not a measure of speed.
set(CAIRN_TEST_TIMEOUT 300)
if(CAIRN_SANITIZE OR CAIRN_COVERAGE)
  set(CAIRN_TEST_TIMEOUT 900)
endif()

set(CAIRN_TEST_ENVIRONMENT
  "CAIRN_BINARY=${PROJECT_BINARY_DIR}/cairn"
  "CAIRN_LIBRARY=${PROJECT_BINARY_DIR}/libcairn.so"
  "CAIRN_SOURCE=${PROJECT_SOURCE_DIR}"
  "CAIRN_SANITIZE=${CAIRN_SANITIZE}"
  "CAIRN_COMPILER=${CMAKE_C_COMPILER}"
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")

# cairn_register_test(<CTest name> <command>...)
function(cairn_register_test name)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY "${PROJECT_BINARY_DIR}")
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${CAIRN_TEST_TIMEOUT}
    SKIP_RETURN_CODE 77
    ENVIRONMENT "${CAIRN_TEST_ENVIRONMENT}")
endfunction()

# --- Beside the code ------------------------------------------------------------------------------

foreach(room IN LISTS CAIRN_ROOMS)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${room}/*_test.c")
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "_test$" "" name "${name}")
    set(target ${room}_${name}_test)
    add_executable(${target} "${source}")
    set_target_properties(${target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
    target_compile_definitions(${target} PRIVATE "_GNU_SOURCE=")
    target_link_libraries(${target} PRIVATE cairn_options)
    cairn_link_rooms(${target} ${CAIRN_ROOMS})
    target_link_libraries(${target} PRIVATE PkgConfig::cmocka)
    cairn_register_test(${room}/${name} ${target})
  endforeach()
endforeach()

# --- The library as others see it -----------------------------------------------------------------

if(TARGET cairn_shared)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/*_test.c")
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "_test$" "" name "${name}")
    set(target library_${name}_test)
    add_executable(${target} "${source}")
    set_target_properties(${target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests"
      INSTALL_RPATH "$ORIGIN/..")
    target_compile_definitions(${target} PRIVATE "_GNU_SOURCE=")
    target_link_libraries(${target} PRIVATE cairn_options cairn_shared PkgConfig::cmocka)
    cairn_register_test(library/${name} ${target})
  endforeach()
endif()

# The public header compiles alone, twice in one file, as C11 and as C++17.
if(EXISTS "${PROJECT_SOURCE_DIR}/include/cairn.h")
  set(check "${PROJECT_BINARY_DIR}/header_check")
  file(CONFIGURE OUTPUT "${check}.c" CONTENT "#include <cairn.h>\n#include <cairn.h>\n")
  file(CONFIGURE OUTPUT "${check}.cc" CONTENT "#include <cairn.h>\n#include <cairn.h>\n")
  set(flags -Wall -Wextra -pedantic -Werror -fsyntax-only "-I${PROJECT_SOURCE_DIR}/include")
  cairn_register_test(library/header_c11 "${CMAKE_C_COMPILER}" -std=c11 ${flags} "${check}.c")

  find_program(CAIRN_CXX NAMES c++ g++ clang++)
  if(CAIRN_CXX)
    cairn_register_test(library/header_cxx17 "${CAIRN_CXX}" -std=c++17 ${flags} "${check}.cc")
  else()
    cairn_register_test(library/header_cxx17 sh -c "echo 'no C++ compiler'; exit 77")
  endif()
endif()

# --- The whole system -----------------------------------------------------------------------------

find_program(CAIRN_BASH bash REQUIRED)
find_program(CAIRN_PYTHON python3)
if(NOT CAIRN_PYTHON)
  message(FATAL_ERROR "The tests need python3: install Debian's package python3 "
                      "(or run: make install-deps).")
endif()

file(GLOB scripts CONFIGURE_DEPENDS
     "${PROJECT_SOURCE_DIR}/tests/*.sh" "${PROJECT_SOURCE_DIR}/tests/*.py")
list(REMOVE_ITEM scripts "${PROJECT_SOURCE_DIR}/tests/fuzz.sh") # run by make fuzz
foreach(script IN LISTS scripts)
  get_filename_component(name "${script}" NAME_WE)
  if(script MATCHES "\\.py$")
    cairn_register_test(system/${name} "${CAIRN_PYTHON}" "${script}")
  else()
    cairn_register_test(system/${name} "${CAIRN_BASH}" "${script}")
  endif()
endforeach()

# The checks of the tree are themselves checked, against planted violations.
foreach(name IN ITEMS floors tidy)
  cairn_register_test(system/${name}_selftest
    "${CAIRN_PYTHON}" "${PROJECT_SOURCE_DIR}/tests/${name}.py" --selftest)
endforeach()
