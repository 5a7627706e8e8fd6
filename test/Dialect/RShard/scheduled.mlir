// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// CHECK: rshard.buffer @query rows "pool_query" : memref<?x64xf32>
rshard.buffer @query rows "pool_query" : memref<?x64xf32>
// CHECK: rshard.buffer @client.token rows "client" : memref<?x1xi32>
rshard.buffer @client.token rows "client" : memref<?x1xi32>
// CHECK: rshard.buffer @workspace rows "workspace" : memref<?x1xi8>
rshard.buffer @workspace rows "workspace" : memref<?x1xi8>
// CHECK: rshard.buffer @pool.key rows "pool_key" : memref<?x32xbf16>
rshard.buffer @pool.key rows "pool_key" : memref<?x32xbf16>
// CHECK: rshard.buffer @pool.enter rows "pool_enter" : memref<?x64xf16>
rshard.buffer @pool.enter rows "pool_enter" : memref<?x64xf16>
// CHECK: rshard.table @query0.source
rshard.table @query0.source

// CHECK-LABEL: func.func private @segment
func.func private @segment(%l: index, %x: tensor<?x4x16xf32>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  %w = rshard.parameter @w : tensor<64x64xf32>
  %y = rshard.linear %x, %w : (tensor<?x4x16xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
rshard.weight @w "w" : tensor<64x64xf32>

// CHECK-LABEL: func.func @step
// CHECK-SAME: %[[FRAME:.*]]: !rshard.frame
func.func @step(%frame: !rshard.frame, %l: index, %first: i1, %k: memref<?x32xf32, strided<[32, 1], offset: ?>>, %lse: memref<?x4xf32>) {
  // CHECK: %[[Q:.*]] = rshard.get_buffer %[[FRAME]][@query] : memref<?x64xf32>
  %q = rshard.get_buffer %frame[@query] : memref<?x64xf32>
  // CHECK: %[[I:.*]] = rshard.get_table %[[FRAME]][@query0.source] : memref<?xi32>
  %i = rshard.get_table %frame[@query0.source] : memref<?xi32>
  // CHECK: rshard.get_weight %[[FRAME]], 3[%{{.*}}] : memref<1x64x64xf32>
  %layered = rshard.get_weight %frame, 3[%l] : memref<1x64x64xf32>
  // CHECK: rshard.get_weight %[[FRAME]], 9 : memref<64xf32>
  %single = rshard.get_weight %frame, 9 : memref<64xf32>
  // CHECK: rshard.get_comm %[[FRAME]] : !nccl.comm, !nccl.stream
  %comm, %stream = rshard.get_comm %frame : !nccl.comm, !nccl.stream
  // CHECK: rshard.exchange %[[FRAME]], 1 layer %{{.*}}
  rshard.exchange %frame, 1 layer %l
  // CHECK: rshard.gather %[[Q]][%[[I]]] into %[[Q]] : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>
  rshard.gather %q[%i] into %q : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>
  // CHECK: rshard.append_rows %{{.*}}[%[[I]]] into %{{.*}}[%[[I]]] :
  // CHECK-SAME: memref<?x32xf32, strided<[32, 1], offset: ?>>, memref<?xi32>, memref<?x32xf32, strided<[32, 1], offset: ?>>, memref<?xi32>
  rshard.append_rows %k[%i] into %k[%i]
    : memref<?x32xf32, strided<[32, 1], offset: ?>>, memref<?xi32>, memref<?x32xf32, strided<[32, 1], offset: ?>>, memref<?xi32>
  // CHECK: rshard.attend %[[Q]][%[[I]]], %{{.*}}, %{{.*}} sees[%[[I]], %[[I]]] into %[[Q]], %{{.*}} first %{{.*}} heads 4 scale 2.500000e-01 :
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32, strided<[32, 1], offset: ?>>, memref<?x32xf32, strided<[32, 1], offset: ?>>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  // CHECK: rshard.launch @segment layer %{{.*}} of %[[FRAME]] ins(%[[Q]], %[[I]]) outs(%[[Q]]) : (memref<?x64xf32>, memref<?xi32>) -> memref<?x64xf32>
  rshard.launch @segment layer %l of %frame ins(%q, %i) outs(%q) : (memref<?x64xf32>, memref<?xi32>) -> memref<?x64xf32>
  return
}

// CHECK-LABEL: func.func @types
func.func @types(%q: memref<?x64xbf16>, %k: memref<?x32xbf16>, %o: memref<?x64xf32>, %i: memref<?xi32>, %lse: memref<?x4xf32>, %first: i1) {
  // CHECK: rshard.gather {{.*}} : memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>
  rshard.gather %q[%i] into %q : memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>
  // CHECK: rshard.attend
  // CHECK-SAME: : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  // CHECK: rshard.attend
  // CHECK-SAME: memref<?x64xbf16>, memref<?x4xf32>
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xbf16>, memref<?x4xf32>
  // CHECK: rshard.attend %{{.*}}[%{{.*}}] inOrder, %{{.*}}, %{{.*}} sees
  rshard.attend %q[%i] inOrder, %k, %k sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xbf16>, memref<?x4xf32>
  // CHECK: rshard.attend {{.*}} heads 4 scale 2.500000e-01 soft_cap 5.000000e+01 :
  rshard.attend %q[%i], %k, %k sees [%i, %i] into %q, %lse first %first heads 4 scale 0.25 soft_cap 50.0
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xbf16>, memref<?x4xf32>
  return
}
