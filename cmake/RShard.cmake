# Policy shared by every target of the project: warnings, naming.

include(GNUInstallDirs)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)

add_library(rshard_options INTERFACE)
target_compile_options(rshard_options INTERFACE -Wall -Wextra -Wno-unused-parameter
  $<$<BOOL:${RSHARD_WERROR}>:-Werror>)

# rshard_library(NAME SRC... [LINK lib...] [HEADERS_ONLY lib...]): a static library without MLIR. Who links it needs no
# library whose headers alone are used.
function(rshard_library name)
  cmake_parse_arguments(ARG "" "" "LINK;HEADERS_ONLY" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE $<BUILD_INTERFACE:rshard_options>)
  foreach(library ${ARG_HEADERS_ONLY})
    target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:${library}>)
  endforeach()
  # Applications that embed a library need the standard of its headers.
  target_compile_features(${name} PUBLIC cxx_std_20)
endfunction()

# rshard_public_library(NAME): a library for applications, whose headers are in include/.
function(rshard_public_library name)
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(TARGETS ${name} EXPORT RShardRuntimeTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
  install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT runtime)
endfunction()

# rshard_unit_test(NAME SRC... [LINK lib...]): a GoogleTest + RapidCheck executable known to ctest.
# RShardUnitTests depends on all of them.
add_custom_target(RShardUnitTests)
function(rshard_unit_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} rshard_options GTest::gtest GTest::gtest_main rapidcheck)
  add_test(NAME ${name} COMMAND ${name})
  add_dependencies(RShardUnitTests ${name})
endfunction()
