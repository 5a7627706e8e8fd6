//===- RowAccesses.cpp - the threads of one row ---------------------------===//

#include "RowAccesses.h"
#include "RowElements.h"

namespace rshard::cuda {

int64_t RowAccesses::threads() const { return threadsFor(accesses); }

void RowAccesses::forEach(DeviceBuilder &k,
                          llvm::function_ref<void(Int)> body) const {
  k.loop(k.thread(), k.integer(accesses), k.integer(threads()),
         [&](Int access) { body(access * perAccess); });
}

} // namespace rshard::cuda
