//===- SanitizedBuild.cpp - what the address sanitizer must let pass ------===//

#include "SanitizedBuild.h"

#ifdef RSHARD_TEST_ASAN
/// LLVM's libraries are not instrumented, but the allocators in its headers
/// are, here: they would poison memory that the libraries then use.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0:detect_leaks=0";
}
#endif
