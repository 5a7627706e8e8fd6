//===- KernelBench.cpp - speed of generated CPU kernels -------------------===//
//
// cpu-kernels [--benchmark_filter=...]: linear layers and partial attention on
// 1 and on 2 threads of the runtime's pool. Counters: GFLOP/s, and for few rows
// GB/s of weights or of keys and values. Weights rotate over 256 MB, so that
// they come from memory as they do between the layers of a model.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Target/CPU/KernelLibrary.h"
#include "rshard/Target/CPU/Passes.h"
#include "rshard/Target/Host/Passes.h"
#include "rshard/Target/Host/SharedObject.h"
#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Pool.h"
#include "llvm/Support/MathExtras.h"
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace mlir;
using namespace rshard;
using namespace rshard::cpu;

namespace {

template <int Rank> struct Descriptor {
  void *allocated, *aligned;
  int64_t offset, sizes[Rank], strides[Rank];
};

Descriptor<2> matrix(void *data, int64_t rows, int64_t width) {
  return {data, data, 0, {rows, width}, {width, 1}};
}

Descriptor<1> table(std::vector<int32_t> &entries) {
  return {entries.data(),
          entries.data(),
          0,
          {static_cast<int64_t>(entries.size())},
          {1}};
}

[[noreturn]] void fail(const std::string &reason) {
  fprintf(stderr, "cpu-kernels: %s\n", reason.c_str());
  exit(1);
}

std::vector<float> numbers(size_t count) {
  std::vector<float> values(count);
  uint32_t state = 1;
  for (float &value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / (1 << 23) - 1.0f;
  }
  return values;
}

/// All kernels of the benchmarks, compiled and loaded once.
class Code {
public:
  Code() {
    context.loadDialect<arith::ArithDialect, cf::ControlFlowDialect,
                        func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                        memref::MemRefDialect, scf::SCFDialect,
                        vector::VectorDialect>();
    Location loc = UnknownLoc::get(&context);
    auto found = HostCpu::get("native", [&] { return emitError(loc); });
    if (failed(found))
      fail("no code for this machine");
    target = *found;
    module = ModuleOp::create(loc);
  }

  template <typename Build> std::string add(Build build) {
    KernelLibrary kernels(*module, TargetShape(target));
    func::FuncOp kernel = build(kernels);
    kernel.setPublic();
    kernel->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    UnitAttr::get(&context));
    return "_mlir_ciface_" + kernel.getName().str();
  }

  void load() {
    PassManager passes(&context);
    passes.addPass(createApproximateMath());
    buildHostLoweringPipeline(passes);
    if (failed(passes.run(*module)))
      fail("lowering failed");
    auto bytes = emitSharedObject(*module, target);
    if (failed(bytes))
      fail("emission failed");
    int file = memfd_create("kernels", 0);
    if (write(file, bytes->data(), bytes->size()) !=
        static_cast<ssize_t>(bytes->size()))
      fail("cannot write the code");
    handle =
        dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW);
    if (!handle)
      fail(dlerror());
    auto *imports = static_cast<rshard_import_table *>(
        dlsym(handle, RSHARD_IMPORTS_SYMBOL));
    if (!imports)
      fail(dlerror());
    imports->rshard_parallel_for = [](void (*fn)(void *, int64_t, int64_t),
                                      void *ctx, int64_t n) {
      rshard::runtime::parallelFor(
          n, [&](int64_t begin, int64_t end) { fn(ctx, begin, end); });
    };
  }

  template <typename... Args>
  void call(const std::string &name, Args... arguments) {
    reinterpret_cast<void (*)(Args...)>(dlsym(handle, name.c_str()))(
        arguments...);
  }

  int64_t panel() const { return TargetShape(target).panel; }

private:
  MLIRContext context;
  HostCpu target;
  OwningOpRef<ModuleOp> module;
  void *handle = nullptr;
};

