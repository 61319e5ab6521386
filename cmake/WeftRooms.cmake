# The rooms of the house, each one static library whose links are its row in the table of docs/ARCHITECTURE.md.

set(WEFT_WARNINGS -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror)
set(WEFT_C_WARNINGS -Wstrict-prototypes -Wmissing-prototypes)

# weft_room(NAME SOURCES ... LINKS room or library ... [PRIVATE library ...])
function(weft_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS;PRIVATE" ${ARGN})
  add_library(weft_${name} STATIC ${ROOM_SOURCES})
  add_library(weft::${name} ALIAS weft_${name})
  target_include_directories(weft_${name} PUBLIC
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>" "$<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/weft>")
  target_compile_options(weft_${name} PRIVATE ${WEFT_WARNINGS} "$<$<COMPILE_LANGUAGE:C>:${WEFT_C_WARNINGS}>")
  target_compile_definitions(weft_${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(weft_${name} PUBLIC ${ROOM_LINKS} PRIVATE ${ROOM_PRIVATE})
  set_property(GLOBAL APPEND PROPERTY WEFT_ROOMS weft_${name})
endfunction()

# weft_protobuf(target file.proto): protobuf-c's code for a schema, as its own object library without our warnings,
# linked into the room; include as "<room>/<file>.pb-c.h", from *_io.c only.
function(weft_protobuf target proto)
  get_filename_component(stem "${proto}" NAME_WE)
  file(RELATIVE_PATH room "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(out "${PROJECT_BINARY_DIR}/${room}/${stem}.pb-c")
  add_custom_command(OUTPUT "${out}.c" "${out}.h"
    COMMAND ${PROTOC_C} "--c_out=${PROJECT_BINARY_DIR}" "--proto_path=${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/${room}/${stem}.proto"
    DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${stem}.proto" VERBATIM)
  set_source_files_properties("${out}.c" PROPERTIES COMPILE_OPTIONS "-w")
  target_sources(weft_${target} PRIVATE "${out}.c" "${out}.h")
endfunction()

# weft_test(NAME name SOURCES ... LINKS ... [ARGUMENTS ...] [LABELS ...] [TIMEOUT s]): a cmocka program and its ctest entry.
function(weft_test)
  cmake_parse_arguments(TEST "" "NAME;TIMEOUT" "SOURCES;LINKS;ARGUMENTS;LABELS" ${ARGN})
  string(REPLACE "/" "_" target "test_${TEST_NAME}")
  add_executable(${target} ${TEST_SOURCES})
  target_compile_options(${target} PRIVATE ${WEFT_WARNINGS})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE "WEFT_TESTS=\"${PROJECT_SOURCE_DIR}/tests\"")
  target_link_libraries(${target} PRIVATE ${TEST_LINKS} PkgConfig::CMOCKA)
  add_test(NAME ${TEST_NAME} COMMAND ${target} ${TEST_ARGUMENTS})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  set_tests_properties(${TEST_NAME} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}")
endfunction()
