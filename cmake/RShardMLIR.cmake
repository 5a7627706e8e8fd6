# MLIR 22 and LLD, and the wrappers through which every compiler target links them: one way, the
# shared libMLIR and libLLVM.

find_package(MLIR QUIET CONFIG)
if(NOT MLIR_FOUND OR NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "rshard needs LLVM 22 with MLIR: install it and pass -DMLIR_DIR=<prefix>/lib/cmake/mlir")
endif()
set(MLIR_LINK_MLIR_DYLIB ON)
find_package(LLD REQUIRED CONFIG HINTS ${LLVM_DIR}/../lld)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# TableGen looks here for upstream's and the project's definitions.
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
include_directories(${PROJECT_SOURCE_DIR}/dialects ${PROJECT_SOURCE_DIR}/include)

add_library(rshard_mlir INTERFACE)
target_include_directories(rshard_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS} ${LLD_INCLUDE_DIRS})
target_include_directories(rshard_mlir INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
  ${PROJECT_SOURCE_DIR}/dialects ${PROJECT_BINARY_DIR}/dialects)
target_link_libraries(rshard_mlir INTERFACE MLIR LLVM)

# Parsing MLIR's headers is two thirds of the time of a compilation: they are parsed once.
add_library(rshard_mlir_headers OBJECT ${PROJECT_SOURCE_DIR}/cmake/MLIRHeaders.cpp)
target_link_libraries(rshard_mlir_headers PRIVATE rshard_mlir rshard_options)
target_compile_options(rshard_mlir_headers PRIVATE -fno-exceptions)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # The same headers give the same file, which compiler caches look at.
  target_compile_options(rshard_mlir_headers PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
endif()
target_precompile_headers(rshard_mlir_headers PRIVATE
  <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h> <mlir/Dialect/LLVMIR/LLVMDialect.h>
  <mlir/Dialect/MemRef/IR/MemRef.h> <mlir/Dialect/SCF/IR/SCF.h> <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h>
  <mlir/Pass/PassManager.h> <mlir/Transforms/DialectConversion.h>)

# rshard_mlir_library(NAME SRC... [LINK lib...] [DEPENDS target...]): a compiler library.
# Exceptions are off, as in LLVM; RTTI is on, as in Debian's packages.
function(rshard_mlir_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} rshard_mlir PRIVATE rshard_options)
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_precompile_headers(${name} REUSE_FROM rshard_mlir_headers)
  add_dependencies(${name} RShardHeaders ${ARG_DEPENDS})
endfunction()

# rshard_tool(NAME SRC... [LINK lib...]): an executable of the compiler.
function(rshard_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} rshard_mlir rshard_options)
  add_dependencies(${name} RShardHeaders)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
    INSTALL_RPATH_USE_LINK_PATH ON)
endfunction()
