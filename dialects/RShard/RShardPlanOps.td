//===- RShardPlanOps.td - who holds which token -------------*- tablegen -*-===//
//
// Planned phase: token sets, the grid and the placement, as symbols beside an unchanged model.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_PLAN_OPS_TD
#define RSHARD_PLAN_OPS_TD

def RShard_ShardingOp : RShard_Op<"sharding", [Symbol]> {
  let summary = "a family of token sets that partitions the positions";
  let description = [{
    Set i belongs to node i. A set is finite runs below a horizon and periodic runs from there on; the text form is
    that of the token-set library, which is the only place that does arithmetic on sets.

    Constraints: C1: every position belongs to exactly one set. The error names the first position that does not.

    ```mlir
    rshard.sharding @R ["period 7: [0,2)", "period 7: [2,4)", "period 7: [4,6)", "period 7: [6,7)"]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$sets);
  let assemblyFormat = "$sym_name $sets attr-dict";
  let hasVerifier = 1;
}

def RShard_GridOp : RShard_Op<"grid", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the attention grid: query shards x key shards";
  let description = [{
    Cell (j, k) computes the attention of the queries in set j of `queries` to the keys in set k of `keys`. All cells run: the
    grid computes full attention (C2).

    Constraints: both symbols are `rshard.sharding`.

    ```mlir
    rshard.grid @grid queries(@S) keys(@T)
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$queries, FlatSymbolRefAttr:$keys);
  let assemblyFormat = "$sym_name `queries` `(` $queries `)` `keys` `(` $keys `)` attr-dict";
}

def RShard_PlacementOp : RShard_Op<"placement", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "which rank runs which node";
  let description = [{
    Nodes are numbered: the client is 0, then the sets of `rows` in order, then the grid's cells row by row. `ranks` holds the
    rank of each. The client runs the first L0 and the last L1 layers itself. `types` are the element types of rows, f32
    if they are not given.

    Constraints: one rank per node; ranks are 0, 1, ... without a hole; L0, L1 >= 0; L0 + L1 is less than the
    number of layers; the rows of layers, attention and routes have the types.

    ```mlir
    rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0)
      types <activations = bf16, partials = f32> ranks [0, 0, 0, 1, 1]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$rows, FlatSymbolRefAttr:$grid,
                       I64Attr:$first, I64Attr:$last, OptionalAttr<RShard_RowTypesAttr>:$types,
                       DenseI32ArrayAttr:$ranks);
  let assemblyFormat = [{
    $sym_name `rows` `(` $rows `)` `grid` `(` $grid `)` `client_layers` `(` $first `,` $last `)`
    (`types` $types^)? `ranks` $ranks attr-dict
  }];
  let extraClassDeclaration = [{
    /// The element type of hidden rows, queries, keys and values, and that of partials.
    ::mlir::Type getActivationType();
    ::mlir::Type getPartialType();
  }];
  let hasVerifier = 1;
}

#endif // RSHARD_PLAN_OPS_TD
