//===- TextFile.h - writes text to where the user says ----------*- C++ -*-===//

#ifndef RSHARD_DRIVER_TEXTFILE_H
#define RSHARD_DRIVER_TEXTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace rshard {

/// Writes `text` to `path`, "-" for standard output. A file appears whole or
/// not at all; devices, FIFOs and links are written through and stay what they
/// are. The error does not name the path.
llvm::Error writeTextFile(llvm::StringRef path, llvm::StringRef text);

} // namespace rshard

#endif // RSHARD_DRIVER_TEXTFILE_H
