//===- RShardAttrs.td - attributes of the rshard dialect ----*- tablegen -*-===//

#ifndef RSHARD_ATTRS_TD
#define RSHARD_ATTRS_TD

include "RShard/RShardDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class RShard_Attr<string name, string mnem, list<Trait> traits = []>
    : AttrDef<RShard_Dialect, name, traits> {
  let mnemonic = mnem;
}

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

class RShard_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::rshard";
  let genSpecializedAttr = 0;
}

def RShard_RoleEnum : RShard_Enum<"Role", "the role a node plays", [
  I32EnumAttrCase<"Client", 0, "client">,
  I32EnumAttrCase<"Comp", 1, "comp">,
  I32EnumAttrCase<"Attn", 2, "attn">]>;

def RShard_RoleAttr : EnumAttr<RShard_Dialect, RShard_RoleEnum, "role"> {
  let summary = "the role whose program a function is";
  let description = [{
    `client` is the trusted edge, `comp` holds hidden rows and layer weights, `attn` is a cell of the
    attention grid and holds no weights.

    ```mlir
    func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { ... }
    ```
  }];
  let assemblyFormat = "`<` $value `>`";
}

def RShard_NormEnum : RShard_Enum<"NormKind", "normalisation of the last dimension", [
  I32EnumAttrCase<"RMS", 0, "rms">, I32EnumAttrCase<"Layer", 1, "layer">]>;
def RShard_NormAttr : EnumAttr<RShard_Dialect, RShard_NormEnum, "norm_kind">;

def RShard_ActivationEnum : RShard_Enum<"Activation", "activation function", [
  I32EnumAttrCase<"SiLU", 0, "silu">, I32EnumAttrCase<"GELU", 1, "gelu">,
  I32EnumAttrCase<"GELUTanh", 2, "gelu_tanh">, I32EnumAttrCase<"ReLU", 3, "relu">]>;
def RShard_ActivationAttr : EnumAttr<RShard_Dialect, RShard_ActivationEnum, "activation_kind">;

def RShard_MaskEnum : RShard_Enum<"MaskKind", "which keys a query sees", [
  I32EnumAttrCase<"Full", 0, "full">, I32EnumAttrCase<"Causal", 1, "causal">,
  I32EnumAttrCase<"Window", 2, "window">]>;

//===----------------------------------------------------------------------===//
// Mask
//===----------------------------------------------------------------------===//

def RShard_MaskAttr : RShard_Attr<"Mask", "mask"> {
  let summary = "which keys a query sees, by global positions (C4)";
  let description = [{
    | mask       | key k is visible to query q iff |
    |------------|---------------------------------|
    | `full`     | always                          |
    | `causal`   | k <= q                          |
    | `window w` | 0 <= q - k < w                  |

    Constraints: `w` is given for `window` alone and is at least 1.

    ```mlir
    #rshard.mask<causal>
    #rshard.mask<window 4096>
    ```
  }];
  let parameters = (ins EnumParameter<RShard_MaskEnum>:$kind, DefaultValuedParameter<"int64_t", "0">:$window);
  let genVerifyDecl = 1;
  let hasCustomAssemblyFormat = 1;
}

//===----------------------------------------------------------------------===//
// Model
//===----------------------------------------------------------------------===//

def RShard_ModelAttr : RShard_Attr<"Model", "model"> {
  let summary = "facts about the model that no op carries";
  let description = [{
    Sits on the module as `rshard.model`.

    - `architecture`: the name in the model's configuration.
    - `positions`: the longest sequence that the model was made for.
    - `end`: token ids that end a text; may be empty.
    - `hash`: identity of the model (configuration and tensor table, C10); empty for models without a
      directory.

    Constraints: `positions` is at least 1; token ids are not negative.

    ```mlir
    module attributes {rshard.model = #rshard.model<architecture = "LlamaForCausalLM",
                                                    positions = 512, end = [2], hash = "">} {}
    ```
  }];
  let parameters = (ins StringRefParameter<"architecture">:$architecture, "int64_t":$positions,
                        OptionalArrayRefParameter<"int64_t">:$end, StringRefParameter<"identity">:$hash);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Types of rows
//===----------------------------------------------------------------------===//

def RShard_RowTypesAttr : RShard_Attr<"RowTypes", "row_types"> {
  let summary = "element types of rows, in memory and on the wire";
  let description = [{
    - `activations`: hidden rows, queries, keys and values, and so the caches.
    - `partials`: outputs of partial attention on their way to the merge.

    Log-sum-exps and the results that the caller reads are always f32.

    Constraints: `activations` is f32, bf16 or f16; `partials` is f32 or the type of the activations.

    ```mlir
    #rshard.row_types<activations = bf16, partials = f32>
    ```
  }];
  let parameters = (ins "::mlir::Type":$activations, "::mlir::Type":$partials);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // RSHARD_ATTRS_TD
