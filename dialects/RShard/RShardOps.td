//===- RShardOps.td - operations on tokens ------------------*- tablegen -*-===//
//
// Model phase: what a transformer computes, before anybody knows who holds which token.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_OPS_TD
#define RSHARD_OPS_TD

include "RShard/RShardAttrs.td"
include "RShard/RShardInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class RShard_Op<string mnemonic, list<Trait> traits = []> : Op<RShard_Dialect, mnemonic, traits>;

/// An op that treats every row alone.
class RShard_TokenWiseOp<string mnemonic, list<Trait> traits = []>
    : RShard_Op<mnemonic, traits # [Pure, RShard_TokenOpInterface]> {
  code tokenKind = [{ ::rshard::TokenKind getTokenKind() { return ::rshard::TokenKind::Wise; } }];
  let extraClassDeclaration = tokenKind;
}

/// A tensor whose first dimension counts tokens: nothing else about it depends on the sequence.
class RShard_Tokens<list<Type> elements, list<int> ranks, string what>
    : ConfinedType<TensorRankOf<elements, ranks>,
                   [CPred<"::rshard::hasTokenRows(::llvm::cast<::mlir::ShapedType>($_self))">],
                   what # " whose first dimension, and no other, is dynamic">;

/// A weight as operations see it.
class RShard_Weight<int rank, string what>
    : ConfinedType<TensorRankOf<[F32, BF16, F16], [rank]>, [HasStaticShapePred],
                   "static " # what # " of f32, bf16 or f16">;

/// Rows of tokens: [tokens, width] or [tokens, heads, head size]. Their element type is a matter of storage: ops
/// compute in f32.
def RShard_Rows : RShard_Tokens<[F32, BF16, F16], [2, 3], "f32, bf16 or f16 tensor of two or three dimensions">;
def RShard_Heads : RShard_Tokens<[F32, BF16, F16], [3], "f32, bf16 or f16 tensor of three dimensions">;
def RShard_Lse : RShard_Tokens<[F32], [2], "f32 tensor of two dimensions">;
def RShard_Ids : RShard_Tokens<[I32], [1], "i32 tensor of one dimension">;
def RShard_Matrix : RShard_Weight<2, "matrix">;
def RShard_Vector : RShard_Weight<1, "vector">;
def RShard_WeightTensor : AnyTypeOf<[RShard_Matrix, RShard_Vector], "", "::mlir::RankedTensorType">;

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

