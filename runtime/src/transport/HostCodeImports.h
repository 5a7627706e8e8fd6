//===- HostCodeImports.h - the functions that generated code calls
//---------===//
#ifndef RSHARD_RUNTIME_SRC_HOSTCODEIMPORTS_H
#define RSHARD_RUNTIME_SRC_HOSTCODEIMPORTS_H

#include "rshard/runtime/ABI.h"

namespace rshard::runtime {

/// What the loader fills the table of every host code with. The functions act
/// for the rank that runs on the calling thread. None of them is a symbol of
/// the process, which may hold NCCL's own.
const rshard_import_table &hostCodeImports();

} // namespace rshard::runtime

#endif
