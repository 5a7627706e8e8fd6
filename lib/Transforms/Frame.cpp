//===- Frame.cpp - declares and reads the frame of a rank -----------------===//

#include "Frame.h"
#include "NCCL/NCCL.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace rshard;

Frame::Frame(OpBuilder declarations, func::FuncOp driver)
    : declarations(declarations), reads(driver.getContext()), driver(driver),
      loc(driver.getLoc()) {
  reads.setInsertionPointToStart(&driver.getBody().front());
  auto comm =
      GetCommOp::create(reads, loc, nccl::CommType::get(driver.getContext()),
                        nccl::StreamType::get(driver.getContext()), get());
  // Reads stand before this op, whatever the driver has grown to by then.
  reads.setInsertionPoint(comm);
  communicator = comm.getComm();
  order = comm.getStream();
}

Value Frame::buffer(const Twine &name, ShapedType tensor, StringRef rows) {
  std::string text = name.str();
  Value &value = buffers[text];
  if (!value) {
    auto type = MemRefType::get({ShapedType::kDynamic, getRowWidth(tensor)},
                                tensor.getElementType());
    BufferOp::create(declarations, loc, text, rows, type);
    value = GetBufferOp::create(reads, loc, type, get(), text);
    ++numBuffers;
  }
  return value;
}

Value Frame::table(const Twine &name) {
  std::string text = name.str();
  Value &value = tables[text];
  if (!value) {
    TableOp::create(declarations, loc, text);
    value = GetTableOp::create(
        reads, loc, MemRefType::get({ShapedType::kDynamic}, reads.getI32Type()),
        get(), text);
    ++numTables;
  }
  return value;
}

Value Frame::size(const Twine &name) {
  std::string text = name.str();
  Value whole = table(text);
  Value &value = sizes[text];
  if (!value)
    value = memref::DimOp::create(reads, loc, whole, 0);
  return value;
}
