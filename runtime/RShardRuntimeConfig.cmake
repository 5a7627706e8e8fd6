# find_package(RShardRuntime) defines rshard::RShardRuntime.
include(CMakeFindDependencyMacro)
find_dependency(OpenSSL COMPONENTS Crypto)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/RShardRuntimeTargets.cmake)
