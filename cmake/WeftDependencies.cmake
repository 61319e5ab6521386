# What the build needs beside the libraries: for the program, the tests and generated code (scripts/setup installs all).
include(WeftLibraries)
pkg_check_modules(POPT REQUIRED IMPORTED_TARGET popt)      # options of the program; MIT
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)  # tests only; Apache-2.0
find_program(PROTOC_C protoc-c REQUIRED)
find_program(PROTOC protoc REQUIRED)
