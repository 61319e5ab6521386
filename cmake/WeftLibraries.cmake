# The libraries that Weft's own libraries link, found once: by the build and, installed beside weftConfig.cmake, by
# projects that use the package. All are in Debian 12.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)                # heat maps; libpng-2.0
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)           # JSON; MIT
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml)            # YAML; ISC
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)  # BSD-2
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)          # BSD-3
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)               # BSD-3
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)          # BSD-2
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)           # least squares; BSD-3
find_package(OpenMP REQUIRED COMPONENTS C)

# oneDNN; Apache-2.0. Its CMake package asks for OpenCL's headers, which Weft does not use and Debian does not bring along.
find_path(DNNL_INCLUDE dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
if(NOT TARGET DNNL::dnnl)
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION "${DNNL_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${DNNL_INCLUDE}")
endif()

# SystemC's CMake package is not in Debian; Apache-2.0.
find_path(SYSTEMC_INCLUDE systemc REQUIRED)
find_library(SYSTEMC_LIBRARY systemc REQUIRED)
if(NOT TARGET SystemC::systemc)
  add_library(SystemC::systemc UNKNOWN IMPORTED)
  set_target_properties(SystemC::systemc PROPERTIES
    IMPORTED_LOCATION "${SYSTEMC_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${SYSTEMC_INCLUDE}")
endif()
