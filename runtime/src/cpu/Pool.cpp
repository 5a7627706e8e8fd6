#include "rshard/runtime/Pool.h"

#include <algorithm>
#include <atomic>
#include <climits>
#include <exception>
#include <linux/futex.h>
#include <memory>
#include <mutex>
#include <sched.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace rshard::runtime {

namespace {

/// A loop is cut into at most this many ranges. The cut depends on n alone, so
/// that a kernel that works differently on a range than on its parts still
/// gives the same bits for any thread count (C9).
constexpr int64_t maxRanges = 64;
/// Iterations of the pause instruction before a waiting thread sleeps, about 30
/// us: longer than the gaps between the loops of a step, short enough not to
/// matter to other programs.
constexpr int spins = 2000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

void futexWait(std::atomic<uint32_t> &word, uint32_t expected) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr,
            0);
}
void futexWake(std::atomic<uint32_t> &word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

int allowedCpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

/// True while this thread works on a range: loops inside it run inline.
thread_local bool insideLoop = false;

struct alignas(64) Share {
  std::atomic<int64_t> next{0}; ///< range to take; beyond `last`: none left
  int64_t last = 0;
};

class Pool {
public:
  ~Pool() { stop(); }

  void resize(int count) {
    std::lock_guard lock(owner);
    stop();
    count = std::clamp(count <= 0 ? allowedCpus() : count, 1, 1024);
    try {
      shares = std::make_unique<Share[]>(static_cast<size_t>(count));
      for (int i = 1; i < count; ++i)
        workers.emplace_back([this, i] { work(i); });
    } catch (const std::exception &) {
      // No memory, or no more threads: those that there are do the work, one
      // of which, this one, needs no share.
    }
    size.store(static_cast<int>(workers.size()) + 1);
  }

  int count() {
    if (size.load(std::memory_order_relaxed) == 0)
      resize(0);
    return size.load();
  }

  void run(void (*fn)(void *, int64_t, int64_t), void *ctx, int64_t n) {
    if (n <= 0)
      return;
    int64_t grain = (n + maxRanges - 1) / maxRanges;
    int64_t ranges = (n + grain - 1) / grain;
    auto inlineLoop = [&] {
      for (int64_t i = 0; i < n; i += grain)
        fn(ctx, i, std::min(n, i + grain));
    };
    if (insideLoop || ranges == 1 || count() == 1)
      return inlineLoop();
    // A second session on another thread does not wait for the workers: it does
    // its own work.
    std::unique_lock lock(owner, std::try_to_lock);
    if (!lock)
      return inlineLoop();

    int parts = size.load(std::memory_order_relaxed);
    job = {fn, ctx, n, grain};
    for (int i = 0; i != parts; ++i) {
      shares[i].last = ranges * (i + 1) / parts;
      shares[i].next.store(ranges * i / parts, std::memory_order_relaxed);
    }
    // The state publishes the job. Its low bit says open, the next 31 count the
    // workers inside.
    state.store(((state.load(std::memory_order_relaxed) >> 32) + 1) << 32 | 1);
    wakeSleepers();
    insideLoop = true;
    takeRanges(0);
    insideLoop = false;
    state.fetch_and(~uint64_t(1), std::memory_order_acq_rel);
    for (int spin = 0; inside(state.load(std::memory_order_acquire)) != 0;
         ++spin) {
      if (spin < spins) {
        pause();
        continue;
      }
      uint32_t seen = finished.load();
      callerWaits.store(true);
      if (inside(state.load()) != 0)
        futexWait(finished, seen);
      callerWaits.store(false);
    }
  }

private:
  struct Job {
    void (*fn)(void *, int64_t, int64_t);
    void *ctx;
    int64_t n, grain;
  };

  static uint64_t inside(uint64_t value) { return (value & 0xffffffffu) >> 1; }

  void takeRanges(int self) {
    int parts = size.load(std::memory_order_relaxed);
    // First the own share, so that a thread meets the same weights in every
    // step; then what others have left.
    for (int i = 0; i != parts; ++i) {
      Share &share = shares[(self + i) % parts];
      for (;;) {
        if (share.next.load(std::memory_order_relaxed) >= share.last)
          break;
        int64_t range = share.next.fetch_add(1, std::memory_order_relaxed);
        if (range >= share.last)
          break;
        int64_t begin = range * job.grain;
        job.fn(job.ctx, begin, std::min(job.n, begin + job.grain));
      }
    }
  }

  void work(int self) {
    insideLoop = true;
    uint64_t seen = 0; // generation of the last job
    for (int spin = 0;;) {
      uint64_t value = state.load(std::memory_order_acquire);
      if (stopping.load(std::memory_order_relaxed))
        return;
      if (!(value & 1) || value >> 32 == seen) {
        if (++spin < spins) {
          pause();
          continue;
        }
        uint32_t epoch = wake.load();
        sleepers.fetch_add(1);
        value = state.load();
        if (!stopping.load() && (!(value & 1) || value >> 32 == seen))
          futexWait(wake, epoch);
        sleepers.fetch_sub(1);
        spin = 0;
        continue;
      }
      // Whoever comes in while the job is open may read it: it changes only
      // when nobody is inside.
      if (!state.compare_exchange_weak(value, value + 2,
                                       std::memory_order_acq_rel))
        continue;
      seen = value >> 32;
      takeRanges(self);
      uint64_t after = state.fetch_sub(2) - 2;
      if (!(after & 1) && inside(after) == 0 && callerWaits.load()) {
        finished.fetch_add(1);
        futexWake(finished);
      }
      spin = 0;
    }
  }

  void wakeSleepers() {
    if (sleepers.load() == 0)
      return;
    wake.fetch_add(1);
    futexWake(wake);
  }

  void stop() {
    stopping.store(true);
    wake.fetch_add(1);
    futexWake(wake);
    for (std::thread &worker : workers)
      worker.join();
    workers.clear();
    stopping.store(false);
  }

  std::mutex owner;
  std::vector<std::thread> workers;
  std::unique_ptr<Share[]> shares;
  Job job{};
  std::atomic<int> size{0};
  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<uint32_t> wake{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stopping{false};
  alignas(64) std::atomic<uint32_t> finished{0};
  std::atomic<bool> callerWaits{false};
};

Pool &pool() {
  static Pool instance;
  return instance;
}

} // namespace

void setThreads(int count) { pool().resize(count); }
int threads() { return pool().count(); }

namespace detail {
void parallelFor(void (*fn)(void *, int64_t, int64_t), void *ctx, int64_t n) {
  pool().run(fn, ctx, n);
}
} // namespace detail

} // namespace rshard::runtime
