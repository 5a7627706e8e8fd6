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

#endif // RSHARD_TRANSFORMS_PASSES_TD
