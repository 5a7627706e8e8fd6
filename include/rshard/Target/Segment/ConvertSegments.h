//===- ConvertSegments.h - all segments of a scheduled module ----*- C++
//-*-===//

#ifndef RSHARD_TARGET_SEGMENT_CONVERTSEGMENTS_H
#define RSHARD_TARGET_SEGMENT_CONVERTSEGMENTS_H

#include "rshard/Target/Segment/SegmentEmitter.h"

namespace rshard {

/// Refuses a module of an earlier phase, and names the passes that it lacks.
llvm::LogicalResult checkScheduled(mlir::ModuleOp module);

struct SegmentCounts {
  int64_t fused = 0;          ///< ops that became part of another's step
  int64_t workspaceWidth = 0; ///< columns
};

/// Replaces every launched segment by a function on buffers that `emitter`
/// writes, and every launch by its call. The workspace, if any is needed, is
/// declared behind the other buffers, whose numbers stay.
mlir::FailureOr<SegmentCounts> convertSegments(mlir::ModuleOp module,
                                               SegmentEmitter &emitter,
                                               mlir::Type workspaceElement);

} // namespace rshard

#endif // RSHARD_TARGET_SEGMENT_CONVERTSEGMENTS_H
