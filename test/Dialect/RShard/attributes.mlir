// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// CHECK: module attributes {rshard.model = #rshard.model<architecture = "A \22quoted\22 name", positions = 1, end = [], hash = "00ff">}
module attributes {
  rshard.model = #rshard.model<architecture = "A \22quoted\22 name", positions = 1, end = [], hash = "00ff">
} {
  // CHECK: module attributes {rshard.model = #rshard.model<architecture = "", positions = 512, end = [0, 2], hash = "">}
  module attributes {rshard.model = #rshard.model<architecture = "", positions = 512, end = [0, 2], hash = "">} {}

  // CHECK: func.func @client(%{{.*}}: index) attributes {rshard.role = #rshard.role<client>}
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  // CHECK: func.func @comp(%{{.*}}: index) attributes {rshard.role = #rshard.role<comp>}
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  // CHECK: func.func @attn(%{{.*}}: index) attributes {rshard.role = #rshard.role<attn>}
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }

  // CHECK: func.func private @frame(!rshard.frame) attributes {masks = [#rshard.mask<full>, #rshard.mask<causal>, #rshard.mask<window 4096>]}
  func.func private @frame(!rshard.frame) attributes {
    masks = [#rshard.mask<full>, #rshard.mask<causal>, #rshard.mask<window 4096>]
  }

  // CHECK: attributes {types = [#rshard.row_types<activations = bf16, partials = f32>, #rshard.row_types<activations = f16, partials = f16>]}
  func.func private @types() attributes {
    types = [#rshard.row_types<activations = bf16, partials = f32>, #rshard.row_types<partials = f16, activations = f16>]
  }
}
