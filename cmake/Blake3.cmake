# SPDX-License-Identifier: Apache-2.0
#
# BLAKE3 from the official C and assembly sources, as Debian's librust-blake3-dev installs them.
#
# A shared system BLAKE3 would not do, even where one is packaged: Cairn hashes the ids of many
# facts at a time with blake3_hash_many, and measures itself against blake3_compress_in_place.
# Both are declared in the internal header blake3_impl.h only, and no installed library exports
# them. So the sources are compiled here, for dispatch at run time to the best of SSE2, SSE4.1,
# AVX2 and AVX-512 (or NEON), and stay hidden inside what links them.

set(CAIRN_BLAKE3_LEAST 1.3.1)
set(CAIRN_BLAKE3_REGISTRY /usr/share/cargo/registry CACHE PATH
    "Folder that holds blake3-<version>/c")

file(GLOB blake3_folders LIST_DIRECTORIES true "${CAIRN_BLAKE3_REGISTRY}/blake3-*")
set(blake3_version 0)
foreach(folder IN LISTS blake3_folders)
  if(folder MATCHES "/blake3-([0-9]+\\.[0-9]+\\.[0-9]+)$" AND EXISTS "${folder}/c/blake3.c")
    if(CMAKE_MATCH_1 VERSION_GREATER blake3_version)
      set(blake3_version "${CMAKE_MATCH_1}")
    endif()
  endif()
endforeach()

if(blake3_version VERSION_LESS CAIRN_BLAKE3_LEAST)
  if(blake3_version STREQUAL "0")
    set(blake3_version "none")
  endif()
  message(FATAL_ERROR "Cairn needs the C sources of BLAKE3 >= ${CAIRN_BLAKE3_LEAST} under "
                      "${CAIRN_BLAKE3_REGISTRY}; found: ${blake3_version}. Install Debian's "
                      "package librust-blake3-dev (or run: make install-deps).")
endif()
set(blake3_folder "${CAIRN_BLAKE3_REGISTRY}/blake3-${blake3_version}/c")
message(STATUS "Found BLAKE3 ${blake3_version} (C sources)")

add_library(blake3 STATIC
  "${blake3_folder}/blake3.c"
  "${blake3_folder}/blake3_dispatch.c"
  "${blake3_folder}/blake3_portable.c")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  foreach(level IN ITEMS sse2 sse41 avx2 avx512)
    target_sources(blake3 PRIVATE "${blake3_folder}/blake3_${level}_x86-64_unix.S")
  endforeach()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  target_sources(blake3 PRIVATE "${blake3_folder}/blake3_neon.c")
  target_compile_definitions(blake3 PUBLIC BLAKE3_USE_NEON=1)
endif()

# Optimised in every preset, and never instrumented: it is not our code, and it is hot.
target_compile_options(blake3 PRIVATE -O2 -gdwarf-4 -fno-omit-frame-pointer)
set_target_properties(blake3 PROPERTIES C_VISIBILITY_PRESET hidden)
target_include_directories(blake3 SYSTEM PUBLIC "${blake3_folder}")
