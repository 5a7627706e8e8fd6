//===- SegmentRemarks.h - what was decided about a segment's steps *- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_SEGMENT_SEGMENTREMARKS_H
#define RSHARD_LIB_TARGET_SEGMENT_SEGMENTREMARKS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"

namespace rshard {

/// The remarks of this name about a segment.
inline mlir::remark::RemarkOpts segmentRemark(mlir::func::FuncOp segment,
                                              llvm::StringRef name) {
  return mlir::remark::RemarkOpts::name(name).category("segment").function(
      segment.getSymName());
}

} // namespace rshard

#endif // RSHARD_LIB_TARGET_SEGMENT_SEGMENTREMARKS_H
