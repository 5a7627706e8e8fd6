//===- Architectures.cpp - the architectures that can be imported ---------===//

#include "Architecture.h"
#include "rshard/Import/Import.h"
#include "llvm/ADT/STLExtras.h"

using namespace rshard;

llvm::ArrayRef<const Architecture *> rshard::getArchitectures() {
  static const Architecture *const all[] = {
      &bertModel,          &gpt2LMHeadModel,  &llamaForCausalLM,
      &mistralForCausalLM, &qwen2ForCausalLM, &qwen3ForCausalLM};
  return all;
}

const Architecture *rshard::findArchitecture(llvm::StringRef name) {
  for (const Architecture *architecture : getArchitectures())
    if (architecture->name == name)
      return architecture;
  return nullptr;
}

std::vector<llvm::StringRef> rshard::getArchitectureNames() {
  std::vector<llvm::StringRef> names;
  for (const Architecture *architecture : getArchitectures())
    names.push_back(architecture->name);
  return names;
}
