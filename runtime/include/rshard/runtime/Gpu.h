//===- Gpu.h - Whether this machine has a GPU that code can run on
//-----------===//
#ifndef RSHARD_RUNTIME_GPU_H
#define RSHARD_RUNTIME_GPU_H

#include "rshard/tokenset/Expected.h"

#include <string>

namespace rshard::runtime {

/// That a session of an artifact for `chip` ("sm_90a") finds its driver and
/// device here; `device` counts as the CUDA driver does. Errors: no driver, no
/// such device, another architecture, as the session's creation says it.
tokenset::Expected<void> checkGpu(int device, const std::string &chip);

} // namespace rshard::runtime

#endif
