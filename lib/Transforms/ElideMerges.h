//===- ElideMerges.h - merges of one partial a row --------------*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_ELIDEMERGES_H
#define RSHARD_LIB_TRANSFORMS_ELIDEMERGES_H

#include "mlir/IR/BuiltinOps.h"

namespace rshard {

/// Removes merges from the segments of a module of the partitioned phase whose
/// plan keeps the order of rows (tokenset::keepsRowOrder): every row has one
/// partial, in its own place, and a merge gives it back as it is (C3). What
/// follows reads the partial itself, and what said how to merge is no argument
/// any more.
///
/// Merges that change the type of rows stay. Remarks say of each whether it
/// did.
void elideMerges(mlir::ModuleOp module);

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_ELIDEMERGES_H
