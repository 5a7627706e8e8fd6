//===- CGuard.h - Where errors and exceptions turn into what C returns
//-----------===//
#ifndef RSHARD_RUNTIME_SRC_CGUARD_H
#define RSHARD_RUNTIME_SRC_CGUARD_H

#include "rshard/tokenset/Expected.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace rshard::runtime {

/// Stands in for a message when there is no memory for one.
inline char noMemoryMessage[] = "out of memory";

/// Stores a copy that releaseMessage() takes back; `out` may be null.
inline void storeMessage(const char *message, char **out) noexcept {
  if (!out)
    return;
  char *copy = ::strdup(message);
  *out = copy ? copy : noMemoryMessage;
}

inline void releaseMessage(char *message) noexcept {
  if (message != noMemoryMessage)
    std::free(message);
}

/// Runs `body`, which returns an Expected. An error or an exception, of
/// whatever type, becomes a message in `*error`, and `failed` the result:
/// nothing is thrown into a caller that may be C.
template <typename Body>
auto guarded(std::decay_t<decltype(*std::declval<Body>()())> failed,
             char **error, Body &&body) noexcept -> decltype(failed) {
  try {
    auto result = body();
    if (result)
      return std::move(*result);
    storeMessage(result.error().message.c_str(), error);
  } catch (const std::bad_alloc &) {
    if (error)
      *error = noMemoryMessage;
  } catch (const std::exception &exception) {
    storeMessage(exception.what(), error);
  } catch (...) {
    storeMessage("unknown exception", error);
  }
  return failed;
}

} // namespace rshard::runtime

#endif
