// RUN: rshard-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{threads of a kernel: 0 vs at least 1}}
#k = #rshard.kernel<threads = 0, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>

// -----

// expected-error @below {{shared memory of a kernel: -1 vs at least 0 bytes}}
#k = #rshard.kernel<threads = 128, shared = -1, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>

// -----

// expected-error @below {{blocks of a kernel: 0, resident 0 vs at least 1 and at least 0}}
#k = #rshard.kernel<threads = 128, shared = 0, blocks = 0, resident = 0, grid [] parameters [#rshard.pointer<0>]>

// -----

// expected-error @below {{parameter of a kernel: 3 : i64 vs pointer, rows, scalar or map}}
#k = #rshard.kernel<threads = 128, shared = 0, blocks = 1, resident = 0, grid [] parameters [3]>

// -----

// expected-error @below {{rows per block: 0 vs at least 1}}
#k = #rshard.blocks<0, 0>

// -----

// expected-error @below {{argument of a map: -1 vs 0 to 2147483647}}
#m = #rshard.map<-1, bf16, extents [<64>] strides [] box [64] swizzle 128>

// -----

// expected-error @below {{element of a map: 'i32' vs f32, bf16 or f16}}
#m = #rshard.map<0, i32, extents [<64>, <8>] strides [<128>] box [64, 8] swizzle 128>

// -----

// expected-error @below {{strides of a map: 2 vs 1}}
#m = #rshard.map<0, bf16, extents [<64>, <8>] strides [<128>, <64>] box [64, 8] swizzle 128>

// -----

// expected-error @below {{box sizes of a map: 1 vs 2}}
#m = #rshard.map<0, bf16, extents [<64>, <8>] strides [<128>] box [64] swizzle 128>

// -----

// expected-error @below {{box size of a map: 257 vs 1 to 256}}
#m = #rshard.map<0, bf16, extents [<64>, <8>] strides [<128>] box [64, 257] swizzle 128>

// -----

// expected-error @below {{swizzle of a map: 16 vs 0, 32, 64 or 128}}
#m = #rshard.map<0, bf16, extents [<64>, <8>] strides [<128>] box [64, 8] swizzle 16>

// -----

// expected-error @below {{dimensions of a map: 6 vs 1 to 5}}
#m = #rshard.map<0, bf16, extents [<1>, <1>, <1>, <1>, <1>, <1>] strides [<1>] box [1] swizzle 0>

// -----

// expected-error @below {{attribute 'rshard.kernel' is 3 : i64 vs #rshard.kernel}}
func.func private @kernel() attributes {rshard.kernel = 3}

// -----

// expected-error @below {{'rshard.weight' op has attribute 'rshard.kernel': it belongs on a function}}
rshard.weight @w "w" {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>} : tensor<8x8xf32>

// -----

func.func @f(%frame: !rshard.frame, %n: index) {
  // expected-error @below {{refers to @kernels::@none: no kernel of this name}}
  rshard.run @kernels::@none of %frame(%n) : index
  return
}

// -----

// expected-note @below {{kernel defined here}}
func.func private @plain()
func.func @f(%frame: !rshard.frame, %n: index) {
  // expected-error @below {{refers to @plain, which has no attribute 'rshard.kernel'}}
  rshard.run @plain of %frame(%n) : index
  return
}

// -----

// expected-note @below {{kernel defined here}}
func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<1, 4>] parameters [#rshard.pointer<0>]>}
func.func @f(%frame: !rshard.frame, %x: memref<?x4xf32>) {
  // expected-error @below {{arguments: 1 vs argument 1, which the kernel takes}}
  rshard.run @kernel of %frame(%x) : memref<?x4xf32>
  return
}

// -----

// expected-note @below {{kernel defined here}}
func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>}
func.func @f(%frame: !rshard.frame, %n: index) {
  // expected-error @below {{argument 0: 'index' vs a view}}
  rshard.run @kernel of %frame(%n) : index
  return
}

// -----

// expected-note @below {{kernel defined here}}
func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.scalar<0>]>}
func.func @f(%frame: !rshard.frame, %x: memref<?x4xf32>) {
  // expected-error @below {{argument 0: 'memref<?x4xf32>' vs an integer}}
  rshard.run @kernel of %frame(%x) : memref<?x4xf32>
  return
}

// -----

// expected-error @below {{argument of a factor of the grid: 2147483648 vs 0 to 2147483647}}
#k = #rshard.blocks<2147483648, 1>

// -----

// expected-error @below {{argument of a pointer: -5 vs 0 to 2147483647}}
#k = #rshard.kernel<threads = 128, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<-5>]>

// -----

// expected-error @below {{argument of a number of rows: 99999999999 vs 0 to 2147483647}}
#k = #rshard.kernel<threads = 128, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.rows<99999999999>]>

// -----

// expected-error @below {{argument of a scalar: -1 vs 0 to 2147483647}}
#k = #rshard.kernel<threads = 128, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.scalar<-1>]>

// -----

// expected-error @below {{factor of a size: -4 vs at least 1}}
#m = #rshard.map<0, bf16, extents [<-4>] strides [] box [64] swizzle 128>

// -----

// expected-error @below {{argument of a size: -2 vs 0 to 2147483647}}
#m = #rshard.map<0, bf16, extents [<2 * -2>] strides [] box [64] swizzle 128>

// -----

// What code passes is an address and a number of rows, or an i64.
func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>}
func.func @f(%frame: !rshard.frame, %x: memref<?xindex>) {
  // expected-error @below {{'rshard.run' op operand #1 must be variadic of}}
  rshard.run @kernel of %frame(%x) : memref<?xindex>
  return
}

// -----

func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>}
func.func @f(%frame: !rshard.frame, %x: memref<f32>) {
  // expected-error @below {{'rshard.run' op operand #1 must be variadic of}}
  rshard.run @kernel of %frame(%x) : memref<f32>
  return
}

// -----

func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.pointer<0>]>}
func.func @f(%frame: !rshard.frame, %x: memref<?xvector<4xf32>>) {
  // expected-error @below {{'rshard.run' op operand #1 must be variadic of}}
  rshard.run @kernel of %frame(%x) : memref<?xvector<4xf32>>
  return
}

// -----

func.func private @kernel() attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [] parameters [#rshard.scalar<0>]>}
func.func @f(%frame: !rshard.frame, %x: i128) {
  // expected-error @below {{'rshard.run' op operand #1 must be variadic of}}
  rshard.run @kernel of %frame(%x) : i128
  return
}
