# The vector loops of backend cpu, compiled once per instruction set; one of them is chosen at run time. Always optimised:
# a debug build would otherwise be a hundred times slower.
set(levels "generic")
set(WEFT_CPU_KERNEL_SOURCES cpu/kernels/choose_generic.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  list(APPEND levels "v3" "v4")
  set(WEFT_CPU_KERNEL_SOURCES cpu/kernels/choose_x86.c)
endif()
set(name_generic "generic")
set(name_v3 "x86-64-v3")
set(name_v4 "x86-64-v4")
set(flags_v3 -march=x86-64-v3)
set(flags_v4 -march=x86-64-v4 -mprefer-vector-width=512)
foreach(level ${levels})
  set(target weft_cpu_kernels_${level})
  add_library(${target} OBJECT cpu/kernels/kernels.c)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE PkgConfig::JANSSON)  # models/ops.h includes it
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE WEFT_KERNELS=weft_cpu_kernels_${level} "WEFT_KERNELS_NAME=\"${name_${level}}\"")
  # No flag that changes what NaN and infinity do. Products may be fused with sums; errno of sqrtf is not looked at.
  target_compile_options(${target} PRIVATE ${WEFT_WARNINGS} ${WEFT_C_WARNINGS} -O3 -fopenmp-simd -fno-math-errno -ffp-contract=fast ${flags_${level}}
    $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>)
  list(APPEND WEFT_CPU_KERNEL_SOURCES $<TARGET_OBJECTS:${target}>)
endforeach()
