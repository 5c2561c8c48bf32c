# SPDX-License-Identifier: Apache-2.0
#
# Rooms. A room src/<room>/ is compiled once, as cairn_<room>_objects, and collected in the archive
# cairn_<room>; the library takes the objects, tests and the command take the archives. A room
# without a .c file is an INTERFACE library, or nothing at all if its folder is missing.

# The .c files of a room, without its tests and fuzz targets.
function(cairn_room_sources room result)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${room}/*.c")
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.c$")
  set(${result} "${sources}" PARENT_SCOPE)
endfunction()

function(cairn_add_room room)
  cairn_room_sources(${room} sources)
  # main() stays out of the archive, so that tests can link the command's other files.
  list(REMOVE_ITEM sources "${PROJECT_SOURCE_DIR}/src/cli/main.c")
  set(libraries ${CAIRN_ROOM_${room}_LIBRARIES})

  # Libraries of the rooms below: their headers may show through.
  set(lower_libraries "")
  foreach(lower IN LISTS CAIRN_ROOMS)
    if(lower STREQUAL room)
      break()
    endif()
    list(APPEND lower_libraries ${CAIRN_ROOM_${lower}_LIBRARIES})
  endforeach()

  if(NOT sources)
    add_library(cairn_${room} INTERFACE)
    target_link_libraries(cairn_${room} INTERFACE ${libraries})
    return()
  endif()

  add_library(cairn_${room}_objects OBJECT ${sources})
  target_link_libraries(cairn_${room}_objects PRIVATE cairn_options ${libraries} ${lower_libraries})
  target_compile_definitions(cairn_${room}_objects PRIVATE ${CAIRN_ROOM_${room}_DEFINITIONS})

  add_library(cairn_${room} STATIC $<TARGET_OBJECTS:cairn_${room}_objects>)
  set_target_properties(cairn_${room} PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(cairn_${room} INTERFACE ${libraries})
endfunction()

# cairn_link_rooms(<target> <room>...): links archives, the highest floor first, as a linker that
# reads them once needs it.
function(cairn_link_rooms target)
  set(rooms ${ARGN})
  list(REVERSE rooms)
  foreach(room IN LISTS rooms)
    target_link_libraries(${target} PRIVATE cairn_${room})
  endforeach()
endfunction()

function(cairn_add_library)
  set(objects "")
  foreach(room IN LISTS CAIRN_LIBRARY_ROOMS)
    if(TARGET cairn_${room}_objects)
      list(APPEND objects $<TARGET_OBJECTS:cairn_${room}_objects>)
    endif()
  endforeach()
  if(NOT objects)
    message(STATUS "No libcairn.so: its rooms are empty")
    return()
  endif()

  add_library(cairn_shared SHARED ${objects})
  set_target_properties(cairn_shared PROPERTIES
    OUTPUT_NAME cairn VERSION "${PROJECT_VERSION}" SOVERSION 0 LINKER_LANGUAGE C)
  target_include_directories(cairn_shared INTERFACE "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(cairn_shared PRIVATE cairn_options)
  foreach(room IN LISTS CAIRN_LIBRARY_ROOMS)
    target_link_libraries(cairn_shared PRIVATE ${CAIRN_ROOM_${room}_LIBRARIES})
  endforeach()

  # Nothing of an archive is exported: BLAKE3's assembly declares its symbols global.
  target_link_options(cairn_shared PRIVATE -Wl,--exclude-libs,ALL -Wl,-Bsymbolic-functions)
  if(NOT CAIRN_SANITIZE)
    target_link_options(cairn_shared PRIVATE -Wl,-z,defs)
  endif()
  set(map "${PROJECT_SOURCE_DIR}/src/node/libcairn.map")
  if(EXISTS "${map}")
    target_link_options(cairn_shared PRIVATE "-Wl,--version-script=${map}")
    set_target_properties(cairn_shared PROPERTIES LINK_DEPENDS "${map}")
  endif()
endfunction()

function(cairn_add_command)
  set(sources "")
  if(EXISTS "${PROJECT_SOURCE_DIR}/src/cli/main.c")
    list(APPEND sources "${PROJECT_SOURCE_DIR}/src/cli/main.c")
  endif()
  if(TARGET cairn_cli_objects)
    list(APPEND sources $<TARGET_OBJECTS:cairn_cli_objects>)
  endif()
  if(NOT sources OR NOT TARGET cairn_shared)
    message(STATUS "No cairn command: src/cli or the library is empty")
    return()
  endif()

  add_executable(cairn ${sources})
  set_target_properties(cairn PROPERTIES LINKER_LANGUAGE C)
  target_compile_definitions(cairn PRIVATE ${CAIRN_ROOM_cli_DEFINITIONS})
  # The library first: what is public comes from there, only internals from the archives.
  target_link_libraries(cairn PRIVATE cairn_options cairn_shared)
  cairn_link_rooms(cairn ${CAIRN_COMMAND_ROOMS})
  target_link_libraries(cairn PRIVATE ${CAIRN_ROOM_cli_LIBRARIES})
endfunction()
