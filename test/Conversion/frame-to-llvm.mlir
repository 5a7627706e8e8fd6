// RUN: rshard-opt %s --convert-rshard-frame-to-llvm | FileCheck %s
// RUN: rshard-opt %s --convert-rshard-frame-to-llvm --convert-nccl-to-llvm --rshard-host-lower | FileCheck %s --check-prefix=LLVM

// Declarations and facts are gone, the driver is the entry.
// CHECK-NOT: rshard.
// CHECK: llvm.mlir.global internal constant @layer_kinds_0(dense<[0, 1, 0]> : tensor<3xi32>)
// CHECK: func.func private @rshard_exchange(!llvm.ptr, i32, i32)
// CHECK-LABEL: func.func private @helper(
// CHECK-LABEL: func.func @rshard_step(
// CHECK-SAME: %[[FRAME:.*]]: !llvm.ptr)

// Buffer 1: the second rshard_buffer of the first field.
// CHECK: %[[FIELD:.*]] = llvm.getelementptr %[[FRAME]][0] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK: %[[BUFFERS:.*]] = llvm.load %[[FIELD]] : !llvm.ptr -> !llvm.ptr
// CHECK: llvm.getelementptr %[[BUFFERS]][1, 0] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, i64)>
// CHECK: llvm.getelementptr %[[BUFFERS]][1, 1]
// CHECK: builtin.unrealized_conversion_cast %{{.*}} to memref<?x32xf32>

// Table 0, of the second field.
// CHECK: llvm.getelementptr %[[FRAME]][1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK: builtin.unrealized_conversion_cast %{{.*}} to memref<?xi32>

// Weight 5 + layer, of the third field.
// CHECK: llvm.getelementptr %[[FRAME]][2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK: %[[FIRST:.*]] = llvm.mlir.constant(5 : i64) : i64
// CHECK: llvm.add %[[FIRST]], %{{.*}} : i64
// CHECK: builtin.unrealized_conversion_cast %{{.*}} to memref<1x64x64xf32>

// CHECK: llvm.getelementptr %[[FRAME]][3]
// CHECK: builtin.unrealized_conversion_cast %{{.*}} : !llvm.ptr to !nccl.comm
// CHECK: llvm.getelementptr %[[FRAME]][4]
// CHECK: builtin.unrealized_conversion_cast %{{.*}} : !llvm.ptr to !nccl.stream
// CHECK: %[[NUMBER:.*]] = arith.constant 7 : i32
// CHECK: call @rshard_exchange(%[[FRAME]], %[[NUMBER]], %{{.*}})
// CHECK: llvm.mlir.addressof @layer_kinds_0

// LLVM-NOT: {{(func|scf|memref|vector|arith|math|nccl|rshard)\.[a-z]}}
// LLVM: llvm.func @rshard_step(
// LLVM: llvm.call @ncclSend
module attributes {rshard.model = #rshard.model<architecture = "LlamaForCausalLM", positions = 512, end = [], hash = "">} {
  rshard.weight @w "w.{}" layers [0, 3) : tensor<64x64xf32>
  rshard.buffer @a rows "comp" : memref<?x64xf32>
  rshard.table @index
  rshard.buffer @b rows "comp" : memref<?x32xf32>
  func.func private @helper(%frame: !rshard.frame, %w: memref<1x64x64xf32>, %kind: index, %rows: memref<?xi32>) {
    return
  }
  func.func @step(%frame: !rshard.frame) {
    %layer = arith.constant 2 : index
    %b = rshard.get_buffer %frame[@b] : memref<?x32xf32>
    %t = rshard.get_table %frame[@index] : memref<?xi32>
    %w = rshard.get_weight %frame, 5[%layer] : memref<1x64x64xf32>
    %comm, %stream = rshard.get_comm %frame : !nccl.comm, !nccl.stream
    rshard.exchange %frame, 7 layer %layer
    nccl.group {
      nccl.send %b to %layer on %comm, %stream : memref<?x32xf32>
    }
    %kind = rshard.layer_kind %layer of [0, 1, 0]
    call @helper(%frame, %w, %kind, %t) : (!rshard.frame, memref<1x64x64xf32>, index, memref<?xi32>) -> ()
    return
  }
}
