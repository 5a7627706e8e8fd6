//===- SanitizedBuild.h - is this the build with sanitizers? ----*- C++ -*-===//

#ifndef RSHARD_TEST_SANITIZEDBUILD_H
#define RSHARD_TEST_SANITIZEDBUILD_H

namespace rshard::test {

/// In such a build tests instrument the code that they generate, too.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RSHARD_TEST_ASAN 1
#endif
#endif
#ifdef RSHARD_TEST_ASAN
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

} // namespace rshard::test

#endif // RSHARD_TEST_SANITIZEDBUILD_H
