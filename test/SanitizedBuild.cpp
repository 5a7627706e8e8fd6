//===- SanitizedBuild.cpp - finds the address sanitizer -------------------===//

#include "SanitizedBuild.h"

extern "C" {
__attribute__((weak)) void __asan_init();

/// What LLVM keeps to the end is no leak.
const char *__asan_default_options() { return "detect_leaks=0"; }
}

bool rshard::test::isSanitized() { return &__asan_init != nullptr; }
