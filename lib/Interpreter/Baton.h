//===- Baton.h - nodes that run one at a time -------------------*- C++ -*-===//

#ifndef RSHARD_LIB_INTERPRETER_BATON_H
#define RSHARD_LIB_INTERPRETER_BATON_H

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace rshard::interpreter {

/// Runs functions as coroutines: exactly one runs at any time, in a fixed
/// order, and gives the turn away only where it waits. Nothing that they share
/// needs a lock, and every run is the same.
class Baton {
public:
  /// Calls body(0), ..., body(count - 1) and returns when all have returned.
  /// A body returns false when it failed; then every wait fails. If all that
  /// are left wait in vain, their waits fail too, and `deadlock` is told what
  /// each of them waits for, in order.
  bool
  run(int count, const std::function<bool(int)> &body,
      const std::function<void(const std::vector<std::string> &)> &deadlock);

  /// Called by body(index): lets the others run until `ready` holds. False if
  /// that will never happen.
  bool wait(int index, std::function<bool()> ready, std::string what);

private:
  struct Turn {
    std::function<bool()> ready; ///< empty: not waiting
    std::string what;
    bool done = false, ok = true;
  };
  void pass(int to);
  void await(int turn, std::unique_lock<std::mutex> &lock);

  static constexpr int kScheduler = -1;
  std::mutex mutex;
  std::condition_variable changed;
  int current = kScheduler;
  bool aborted = false;
  std::vector<Turn> turns;
};

} // namespace rshard::interpreter

#endif // RSHARD_LIB_INTERPRETER_BATON_H
