// The exchanges of a program: what moves, from which tables and through which
// buffers. Compiler and runtime number and name them by this list alone.

#ifndef RSHARD_TOKENSET_EXCHANGE_H
#define RSHARD_TOKENSET_EXCHANGE_H

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rshard::tokenset {

/// What a row of a tensor holds; its width and element type are the model's and
/// the plan's.
enum class RowContent { Enter, Query, Key, Output, Lse, Leave };

/// One tensor of an exchange. Its rows land in buffer "pool.`name`", behind the
/// rank's own ones, and leave from "`name`.send".
struct ExchangeTensor {
  std::string_view name;
  RowContent content;
  /// The capacity classes of the two buffers are "pool_`rows`" and
  /// "send_`rows`".
  std::string_view rows;
  std::string pack;      ///< table of the rows to send
  std::string positions; ///< table of the positions of the sender's rows
};

/// One group of messages.
struct Exchange {
  std::string name;
  std::string transfer; ///< table of the messages
  std::vector<ExchangeTensor> tensors;
};

/// All exchanges of a program with that many mask classes, by number: enter; up
/// and down of each class; leave.
std::vector<Exchange> listExchanges(size_t maskClasses);

constexpr size_t enterExchange() { return 0; }
constexpr size_t upExchange(size_t maskClass) { return 1 + 2 * maskClass; }
constexpr size_t downExchange(size_t maskClass) { return 2 + 2 * maskClass; }
constexpr size_t leaveExchange(size_t maskClasses) {
  return 1 + 2 * maskClasses;
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_EXCHANGE_H
