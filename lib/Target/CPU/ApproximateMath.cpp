//===- ApproximateMath.cpp - polynomials for transcendental functions -----===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "rshard/Target/CPU/Passes.h"

namespace rshard::cpu {
#define GEN_PASS_DEF_APPROXIMATEMATH
#include "rshard/Target/CPU/Passes.h.inc"
} // namespace rshard::cpu

using namespace mlir;

namespace {
class ApproximateMath
    : public rshard::cpu::impl::ApproximateMathBase<ApproximateMath> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
      return llvm::is_contained(
          {math::ExpOp::getOperationName(), math::TanhOp::getOperationName(),
           math::ErfOp::getOperationName(), math::LogOp::getOperationName()},
          name);
    });
    // glibc has no rsqrtf to fall back to.
    math::populateExpansionPatterns(patterns, {"rsqrt"});
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
