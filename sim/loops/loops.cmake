# The inner loops of vector operations, compiled once per instruction set; one of them is chosen at run time. Without
# fused multiplication in the processor a product of tiles is a library call per element. Always optimised.
set(levels "generic")
set(WEFT_LOOP_SOURCES loops/choose_generic.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  list(APPEND levels "v3")
  set(WEFT_LOOP_SOURCES loops/choose_x86.cpp)
endif()
set(flags_v3 -march=x86-64-v3)
foreach(level ${levels})
  set(target weft_loops_${level})
  add_library(${target} OBJECT loops/loops.cpp)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${target} PRIVATE WEFT_LOOPS=vector_loops_${level} "WEFT_LOOPS_NAME=\"${level}\"")
  # Nothing is contracted or reassociated: every instruction set gives the same bits. errno of sqrtf is not looked at.
  target_compile_options(${target} PRIVATE ${WEFT_WARNINGS} -O3 -fno-math-errno -ffp-contract=off ${flags_${level}}
    $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
  list(APPEND WEFT_LOOP_SOURCES $<TARGET_OBJECTS:${target}>)
endforeach()
