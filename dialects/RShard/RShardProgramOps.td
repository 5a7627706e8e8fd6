//===- RShardProgramOps.td - the programs of nodes and ranks -*- tablegen -*-===//
//
// Partitioned phase: one function per role that sends and receives rows along routes.
// Scheduled phase: one driver for all ranks on the buffers and tables of a frame.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_PROGRAM_OPS_TD
#define RSHARD_PROGRAM_OPS_TD

def RShard_RouteEnum : RShard_Enum<"RouteKind", "what moves along a route", [
  I32EnumAttrCase<"Enter", 0, "enter">, I32EnumAttrCase<"Query", 1, "query">,
  I32EnumAttrCase<"Key", 2, "key">, I32EnumAttrCase<"Partial", 3, "partial">,
  I32EnumAttrCase<"Leave", 4, "leave">]>;
def RShard_RouteKindAttr : EnumAttr<RShard_Dialect, RShard_RouteEnum, "route_kind">;

def RShard_RouteOp : RShard_Op<"route", [Symbol]> {
  let summary = "rows that move from nodes of one role to nodes of another";
  let description = [{
    | kind      | from -> to     | rows (of the step)                                    | tensors        | index tensors of `receive` |
    |-----------|----------------|-------------------------------------------------------|----------------|----------------------------|
    | `enter`   | client -> comp | R_i                                                   | hidden         |                            |
    | `query`   | comp -> attn   | S_j that the cell shows a key                         | query          | positions                  |
    | `key`     | comp -> attn   | T_k that some later query of the cell can see         | key, value     | positions                  |
    | `partial` | attn -> comp   | R_i, one per rank whose cells show the row a key      | output, lse    | begin, source              |
    | `leave`   | comp -> client | those that the client asked for                       | hidden         |                            |

    In an attention-only program, rows that enter are queries, keys and values, and rows that leave are the attention's.
    Which rows these are follows from the plan, the mask and the step (C2); no op lists them. `begin` and `source` say
    which received rows are the partials of row t: source[begin[t]], ..., source[begin[t+1]-1], in the order of C3.

    Layers whose attention has the same mask, scale, soft cap and shapes are one *class* and share routes; classes are numbered
    from 0.

    Constraints: a class and a mask are given for `query`, `key` and `partial` alone; a class is not negative; the number
    of types is that of the table; element types are f32, bf16 or f16, that of lse f32.

    ```mlir
    rshard.route @key0 key class 0 mask <causal> : [tensor<?x2x16xf32>, tensor<?x2x16xf32>]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, RShard_RouteKindAttr:$kind, OptionalAttr<I64Attr>:$layerClass,
                       OptionalAttr<RShard_MaskAttr>:$mask, TypeArrayAttr:$types);
  let assemblyFormat = [{
    $sym_name custom<Keyword>($kind) (`class` $layerClass^)? (`mask` $mask^)? attr-dict `:` $types
  }];
  let extraClassDeclaration = [{
    /// The rows of one tensor that moves.
    ::mlir::RankedTensorType getTensor(size_t index) {
      return ::llvm::cast<::mlir::RankedTensorType>(::llvm::cast<::mlir::TypeAttr>(getTypes()[index]).getValue());
    }
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Partitioned phase
//===----------------------------------------------------------------------===//

def RShard_LayerKindOp : RShard_Op<"layer_kind", [Pure]> {
  let summary = "which of several bodies a layer takes";
  let description = [{
    The result is `kinds[layer]`; loops over layers of different kinds switch on it, so that the program's size does
    not grow with its depth.

    Constraints: `kinds` is not empty and holds no negative number.

    ```mlir
    %kind = rshard.layer_kind %layer of [0, 0, 1, 0]
    ```
  }];
  let arguments = (ins Index:$layer, DenseI32ArrayAttr:$kinds);
  let results = (outs Index:$result);
  let assemblyFormat = "$layer `of` $kinds attr-dict";
  let hasVerifier = 1;
}

def RShard_TokensOp : RShard_Op<"tokens", [Pure]> {
  let summary = "the step's token ids (client)";
  let description = [{
    ```mlir
    %t = rshard.tokens : tensor<?xi32>
    ```
  }];
  let results = (outs RShard_Ids:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def RShard_RowsOp : RShard_Op<"rows", [Pure]> {
  let summary = "the rows of the step that the caller gave in place of token ids (client)";
  let description = [{
    ```mlir
    %x = rshard.rows : tensor<?x8x16xf32>
    ```
  }];
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def RShard_PositionsOp : RShard_Op<"positions", [Pure]> {
  let summary = "global positions of the node's rows in this step, ascending (C4)";
  let description = [{
    On the client every position of the step, on a CompNode those of its set R.

    ```mlir
    %p = rshard.positions %self : tensor<?xi32>
    ```
  }];
  let arguments = (ins Index:$self);
  let results = (outs RShard_Ids:$result);
  let assemblyFormat = "$self attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def RShard_WantedOp : RShard_Op<"wanted", [Pure, AllTypesMatch<["rows", "result"]>]> {
  let summary = "the rows whose outputs the caller asked for (client)";
  let description = [{
    ```mlir
    %w = rshard.wanted %x : tensor<?x64xf32>
    ```
  }];
  let arguments = (ins RShard_Rows:$rows);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "$rows attr-dict `:` type($rows)";
  let hasVerifier = 1;
}

def RShard_SendOp : RShard_Op<"send", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "send the node's rows along a route";
  let description = [{
    Every receiver gets the rows that the route names; the sender holds them all.

    Constraints: the symbol is a route from the function's role; the operands have its types.

    ```mlir
    rshard.send @key0(%k, %v) layer %l : tensor<?x2x16xf32>, tensor<?x2x16xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$route, Variadic<AnyRankedTensor>:$rows, Index:$layer);
  let assemblyFormat = "$route `(` $rows `)` `layer` $layer attr-dict `:` type($rows)";
}

def RShard_ReceiveOp : RShard_Op<"receive", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "receive the node's rows of a route";
  let description = [{
    Results are the route's tensors, rows in ascending global position, then its index tensors (see `rshard.route`).

    Constraints: the symbol is a route to the function's role; the results have its types, then `tensor<?xi32>`.

    ```mlir
    %q, %p = rshard.receive @query0 layer %l : tensor<?x4x16xf32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$route, Index:$layer);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$route `layer` $layer attr-dict `:` type($results)";
}

def RShard_AppendOp : RShard_Op<"append", [AllTypesMatch<["key", "value", "keys", "values"]>,
                                           AllTypesMatch<["positions", "keyPositions"]>]> {
  let summary = "append rows to the node's cache of a layer and read it";
  let description = [{
    Returns all cached keys and values of this layer and their positions, ascending, the new rows included. A step that
    starts below the cache's length has truncated it before (C5).

    ```mlir
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %l : tensor<?x2x16xf32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins RShard_Heads:$key, RShard_Heads:$value, RShard_Ids:$positions, Index:$layer);
  let results = (outs RShard_Heads:$keys, RShard_Heads:$values, RShard_Ids:$keyPositions);
  let assemblyFormat = "$key `,` $value `at` $positions `layer` $layer attr-dict `:` type($key) `,` type($positions)";
  let hasVerifier = 1;
}

def RShard_PartialAttentionOp : RShard_Op<"partial_attention", [Pure, AllTypesMatch<["key", "value"]>]> {
  let summary = "attention of some queries to some keys";
  let description = [{
    For every query row and head, over the keys that the mask shows it: `output` = softmax(scale q k^T) v and
    `lse` = log sum exp(scale q k^T), natural base, f32. No visible key: output 0, lse -inf (C3). `soft_cap` caps the
    scores as in `rshard.attention`.

    Constraints: as `rshard.attention`; the output has the query's shape and is f32 or of its type; lse is
    [queries, heads].

    ```mlir
    %o, %lse = rshard.partial_attention %q at %qp, %k, %v at %kp mask <causal> scale 0.25
                 : tensor<?x4x16xbf16>, tensor<?xi32>, tensor<?x2x16xbf16>, tensor<?xi32>
                 -> tensor<?x4x16xf32>, tensor<?x4xf32>
    ```
  }];
  let arguments = (ins RShard_Heads:$query, RShard_Ids:$queryPositions, RShard_Heads:$key, RShard_Heads:$value,
                       RShard_Ids:$keyPositions, RShard_MaskAttr:$mask, F64Attr:$scale, OptionalAttr<F64Attr>:$softCap);
  let results = (outs RShard_Heads:$output, RShard_Lse:$lse);
  let assemblyFormat = [{
    $query `at` $queryPositions `,` $key `,` $value `at` $keyPositions `mask` $mask `scale` $scale
    (`soft_cap` $softCap^)? attr-dict
    `:` type($query) `,` type($queryPositions) `,` type($key) `,` type($keyPositions)
    `->` type($output) `,` type($lse)
  }];
  let hasVerifier = 1;
}

def RShard_MergeOp : RShard_Op<"merge", [Pure, AllTypesMatch<["begin", "source"]>]> {
  let summary = "merge the partials of every row exactly (C3)";
  let description = [{
    Row t, head h, over i in source[begin[t]], ..., source[begin[t+1]-1] in this order: M = max lse[i, h],
    w_i = exp(lse[i, h] - M), result[t, h] = sum w_i output[i, h] / sum w_i; 0 if every lse is -inf.

    Constraints: output has the result's shape and is f32 or of its type; lse is [partials, heads].

    ```mlir
    %m = rshard.merge %o, %lse by %begin, %source
           : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>
    ```
  }];
  let arguments = (ins RShard_Heads:$output, RShard_Lse:$lse, RShard_Ids:$begin, RShard_Ids:$source);
  let results = (outs RShard_Heads:$result);
  let assemblyFormat = [{
    $output `,` $lse `by` $begin `,` $source attr-dict
    `:` type($output) `,` type($lse) `,` type($begin) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Scheduled phase
//===----------------------------------------------------------------------===//

def RShard_FrameType : TypeDef<RShard_Dialect, "Frame"> {
  let mnemonic = "frame";
  let summary = "buffers, tables, weights and communicator of one rank in one step";
  let description = [{
    What the runtime hands to the generated code: see the ABI header of the runtime.
  }];
}

/// Rows in memory, [rows, width]: a buffer or a part of one.
class RShard_BufferRows<list<Type> elements, string what>
    : ConfinedType<MemRefRankOf<elements, [2]>,
                   [CPred<"::rshard::hasTokenRows(::llvm::cast<::mlir::ShapedType>($_self))">],
                   what # " memref of two dimensions whose first, and no other, is dynamic">;
def RShard_AnyRows : RShard_BufferRows<[F32, BF16, F16, I32, I8], "f32, bf16, f16, i32 or i8">;
def RShard_FloatRows : RShard_BufferRows<[F32, BF16, F16], "f32, bf16 or f16">;
def RShard_LseRows : RShard_BufferRows<[F32], "f32">;
/// A table or a part of one.
def RShard_Indices : ConfinedType<MemRefRankOf<[I32], [1]>,
                                  [CPred<"::llvm::cast<::mlir::MemRefType>($_self).isDynamicDim(0)">],
                                  "i32 memref of one dynamic dimension">;
/// A packed weight.
def RShard_PackedWeight : ConfinedType<MemRefOf<[F32, BF16, F16]>,
                                       [CPred<"::llvm::cast<::mlir::MemRefType>($_self).hasStaticShape()">,
                                        CPred<"::llvm::cast<::mlir::MemRefType>($_self).getRank() > 0">],
                                       "f32, bf16 or f16 memref of static shape, at least one dimension">;
class RShard_Whole<Type part, string what>
    : ConfinedType<part, [CPred<"::llvm::cast<::mlir::MemRefType>($_self).getLayout().isIdentity()">],
                   what # " without layout">;
def RShard_Buffer : RShard_Whole<RShard_AnyRows, RShard_AnyRows.summary>;
def RShard_Table : RShard_Whole<RShard_Indices, RShard_Indices.summary>;

def RShard_BufferOp : RShard_Op<"buffer", [Symbol]> {
  let summary = "a buffer of the rank's arena";
  let description = [{
    `rows` names the capacity class by which the runtime sizes it. Buffers are numbered in the order of declaration.

    ```mlir
    rshard.buffer @query rows "pool_query" : memref<?x64xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$rows, TypeAttrOf<RShard_Buffer>:$type);
  let assemblyFormat = "$sym_name `rows` $rows attr-dict `:` $type";
}

def RShard_TableOp : RShard_Op<"table", [Symbol]> {
  let summary = "a table of the rank's routes, filled once per step";
  let description = [{
    Tables are `memref<?xi32>`, numbered in the order of declaration, filled by the runtime by name.

    ```mlir
    rshard.table @comp.begin
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let assemblyFormat = "$sym_name attr-dict";
}

def RShard_GetBufferOp : RShard_Op<"get_buffer", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a buffer of the frame";
  let description = [{
    Constraints: the symbol is an `rshard.buffer` of this type.

    ```mlir
    %q = rshard.get_buffer %frame[@query] : memref<?x64xf32>
    ```
  }];
  let arguments = (ins RShard_FrameType:$frame, FlatSymbolRefAttr:$buffer);
  let results = (outs RShard_Buffer:$result);
  let assemblyFormat = "$frame `[` $buffer `]` attr-dict `:` type($result)";
}

def RShard_GetTableOp : RShard_Op<"get_table", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a table of the frame";
  let description = [{
    ```mlir
    %begin = rshard.get_table %frame[@comp.begin] : memref<?xi32>
    ```
  }];
  let arguments = (ins RShard_FrameType:$frame, FlatSymbolRefAttr:$table);
  let results = (outs RShard_Table:$result);
  let assemblyFormat = "$frame `[` $table `]` attr-dict `:` type($result)";
}

def RShard_GetWeightOp : RShard_Op<"get_weight", [Pure]> {
  let summary = "a packed weight of the frame";
  let description = [{
    The weight in slot `slot` of the frame, or in slot `slot` + `layer` where `layer` counts the layers that have the
    weight. The module's `rshard.weight_slots` says for every range of slots which weight it holds and how the runtime
    packs it.

    Constraints: `slot` is not negative.

    ```mlir
    %w = rshard.get_weight %frame, 3[%layer] : memref<1x64x64xf32>
    ```
  }];
  let arguments = (ins RShard_FrameType:$frame, ConfinedAttr<I64Attr, [IntNonNegative]>:$slot, Optional<Index>:$layer);
  let results = (outs RShard_PackedWeight:$result);
  let assemblyFormat = "$frame `,` $slot (`[` $layer^ `]`)? attr-dict `:` type($result)";
}

def RShard_GetCommOp : RShard_Op<"get_comm", [Pure]> {
  let summary = "the frame's communicator and stream";
  let description = [{
    ```mlir
    %comm, %stream = rshard.get_comm %frame : !nccl.comm, !nccl.stream
    ```
  }];
  let arguments = (ins RShard_FrameType:$frame);
  let results = (outs AnyType:$comm, AnyType:$stream);
  let assemblyFormat = "$frame attr-dict `:` type($comm) `,` type($stream)";
  let hasVerifier = 1;
}

def RShard_ExchangeOp : RShard_Op<"exchange"> {
  let summary = "tell the runtime which exchange comes next";
  let description = [{
    For logs, traces and messages. Exchanges are numbered in the program's total order within a layer.

    Constraints: the number is not negative.

    ```mlir
    rshard.exchange %frame, 1 layer %l
    ```
  }];
  let arguments = (ins RShard_FrameType:$frame, ConfinedAttr<I32Attr, [IntNonNegative]>:$exchange, Index:$layer);
  let assemblyFormat = "$frame `,` $exchange `layer` $layer attr-dict";
}

def RShard_GatherOp : RShard_Op<"gather"> {
  let summary = "copy rows by index";
  let description = [{
    target[i, :] = source[index[i], :] for every i below the number of indices.

    ```mlir
    rshard.gather %x[%pack] into %send : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>
    ```
  }];
  let arguments = (ins Arg<RShard_AnyRows, "", [MemRead]>:$source, Arg<RShard_Indices, "", [MemRead]>:$index,
                       Arg<RShard_AnyRows, "", [MemWrite]>:$target);
  let assemblyFormat = "$source `[` $index `]` `into` $target attr-dict `:` type($source) `,` type($index) `,` type($target)";
  let hasVerifier = 1;
}

def RShard_AppendRowsOp : RShard_Op<"append_rows"> {
  let summary = "copy rows into the cache by index";
  let description = [{
    target[row[i], :] = rows[source[i], :] for every i. This is `rshard.append` with the placing of received rows fused.

    ```mlir
    rshard.append_rows %key[%source] into %cache[%row] : memref<?x32xf32>, memref<?xi32>, memref<?x32xf32>, memref<?xi32>
    ```
  }];
  let arguments = (ins Arg<RShard_AnyRows, "", [MemRead]>:$rows, Arg<RShard_Indices, "", [MemRead]>:$source,
                       Arg<RShard_AnyRows, "", [MemWrite]>:$target, Arg<RShard_Indices, "", [MemRead]>:$row);
  let assemblyFormat = [{
    $rows `[` $source `]` `into` $target `[` $row `]` attr-dict
    `:` type($rows) `,` type($source) `,` type($target) `,` type($row)
  }];
  let hasVerifier = 1;
}

def RShard_AttendOp : RShard_Op<"attend"> {
  let summary = "partial attention that continues a running result";
  let description = [{
    Query row i is query[source[i]]; with `inOrder` that is query[i]. It sees exactly the cache rows [firstKeys[i],
    lastKeys[i]) of key and value: that is what mask and positions come to, since cached rows ascend in position (C2, C4);
    both lists ascend. With `first` set the result starts empty (output 0, lse -inf), else it continues the (output, lse)
    that the buffers hold: a rank merges its own partials of a row here, in the order of its cells (C3). `soft_cap` caps
    the scores as in `rshard.attention`.

    Constraints: widths are those of heads; key and value have the query's element type, the output is f32 or of that
    type; `scale` and `soft_cap` are those of an rshard.attention.

    ```mlir
    rshard.attend %q[%source], %k, %v sees[%from, %to] into %o, %lse first %first heads 4 scale 0.25
      : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x32xf32>, memref<?xi32>, memref<?xi32>,
        memref<?x64xf32>, memref<?x4xf32>
    ```
  }];
  let arguments = (ins Arg<RShard_FloatRows, "", [MemRead]>:$query, Arg<RShard_Indices, "", [MemRead]>:$source,
                       Arg<RShard_FloatRows, "", [MemRead]>:$key, Arg<RShard_FloatRows, "", [MemRead]>:$value,
                       Arg<RShard_Indices, "", [MemRead]>:$firstKeys, Arg<RShard_Indices, "", [MemRead]>:$lastKeys,
                       Arg<RShard_FloatRows, "", [MemRead, MemWrite]>:$output, Arg<RShard_LseRows, "", [MemRead, MemWrite]>:$lse,
                       I1:$first, I64Attr:$heads, F64Attr:$scale, OptionalAttr<F64Attr>:$softCap, UnitAttr:$inOrder);
  let assemblyFormat = [{
    $query `[` $source `]` (`inOrder` $inOrder^)? `,` $key `,` $value `sees` `[` $firstKeys `,` $lastKeys `]` `into` $output `,` $lse
    `first` $first `heads` $heads `scale` $scale (`soft_cap` $softCap^)? attr-dict
    `:` type($query) `,` type($source) `,` type($key) `,` type($value) `,` type($firstKeys) `,` type($lastKeys) `,` type($output) `,` type($lse)
  }];
  let hasVerifier = 1;
}

def RShard_LaunchOp : RShard_Op<"launch", [AttrSizedOperandSegments,
                                           DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run one segment on buffers";
  let description = [{
    A segment is a function on tensors made of token-wise ops and merges: what a node computes between two exchanges.
    Tensor argument i is read from input i, result i is written to output i; [tokens, heads, head size] is stored as
    [tokens, heads x head size].

    Constraints: the symbol is a function whose tensors match the buffers.

    ```mlir
    rshard.launch @decoder.enter layer %l of %frame ins(%x, %p) outs(%q, %k, %v)
      : (memref<?x64xf32>, memref<?xi32>) -> (memref<?x64xf32>, memref<?x32xf32>, memref<?x32xf32>)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$segment, Index:$layer, RShard_FrameType:$frame,
                       Arg<Variadic<AnyMemRef>, "", [MemRead]>:$inputs, Arg<Variadic<AnyMemRef>, "", [MemWrite]>:$outputs);
  let assemblyFormat = [{
    $segment `layer` $layer `of` $frame `ins` `(` $inputs `)` `outs` `(` $outputs `)` attr-dict
    `:` functional-type($inputs, $outputs)
  }];
}

#endif // RSHARD_PROGRAM_OPS_TD
