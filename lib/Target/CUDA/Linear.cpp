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
  if (params.factorsGiven)
    name += "_factors";
  if (params.sumsSquares)
    name += "_squares";
  if (params.partial)
    name += "_partial_" + elementName(params.partial);
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

SymbolRefAttr KernelLibrary::linearOfPartial(const LinearParams &params) {
  return linear(params, *findLinearSchedule("small8"));
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
  if (params.partial && !(few && canReadPartial(params)))
    return {};
  const LinearSchedule &used = can ? schedule : *findLinearSchedule("small16");
  LinearParams own = params;
  if (!normalises(used))
    own.normEpsilon.reset(); // x is normalised, or factors are given
  if (!used.isForManyRows())
    own.factorsGiven = own.sumsSquares = false;
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

static LinearParams withoutRotation(LinearParams params) {
  params.rotation.reset();
  return params;
}

const LinearSchedule &
KernelLibrary::scheduleOf(const LinearChoice &choice) const {
  return pipelined && choice.schedule->isForManyRows() ? *pipelined
                                                       : *choice.schedule;
}

bool KernelLibrary::pipelinesMany(const LinearParams &params) const {
  LinearParams plain = withoutRotation(params);
  return llvm::all_of(chooseLinearSchedules(params.weightRows(), params.inputs),
                      [&](const LinearChoice &choice) {
                        const LinearSchedule &schedule = scheduleOf(choice);
                        return choice.rows <= rowsWithoutFactors ||
                               (schedule.isForManyRows() &&
                                canPipeline(plain, schedule));
                      });
}

bool KernelLibrary::canSumSquares(const LinearParams &params) const {
  return params.outputs.size() == 1 && !params.gated && !params.rotation &&
         params.result == params.element &&
         params.outputs.front() % columnsPerSum == 0 && pipelinesMany(params);
}

bool KernelLibrary::canReadPartial(const LinearParams &params) {
  return params.inputs % 8 == 0 && !params.rotation;
}

SmallVector<KernelLibrary::Variant>
KernelLibrary::linear(const LinearParams &params) {
  SmallVector<Variant> variants;
  auto add = [&](int64_t rows, const LinearParams &own,
                 const LinearSchedule &schedule) {
    SymbolRefAttr kernel = linear(own, schedule);
    bool rotates = own.rotation && kernel;
    if (!kernel)
      kernel = linear(withoutRotation(own), schedule);
    if (!variants.empty() && variants.back().kernel == kernel)
      variants.back().rows = rows;
    else
      variants.push_back({rows, kernel, rotates});
  };
  LinearParams plain = withoutRotation(params), alone = params;
  alone.factorsGiven = alone.sumsSquares = false;
  bool passes = params.factorsGiven || params.sumsSquares;
  for (const LinearChoice &choice :
       chooseLinearSchedules(params.weightRows(), params.inputs)) {
    if (choice.schedule->kind == LinearSchedule::Kind::Split &&
        !canSplit(plain))
      continue; // the next one takes these rows
    const LinearSchedule &schedule = scheduleOf(choice);
    if (passes && schedule.isForManyRows() &&
        variants.back().rows < rowsWithoutFactors)
      add(std::min(choice.rows, rowsWithoutFactors), alone, schedule);
    if (variants.empty() || choice.rows > variants.back().rows)
      add(choice.rows, params, schedule);
  }
  return variants;
}

} // namespace rshard::cuda
