//===- BindImports.cpp - the runtime's functions through a table ----------===//

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/Target/Host/Passes.h"
#include "rshard/runtime/ABI.h"

namespace rshard {
#define GEN_PASS_DEF_BINDIMPORTS
#include "rshard/Target/Host/Passes.h.inc"
} // namespace rshard

using namespace mlir;

namespace {

#define NAME(name) #name,
constexpr StringLiteral imports[] = {RSHARD_IMPORTS(NAME)};
#undef NAME

// The list names the members of the table in their order.
#define ENTRY(name) Entry_##name,
enum { RSHARD_IMPORTS(ENTRY) };
#undef ENTRY
#define CHECK(name)                                                            \
  static_assert(offsetof(rshard_import_table, name) ==                         \
                Entry_##name * sizeof(void (*)()));
RSHARD_IMPORTS(CHECK)
#undef CHECK
static_assert(sizeof(rshard_import_table) ==
              std::size(imports) * sizeof(void (*)()));

class BindImports : public rshard::impl::BindImportsBase<BindImports> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto type = LLVM::LLVMArrayType::get(
        LLVM::LLVMPointerType::get(&getContext()), std::size(imports));
    if (Operation *other = module.lookupSymbol(RSHARD_IMPORTS_SYMBOL)) {
      other->emitOpError("has the name of the table of imports, which is added "
                         "once");
      return signalPassFailure();
    }
    LLVM::GlobalOp table = createTable(module, type);
    for (auto [index, name] : llvm::enumerate(imports))
      if (auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(name)) {
        if (!function.isExternal()) {
          function.emitOpError("is a function of the runtime, which the code "
                               "may only declare");
          return signalPassFailure();
        }
        define(function, table, static_cast<int32_t>(index));
        ++numBound;
      }
  }

  static LLVM::GlobalOp createTable(ModuleOp module, Type type) {
    OpBuilder ops = OpBuilder::atBlockBegin(module.getBody());
    Location loc = module.getLoc();
    auto table = LLVM::GlobalOp::create(
        ops, loc, type, /*isConstant=*/false, LLVM::Linkage::External,
        RSHARD_IMPORTS_SYMBOL, /*value=*/Attribute(), alignof(void *));
    table.setVisibility_(LLVM::Visibility::Protected);
    ops.createBlock(&table.getInitializerRegion());
    LLVM::ReturnOp::create(ops, loc, LLVM::ZeroOp::create(ops, loc, type));
    return table;
  }

  static void define(LLVM::LLVMFuncOp function, LLVM::GlobalOp table,
                     int32_t index) {
    OpBuilder ops(function.getContext());
    Location loc = function.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(function.getContext());
    function.setLinkage(LLVM::Linkage::Internal);
    Block *entry = function.addEntryBlock(ops);
    ops.setInsertionPointToStart(entry);
    Value address = LLVM::AddressOfOp::create(ops, loc, table);
    Value slot = LLVM::GEPOp::create(ops, loc, pointer, table.getGlobalType(),
                                     address, ArrayRef<LLVM::GEPArg>{0, index},
                                     LLVM::GEPNoWrapFlags::inbounds);
    SmallVector<Value> operands{LLVM::LoadOp::create(ops, loc, pointer, slot)};
    llvm::append_range(operands, entry->getArguments());
    auto call =
        LLVM::CallOp::create(ops, loc, function.getFunctionType(), operands);
    LLVM::ReturnOp::create(ops, loc, call.getResults());
  }
};

} // namespace
