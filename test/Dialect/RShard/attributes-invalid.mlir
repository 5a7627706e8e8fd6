// RUN: rshard-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{unknown mask 'diagonal' vs full, causal or window}}
module attributes {m = #rshard.mask<diagonal>} {}

// -----

// expected-error @below {{window of a mask: 0 vs at least 1}}
module attributes {m = #rshard.mask<window 0>} {}

// -----

// expected-error @below {{expected integer value}}
module attributes {m = #rshard.mask<window>} {}

// -----

// expected-error @below {{expected '>'}}
module attributes {m = #rshard.mask<causal 8>} {}

// -----

// expected-error @below {{positions of a model: 0 vs at least 1}}
module attributes {rshard.model = #rshard.model<architecture = "a", positions = 0, end = [], hash = "">} {}

// -----

// expected-error @below {{end token of a model: -1 vs at least 0}}
module attributes {rshard.model = #rshard.model<architecture = "a", positions = 1, end = [-1], hash = "">} {}

// -----

// expected-error @below {{'builtin.module' op attribute 'rshard.model' is 1 : i64 vs #rshard.model}}
module attributes {rshard.model = 1} {}

// -----

// expected-error @below {{'func.func' op has attribute 'rshard.model': it belongs on a module}}
func.func private @f() attributes {rshard.model = #rshard.model<architecture = "a", positions = 1, end = [], hash = "">}

// -----

// expected-error @below {{'func.func' op attribute 'rshard.role' is "client" vs #rshard.role}}
func.func private @f() attributes {rshard.role = "client"}

// -----

// expected-error @below {{'builtin.module' op has attribute 'rshard.role': it belongs on a function}}
module attributes {rshard.role = #rshard.role<client>} {}

// -----

// expected-error @below {{'builtin.module' op has unknown attribute 'rshard.modle' of the rshard dialect}}
module attributes {rshard.modle = 1} {}

// -----

// expected-error @below {{has attribute 'rshard.weight_slots': it belongs on a module}}
func.func private @slots() attributes {rshard.weight_slots = []}

// -----

// expected-error @below {{attribute 'rshard.weight_slots' is [{weights = [@w]}] vs a list of {weights, pack, first, count, scale?}}}
module attributes {rshard.weight_slots = [{weights = [@w]}]} {}

// -----

// expected-error @below {{attribute 'rshard.layer_classes': class of layer 0: -1000000 vs at least 0}}
module attributes {rshard.layer_classes = array<i32: -1000000, 0, 0>} {}

// -----

// expected-error @below {{attribute 'rshard.layer_classes': 0 layers vs at least 1}}
module attributes {rshard.layer_classes = array<i32>} {}

// -----

// expected-error @below {{activations are 'i32' vs f32, bf16 or f16}}
module attributes {t = #rshard.row_types<activations = i32, partials = f32>} {}

// -----

// expected-error @below {{partials are 'f16' vs f32 or the activations' 'bf16'}}
module attributes {t = #rshard.row_types<activations = bf16, partials = f16>} {}

// -----

// expected-error @below {{partials are 'bf16' vs f32 or the activations' 'f32'}}
module attributes {t = #rshard.row_types<activations = f32, partials = bf16>} {}
