# What `cmake --install` puts where: libraries, the headers for users, the program (cli/), data, and the two ways for
# other projects to find them: find_package(weft) and pkg-config.
include(CMakePackageConfigHelpers)
get_property(rooms GLOBAL PROPERTY WEFT_ROOMS)

# libsystemc.so defines main and asks for sc_main: the linker must take sim's object that has it, used or not.
target_link_options(weft_sim INTERFACE "LINKER:--undefined=sc_main")

set(package "${CMAKE_INSTALL_LIBDIR}/cmake/weft")
foreach(room ${rooms})
  string(REPLACE "weft_" "" name ${room})
  set_target_properties(${room} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${room} EXPORT weftTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")

  # A header that C++ may include is one for users; the others are the room's own.
  file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${name}/*.h")
  foreach(header ${headers})
    file(STRINGS "${header}" open REGEX "^extern \"C\" {$")
    if(open)
      install(FILES "${header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/weft/${name}")
    endif()
  endforeach()
endforeach()
install(FILES models/ops.def models/cost_variables.def DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/weft/models")
install(FILES plan/cases.csv DESTINATION "${CMAKE_INSTALL_DATADIR}/weft/plan" OPTIONAL)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)

install(EXPORT weftTargets NAMESPACE weft:: DESTINATION "${package}")
configure_package_config_file(cmake/weftConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/weftConfig.cmake"
  INSTALL_DESTINATION "${package}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/weftConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/weftConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/weftConfigVersion.cmake"
  cmake/WeftLibraries.cmake DESTINATION "${package}")

# pkg-config: static libraries, users before used. OpenMP's library is named by its path: it is the compiler's own.
file(RELATIVE_PATH WEFT_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
set(WEFT_PC_OPENMP "")
foreach(library ${OpenMP_C_LIB_NAMES})
  if(NOT library STREQUAL "pthread")
    string(APPEND WEFT_PC_OPENMP " ${OpenMP_${library}_LIBRARY}")
  endif()
endforeach()
get_filename_component(WEFT_PC_SYSTEMC "${SYSTEMC_LIBRARY}" DIRECTORY)
configure_file(cmake/weft.pc.in "${CMAKE_CURRENT_BINARY_DIR}/weft.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/weft.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
