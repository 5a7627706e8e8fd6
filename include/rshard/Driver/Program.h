//===- Program.h - from a module to an artifact -----------------*- C++ -*-===//

#ifndef RSHARD_DRIVER_PROGRAM_H
#define RSHARD_DRIVER_PROGRAM_H

#include "rshard/Driver/Phases.h"
#include "rshard/runtime/Manifest.h"

namespace rshard {

enum class Target { CPU, CUDA };

struct ProgramOptions {
  /// `to` is not read: a program needs every phase.
  PhaseOptions phases;
  /// Where the program's kernels run.
  Target target = Target::CPU;
  /// The CPU that runs the program, or its driver if the kernels run elsewhere:
  /// a name that LLVM knows, or "native".
  std::string cpu = "native";
  /// The path of ptxas for CUDA; empty: where the toolkit has it.
  std::string assembler;
  /// Instrument the code with LLVM's address sanitizer.
  bool addressSanitizer = false;
  /// SHA-256 of the weights' bytes, empty if they do not matter (C10).
  std::string content;
};

/// Everything that an artifact holds.
struct Program {
  runtime::Manifest manifest;
  llvm::SmallVector<char, 0> host;
  /// The kernels of CUDA; empty for the CPU.
  std::string ptx;
  llvm::SmallVector<char, 0> cubin;
  /// Text of the partitioned phase.
  std::string ir;
};

/// Runs the phases after `from`, which must be before the scheduled one, and
/// generates code. Errors are diagnostics of the module's context.
mlir::FailureOr<Program> compileProgram(mlir::ModuleOp module, Phase from,
                                        const ProgramOptions &options);

/// Writes the artifact, whole or not at all.
mlir::LogicalResult writeProgram(mlir::MLIRContext *context,
                                 const Program &program,
                                 const std::string &path);

/// Name and version of the compiler, as artifacts state them.
std::string getProducer();

} // namespace rshard

#endif // RSHARD_DRIVER_PROGRAM_H
