#include "RShard/RShard.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Target/CUDA/Assemble.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace rshard::cuda {
namespace {

struct Blocks {
  int64_t threads = 128, shared = 0, blocks = 1, resident = 0;
  std::string cluster = "1, 1, 1";
};

/// What the code generator says about a kernel of such blocks.
std::string errorOf(const Blocks &of) {
  MLIRContext context;
  context.loadDialect<gpu::GPUDialect, LLVM::LLVMDialect, NVVM::NVVMDialect,
                      RShardDialect>();
  std::string error;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    error += diagnostic.str();
    return success();
  });
  std::string text =
      "gpu.module @kernels { llvm.func @k(%x: !llvm.ptr<1>) attributes "
      "{nvvm.cluster_dim = array<i32: " +
      of.cluster + ">, rshard.kernel = #rshard.kernel<threads = " +
      std::to_string(of.threads) + ", shared = " + std::to_string(of.shared) +
      ", blocks = " + std::to_string(of.blocks) +
      ", resident = " + std::to_string(of.resident) +
      ", grid [] parameters [#rshard.pointer<0>]>} "
      "{ llvm.return } }";
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return "does not parse: " + error;
  (void)emitPTX(*module->getOps<gpu::GPUModuleOp>().begin());
  return error;
}

TEST(BlockLimits, AreThoseOfTheChip) {
  EXPECT_EQ(errorOf({.threads = 1024, .shared = 232448}), "");
  EXPECT_EQ(errorOf({.threads = 100}),
            "'llvm.func' op threads of a block: 100 vs a "
            "multiple of 32 up to 1024");
  EXPECT_EQ(errorOf({.threads = 1056}),
            "'llvm.func' op threads of a block: 1056 vs a "
            "multiple of 32 up to 1024");
  EXPECT_EQ(errorOf({.shared = 232449}),
            "'llvm.func' op shared memory of a block: "
            "232449 bytes vs at most 232448");
}

TEST(BlockLimits, GridsAreWholeClusters) {
  EXPECT_EQ(errorOf({.blocks = 16, .cluster = "8, 1, 1"}), "");
  EXPECT_EQ(errorOf({.blocks = 3, .resident = 1}), "");
  EXPECT_EQ(errorOf({.blocks = 16, .cluster = "16, 1, 1"}),
            "'llvm.func' op blocks of a cluster: 16 vs 1 to 8");
  EXPECT_EQ(errorOf({.blocks = 12, .cluster = "8, 1, 1"}),
            "'llvm.func' op blocks of the grid: multiples of 12 vs of 8, the "
            "cluster's");
  EXPECT_EQ(errorOf({.blocks = 8, .resident = 1, .cluster = "8, 1, 1"}),
            "'llvm.func' op blocks of the grid: 1 for each multiprocessor vs "
            "clusters of 8");
}

} // namespace
} // namespace rshard::cuda
