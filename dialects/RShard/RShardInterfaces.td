//===- RShardInterfaces.td - how an op treats tokens --------*- tablegen -*-===//

#ifndef RSHARD_INTERFACES_TD
#define RSHARD_INTERFACES_TD

include "mlir/IR/OpBase.td"

def RShard_TokenOpInterface : OpInterface<"TokenOpInterface"> {
  let cppNamespace = "::rshard";
  let description = [{
    Says how an op treats the token dimension. The partitioner knows this interface and never the op.

    | kind  | meaning                                          | on a shard of the tokens          |
    |-------|--------------------------------------------------|-----------------------------------|
    | none  | no operand or result has a token dimension       | unchanged                         |
    | wise  | row t of every result depends on row t alone     | unchanged, on any set of rows     |
    | mix   | row t depends on other rows                      | needs the grid of attention nodes |

    The token dimension is dimension 0 of every operand that has one and of every result.
  }];
  let methods = [
    InterfaceMethod<"How the op treats tokens", "::rshard::TokenKind", "getTokenKind">
  ];
}

#endif // RSHARD_INTERFACES_TD
