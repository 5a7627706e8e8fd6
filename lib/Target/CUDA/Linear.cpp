//===- Linear.cpp - which kernel computes a matrix product ----------------===//

#include "LinearOperands.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "llvm/ADT/STLExtras.h"
#include <numeric>

using namespace mlir;

namespace rshard::cuda {

int64_t LinearParams::weightRows() const {
  return (gated ? 2 : 1) *
         std::accumulate(outputs.begin(), outputs.end(), int64_t(0));
}

static std::string nameOf(const LinearParams &params,
                          const LinearSchedule &schedule) {
  std::string name = "linear_" + schedule.name.str() + "_" +
                     std::to_string(params.inputs) + "x";
  for (auto [i, width] : llvm::enumerate(params.outputs))
    name += (i ? "_" : "") + std::to_string(width);
  name += "_" + elementName(params.element);
  if (params.result != params.element)
    name += "_" + elementName(params.result);
  if (params.bias)
    name += "_bias";
  if (params.activation)
    name += "_" + stringifyActivation(*params.activation).str();
  if (params.gated)
    name += "_gated";
  if (params.residual)
    name += "_residual";
  if (params.rotation)
    name += "_rope_" + std::to_string(params.rotation->heads) + "x" +
            std::to_string(params.rotation->headSize);
  if (params.normEpsilon)
    name += "_norm_" + bitsName(*params.normEpsilon);
  return name;
}

bool KernelLibrary::canNormalise(const NormParams &params) {
  return params.kind == NormKind::RMS && params.heads == 1 && !params.bias &&
         params.element.isBF16() &&
         elementsPerAccess(params.width, params.element) == 8;
}

/// Whether a product that can does its norm.
static bool normalises(const LinearSchedule &schedule) {
  return !schedule.isForManyRows() &&
         schedule.tileRows <= KernelLibrary::rowsNormalised;
}

SymbolRefAttr KernelLibrary::linear(const LinearParams &params,
                                    const LinearSchedule &schedule) {
  using Kind = LinearSchedule::Kind;
  bool few = schedule.kind == Kind::Small;
  bool can =
      few || (schedule.kind == Kind::Split ? canSplit(params)
                                           : canPipeline(params, schedule));
  if (params.rotation && !(few ? canRotateFew(params) : can))
    return {};
  const LinearSchedule &used = can ? schedule : *findLinearSchedule("small16");
  LinearParams own = params;
  if (!normalises(used))
    own.normEpsilon.reset(); // x is normalised
  std::string name = nameOf(own, used);
  switch (used.kind) {
  case Kind::Small:
    return smallLinear(name, own, used);
  case Kind::Split:
    return splitLinear(name, own, used);
  case Kind::PingPong:
    return pipelinedLinear(name, own, used);
  }
  llvm_unreachable("unknown kind of schedule");
}

SmallVector<KernelLibrary::Variant>
KernelLibrary::linear(const LinearParams &params) {
  LinearParams plain = params;
  plain.rotation.reset();
  SmallVector<Variant> variants;
  for (const LinearChoice &choice :
       chooseLinearSchedules(params.weightRows(), params.inputs)) {
    if (choice.schedule->kind == LinearSchedule::Kind::Split &&
        !canSplit(plain))
      continue; // the next one takes these rows
    const LinearSchedule &schedule =
        pipelined && choice.schedule->isForManyRows() ? *pipelined
                                                      : *choice.schedule;
    SymbolRefAttr kernel = linear(params, schedule);
    bool rotates = params.rotation && kernel;
    if (!kernel)
      kernel = linear(plain, schedule);
    if (!variants.empty() && variants.back().kernel == kernel)
      variants.back().rows = choice.rows;
    else
      variants.push_back({choice.rows, kernel, rotates});
  }
  return variants;
}

} // namespace rshard::cuda
