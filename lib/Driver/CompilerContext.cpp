//===- CompilerContext.cpp - a context with the threads there are ---------===//

#include "rshard/Driver/CompilerContext.h"
#include "llvm/ADT/SmallVector.h"
#include <mutex>
#include <pthread.h>

using namespace rshard;

unsigned rshard::countThreads() {
  unsigned most = llvm::hardware_concurrency().compute_thread_count();
  // They exist together, as those of a pool do, and wait until all are counted.
  std::mutex gate;
  auto pass = [](void *gate) -> void * {
    std::lock_guard<std::mutex> wait(*static_cast<std::mutex *>(gate));
    return nullptr;
  };
  llvm::SmallVector<pthread_t> threads;
  {
    std::lock_guard<std::mutex> closed(gate);
    pthread_t thread;
    while (threads.size() != most &&
           pthread_create(&thread, nullptr, pass, &gate) == 0)
      threads.push_back(thread);
  }
  for (pthread_t thread : threads)
    pthread_join(thread, nullptr);
  return static_cast<unsigned>(threads.size());
}

detail::ContextThreads::ContextThreads() {
  llvm::ThreadPoolStrategy strategy = llvm::hardware_concurrency();
  strategy.ThreadsRequested = countThreads();
  // No requested threads would stand for all.
  if (strategy.ThreadsRequested)
    pool = std::make_unique<llvm::DefaultThreadPool>(strategy);
}

CompilerContext::CompilerContext(const mlir::DialectRegistry &registry)
    : mlir::MLIRContext(registry, Threading::DISABLED) {
  if (pool)
    setThreadPool(*pool);
}
