# SPDX-License-Identifier: Apache-2.0
#
# Fuzz targets, found by name: src/<room>/<name>_fuzz.c defines LLVMFuzzerTestOneInput.
#
# Preset fuzz: each is built with libFuzzer, and once more with a planted bug, which the fuzzer must
# find (tests/fuzz.sh). The planted bug stands in the code under test, behind
#   #ifdef CAIRN_PLANTED_BUG_<ROOM>_<NAME>
# Only the files that name this macro are compiled again. Their objects come before the archives,
# so the linker never takes the sound copies.
#
# Other presets: each is built with tests/fuzz_replay.c, and CTest replays the inputs of
# tests/corpus/<room>_<name>/ as fuzz/<room>_<name>.

add_custom_target(fuzz_targets)
set(fuzz_list "")

# The .c files of all rooms that must be compiled again for a planted bug.
function(cairn_planted_sources macro result)
  set(found "")
  set(in_header OFF)
  foreach(room IN LISTS CAIRN_ROOMS)
    cairn_room_sources(${room} sources)
    file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${room}/*.h")
    foreach(file IN LISTS sources headers)
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
      file(STRINGS "${file}" lines REGEX "${macro}([^A-Z0-9_]|$)")
      if(lines AND file MATCHES "\\.h$")
        set(in_header ON)
      elseif(lines)
        list(APPEND found "${file}")
      endif()
    endforeach()
  endforeach()
  if(in_header)
    # Any file may include the header: all of the rooms that hold decoders are compiled again.
    foreach(room IN ITEMS base crypto host lattice receipt journal wire facts)
      cairn_room_sources(${room} sources)
      list(APPEND found ${sources})
    endforeach()
    list(REMOVE_DUPLICATES found)
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

function(cairn_add_fuzz_executable target)
  add_executable(${target} ${ARGN})
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  target_compile_definitions(${target} PRIVATE "_GNU_SOURCE=")
  target_link_libraries(${target} PRIVATE cairn_options)
  cairn_link_rooms(${target} ${CAIRN_ROOMS})
  if(CAIRN_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  endif()
  add_dependencies(fuzz_targets ${target})
endfunction()

foreach(room IN LISTS CAIRN_ROOMS)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${room}/*_fuzz.c")
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" name "${name}")
    set(full ${room}_${name})

    if(NOT CAIRN_FUZZ)
      cairn_add_fuzz_executable(${full}_fuzz "${source}" "${PROJECT_SOURCE_DIR}/tests/fuzz_replay.c")
      file(GLOB corpus CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/corpus/${full}/*")
      if(corpus)
        cairn_register_test(fuzz/${full} ${full}_fuzz "${PROJECT_SOURCE_DIR}/tests/corpus/${full}")
      endif()
      continue()
    endif()

    cairn_add_fuzz_executable(${full}_fuzz "${source}")
    string(TOUPPER "CAIRN_PLANTED_BUG_${full}" macro)
    cairn_planted_sources(${macro} planted)
    if(planted)
      cairn_add_fuzz_executable(${full}_fuzz_planted "${source}" ${planted})
      target_compile_definitions(${full}_fuzz_planted PRIVATE ${macro}=1)
      # Whoever reads the list must not take a planted target of an older build for a new one.
      string(APPEND fuzz_list "${full} planted\n")
    else()
      message(WARNING "Fuzz target ${full}: no code is behind #ifdef ${macro}, so nothing shows that "
                      "the target can find a bug")
      string(APPEND fuzz_list "${full} none\n")
    endif()
  endforeach()
endforeach()

if(CAIRN_FUZZ)
  file(WRITE "${PROJECT_BINARY_DIR}/fuzz-targets.txt" "${fuzz_list}")
endif()
