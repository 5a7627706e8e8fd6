//===- rshard-interpret.cpp - the reference interpreter -------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/OutOfMemory.h"
#include "rshard/Import/Import.h"
#include "rshard/Interpreter/Model.h"
#include "rshard/Interpreter/Partitioned.h"
#include "rshard/Register.h"
#include "rshard/runtime/Npy.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;
using namespace rshard;
using namespace rshard::interpreter;

static llvm::cl::OptionCategory category("rshard-interpret options");
static llvm::cl::opt<std::string>
    input(llvm::cl::Positional, llvm::cl::Required,
          llvm::cl::desc("<model directory or .mlir>"),
          llvm::cl::cat(category));
static llvm::cl::opt<std::string>
    weightsPath("weights", llvm::cl::value_desc("path"),
                llvm::cl::desc("directory or safetensors file with the "
                               "weights; default: the model directory"),
                llvm::cl::cat(category));
static llvm::cl::opt<int64_t>
    seed("random-weights", llvm::cl::value_desc("seed"),
         llvm::cl::desc("random weights instead of files"),
         llvm::cl::cat(category));
static llvm::cl::opt<std::string>
    tokensText("tokens", llvm::cl::Required,
               llvm::cl::value_desc("1,2,3 or file.npy"),
               llvm::cl::desc("token ids"), llvm::cl::cat(category));
static llvm::cl::list<int64_t>
    steps("steps", llvm::cl::CommaSeparated, llvm::cl::value_desc("5,3,1"),
          llvm::cl::desc("tokens of each step, partitioned phase; default: all "
                         "in one"),
          llvm::cl::cat(category));
static llvm::cl::opt<int64_t>
    capacity("capacity", llvm::cl::init(0), llvm::cl::value_desc("positions"),
             llvm::cl::desc("capacity of the session, partitioned phase; "
                            "default: the number of tokens"),
             llvm::cl::cat(category));
static llvm::cl::opt<bool>
    single("f32", llvm::cl::desc("compute in f32 instead of f64"),
           llvm::cl::cat(category));
static llvm::cl::opt<std::string>
    output("o", llvm::cl::Required, llvm::cl::value_desc("file.npy"),
           llvm::cl::desc("output of every position, float32 [tokens, width]"),
           llvm::cl::cat(category));

/// One line on stderr; returns the exit status.
static int fail(const llvm::Twine &message, int status = 1) {
  llvm::errs() << "error: " << message << "\n";
  return status;
}

static runtime::Expected<Ids> readTokens() {
  llvm::StringRef text = tokensText;
  if (text.ends_with(".npy"))
    return runtime::readNpyIntegers(text.str());
  Ids tokens;
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, ',');
  for (llvm::StringRef part : parts)
    if (part.trim().getAsInteger(10, tokens.emplace_back()))
      return runtime::Error{"token '" + part.str() + "' vs an integer"};
  return tokens;
}

/// Runs the steps one after the other and joins their outputs.
template <typename T>
static FailureOr<Tensor<T>> runSteps(ModuleOp module, WeightProvider &weights,
                                     const Ids &tokens) {
  int64_t total = tokens.size();
  auto nodes = Partitioned<T>::create(module, weights,
                                      capacity ? int64_t(capacity) : total);
  if (failed(nodes))
    return failure();
  std::vector<int64_t> sizes(steps.begin(), steps.end());
  if (sizes.empty())
    sizes.push_back(total);
  Tensor<T> all;
  for (int64_t size : sizes) {
    int64_t begin = nodes->length();
    if (size < 1 || begin + size > total)
      return module.emitError("step of ")
             << size << " tokens vs 1 to " << total - begin;
    auto rows =
        nodes->step(Ids(tokens.begin() + begin, tokens.begin() + begin + size),
                    begin, size);
    if (failed(rows))
      return failure();
    all.values.insert(all.values.end(), rows->values.begin(),
                      rows->values.end());
    all.shape = rows->shape;
  }
  all.shape[0] = nodes->length();
  return all;
}

template <typename T>
static int run(ModuleOp module, WeightProvider &weights, const Ids &tokens) {
  // Both phases may hold functions named anything: roles tell them apart.
  bool isPartitioned =
      llvm::any_of(module.getOps<func::FuncOp>(), [](func::FuncOp func) {
        return func->hasAttr(roleAttrName);
      });
  if (!isPartitioned && (!steps.empty() || capacity))
    return fail("--steps and --capacity: a module of the model phase takes all "
                "tokens at once");
  FailureOr<Tensor<T>> rows = isPartitioned
                                  ? runSteps<T>(module, weights, tokens)
                                  : runModel<T>(module, weights, tokens);
  if (failed(rows))
    return 1;
  std::vector<float> values(rows->values.begin(), rows->values.end());
  auto written =
      runtime::writeNpy(output.getValue(), values, rows->rows(), rows->width());
  return written ? 0 : fail(written.error().message);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  endWhenOutOfMemory(argc, argv);
  llvm::cl::HideUnrelatedOptions(category);
  // With a stream for its errors it does not end the process itself.
  if (!llvm::cl::ParseCommandLineOptions(
          argc, argv,
          "Evaluates a model, or a partitioned module as communicating nodes, "
          "with naive loops.\n",
          &llvm::errs()))
    return 2;
  if (seed.getNumOccurrences() && !weightsPath.empty())
    return fail("--random-weights and --weights: both were given", 2);
  DialectRegistry registry;
  registerDialects(registry);
  CompilerContext context(registry);
  DiagnosticPrinter printer(&context);
  auto model = loadModel(&context, input);
  if (failed(model))
    return 1;
  auto tokens = readTokens();
  if (!tokens)
    return fail(tokens.error().message);
  auto evaluate = [&](WeightProvider &&weights) {
    return single ? run<float>(*model->module, weights, *tokens)
                  : run<double>(*model->module, weights, *tokens);
  };
  if (seed.getNumOccurrences())
    return evaluate(RandomWeights(seed));
  auto files = runtime::SafeTensors::open(
      weightsPath.empty() ? input.getValue() : weightsPath.getValue());
  if (!files)
    return fail(files.error().message + " (--weights names the model's files)");
  return evaluate(SafeTensorsWeights(std::move(*files)));
}
