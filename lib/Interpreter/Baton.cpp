//===- Baton.cpp - nodes that run one at a time ---------------------------===//

#include "Baton.h"
#include <thread>

using namespace rshard::interpreter;

void Baton::pass(int to) {
  current = to;
  changed.notify_all();
}

void Baton::await(int turn, std::unique_lock<std::mutex> &lock) {
  changed.wait(lock, [&] { return current == turn; });
}

bool Baton::wait(int index, std::function<bool()> ready, std::string what) {
  if (aborted)
    return false;
  if (ready())
    return true;
  std::unique_lock<std::mutex> lock(mutex);
  turns[index].ready = std::move(ready);
  turns[index].what = std::move(what);
  pass(kScheduler);
  await(index, lock);
  turns[index].ready = nullptr;
  return !aborted;
}

bool Baton::run(
    int count, const std::function<bool(int)> &body,
    const std::function<void(const std::vector<std::string> &)> &deadlock) {
  turns.assign(count, Turn());
  aborted = false;
  current = kScheduler;
  std::vector<std::thread> threads;
  for (int index = 0; index < count; ++index)
    threads.emplace_back([&, index] {
      {
        std::unique_lock<std::mutex> lock(mutex);
        await(index, lock);
      }
      bool ok = body(index);
      std::unique_lock<std::mutex> lock(mutex);
      turns[index].ok = ok;
      turns[index].done = true;
      pass(kScheduler);
    });

  std::unique_lock<std::mutex> lock(mutex);
  for (bool alive = true; alive;) {
    alive = false;
    bool progress = false;
    for (int index = 0; index < count; ++index) {
      Turn &turn = turns[index];
      if (turn.done)
        continue;
      alive = true;
      // Everybody else stands still: what `ready` looks at cannot change.
      if (turn.ready && !aborted && !turn.ready())
        continue;
      pass(index);
      await(kScheduler, lock);
      progress = true;
      aborted |= !turn.ok;
    }
    if (alive && !progress) {
      std::vector<std::string> waits;
      for (const Turn &turn : turns)
        if (!turn.done)
          waits.push_back(turn.what);
      deadlock(waits);
      aborted = true;
    }
  }
  lock.unlock();
  for (std::thread &thread : threads)
    thread.join();
  return !aborted;
}
