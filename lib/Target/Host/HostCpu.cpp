//===- HostCpu.cpp - the CPU that runs a rank's driver --------------------===//

#include "rshard/Target/Host/HostCpu.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <memory>

using namespace mlir;

namespace rshard {

namespace {
/// The features that the code generator may use, by x86-64 level. Newer ones
/// than level 4 are never used: the kernels do not need them, and every feature
/// in the manifest is one more machine on which an artifact does not run.
constexpr llvm::StringLiteral level3[] = {
    "avx",   "avx2",   "bmi",  "bmi2", "cx16",   "f16c",   "fma",  "lzcnt",
    "movbe", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"};
constexpr llvm::StringLiteral level4[] = {"avx512bw", "avx512cd", "avx512dq",
                                          "avx512f", "avx512vl"};
} // namespace

std::string HostCpu::featureString() const {
  std::string text;
  for (const std::string &feature : features)
    text += (text.empty() ? "+" : ",+") + feature;
  return text;
}

FailureOr<HostCpu> HostCpu::get(StringRef name,
                                function_ref<InFlightDiagnostic()> emitError) {
  llvm::InitializeNativeTarget();
  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  std::string reason;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, reason);
  if (!target || !triple.isX86_64())
    return emitError() << "cpu code can be generated for x86-64 only, not for '"
                       << triple.str() << "'";

  bool native = name == "native";
  HostCpu result;
  result.name = native ? llvm::sys::getHostCPUName().str() : name.str();
  std::unique_ptr<llvm::MCSubtargetInfo> known(
      target->createMCSubtargetInfo(triple, "x86-64", ""));
  if (!known->isCPUStringValid(result.name))
    return emitError() << "unknown cpu '" << result.name
                       << "': see `clang --print-supported-cpus`";
  known.reset(target->createMCSubtargetInfo(triple, result.name, ""));

  // A virtual machine may hide features of the CPU whose name it reports.
  llvm::StringMap<bool> host;
  if (native)
    host = llvm::sys::getHostCPUFeatures();
  auto has = [&](llvm::StringRef feature) {
    return native ? host.lookup(feature)
                  : known->checkFeatures(("+" + feature).str());
  };
  if (!has("avx2") || !has("fma"))
    return emitError() << "cpu '" << result.name << "' has no "
                       << (has("avx2") ? "fma" : "avx2")
                       << ": x86-64-v3 or newer is needed";

  for (llvm::StringRef feature : level3)
    if (has(feature))
      result.features.push_back(feature.str());
  if (llvm::all_of(level4, has))
    for (llvm::StringRef feature : level4)
      result.features.push_back(feature.str());
  else
    result.vectorBits = 256;
  llvm::sort(result.features);
  return result;
}

} // namespace rshard
