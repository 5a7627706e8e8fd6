//===- Passes.td - the passes from model to schedule --------*- tablegen -*-===//

#ifndef RSHARD_TRANSFORMS_PASSES_TD
#define RSHARD_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanPass : Pass<"rshard-plan", "::mlir::ModuleOp"> {
  let summary = "declare who holds which token";
  let description = [{
    Writes a plan into a module of the model phase as symbols: shardings `@R` (hidden rows over CompNodes), `@S` and `@T`
    (queries and keys over the grid), `@grid` and `@placement`. Nothing is computed differently yet.

    The plan is made by the figure's clustered rule from numbers (a missing number takes the rule's default), or read
    from a file.

    ```mlir
    // before
    %o = rshard.attention %q, %k, %v mask <causal> scale 0.25 : ...
    // after --rshard-plan="comp=2 cluster=1 period=2"
    rshard.sharding @R ["period 2: [0,1)", "period 2: [1,2)"]
    ...
    rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 1, 2, 3, 4, 5, 6]
    %o = rshard.attention %q, %k, %v mask <causal> scale 0.25 on @grid : ...
    ```
  }];
  let options = [
    Option<"file", "file", "std::string", "\"\"", "read the plan from this JSON file">,
    Option<"comp", "comp", "int64_t", "0", "number of CompNodes">,
    Option<"attn", "attn", "std::string", "\"\"", "grid of AttnNodes, queries x keys">,
    Option<"cluster", "cluster", "int64_t", "0", "tokens in a cluster">,
    Option<"period", "period", "int64_t", "0", "positions in a period">,
    Option<"group", "group", "int64_t", "0", "CompNodes whose clusters are dealt together">,
    Option<"ranks", "ranks", "int64_t", "0", "number of ranks; default one per node">,
    Option<"clientFirst", "client-first", "int64_t", "0", "first layers that the client runs">,
    Option<"clientLast", "client-last", "int64_t", "0", "last layers that the client runs">,
  ];
}

def PartitionPass : Pass<"rshard-partition", "::mlir::ModuleOp"> {
  let summary = "one program per role";
  let description = [{
    Replaces the model by three programs, SPMD over the node's number. Every layer function is cut at its token-mixing op:
    what the mixing op needs is the layer's *enter* segment, the rest its *leave* segment. Attention becomes partial
    attention on the AttnNodes and a merge on the CompNodes; rows move along routes. The loop over layers is rotated: a
    prologue, one segment per distinct pair of neighbouring layers (leave of one, enter of the next) and an
    epilogue, so that the programs' size depends neither on depth nor on the number of nodes.

    Layers that the client runs itself (`client_layers`) stay unsharded in its program.

    An op without a rule for its tokens (TokenOpInterface) is an error that names it.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numSegments", "segments", "Number of segments emitted">,
    Statistic<"numRecomputed", "recomputed-ops", "Number of token-wise ops computed on both sides of a token-mixing op">
  ];
}

def SchedulePass : Pass<"rshard-schedule", "::mlir::ModuleOp"> {
  let summary = "one driver per rank with explicit messages";
  let description = [{
    Replaces the programs of the roles by one driver `@step`, which runs all nodes of a rank through one step. Values
    become buffers of the rank's frame; which rows move is read from tables that the runtime fills once per step. Every
    exchange is one `nccl.group` with all sends and receives of the rank's nodes, sorted by (source, destination, tensor).

    All exchanges are totally ordered: enter; per layer keys and queries up, partials down; leave. Between two exchanges
    the driver runs the segments of its nodes in node order. A rank whose tables are empty runs through without waiting.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
                           "::nccl::NCCLDialect"];
  let statistics = [
    Statistic<"numExchanges", "exchanges", "Number of exchanges in the driver's text">,
    Statistic<"numBuffers", "buffers", "Number of buffers in the frame">,
    Statistic<"numTables", "tables", "Number of tables in the frame">
  ];
}

#endif // RSHARD_TRANSFORMS_PASSES_TD
