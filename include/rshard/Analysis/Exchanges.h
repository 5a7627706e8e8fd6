//===- Exchanges.h - what the programs of a module say to each other -*- C++
//-*-===//

#ifndef RSHARD_ANALYSIS_EXCHANGES_H
#define RSHARD_ANALYSIS_EXCHANGES_H

#include "mlir/IR/BuiltinOps.h"

namespace rshard {

/// C6 of a module's programs, by following them: what is sent is received, in
/// one order of exchanges, and nobody waits in a circle.
///
/// Partitioned phase: the programs of the three roles run against one another,
/// a whole role at a time, because its nodes run the same text. Every send of a
/// layer meets one receive along the same route and every receive one send, and
/// both come next in their programs. A layer takes the routes of its class, and
/// cells and client attend with their mask (C2).
///
/// Scheduled phase: the one driver of all ranks meets enter, then for every
/// sharded layer up and down of its class, then leave. Each is one group, which
/// sends and receives rows of every tensor of its routes.
///
/// Which rows of a route go from whom to whom is not the programs' matter: the
/// tables say it, and tokenset::verifyMatching holds them to C6.
///
/// Returns the number of exchanges that were followed: routes of a layer, or
/// groups. Emits an error at the op at fault, with a note at the other end.
mlir::FailureOr<int64_t> verifyExchanges(mlir::ModuleOp module);

} // namespace rshard

#endif // RSHARD_ANALYSIS_EXCHANGES_H
