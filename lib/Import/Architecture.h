//===- Architecture.h - the architectures that can be imported --*- C++ -*-===//

#ifndef RSHARD_LIB_IMPORT_ARCHITECTURE_H
#define RSHARD_LIB_IMPORT_ARCHITECTURE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace rshard {

class ModelBuilder;

/// One architecture: a file that defines one of these, and a line in
/// Architectures.cpp.
struct Architecture {
  /// As `architectures` in config.json.
  llvm::StringLiteral name;
  /// The key that holds the longest sequence.
  llvm::StringLiteral positionsKey;
  /// Reads the configuration and builds the model. Problems are reported to the
  /// model's report.
  void (*build)(ModelBuilder &model);
};

/// Sorted by name.
llvm::ArrayRef<const Architecture *> getArchitectures();

/// nullptr if there is none of that name.
const Architecture *findArchitecture(llvm::StringRef name);

extern const Architecture bertModel, gpt2LMHeadModel, llamaForCausalLM,
    mistralForCausalLM, qwen2ForCausalLM, qwen3ForCausalLM;

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_ARCHITECTURE_H
