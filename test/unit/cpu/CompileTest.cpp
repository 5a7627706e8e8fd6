//===- CompileTest.cpp - from a scheduled module to code that runs --------===//

#include "Kernels.h"
#include "NCCL/NCCL.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Target/CPU/GenerateKernels.h"
#include "rshard/Target/Host/HostCode.h"
#include <cmath>
#include <dlfcn.h>

using namespace rshard;
using namespace rshard::cpu;
using namespace rshard::cpu::test;

static std::vector<std::pair<int32_t, int32_t>> exchanges;

static void recordExchange(rshard_frame *, int32_t exchange, int32_t layer) {
  exchanges.emplace_back(exchange, layer);
}

namespace {

// Two layers of h = x + w x, y = silu(v norm(h)) + h on rows [1, 1 + n) of x.
constexpr const char *program = R"mlir(
  rshard.weight @w "w.{}" layers [3, 5) : tensor<72x72xf32>
  rshard.weight @v "v" : tensor<72x72xbf16>
  rshard.weight @scale "scale" : tensor<72xf32>
  rshard.buffer @spare rows "comp" : memref<?x8xf32>
  rshard.buffer @x rows "comp" : memref<?x72xf32>
  rshard.table @count
  func.func private @block(%layer: index, %x: tensor<?x72xf32>) -> tensor<?x72xf32> {
    %w = rshard.parameter @w[%layer] : tensor<72x72xf32>
    %a = rshard.linear %x, %w : (tensor<?x72xf32>, tensor<72x72xf32>) -> tensor<?x72xf32>
    %h = rshard.add %x, %a : tensor<?x72xf32>
    %scale = rshard.parameter @scale : tensor<72xf32>
    %n = rshard.norm rms %h, %scale eps 1.0e-05 : tensor<?x72xf32>, tensor<72xf32>
    %v = rshard.parameter @v : tensor<72x72xbf16>
    %l = rshard.linear %n, %v : (tensor<?x72xf32>, tensor<72x72xbf16>) -> tensor<?x72xf32>
    %s = rshard.activation silu %l : tensor<?x72xf32>
    %y = rshard.add %s, %h : tensor<?x72xf32>
    return %y : tensor<?x72xf32>
  }
  func.func @step(%frame: !rshard.frame) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %first = arith.constant 3 : index
    %end = arith.constant 5 : index
    %x = rshard.get_buffer %frame[@x] : memref<?x72xf32>
    %table = rshard.get_table %frame[@count] : memref<?xi32>
    %entry = memref.load %table[%zero] : memref<?xi32>
    %count = arith.index_cast %entry : i32 to index
    scf.for %layer = %first to %end step %one {
      rshard.exchange %frame, 6 layer %layer
      %rows = memref.subview %x[%one, 0] [%count, 72] [1, 1]
        : memref<?x72xf32> to memref<?x72xf32, strided<[72, 1], offset: ?>>
      rshard.launch @block layer %layer of %frame ins(%rows) outs(%rows)
        : (memref<?x72xf32, strided<[72, 1], offset: ?>>) -> (memref<?x72xf32, strided<[72, 1], offset: ?>>)
    }
    return
  }
)mlir";

class Compile : public testing::Test {
protected:
  Compile() {
    context.loadDialect<rshard::RShardDialect, nccl::NCCLDialect,
                        mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
                        mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                        mlir::memref::MemRefDialect, mlir::scf::SCFDialect>();
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &d) {
      messages += d.str() + "\n";
      return mlir::success();
    });
  }

  using Module = mlir::OwningOpRef<mlir::ModuleOp>;
  using Code = llvm::SmallVector<char, 0>;

  mlir::FailureOr<Module> generate(const std::string &text,
                                   const std::string &cpu = "native") {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module) {
      ADD_FAILURE() << messages;
      return mlir::failure();
    }
    return generateKernels(*module, cpu);
  }

  mlir::FailureOr<Code> compile(const std::string &text,
                                const std::string &cpu = "native",
                                const SharedObjectOptions &options = {}) {
    mlir::FailureOr<Module> kernels = generate(text, cpu);
    if (failed(kernels))
      return mlir::failure();
    auto host = HostCpu::get(cpu, [&] { return (*kernels)->emitError(); });
    if (failed(host))
      return mlir::failure();
    return compileHostCode(**kernels, *host, options);
  }

  mlir::MLIRContext context;
  std::string messages;
};

