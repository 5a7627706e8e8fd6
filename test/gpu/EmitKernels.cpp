//===- EmitKernels.cpp - kernels by name, for tests and benchmarks --------===//
//
// usage: emit-kernels REQUESTS.json DIRECTORY [PTXAS]
//        emit-kernels REQUESTS.json -                  print the kernels as IR
//
// REQUESTS.json is a list of {"kernel": FAMILY, ...parameters of the family}.
// Writes DIRECTORY/kernels.{ptx,cubin,json}; the last lists, in the order of
// the requests, the kernel's name and how it is launched (as an artifact's
// manifest says it), and its registers. With - for the directory it prints the
// kernels' IR instead.
//
//===----------------------------------------------------------------------===//

#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include "rshard/Target/CUDA/Assemble.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>

using namespace mlir;
using namespace rshard;
namespace json = llvm::json;

/// The variant for the request's rows, without them that for any number.
static SymbolRefAttr variantFor(ArrayRef<cuda::KernelLibrary::Variant> variants,
                                const json::Object &request) {
  if (std::optional<int64_t> rows = request.getInteger("rows"))
    for (const cuda::KernelLibrary::Variant &variant : variants)
      if (*rows <= variant.rows)
        return variant.kernel;
  return variants.back().kernel;
}

/// Adds the kernel of one request; null if the family or a parameter is
/// unknown.
static SymbolRefAttr addKernel(cuda::KernelLibrary &library,
                               const json::Object &request,
                               MLIRContext *context) {
  Builder builder(context);
  StringRef family = request.getString("kernel").value_or("");
  Type element = request.getString("element") == "f16"
                     ? Type(builder.getF16Type())
                     : Type(builder.getBF16Type());
  auto integer = [&](StringRef name, int64_t otherwise = 0) {
    return request.getInteger(name).value_or(otherwise);
  };
  auto flag = [&](StringRef name) {
    return request.getBoolean(name).value_or(false);
  };
  auto typeOf = [&](StringRef name) -> Type {
    StringRef text = request.getString(name).value_or("");
    return text == "f32"    ? Type(builder.getF32Type())
           : text == "f16"  ? Type(builder.getF16Type())
           : text == "bf16" ? Type(builder.getBF16Type())
                            : element;
  };
  std::optional<Activation> activation =
      symbolizeActivation(request.getString("activation").value_or(""));
  int64_t width = integer("width"), heads = integer("heads", 1);
  if (family == "linear") {
    cuda::LinearParams params;
    params.inputs = integer("inputs");
    if (const json::Array *outputs = request.getArray("outputs"))
      for (const json::Value &width : *outputs)
        params.outputs.push_back(width.getAsInteger().value_or(0));
    params.element = element;
    params.result = typeOf("result");
    params.activation = activation;
    params.bias = flag("bias");
    params.residual = flag("residual");
    params.gated = flag("gated");
    if (flag("norm"))
      params.normEpsilon = 1e-5;
    params.factorsGiven = flag("factorsGiven");
    params.sumsSquares = flag("sumsSquares");
    if (std::optional<int64_t> rotated = request.getInteger("rotatedHeads"))
      params.rotation = {*rotated, integer("headSize")};
    if (request.getString("partial"))
      params.partial = typeOf("partial");
    if (std::optional<StringRef> name = request.getString("schedule")) {
      const cuda::LinearSchedule *schedule = cuda::findLinearSchedule(*name);
      return schedule ? library.linear(params, *schedule) : SymbolRefAttr();
    }
    auto variants = library.linear(params);
    return llvm::find_if(
               variants,
               [&](const auto &one) { return one.rows >= integer("rows"); })
        ->kernel;
  }
  if (family == "norm") {
    cuda::NormParams params;
    params.kind =
        request.getString("kind") == "layer" ? NormKind::Layer : NormKind::RMS;
    params.heads = heads;
    params.width = width;
    params.scale = !flag("unscaled");
    params.bias = flag("bias");
    params.element = element;
    return library.norm(params);
  }
  if (family == "norm_factors")
    return library.normFactors(width, 1e-5);
  if (family == "activation")
    return library.activation(width, activation, element);
  if (family == "gated" && activation)
    return library.gated(width, *activation, element);
  if (family == "add")
    return library.add(width, element);
  if (family == "add_row")
    return library.addRow(width, element);
  if (family == "rope") {
    SmallVector<int64_t> all{heads};
    if (std::optional<int64_t> more = request.getInteger("keyHeads"))
      all.push_back(*more);
    return library.rope(all, width, element);
  }
  if (family == "embed") {
    cuda::EmbedParams params;
    params.width = width;
    params.table = typeOf("table");
    params.element = element;
    params.accumulate = flag("accumulate");
    params.constant = flag("constant");
    return library.embed(params);
  }
  if (family == "gather")
    return library.gather(width, element);
  if (family == "append")
    return library.append(width, element, integer("count", 1));
  if (family == "merge")
    return library.merge(heads, width, typeOf("partial"), element);
  if (family == "attention") {
    cuda::AttentionParams params;
    params.queryHeads = heads;
    params.keyHeads = integer("keyHeads", heads);
    params.headSize = width;
    params.element = element;
    params.result = typeOf("result");
    params.scale = request.getNumber("scale").value_or(
        1.0 / std::sqrt(static_cast<double>(width)));
    params.softCap = request.getNumber("softCap").value_or(0.0);
    return variantFor(library.attention(params), request);
  }
  return {};
}

