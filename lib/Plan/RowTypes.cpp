//===- RowTypes.cpp - gives rows the types that the plan says -------------===//

#include "RowTypes.h"

using namespace mlir;
using namespace rshard;
using tokenset::ElementType;

static Type getType(MLIRContext *context, ElementType type) {
  switch (type) {
  case ElementType::F32:
    return Float32Type::get(context);
  case ElementType::BF16:
    return BFloat16Type::get(context);
  case ElementType::F16:
    return Float16Type::get(context);
  case ElementType::I32:
    return IntegerType::get(context, 32);
  }
  llvm_unreachable("every element type has a type");
}

RowTypesAttr rshard::getRowTypesAttr(MLIRContext *context,
                                     const tokenset::RowTypes &types) {
  return RowTypesAttr::get(context, getType(context, types.activations),
                           getType(context, types.partials));
}

ElementType rshard::getElement(Type type) {
  return type.isBF16()  ? ElementType::BF16
         : type.isF16() ? ElementType::F16
                        : ElementType::F32;
}

static RankedTensorType getRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 1 && hasTokenRows(type) &&
                 isRowElement(type.getElementType())
             ? type
             : RankedTensorType();
}

static void setElement(Value value, Type element) {
  if (RankedTensorType type = getRows(value))
    value.setType(RankedTensorType::get(type.getShape(), element));
}

/// Makes what a function returns f32.
static void returnF32(func::ReturnOp end) {
  OpBuilder builder(end);
  Type f32 = builder.getF32Type();
  for (OpOperand &operand : end->getOpOperands()) {
    RankedTensorType type = getRows(operand.get());
    if (!type || type.getElementType().isF32())
      continue;
    if (auto linear = operand.get().getDefiningOp<LinearOp>();
        linear && linear->hasOneUse())
      setElement(linear.getResult(), f32);
    else
      operand.set(ConvertOp::create(builder, end.getLoc(), type.clone(f32),
                                    operand.get()));
  }
}

void rshard::typeRows(ModuleOp module, func::FuncOp main, Type activations) {
  SmallVector<ConvertOp> conversions;
  for (auto func : module.getOps<func::FuncOp>()) {
    func.walk([&](Block *block) {
      for (BlockArgument argument : block->getArguments())
        setElement(argument, activations);
    });
    func.walk([&](Operation *op) {
      for (Value result : op->getResults())
        setElement(result, activations);
      if (auto conversion = dyn_cast<ConvertOp>(op))
        conversions.push_back(conversion);
    });
  }
  // All rows have one type now: nothing is left to convert.
  for (ConvertOp conversion : conversions) {
    conversion.getResult().replaceAllUsesWith(conversion.getInput());
    conversion.erase();
  }
  for (auto func : module.getOps<func::FuncOp>()) {
    if (func.isExternal())
      continue;
    auto end = dyn_cast<func::ReturnOp>(func.getBody().back().getTerminator());
    if (!end)
      continue;
    if (func == main)
      returnF32(end);
    func.setFunctionType(FunctionType::get(func.getContext(),
                                           func.getBody().getArgumentTypes(),
                                           end.getOperandTypes()));
  }
}