TEST_F(Compile, RunsTheDriver) {
  auto kernels = generate(program);
  ASSERT_TRUE(succeeded(kernels)) << messages;
  // What the frame holds, in its order.
  std::vector<std::string> buffers, slots;
  int64_t workspaceWidth = 0;
  for (auto buffer : (*kernels)->getOps<rshard::BufferOp>()) {
    buffers.push_back((buffer.getSymName() + " " + buffer.getRows()).str());
    workspaceWidth =
        llvm::cast<mlir::MemRefType>(buffer.getType()).getDimSize(1);
  }
  EXPECT_EQ(buffers, (std::vector<std::string>{"spare comp", "x comp",
                                               "workspace workspace"}));
  std::string pack;
  for (auto range :
       (*kernels)
           ->getOperation()
           ->getAttrOfType<mlir::ArrayAttr>(rshard::weightSlotsAttrName)
           .getAsRange<mlir::DictionaryAttr>()) {
    auto weights = range.getAs<mlir::ArrayAttr>("weights");
    ASSERT_EQ(weights.size(), 1u);
    auto name = llvm::cast<mlir::FlatSymbolRefAttr>(weights[0]).getValue();
    auto first = range.getAs<mlir::IntegerAttr>("first").getInt();
    auto count = range.getAs<mlir::IntegerAttr>("count").getInt();
    slots.push_back(
        (name + " " + llvm::Twine(first) + " " + llvm::Twine(count)).str());
    if (name == "w")
      pack = range.getAs<mlir::StringAttr>("pack").str();
  }
  EXPECT_EQ(slots, (std::vector<std::string>{"w 0 2", "scale 2 1", "v 3 1"}));
  auto code = compile(program);
  ASSERT_TRUE(succeeded(code)) << messages;

  int64_t panel = 0;
  ASSERT_EQ(sscanf(pack.c_str(), "panel:%ld:f32", &panel), 1) << pack;
  Random random(41);
  int64_t panels = (72 + panel - 1) / panel;
  auto packed = [&](const Matrix<float> &w) {
    Matrix<float> result(panels * 72, panel);
    for (int64_t n = 0; n < 72; ++n)
      for (int64_t k = 0; k < 72; ++k)
        result(n / panel * 72 + k, n % panel) = w(n, k);
    return result;
  };
  Matrix<float> w3 = random.matrix(72, 72), w4 = random.matrix(72, 72);
  Matrix<float> v = random.matrix(72, 72), scale = random.matrix(1, 72);
  for (size_t i = 0; i < v.size(); ++i)
    v.data()[i] = BFloat::truncated(v.data()[i]).value();
  Matrix<float> p3 = packed(w3), p4 = packed(w4), pv = packed(v);
  Matrix<BFloat> narrow(panels * 72, panel);
  for (size_t i = 0; i < narrow.size(); ++i)
    narrow.data()[i] = BFloat::truncated(pv.data()[i]);
  const void *weights[] = {p3.data(), p4.data(), scale.data(), narrow.data()};

  rshard_import_table imports{};
  imports.rshard_exchange = recordExchange;
  void *handle = loadCode(*code, imports);
  ASSERT_NE(handle, nullptr);
  auto step =
      reinterpret_cast<rshard_step_fn>(dlsym(handle, RSHARD_STEP_SYMBOL));
  ASSERT_NE(step, nullptr);
  // Nothing else is exported.
  EXPECT_EQ(dlsym(handle, "block"), nullptr);

  for (int32_t rows : {0, 1, 7, 50}) {
    Matrix<float> x = random.matrix(rows + 2, 72), before = x;
    Matrix<float> workspace(rows + 3, workspaceWidth, NAN);
    rshard_buffer buffers[] = {
        {nullptr, 0}, {x.data(), rows + 2}, {workspace.data(), rows + 3}};
    rshard_table tables[] = {{&rows, 1}};
    rshard_frame frame{buffers, tables, weights, nullptr, nullptr, nullptr};
    exchanges.clear();
    step(&frame);
    EXPECT_EQ(exchanges, (decltype(exchanges){{6, 3}, {6, 4}}));
    EXPECT_TRUE(x.intact() && workspace.intact());

    Matrix<double> expected(rows + 2, 72);
    for (int64_t r = 0; r < rows + 2; ++r) {
      std::vector<double> y(72), h(72);
      for (int64_t c = 0; c < 72; ++c)
        y[c] = before(r, c);
      for (const Matrix<float> *w : {&w3, &w4}) {
        if (r == 0 || r == rows + 1)
          break;
        double square = 1e-5;
        for (int64_t n = 0; n < 72; ++n) {
          h[n] = y[n];
          for (int64_t k = 0; k < 72; ++k)
            h[n] += (*w)(n, k) * y[k];
          square += h[n] * h[n] / 72;
        }
        for (int64_t n = 0; n < 72; ++n) {
          double sum = 0.0;
          for (int64_t k = 0; k < 72; ++k)
            sum += v(n, k) * h[k] / std::sqrt(square) * scale(0, k);
          y[n] = sum / (1.0 + std::exp(-sum)) + h[n];
        }
      }
      for (int64_t c = 0; c < 72; ++c)
        expected(r, c) = y[c];
    }
    EXPECT_LT(errorOf(x, expected), 1e-5) << rows;
  }
  dlclose(handle);
}

TEST_F(Compile, SameBytes) {
  for (const char *cpu : {"native", "x86-64-v3"}) {
    auto first = compile(program, cpu), second = compile(program, cpu);
    ASSERT_TRUE(succeeded(first) && succeeded(second)) << messages;
    EXPECT_EQ(*first, *second);
  }
}

TEST_F(Compile, NamesTheFeaturesOfACpu) {
  auto cpu = HostCpu::get("x86-64-v3", [&] {
    return mlir::emitError(mlir::UnknownLoc::get(&context));
  });
  ASSERT_TRUE(succeeded(cpu)) << messages;
  EXPECT_TRUE(llvm::is_contained(cpu->features, "fma"));
  EXPECT_EQ(cpu->vectorBits, 256);
}

TEST_F(Compile, RefusesForeignImports) {
  auto code = compile(R"mlir(
    rshard.buffer @comp.x rows "comp" : memref<?x8xf32>
    func.func private @getenv()
    func.func @step(%frame: !rshard.frame) {
      call @getenv() : () -> ()
      return
    })mlir");
  EXPECT_TRUE(failed(code));
  EXPECT_NE(messages.find("the code imports 'getenv', which is not part of the "
                          "runtime's ABI"),
            std::string::npos)
      << messages;
}

TEST_F(Compile, InstrumentsForTheAddressSanitizer) {
  auto plain = compile(program);
  auto checked = compile(program, "native", {true});
  ASSERT_TRUE(succeeded(plain) && succeeded(checked)) << messages;
  auto names = [](const Code &code) {
    return llvm::StringRef(code.data(), code.size()).contains("__asan_report");
  };
  EXPECT_FALSE(names(*plain));
  EXPECT_TRUE(names(*checked));
}

} // namespace
