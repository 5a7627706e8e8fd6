//===- SanitizedBuild.h - is this the build with sanitizers? ----*- C++ -*-===//

#ifndef RSHARD_TEST_SANITIZEDBUILD_H
#define RSHARD_TEST_SANITIZEDBUILD_H

namespace rshard::test {

/// Whether the address sanitizer is linked: tests then instrument the code that
/// they generate.
bool isSanitized();

} // namespace rshard::test

#endif // RSHARD_TEST_SANITIZEDBUILD_H
