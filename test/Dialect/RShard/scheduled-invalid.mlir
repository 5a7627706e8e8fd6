// RUN: rshard-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{attribute 'type' failed to satisfy constraint}}
rshard.buffer @b rows "client" : memref<4x64xf32>

// -----

// expected-error @below {{attribute 'type' failed to satisfy constraint}}
rshard.buffer @b rows "client" : memref<?x64xf32, strided<[128, 1]>>

// -----

func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_buffer' op refers to @b: no rshard.buffer of this name}}
  %b = rshard.get_buffer %frame[@b] : memref<?x64xf32>
  return
}

// -----

// expected-note @below {{declared here}}
rshard.buffer @b rows "client" : memref<?x64xf32>
func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_buffer' op type 'memref<?x32xf32>' vs 'memref<?x64xf32>'}}
  %b = rshard.get_buffer %frame[@b] : memref<?x32xf32>
  return
}

// -----

rshard.buffer @b rows "client" : memref<?x1xi32>
func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_table' op refers to @b: no rshard.table of this name}}
  %b = rshard.get_table %frame[@b] : memref<?xi32>
  return
}

// -----

func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_comm' op communicator of type 'i32' vs !nccl.comm}}
  %comm, %stream = rshard.get_comm %frame : i32, !nccl.stream
  return
}

// -----

func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_comm' op stream of type '!nccl.comm' vs !nccl.stream}}
  %comm, %stream = rshard.get_comm %frame : !nccl.comm, !nccl.comm
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %y: memref<?x32xf32>, %i: memref<?xi32>) {
  // expected-error @below {{'rshard.gather' op target 'memref<?x32xf32>' vs rows of 'memref<?x64xf32>'}}
  rshard.gather %x[%i] into %y : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %y: memref<?x64xi32>, %i: memref<?xi32>) {
  // expected-error @below {{'rshard.append_rows' op target 'memref<?x64xi32>' vs rows of 'memref<?x64xf32>'}}
  rshard.append_rows %x[%i] into %y[%i] : memref<?x64xf32>, memref<?xi32>, memref<?x64xi32>, memref<?xi32>
  return
}

// -----

func.func @f(%x: memref<?x?xf32>, %i: memref<?xi32>) {
  // expected-error @below {{must be f32, bf16, f16, i32 or i8 memref of two dimensions whose first, and no other, is dynamic, but got 'memref<?x?xf32>'}}
  rshard.gather %x[%i] into %x : memref<?x?xf32>, memref<?xi32>, memref<?x?xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op query width: 64 vs a multiple of 0 heads}}
  rshard.attend %q[%i], %q, %q sees [%i, %i] into %q, %lse first %first heads 0 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %k: memref<?x40xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op key width: 40 vs heads of size 16 whose number divides 4}}
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x40xf32>, memref<?x40xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %k: memref<?x48xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op key width: 48 vs heads of size 16 whose number divides 4}}
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x48xf32>, memref<?x48xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %k: memref<?x32xf32>, %i: memref<?xi32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op value width: 64 vs 32 of the keys}}
  rshard.attend %q[%i], %k, %q sees [%i, %i] into %q, %q first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %k: memref<?x32xf32>, %i: memref<?xi32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op output width: 32 vs 64 of the query}}
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %k, %q first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x32xf32>, memref<?xi32>, memref<?xi32>, memref<?x32xf32>, memref<?x64xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x2xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op heads of lse: 2 vs 4}}
  rshard.attend %q[%i], %q, %q sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x2xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op scale 0.000000e+00 vs a number from 1e-37 to 1e+37}}
  rshard.attend %q[%i], %q, %q sees [%i, %i] into %q, %lse first %first heads 4 scale 0.0
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op soft_cap 0.000000e+00 vs a number from 1e-37 to 1e+37}}
  rshard.attend %q[%i], %q, %q sees [%i, %i] into %q, %lse first %first heads 4 scale 1.0 soft_cap 0.0
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%frame: !rshard.frame, %l: index) {
  // expected-error @below {{'rshard.launch' op refers to @s: no function of this name}}
  rshard.launch @s layer %l of %frame ins() outs() : () -> ()
  return
}

// -----

