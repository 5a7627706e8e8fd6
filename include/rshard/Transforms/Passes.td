//===- Passes.td - the passes from model to schedule --------*- tablegen -*-===//

#ifndef RSHARD_TRANSFORMS_PASSES_TD
#define RSHARD_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanPass : Pass<"rshard-plan", "::mlir::ModuleOp"> {
  let summary = "declare who holds which token";
  let description = [{
    Writes a plan into a module of the model phase as symbols: shardings `@R` (hidden rows over CompNodes), `@S` and `@T`
    (queries and keys over the grid), `@grid` and `@placement`. Rows get the plan's element types: all of the model's rows
    that of activations, what it returns f32. Nothing else is computed differently yet.

    The plan is made by the figure's clustered rule from numbers (a missing number takes the rule's default), or read
    from a file.

    ```mlir
    // model.mlir
    rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
    rshard.weight @e "e" : tensor<16x8xf32>
    func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
      %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
      %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
      %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
      %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
      %z = rshard.add %x, %y : tensor<?x8xf32>
      return %z : tensor<?x8xf32>
    }
    func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
      %e = rshard.parameter @e : tensor<16x8xf32>
      %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
      %y = rshard.layers [@layer] [0, 0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
      return %y : tensor<?x8xf32>
    }
    ```

    becomes

    ```mlir
    // rshard-opt model.mlir --rshard-plan="comp=2 cluster=1 period=2"
    rshard.sharding @R ["period 2: [0,1)", "period 2: [1,2)"]
    rshard.sharding @S ["period 2: [0,1)", "period 2: [1,2)"]
    rshard.sharding @T ["period 2: [0,1)", "period 2: [1,2)"]
    rshard.grid @grid queries(@S) keys(@T)
    rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 1, 2, 3, 4, 5, 6]
    ...
    %o = rshard.attention %q, %q, %q mask <causal> scale 5.000000e-01 on @grid : ...
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
    Option<"activations", "activations", "std::string", "\"f32\"", "element type of rows: f32, bf16 or f16">,
    Option<"partials", "partials", "std::string", "\"\"", "element type of partials: f32 or that of activations; default f32, that of activations with one key shard">,
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

    With the model of `rshard-plan`:

    ```mlir
    // rshard-opt model.mlir --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition
    func.func private @layer.enter(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> ... {
      %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
      %q = rshard.linear %x, %w : ...
      return %q, %q, %q : ...
    }
    func.func private @layer.layer(...) -> ... {
      %merged = rshard.merge %o, %lse by %begin, %source : ...
      %before = rshard.parameter @w[%l] : tensor<8x8xf32>
      %y = rshard.linear %merged, %before : ...
      %z = rshard.add %rows, %y : tensor<?x8xf32>
      ...
      %after = rshard.parameter @w[%next] : tensor<8x8xf32>
      %following = rshard.linear %z, %after : ...
      return %z, %following, %following, %following : ...
    }
    ...
    func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} {
      ...
      %last = scf.for ...
        %partials:4 = rshard.receive @partial0 layer %i : ...
        %both:4 = func.call @layer.layer(...) : ...
        ...
        rshard.send @query0(%both#1) layer %j : ...
        rshard.send @key0(%both#2, %both#3) layer %j : ...
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numSegments", "segments", "Number of segments emitted">,
    Statistic<"numRecomputed", "recomputed-ops", "Number of token-wise ops computed on both sides of a token-mixing op">
  ];
}

def SchedulePass : Pass<"rshard-schedule", "::mlir::ModuleOp"> {
  let summary = "one driver for all ranks, with explicit messages";
  let description = [{
    Replaces the programs of the roles by one driver `@step`, which runs all nodes of a rank through one step. Values
    become buffers of the rank's frame; which rows move is read from tables that the runtime fills once per step. Every
    exchange is one `nccl.group` with all sends and receives of the rank's nodes, sorted by (source, destination, tensor).

    All exchanges are totally ordered: enter; per layer keys and queries up, partials down; leave. Between two exchanges
    the driver runs the segments of its nodes: on the rows of all its CompNodes at once, then cell by cell in node order.
    A rank whose tables are empty runs through without waiting.

    With one CompNode and a grid of one cell every row has one partial, and merging gives it back as it is: such merges are
    removed (`elide-merge` among the remarks), unless they change the type of rows.

    With the model of `rshard-plan`:

    ```mlir
    // rshard-opt model.mlir --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --rshard-schedule
    rshard.buffer @comp.x rows "comp" : memref<?x8xf32>
    ...
    func.func @step(%frame: !rshard.frame) {
      ...
      rshard.launch @client.embed layer %c0 of %frame ins(%tokens, %positions) outs(%x) : ...
      ...
      rshard.exchange %frame, 0 layer %l
      rshard.gather %pool[%pack] into %staging : memref<?x8xf32>, memref<?xi32>, memref<?x8xf32>
      ...
      nccl.group {
        ...
        nccl.recv %received from %peer on %comm, %stream : memref<?x8xf32, strided<[8, 1], offset: ?>>
        ...
        nccl.send %sent to %peer on %comm, %stream : memref<?x8xf32, strided<[8, 1], offset: ?>>
      }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
                           "::nccl::NCCLDialect"];
  let statistics = [
    Statistic<"numExchanges", "exchanges", "Number of exchanges in the driver's text">,
    Statistic<"numBuffers", "buffers", "Number of buffers in the frame">,
    Statistic<"numTables", "tables", "Number of tables in the frame">
  ];
}

def VerifyExchangesPass : Pass<"rshard-verify-exchanges", "::mlir::ModuleOp"> {
  let summary = "C6: every send of the programs has its receive";
  let description = [{
    Follows the programs of a module of the partitioned or scheduled phase over their loops and checks that what is sent is
    received, in one order, without waiting in a circle: see include/rshard/Analysis/Exchanges.h. Then gives every rank its
    tables for the steps of a text, by the module's plan and the masks of its routes, holds them to C2 and C6, and runs the
    driver's groups on them: see include/rshard/Analysis/Messages.h. Changes nothing.

    `rshard` does the first part with every program that it makes or reads, `rshard verify` does both.
  }];
  let options = [
    Option<"length", "length", "int64_t", "64", "positions of the text whose steps are routed">,
  ];
  let statistics = [
    Statistic<"numExchanges", "exchanges", "Number of exchanges that were followed">,
    Statistic<"numSteps", "steps", "Number of steps whose tables were checked">,
    Statistic<"numMessages", "messages", "Number of messages between ranks in these steps">
  ];
}

#endif // RSHARD_TRANSFORMS_PASSES_TD
