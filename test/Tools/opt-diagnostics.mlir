// An error says where, not all that stands there.
// RUN: not rshard-opt %s --convert-rshard-to-cpu=cpu=x86-64-v3 2>&1 | FileCheck %s
// RUN: not rshard-opt %s --convert-rshard-to-cpu=cpu=x86-64-v3 --mlir-print-op-on-diagnostic 2>&1 | FileCheck %s --check-prefix=ASKED
// CHECK: opt-diagnostics.mlir:[[#@LINE+4]]:{{[0-9]+}}: error: holds no rshard.buffer
// CHECK-NOT: see current operation
// ASKED: see current operation
// CHECK-NOT: func
module {
  func.func private @f()
}
