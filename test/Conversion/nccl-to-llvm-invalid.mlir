// RUN: rshard-opt %s --convert-nccl-to-llvm --split-input-file --verify-diagnostics

// expected-error @below {{redefinition of function 'ncclGroupStart' of different type '!llvm.func<i32 ()>' is prohibited}}
llvm.func @ncclGroupStart(i64) -> i32
func.func @declared() {
  // expected-error @below {{failed to legalize operation 'nccl.group'}}
  nccl.group {
  }
  return
}
