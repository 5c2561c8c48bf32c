# SPDX-License-Identifier: Apache-2.0
#
# cairn_options: the flags of all of Cairn's own code (not of BLAKE3).

add_library(cairn_options INTERFACE)
target_include_directories(cairn_options INTERFACE
  "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")

target_compile_options(cairn_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror
  -fvisibility=hidden -fno-omit-frame-pointer -gdwarf-4
  # Messages and assertions name files by their place in the tree, wherever it was built.
  "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")

if(CMAKE_BUILD_TYPE MATCHES "^Rel" AND NOT CAIRN_SANITIZE AND NOT CAIRN_COVERAGE)
  target_compile_options(cairn_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

target_link_options(cairn_options INTERFACE -Wl,-z,relro,-z,now)

if(CAIRN_SANITIZE)
  set(sanitize -fsanitize=${CAIRN_SANITIZE} -fno-sanitize-recover=all)
  target_compile_options(cairn_options INTERFACE ${sanitize} -O1)
  target_link_options(cairn_options INTERFACE ${sanitize})
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # gcc warns without ground about variables and strings in instrumented code, and about fences,
    # which ThreadSanitizer does not model.
    target_compile_options(cairn_options INTERFACE
      -Wno-error=maybe-uninitialized -Wno-error=stringop-overflow -Wno-error=array-bounds)
    if(CAIRN_SANITIZE MATCHES "thread")
      target_compile_options(cairn_options INTERFACE -Wno-error=tsan)
    endif()
  endif()
endif()

if(CAIRN_COVERAGE)
  # Threads share the counters: without atomic updates some end up negative, and gcovr stops.
  target_compile_options(cairn_options INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(cairn_options INTERFACE --coverage)
endif()

if(CAIRN_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "CAIRN_FUZZ needs clang (Debian's packages clang and libclang-rt-14-dev).")
  endif()
  # The rooms are instrumented for the fuzzer; only fuzz targets link its main().
  target_compile_options(cairn_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
