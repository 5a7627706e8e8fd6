//===- CompilerContext.h - a context with the threads there are -*- C++ -*-===//

#ifndef RSHARD_DRIVER_COMPILERCONTEXT_H
#define RSHARD_DRIVER_COMPILERCONTEXT_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/ThreadPool.h"
#include <memory>

namespace rshard {

/// How many threads the system gives beside the caller's, up to one per core;
/// found out by starting them.
unsigned countThreads();

namespace detail {
/// Outlives the context that works with it.
struct ContextThreads {
  ContextThreads();
  std::unique_ptr<llvm::ThreadPoolInterface> pool; ///< null: no threads
};
} // namespace detail

/// An MLIRContext that works with one thread per core, or with as many as the
/// system gives (`ulimit -u`), or on the caller's alone. LLVM's own pool ends
/// the process when it does not get a thread. What is compiled does not depend
/// on it (C9).
class CompilerContext : private detail::ContextThreads,
                        public mlir::MLIRContext {
public:
  explicit CompilerContext(const mlir::DialectRegistry &registry);
};

} // namespace rshard

#endif // RSHARD_DRIVER_COMPILERCONTEXT_H