static json::Value describe(SizeAttr size) {
  if (size.getArgument() < 0)
    return size.getFactor();
  return json::Object{{"argument", size.getArgument()},
                      {"times", size.getFactor()}};
}

static json::Value describe(Attribute parameter) {
  if (auto pointer = dyn_cast<PointerAttr>(parameter))
    return json::Object{{"kind", "pointer"},
                        {"argument", pointer.getArgument()}};
  if (auto rows = dyn_cast<RowsAttr>(parameter))
    return json::Object{{"kind", "rows"}, {"argument", rows.getArgument()}};
  if (auto scalar = dyn_cast<ScalarAttr>(parameter))
    return json::Object{{"kind", "scalar"}, {"argument", scalar.getArgument()}};
  auto map = cast<MapAttr>(parameter);
  json::Array extents, strides;
  for (SizeAttr size : map.getExtents())
    extents.push_back(describe(size));
  for (SizeAttr size : map.getStrides())
    strides.push_back(describe(size));
  return json::Object{{"kind", "map"},
                      {"argument", map.getArgument()},
                      {"type", cuda::elementName(map.getElement())},
                      {"extents", std::move(extents)},
                      {"strides", std::move(strides)},
                      {"box", json::Array(map.getBox())},
                      {"swizzle", map.getSwizzle()}};
}

static LogicalResult write(StringRef directory, StringRef name,
                           StringRef bytes) {
  std::error_code code;
  llvm::raw_fd_ostream stream((directory + "/" + name).str(), code);
  stream << bytes;
  return failure(!!code);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    llvm::errs() << "usage: emit-kernels REQUESTS.json DIRECTORY|- [PTXAS]\n";
    return 2;
  }
  MLIRContext context;
  context
      .loadDialect<RShardDialect, gpu::GPUDialect, LLVM::LLVMDialect,
                   NVVM::NVVMDialect, arith::ArithDialect, scf::SCFDialect>();
  auto text = llvm::MemoryBuffer::getFile(argv[1]);
  llvm::Expected<json::Value> requests =
      text ? json::parse((*text)->getBuffer())
           : llvm::Expected<json::Value>(json::Value(nullptr));
  if (!requests || !requests->getAsArray()) {
    llvm::errs() << argv[1] << ": no list of requests\n";
    return 1;
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  cuda::KernelLibrary library(*module);
  SmallVector<SymbolRefAttr> names;
  for (const json::Value &request : *requests->getAsArray()) {
    SymbolRefAttr name = addKernel(library, *request.getAsObject(), &context);
    if (!name) {
      llvm::errs() << argv[1] << ": unknown request " << request << "\n";
      return 1;
    }
    names.push_back(name);
  }
  auto kernels = module->lookupSymbol<gpu::GPUModuleOp>("kernels");
  if (failed(verify(*module)))
    return 1;
  if (StringRef(argv[2]) == "-") {
    module->print(llvm::outs());
    return 0;
  }
  FailureOr<std::string> assembler =
      cuda::findAssembler(argc > 3 ? argv[3] : "", module->getLoc());
  if (failed(assembler))
    return 1;
  FailureOr<cuda::DeviceCode> code = cuda::assemble(kernels, *assembler);
  if (failed(code))
    return 1;
  json::Array list;
  for (SymbolRefAttr name : names) {
    StringRef leaf = name.getLeafReference().getValue();
    auto launch =
        kernels.lookupSymbol(leaf)->getAttrOfType<KernelAttr>(kernelAttrName);
    json::Array grid, parameters;
    for (BlocksAttr term : launch.getGrid())
      grid.push_back(json::Array{term.getArgument(), term.getPer()});
    for (Attribute parameter : launch.getParameters())
      parameters.push_back(describe(parameter));
    auto use = llvm::find_if(code->kernels, [&](const cuda::KernelUse &one) {
      return one.name == leaf;
    });
    list.push_back(json::Object{{"name", leaf},
                                {"threads", launch.getThreads()},
                                {"shared", launch.getShared()},
                                {"blocks", launch.getBlocks()},
                                {"resident", launch.getResident()},
                                {"grid", std::move(grid)},
                                {"parameters", std::move(parameters)},
                                {"registers", use->registers}});
  }
  std::string described;
  llvm::raw_string_ostream(described)
      << llvm::formatv("{0:2}\n", json::Value(std::move(list)));
  StringRef cubin(code->cubin.data(), code->cubin.size());
  llvm::sys::fs::create_directories(argv[2]);
  if (failed(write(argv[2], "kernels.ptx", code->ptx)) ||
      failed(write(argv[2], "kernels.cubin", cubin)) ||
      failed(write(argv[2], "kernels.json", described))) {
    llvm::errs() << argv[2] << ": cannot write\n";
    return 1;
  }
  return 0;
}
