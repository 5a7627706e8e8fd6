//===- MergeKernel.cpp - the exact merge of partials (C3) -----------------===//
//
// A thread merges one access's columns of one row, which has as many blocks as
// it needs: then all of its partials are asked for at once.
//
//===----------------------------------------------------------------------===//

#include "RowElements.h"
#include "RowMerge.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

SymbolRefAttr KernelLibrary::merge(int64_t heads, int64_t headSize,
                                   Type partial, Type element) {
  RowMerge merge(heads, headSize, partial, element);
  int64_t accesses = merge.accessesOfRow();
  Launch launch;
  launch.threads = std::min<int64_t>(128, threadsFor(accesses));
  launch.blocks = (accesses + launch.threads - 1) / launch.threads;
  launch.waits = true;
  launch.grid = {blocksOf(4, 1)};
  launch.parameters = {pointer(0), pointer(1), pointer(2), pointer(3),
                       pointer(4)};
  std::string name = "merge_" + std::to_string(heads) + "x" +
                     std::to_string(headSize) + "_" + elementName(partial) +
                     "_" + elementName(element);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    merge.prepare(k, in.take_front(4));
    Int row = k.block() / launch.blocks;
    Int access = k.block() % launch.blocks * launch.threads + k.thread();
    RowMerge::Row found = merge.find(k, row);
    k.waitForEarlierKernels();
    k.when(access < accesses, [&] {
      Int column = access * merge.columns();
      storeElements(k, merge.merge(k, found, column), k.asGlobal(in[4]),
                    elementAt(k, row, heads * headSize, column), element);
    });
  });
}

} // namespace rshard::cuda