// expected-note @below {{segment defined here}}
func.func private @s(%x: tensor<?x64xf32>) -> tensor<?x64xf32> { return %x : tensor<?x64xf32> }
func.func @f(%frame: !rshard.frame, %l: index, %x: memref<?x64xf32>) {
  // expected-error @below {{'rshard.launch' op segment has no layer as its first argument}}
  rshard.launch @s layer %l of %frame ins(%x) outs(%x) : (memref<?x64xf32>) -> memref<?x64xf32>
  return
}

// -----

// expected-note @below {{segment defined here}}
func.func private @s(%l: index, %x: tensor<?x64xf32>) -> tensor<?x64xf32> { return %x : tensor<?x64xf32> }
func.func @f(%frame: !rshard.frame, %l: index, %x: memref<?x64xf32>) {
  // expected-error @below {{'rshard.launch' op inputs: 2 vs 1}}
  rshard.launch @s layer %l of %frame ins(%x, %x) outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> memref<?x64xf32>
  return
}

// -----

// expected-note @below {{segment defined here}}
func.func private @s(%l: index, %x: tensor<?x64xf32>) -> tensor<?x64xf32> { return %x : tensor<?x64xf32> }
func.func @f(%frame: !rshard.frame, %l: index, %x: memref<?x64xf32>) {
  // expected-error @below {{'rshard.launch' op outputs: 0 vs 1}}
  rshard.launch @s layer %l of %frame ins(%x) outs() : (memref<?x64xf32>) -> ()
  return
}

// -----

// expected-note @below {{segment defined here}}
func.func private @s(%l: index, %x: tensor<?x64xf32>) -> tensor<?x64xf32> { return %x : tensor<?x64xf32> }
func.func @f(%frame: !rshard.frame, %l: index, %x: memref<?x64xf32>, %y: memref<?x32xf32>) {
  // expected-error @below {{'rshard.launch' op output 0: 'memref<?x32xf32>' vs 'tensor<?x64xf32>'}}
  rshard.launch @s layer %l of %frame ins(%x) outs(%y) : (memref<?x64xf32>) -> memref<?x32xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xbf16>, %k: memref<?x64xf32>, %v: memref<?x64xbf16>, %o: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op element of the keys: 'f32' vs 'bf16'}}
  rshard.attend %q[%i], %k, %v sees [%i, %i] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x64xf32>, memref<?x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xbf16>, %k: memref<?x64xbf16>, %v: memref<?x64xf16>, %o: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op element of the values: 'f16' vs 'bf16'}}
  rshard.attend %q[%i], %k, %v sees [%i, %i] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>, memref<?x64xf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %k: memref<?x64xf32>, %v: memref<?x64xf32>, %o: memref<?x64xbf16>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op element of the output: 'bf16' vs f32 or 'f32'}}
  rshard.attend %q[%i], %k, %v sees [%i, %i] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xbf16>, memref<?x4xf32>
  return
}

// -----

func.func @f(%q: memref<?x64xbf16>, %k: memref<?x64xbf16>, %v: memref<?x64xbf16>, %o: memref<?x64xbf16>, %i: memref<?xi32>, %lse: memref<?x4xbf16>, %first: i1) {
  // expected-error @below {{must be f32 memref of two dimensions whose first, and no other, is dynamic, but got 'memref<?x4xbf16>'}}
  rshard.attend %q[%i], %k, %v sees [%i, %i] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>, memref<?x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xbf16>, memref<?x4xbf16>
  return
}

// -----

func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_weight' op attribute 'slot' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %w = rshard.get_weight %frame, -3 : memref<64xf32>
  return
}

// -----

func.func @f(%frame: !rshard.frame) {
  // expected-error @below {{'rshard.get_weight' op result #0 must be f32, bf16 or f16 memref of static shape, at least one dimension}}
  %w = rshard.get_weight %frame, 3 : memref<f32>
  return
}

// -----

func.func @f(%frame: !rshard.frame, %layer: index) {
  // expected-error @below {{'rshard.exchange' op attribute 'exchange' failed to satisfy constraint: 32-bit signless integer attribute whose value is non-negative}}
  rshard.exchange %frame, -1 layer %layer
  return
}

// -----

func.func @f(%q: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // expected-error @below {{'rshard.attend' op soft_cap 1.000000e+300 vs a number from 1e-37 to 1e+37}}
  rshard.attend %q[%i], %q, %q sees [%i, %i] into %q, %lse first %first heads 4 scale 1.0 soft_cap 1.0e300
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}
