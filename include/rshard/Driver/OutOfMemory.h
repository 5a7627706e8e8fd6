//===- OutOfMemory.h - the end of a tool without memory ---------*- C++ -*-===//

#ifndef RSHARD_DRIVER_OUTOFMEMORY_H
#define RSHARD_DRIVER_OUTOFMEMORY_H

namespace rshard {

/// From now on, on every thread: memory that cannot be had ends the process
/// with exit status 1 and one line on stderr that repeats the command line. An
/// exception would have to pass through libraries that are built without them.
/// What another handler would do with it, LLVM's included, is not done.
void endWhenOutOfMemory(int argc, char **argv);

} // namespace rshard

#endif // RSHARD_DRIVER_OUTOFMEMORY_H