void linear(benchmark::State &state, Code &code, const std::string &name,
            const LinearParams &params, int64_t rows, int threads) {
  rshard::runtime::setThreads(threads);
  int64_t size = params.weight == ElementKind::BF16 ? 2 : 4;
  int64_t panels =
      static_cast<int64_t>(llvm::divideCeil(params.outputs, code.panel()));
  int64_t bytes = panels * params.inputs * code.panel() * size;
  int64_t copies = (int64_t(256) << 20) / bytes;
  // In large pages, as the runtime keeps them. Halves in [1, 2): normal numbers
  // whether they are read as f32 or bf16.
  size_t total = static_cast<size_t>(copies * bytes);
  void *memory = mmap(nullptr, total, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail("no memory for weights");
  madvise(memory, total, MADV_HUGEPAGE);
  auto *weights = static_cast<uint16_t *>(memory);
  for (size_t i = 0; i < total / 2; ++i)
    weights[i] = static_cast<uint16_t>(0x3f80 | (i * 2654435761u >> 9 & 0x7f));
  std::vector<float> x = numbers(rows * params.inputs);
  std::vector<float> y(rows * params.outputs);
  auto input = matrix(x.data(), rows, params.inputs);
  auto output = matrix(y.data(), rows, params.outputs);
  int64_t turn = 0;
  for (auto _ : state) {
    char *at = static_cast<char *>(memory) + turn++ % copies * bytes;
    Descriptor<3> weight{at,
                         at,
                         0,
                         {panels, params.inputs, code.panel()},
                         {params.inputs * code.panel(), code.panel(), 1}};
    code.call(name, &input, &weight, &output);
  }
  munmap(memory, total);
  auto rate = [&](double amount) {
    return benchmark::Counter(amount * 1e-9,
                              benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GFLOP/s"] =
      rate(2.0 * static_cast<double>(rows * params.inputs * params.outputs));
  state.counters["weights GB/s"] = rate(static_cast<double>(bytes));
}

void attention(benchmark::State &state, Code &code, const std::string &name,
               const AttentionParams &params, bool causal, int64_t rows,
               int64_t keys, int threads) {
  rshard::runtime::setThreads(threads);
  int64_t wide = params.queryHeads * params.headWidth;
  int64_t narrow = params.keyHeads * params.headWidth;
  std::vector<float> q = numbers(rows * wide), k = numbers(keys * narrow),
                     v = numbers(keys * narrow), o(rows * wide),
                     lse(rows * params.queryHeads);
  std::vector<int32_t> source, firstKey(rows, 0), lastKey;
  for (int64_t i = 0; i < rows; ++i) {
    source.push_back(static_cast<int32_t>(i));
    lastKey.push_back(
        static_cast<int32_t>(causal ? keys - rows + i + 1 : keys));
  }
  auto query = matrix(q.data(), rows, wide), out = matrix(o.data(), rows, wide);
  auto key = matrix(k.data(), keys, narrow),
       value = matrix(v.data(), keys, narrow);
  auto sums = matrix(lse.data(), rows, params.queryHeads);
  auto from = table(source), begin = table(firstKey), end = table(lastKey);
  for (auto _ : state)
    code.call(name, &query, &from, &key, &value, &begin, &end, &out, &sums,
              true);
  double pairs = static_cast<double>(rows) * static_cast<double>(keys);
  if (causal)
    pairs -= static_cast<double>(rows) * static_cast<double>(rows - 1) / 2.0;
  auto rate = [&](double amount) {
    return benchmark::Counter(amount * 1e-9,
                              benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GFLOP/s"] = rate(4.0 * pairs * static_cast<double>(wide));
  state.counters["cache GB/s"] = rate(8.0 * static_cast<double>(keys * narrow));
}

} // namespace

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  Code code;
  for (auto [weight, type] : {std::pair(ElementKind::F32, "f32"),
                              std::pair(ElementKind::BF16, "bf16")}) {
    LinearParams params{576, 1536, weight};
    std::string name = code.add(
        [&](KernelLibrary &kernels) { return kernels.linear(params); });
    for (int threads : {1, 2})
      for (int64_t rows : {1, 7, 64, 512})
        benchmark::RegisterBenchmark(
            ("linear_576x1536_" + std::string(type) + "/rows:" +
             std::to_string(rows) + "/threads:" + std::to_string(threads))
                .c_str(),
            [&code, name, params, rows, threads](benchmark::State &state) {
              linear(state, code, name, params, rows, threads);
            })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
  }
  AttentionParams params{9, 3, 64, 0.125};
  std::string name = code.add(
      [&](KernelLibrary &kernels) { return kernels.attention(params); });
  for (bool causal : {false, true})
    for (int threads : {1, 2})
      for (auto [rows, keys] :
           {std::pair(1, 512), std::pair(1, 2048), std::pair(7, 2048),
            std::pair(64, 2048), std::pair(512, 512), std::pair(2048, 2048)})
        benchmark::RegisterBenchmark(
            (std::string("attention_9x3x64_") + (causal ? "causal" : "full") +
             "/rows:" + std::to_string(rows) + "/keys:" + std::to_string(keys) +
             "/threads:" + std::to_string(threads))
                .c_str(),
            [&code, name, params, causal, rows = rows, keys = keys,
             threads](benchmark::State &state) {
              attention(state, code, name, params, causal, rows, keys, threads);
            })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
  code.load();
  benchmark::RunSpecifiedBenchmarks();
}
