//===- ModelKernelsTest.cpp - kernels of whole models assemble ------------===//
//
// Every kernel that the reference models need on a GPU passes what ptxas is
// asked: no spill, no stack frame, no serialised wgmma. Needs no GPU. A kernel
// that several models or plans share is assembled once.
//
//===----------------------------------------------------------------------===//

#include "Compiled.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OperationSupport.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Phases.h"
#include "rshard/Import/Import.h"
#include "rshard/Register.h"
#include "rshard/Target/CUDA/Assemble.h"
#include "rshard/Target/CUDA/GenerateKernels.h"
#include "llvm/Support/raw_ostream.h"
#include <fstream>
#include <gtest/gtest.h>

using namespace rshard;
using namespace rshard::integration;

namespace {

/// A published model's shapes, as its config.json says them.
struct Shapes {
  const char *name, *config;
};
const Shapes shapes[] = {
    {"Llama-3-8B", R"({"architectures": ["LlamaForCausalLM"],
      "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
      "num_attention_heads": 32, "num_key_value_heads": 8,
      "num_hidden_layers": 32, "vocab_size": 128256, "hidden_act": "silu",
      "max_position_embeddings": 8192, "rms_norm_eps": 1e-05,
      "rope_theta": 500000.0, "tie_word_embeddings": false})"},
    {"Llama-3.2-1B", R"({"architectures": ["LlamaForCausalLM"],
      "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
      "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
      "num_hidden_layers": 16, "vocab_size": 128256, "hidden_act": "silu",
      "max_position_embeddings": 131072, "rms_norm_eps": 1e-05,
      "rope_theta": 500000.0, "tie_word_embeddings": true})"},
    {"Qwen2.5-7B", R"({"architectures": ["Qwen2ForCausalLM"],
      "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
      "num_attention_heads": 28, "num_key_value_heads": 4,
      "num_hidden_layers": 28, "vocab_size": 152064, "hidden_act": "silu",
      "max_position_embeddings": 131072, "rms_norm_eps": 1e-06,
      "rope_theta": 1000000.0, "tie_word_embeddings": false})"},
    {"Mistral-7B", R"({"architectures": ["MistralForCausalLM"],
      "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
      "num_attention_heads": 32, "num_key_value_heads": 8,
      "num_hidden_layers": 32, "vocab_size": 32000, "hidden_act": "silu",
      "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0, "sliding_window": 4096,
      "tie_word_embeddings": false})"}};

/// The kernels of many programs, one of each name.
class ModelKernels : public testing::TestWithParam<tokenset::ElementType> {
protected:
  ModelKernels() : context(registry(), mlir::MLIRContext::Threading::DISABLED) {
    all = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  }
  static mlir::DialectRegistry registry() {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  void addModel(const std::filesystem::path &directory, bool random) {
    for (const char *name : {"unsharded", "figure"}) {
      SCOPED_TRACE(name);
      ImportOptions options;
      options.randomWeights = random;
      auto model = loadModel(&context, directory.string(), options);
      ASSERT_TRUE(mlir::succeeded(model)) << diagnostics;
      PhaseOptions phases;
      phases.plan = makePlan(name);
      phases.plan.types.activations = GetParam();
      ASSERT_TRUE(
          mlir::succeeded(runPhases(*model->module, Phase::Model, phases)))
          << diagnostics;
      auto program = cuda::generateKernels(*model->module);
      ASSERT_TRUE(mlir::succeeded(program)) << diagnostics;
      addKernels(cuda::getKernels(**program));
    }
  }

  void addKernels(mlir::gpu::GPUModuleOp more) {
    mlir::OpBuilder ops(&context);
    if (!kernels) {
      ops.setInsertionPointToEnd(all->getBody());
      kernels = mlir::cast<mlir::gpu::GPUModuleOp>(ops.clone(*more));
      return;
    }
    ops.setInsertionPointToEnd(kernels.getBody());
    for (mlir::Operation &op : *more.getBody()) {
      mlir::StringAttr name = mlir::SymbolTable::getSymbolName(&op);
      if (mlir::Operation *known = kernels.lookupSymbol(name))
        EXPECT_TRUE(mlir::OperationEquivalence::isEquivalentTo(
            known, &op, mlir::OperationEquivalence::IgnoreLocations))
            << name.str() << " names two kernels";
      else
        ops.clone(op);
    }
  }

  std::string diagnostics;
  mlir::MLIRContext context;
  llvm::raw_string_ostream stream{diagnostics};
  DiagnosticPrinter printer{&context, stream};
  mlir::OwningOpRef<mlir::ModuleOp> all;
  mlir::gpu::GPUModuleOp kernels;
};

TEST_P(ModelKernels, Assemble) {
  auto assembler = cuda::findAssembler("", all->getLoc());
  if (mlir::failed(assembler))
    GTEST_SKIP() << diagnostics;
  for (const Model &golden : models()) {
    SCOPED_TRACE(golden.name);
    addModel(golden.directory, /*random=*/false);
  }
  for (const Shapes &model : shapes) {
    SCOPED_TRACE(model.name);
    std::filesystem::path directory = scratchDirectory();
    std::ofstream(directory / "config.json") << model.config;
    addModel(directory, /*random=*/true);
  }
  ASSERT_TRUE(kernels);
  auto code = cuda::assemble(kernels, *assembler);
  ASSERT_TRUE(mlir::succeeded(code)) << diagnostics;
  RecordProperty("kernels", static_cast<int>(code->kernels.size()));
  // Of a single model there are about thirty.
  EXPECT_GT(code->kernels.size(), 100u);
}

INSTANTIATE_TEST_SUITE_P(Types, ModelKernels,
                         testing::Values(tokenset::ElementType::BF16,
                                         tokenset::ElementType::F16),
                         [](const auto &info) {
                           return std::string(
                               tokenset::elementTypeName(info.param));
                         });

} // namespace
