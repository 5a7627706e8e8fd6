#include "RShard/RShard.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Target/CUDA/Assemble.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace rshard::cuda {
namespace {

/// What the code generator says about a kernel of such blocks.
std::string errorOf(int64_t threads, int64_t shared) {
  MLIRContext context;
  context.loadDialect<gpu::GPUDialect, LLVM::LLVMDialect, RShardDialect>();
  std::string error;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    error += diagnostic.str();
    return success();
  });
  std::string text =
      "gpu.module @kernels { llvm.func @k(%x: !llvm.ptr<1>) attributes "
      "{rshard.kernel = #rshard.kernel<threads = " +
      std::to_string(threads) + ", shared = " + std::to_string(shared) +
      ", blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>} "
      "{ llvm.return } }";
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return "does not parse: " + error;
  (void)emitPTX(*module->getOps<gpu::GPUModuleOp>().begin());
  return error;
}

TEST(BlockLimits, AreThoseOfTheChip) {
  EXPECT_EQ(errorOf(1024, 232448), "");
  EXPECT_EQ(errorOf(100, 0), "'llvm.func' op threads of a block: 100 vs a "
                             "multiple of 32 up to 1024");
  EXPECT_EQ(errorOf(1056, 0), "'llvm.func' op threads of a block: 1056 vs a "
                              "multiple of 32 up to 1024");
  EXPECT_EQ(errorOf(128, 232449), "'llvm.func' op shared memory of a block: "
                                  "232449 bytes vs at most 232448");
}

} // namespace
} // namespace rshard::cuda
