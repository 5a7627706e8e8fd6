// RUN: rshard-opt %s --split-input-file --verify-diagnostics

func.func @nested() {
  // expected-note @below {{outer group}}
  nccl.group {
    // expected-error @below {{'nccl.group' op stands inside another group}}
    nccl.group {
    }
  }
  return
}

// -----

func.func @alone(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<?x64xf32>) {
  // expected-error @below {{'nccl.send' op stands outside of an nccl.group}}
  nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
  return
}

// -----

func.func @alone(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<?x64xf32>) {
  // expected-error @below {{'nccl.recv' op stands outside of an nccl.group}}
  nccl.recv %a from %peer on %comm, %stream : memref<?x64xf32>
  return
}

// -----

func.func @hole(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<?x64xf32, strided<[128, 1]>>) {
  nccl.group {
    // expected-error @below {{'nccl.send' op buffer 'memref<?x64xf32, strided<[128, 1]>>' vs a contiguous one: stride 128 vs 64}}
    nccl.send %a to %peer on %comm, %stream : memref<?x64xf32, strided<[128, 1]>>
  }
  return
}

// -----

func.func @unknown(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<?x64xf32, strided<[?, 1]>>) {
  nccl.group {
    // expected-error @below {{'nccl.recv' op buffer 'memref<?x64xf32, strided<[?, 1]>>' vs a contiguous one: stride ? vs 64}}
    nccl.recv %a from %peer on %comm, %stream : memref<?x64xf32, strided<[?, 1]>>
  }
  return
}

// -----

func.func @unknown(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<?x?xf32>) {
  nccl.group {
    // expected-error @below {{'nccl.recv' op buffer 'memref<?x?xf32>' vs one whose first dimension alone is dynamic}}
    nccl.recv %a from %peer on %comm, %stream : memref<?x?xf32>
  }
  return
}

// -----

func.func @layout(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<8x8xf32, affine_map<(i, j) -> (i floordiv 2, j)>>) {
  nccl.group {
    // expected-error @below {{vs one with strides}}
    nccl.send %a to %peer on %comm, %stream : memref<8x8xf32, affine_map<(i, j) -> (i floordiv 2, j)>>
  }
  return
}

// -----

func.func @type(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<8xi1>) {
  nccl.group {
    // expected-error @below {{operand #0 must be memref of 64-bit float or 32-bit float or 16-bit float or bfloat16 type or 64-bit signless integer or 32-bit signless integer or 8-bit signless integer values, but got 'memref<8xi1>'}}
    nccl.send %a to %peer on %comm, %stream : memref<8xi1>
  }
  return
}
