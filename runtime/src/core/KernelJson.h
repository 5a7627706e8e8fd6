//===- KernelJson.h - Kernels in the manifest
//-------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_KERNELJSON_H
#define RSHARD_RUNTIME_SRC_KERNELJSON_H

#include "StrictJson.h"
#include "rshard/runtime/Kernel.h"

namespace rshard::runtime {

nlohmann::json kernelJson(const KernelSpec &kernel);
/// Checks what can be checked without a launch; the first problem goes into
/// `error`.
KernelSpec readKernel(const nlohmann::json &value, std::string path,
                      std::string &error);

} // namespace rshard::runtime

#endif
