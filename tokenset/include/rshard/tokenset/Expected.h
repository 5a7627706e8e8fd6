// Errors as values, without exceptions in the interface: shared by tokenset and
// runtime.

#ifndef RSHARD_TOKENSET_EXPECTED_H
#define RSHARD_TOKENSET_EXPECTED_H

#include <string>
#include <utility>
#include <variant>

namespace rshard::tokenset {

/// What went wrong: one line, lower case, no full stop.
struct Error {
  std::string message;
};

/// A value or the error that prevented it. Dereferencing an error is a bug of
/// the caller: test first.
template <typename T> class [[nodiscard]] Expected {
public:
  Expected(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Expected(Error error) : state(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  T &operator*() & { return *std::get_if<0>(&state); }
  const T &operator*() const & { return *std::get_if<0>(&state); }
  T &&operator*() && { return std::move(*std::get_if<0>(&state)); }
  T *operator->() { return std::get_if<0>(&state); }
  const T *operator->() const { return std::get_if<0>(&state); }
  const Error &error() const { return *std::get_if<1>(&state); }

private:
  std::variant<T, Error> state;
};

/// Success or an error.
template <> class [[nodiscard]] Expected<void> {
public:
  Expected() = default;
  Expected(Error error) : failure(std::move(error)), failed(true) {}

  explicit operator bool() const { return !failed; }
  const Error &error() const { return failure; }

private:
  Error failure;
  bool failed = false;
};

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_EXPECTED_H