def RShard_WeightOp : RShard_Op<"weight", [Symbol]> {
  let summary = "a tensor of the model's files";
  let description = [{
    Declares a weight by the name of its tensor. With `layers [first, last)` the name holds `{}`, which stands
    for the layer's number, and the symbol is one weight per layer.

    - `rows [a, b) of n` takes rows a to b of a weight of n rows (after `transposed`): several weights may share one
      tensor.
    - `transposed` says that the file stores the weight as [columns, rows].

    The type is what ops see: [rows, columns], or [columns] for a tensor of one dimension or a single row.

    Constraints: a name holds `{}` if and only if `layers` is given; `0 <= first < last`;
    `of n` is given if and only if `rows` is; `b - a` is the number of rows of the type, and `b` at most n;
    `transposed` needs a matrix or a single row of one.

    ```mlir
    rshard.weight @wq "h.{}.attn.c_attn.weight" layers [0, 12) rows [0, 768) of 2304 transposed
      : tensor<768x768xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$tensor,
                       OptionalAttr<DenseI64ArrayAttr>:$layers, OptionalAttr<DenseI64ArrayAttr>:$rows,
                       OptionalAttr<I64Attr>:$total,
                       UnitAttr:$transposed, TypeAttrOf<RShard_WeightTensor>:$type);
  let assemblyFormat = [{
    $sym_name $tensor (`layers` custom<Range>($layers)^)? (`rows` custom<Range>($rows)^ `of` $total)?
    (`transposed` $transposed^)? attr-dict `:` $type
  }];
  let hasVerifier = 1;
}

def RShard_RotaryOp : RShard_Op<"rotary", [Symbol]> {
  let summary = "the angles of a rotary position embedding";
  let description = [{
    Pair i of a head is rotated by position x `frequencies[i]` radians; sine and cosine are multiplied by `scale`.
    Every kind of rope scaling is data here: the importer has applied it (RoFormer, arXiv 2104.09864).

    Constraints: at least one frequency; all from 0 to 1e37; `scale` from 1e-37 to 1e37.

    ```mlir
    rshard.rotary @rope [1.0, 0.1, 0.01, 0.001] scale 1.0
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseF64ArrayAttr:$frequencies, F64Attr:$scale);
  let assemblyFormat = "$sym_name custom<Frequencies>($frequencies) `scale` $scale attr-dict";
  let hasVerifier = 1;
}

def RShard_ParameterOp : RShard_Op<"parameter", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
                                                 RShard_TokenOpInterface]> {
  let summary = "a weight, of one layer if it has one per layer";
  let description = [{
    Constraints: the symbol is an `rshard.weight` of the same type; a layer is given if and only if that
    weight has one tensor per layer.

    ```mlir
    %w = rshard.parameter @wq[%layer] : tensor<64x64xf32>
    %e = rshard.parameter @embedding : tensor<499x64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight, Optional<Index>:$layer);
  let results = (outs RShard_WeightTensor:$result);
  let assemblyFormat = "$weight (`[` $layer^ `]`)? attr-dict `:` type($result)";
  let extraClassDeclaration = [{ ::rshard::TokenKind getTokenKind() { return ::rshard::TokenKind::None; } }];
}

//===----------------------------------------------------------------------===//
// Token-wise operations
//===----------------------------------------------------------------------===//

def RShard_EmbeddingOp : RShard_TokenWiseOp<"embedding"> {
  let summary = "rows of a table by index";
  let description = [{
    result[t, :] = table[ids[t], :] in the result's element type. Ids are token ids, or positions for learned positions.

    ```mlir
    %x = rshard.embedding %tokens of %table : (tensor<?xi32>, tensor<499x64xf32>) -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins RShard_Ids:$ids, RShard_Matrix:$table);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "$ids `of` $table attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

def RShard_AddOp : RShard_TokenWiseOp<"add", [SameOperandsAndResultType]> {
  let summary = "sum of two rows";
  let description = [{
    ```mlir
    %y = rshard.add %x, %o : tensor<?x64xf32>
    ```
  }];
  let arguments = (ins RShard_Rows:$lhs, RShard_Rows:$rhs);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def RShard_AddRowOp : RShard_TokenWiseOp<"add_row", [AllTypesMatch<["input", "result"]>]> {
  let summary = "the same vector added to every row";
  let description = [{
    ```mlir
    %y = rshard.add_row %x, %type0 : tensor<?x64xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins RShard_Rows:$input, RShard_Vector:$row);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "$input `,` $row attr-dict `:` type($input) `,` type($row)";
  let hasVerifier = 1;
}

def RShard_NormOp : RShard_TokenWiseOp<"norm", [AllTypesMatch<["input", "result"]>]> {
  let summary = "normalisation of the last dimension";
  let description = [{
    `rms`: x / sqrt(mean(x^2) + eps) * scale. `layer`: (x - mean) / sqrt(variance + eps) * scale + bias.
    On [tokens, heads, head size] every head is normalised alone with the same scale (Qwen3).

    Constraints: scale and bias have the size of the last dimension; `eps` is from 1e-37 to 1e37.

    ```mlir
    %y = rshard.norm rms %x, %scale eps 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
    %z = rshard.norm layer %x, %scale bias %b eps 1.0e-12 : tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins RShard_NormAttr:$kind, RShard_Rows:$input, RShard_Vector:$scale,
                       Optional<RShard_Vector>:$bias, F64Attr:$eps);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = [{
    custom<Keyword>($kind) $input `,` $scale (`bias` $bias^)? `eps` $eps attr-dict
    `:` type($input) `,` type($scale) (`,` type($bias)^)?
  }];
  let hasVerifier = 1;
}

def RShard_LinearOp : RShard_TokenWiseOp<"linear"> {
  let summary = "product with a weight matrix";
  let description = [{
    result[t, n] = sum_k input[t, k] * weight[n, k] (+ bias[n]), accumulated in f32. Heads are a view: input or result
    may be [tokens, heads, head size], whose last two dimensions count as one. The result may have another element type
    than the input: logits are f32.

    Constraints: the weight is [N, K], the bias [N]; K is the input's width, N the result's.

    ```mlir
    %q = rshard.linear %x, %w bias %b
           : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x4x16xf32>
    ```
  }];
  let arguments = (ins RShard_Rows:$input, RShard_Matrix:$weight, Optional<RShard_Vector>:$bias);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "$input `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

def RShard_RopeOp : RShard_TokenWiseOp<"rope", [AllTypesMatch<["input", "result"]>,
                                                DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "rotary position embedding at global positions (C4)";
  let description = [{
    Rotates the pair (x[i], x[i + d/2]) of every head by position x frequency[i].

    Constraints: the symbol is an `rshard.rotary` with d/2 frequencies.

    ```mlir
    %y = rshard.rope %x at %positions by @rope : tensor<?x4x16xf32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins RShard_Heads:$input, RShard_Ids:$positions, FlatSymbolRefAttr:$rotary);
  let results = (outs RShard_Heads:$result);
  let assemblyFormat = "$input `at` $positions `by` $rotary attr-dict `:` type($input) `,` type($positions)";
}

def RShard_ActivationOp : RShard_TokenWiseOp<"activation", [SameOperandsAndResultType]> {
  let summary = "elementwise activation function";
  let description = [{
    `silu`: x / (1 + exp(-x)). `gelu`: x/2 (1 + erf(x/sqrt 2)). `gelu_tanh`: its approximation by tanh. `relu`: max(x, 0).

    ```mlir
    %y = rshard.activation gelu %x : tensor<?x256xf32>
    ```
  }];
  let arguments = (ins RShard_ActivationAttr:$kind, RShard_Rows:$input);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "custom<Keyword>($kind) $input attr-dict `:` type($result)";
}

def RShard_GatedOp : RShard_TokenWiseOp<"gated", [SameOperandsAndResultType]> {
  let summary = "activation of one row times another";
  let description = [{
    result = activation(gate) * up, elementwise (GLU variants, arXiv 2002.05202).

    ```mlir
    %y = rshard.gated silu %gate, %up : tensor<?x176xf32>
    ```
  }];
  let arguments = (ins RShard_ActivationAttr:$kind, RShard_Rows:$gate, RShard_Rows:$up);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "custom<Keyword>($kind) $gate `,` $up attr-dict `:` type($result)";
}

def RShard_ConvertOp : RShard_TokenWiseOp<"convert"> {
  let summary = "the same rows in another element type";
  let description = [{
    Rounds to nearest even. `rshard-plan` puts one behind a model whose results are rows of the activations' type and
    not f32.

    Constraints: input and result differ in their element types alone.

    ```mlir
    %y = rshard.convert %x : tensor<?x64xbf16> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins RShard_Rows:$input);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def RShard_HeadsOp : RShard_TokenWiseOp<"heads"> {
  let summary = "some heads of every row";
  let description = [{
    result[t, h, :] = input[t, first + h, :] for the heads [first, last). An attention-only program finds the queries,
    keys and values of its caller's rows with it (docs/attention-entry.md).

    Constraints: the range is not empty and within the input's heads; the result has as many heads, the input's head
    size and element type.

    ```mlir
    %k = rshard.heads %rows [4, 6) : tensor<?x8x16xf32> -> tensor<?x2x16xf32>
    ```
  }];
  let arguments = (ins RShard_Heads:$input, DenseI64ArrayAttr:$range);
  let results = (outs RShard_Heads:$result);
  let assemblyFormat = "$input custom<Range>($range) attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Token-mixing operations
//===----------------------------------------------------------------------===//

def RShard_AttentionOp : RShard_Op<"attention", [Pure, RShard_TokenOpInterface,
                                                 AllTypesMatch<["query", "result"]>, AllTypesMatch<["key", "value"]>,
                                                 DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "attention of every token to every token that it sees";
  let description = [{
    result[t, h, :] = sum_s softmax_s(scale * query[t, h, :] . key[s, h / g, :] + mask) value[s, h / g, :], with
    g = query heads / key heads. With `soft_cap` c, c tanh(x / c) stands for the product x = scale * query . key
    (arXiv 2408.00118). `on @grid` (planned phase) names the grid of nodes that computes it.

    Constraints: key and value have one type and the query's head size and element type; the query heads are a multiple
    of the key heads; `scale`, `soft_cap` and their quotient are from 1e-37 to 1e37, what f32 computes with.

    ```mlir
    %o = rshard.attention %q, %k, %v mask <causal> scale 0.25 on @grid
           : tensor<?x4x16xf32>, tensor<?x2x16xf32>
    %p = rshard.attention %q, %k, %v mask <window 512> scale 0.25 soft_cap 50.0
           : tensor<?x4x16xf32>, tensor<?x2x16xf32>
    ```
  }];
  let arguments = (ins RShard_Heads:$query, RShard_Heads:$key, RShard_Heads:$value, RShard_MaskAttr:$mask,
                       F64Attr:$scale, OptionalAttr<F64Attr>:$softCap, OptionalAttr<FlatSymbolRefAttr>:$grid);
  let results = (outs RShard_Heads:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `mask` $mask `scale` $scale (`soft_cap` $softCap^)? (`on` $grid^)? attr-dict
    `:` type($query) `,` type($key)
  }];
  let extraClassDeclaration = [{ ::rshard::TokenKind getTokenKind() { return ::rshard::TokenKind::Mix; } }];
  let hasVerifier = 1;
}

def RShard_LayersOp : RShard_Op<"layers", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the model's layers, one after the other";
  let description = [{
    Applies layer 0, 1, ... to the rows: layer i is `kinds[order[i]]` called with (i, rows, positions). The program's
    size does not grow with its depth.

    Constraints: `order` is not empty and indexes `kinds`; every kind is a function
    (index, rows, positions) -> rows that holds exactly one token-mixing op; the layer of each of its parameters is
    the first argument, and the parameter's weight has every layer that is of this kind. Layers return rows of the type
    that they take; only a single layer, which no other follows, may return rows of another type, written behind `->`.

    ```mlir
    %y = rshard.layers [@decoder] [0, 0, 0] (%x, %positions) : tensor<?x64xf32>, tensor<?xi32>
    %o = rshard.layers [@attend] [0] (%rows, %positions) : tensor<?x8x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
    ```
  }];
  let arguments = (ins TypedArrayAttrBase<FlatSymbolRefAttr, "layer functions">:$kinds, DenseI32ArrayAttr:$order,
                       RShard_Rows:$input, RShard_Ids:$positions);
  let results = (outs RShard_Rows:$result);
  let assemblyFormat = [{
    $kinds $order `(` $input `,` $positions `)` attr-dict
    `:` custom<LayerTypes>(type($input), type($positions), type($result))
  }];
  let hasVerifier = 1;
}

include "RShard/RShardPlanOps.td"
include "RShard/RShardProgramOps.td"
include "RShard/RShardKernelOps.td"

#endif // RSHARD_OPS_TD
