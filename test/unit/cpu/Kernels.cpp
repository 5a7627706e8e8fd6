//===- Kernels.cpp - compiles kernels and calls them ----------------------===//

#include "Kernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Target/CPU/Passes.h"
#include "rshard/Target/Host/Passes.h"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <dlfcn.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

static std::atomic<int> threadCount{1};

/// One thread takes every threadCount-th iteration.
static void parallelFor(void (*function)(void *, int64_t, int64_t),
                        void *context, int64_t count) {
  int64_t threads = threadCount;
  std::vector<std::thread> pool;
  for (int64_t first = 0; first < std::min(threads, count); ++first)
    pool.emplace_back([=] {
      for (int64_t i = first; i < count; i += threads)
        function(context, i, i + 1);
    });
  for (std::thread &thread : pool)
    thread.join();
}

namespace rshard::cpu::test {

void setThreads(int count) { threadCount = count; }

void *loadCode(llvm::ArrayRef<char> code, rshard_import_table imports) {
  int file = memfd_create("code", 0);
  EXPECT_EQ(write(file, code.data(), code.size()),
            static_cast<ssize_t>(code.size()));
  void *handle = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(),
                        RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(handle, nullptr) << dlerror();
  close(file);
  if (!handle)
    return nullptr;
  auto *table =
      static_cast<rshard_import_table *>(dlsym(handle, RSHARD_IMPORTS_SYMBOL));
  EXPECT_NE(table, nullptr) << dlerror();
  imports.rshard_parallel_for = parallelFor;
  if (table)
    *table = imports;
  return handle;
}

Kernels::Kernels(const std::string &cpu) {
  context.loadDialect<mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
                      mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                      mlir::math::MathDialect, mlir::memref::MemRefDialect,
                      mlir::scf::SCFDialect, mlir::vector::VectorDialect>();
  mlir::Location loc = mlir::UnknownLoc::get(&context);
  auto host = HostCpu::get(cpu, [&] { return mlir::emitError(loc); });
  if (failed(host)) {
    ADD_FAILURE() << "no target " << cpu;
    return;
  }
  target = *host;
  module = mlir::ModuleOp::create(loc);
  kernels = std::make_unique<KernelLibrary>(*module, TargetShape(target));
}

Kernels::~Kernels() {
  if (handle)
    dlclose(handle);
}

void Kernels::add(mlir::func::FuncOp kernel) {
  kernel.setPublic();
  kernel->setAttr(mlir::LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                  mlir::UnitAttr::get(&context));
}

void Kernels::load() {
  SharedObjectOptions options;
  options.addressSanitizer = rshard::test::isSanitized();
  ASSERT_TRUE(succeeded(mlir::verify(*module)));
  mlir::PassManager passes(&context);
  passes.addPass(createApproximateMath());
  buildHostLoweringPipeline(passes);
  ASSERT_TRUE(succeeded(passes.run(*module)));
  auto bytes = emitSharedObject(*module, target, options);
  ASSERT_TRUE(succeeded(bytes));
  handle = loadCode(*bytes, {});
}

void *Kernels::find(const std::string &name) {
  std::string symbol = name.starts_with("cpu.") ? name : "cpu." + name;
  return handle ? dlsym(handle, ("_mlir_ciface_" + symbol).c_str()) : nullptr;
}

double errorOf(const Matrix<float> &actual, const Matrix<double> &expected) {
  double error = 0.0, largest = 1.0;
  for (int64_t row = 0; row < expected.rows; ++row)
    for (int64_t column = 0; column < expected.width; ++column) {
      double difference = std::abs(actual(row, column) - expected(row, column));
      if (std::isnan(difference))
        return INFINITY;
      error = std::max(error, difference);
      largest = std::max(largest, std::abs(expected(row, column)));
    }
  return error / largest;
}

} // namespace rshard::cpu::test
