//===- main.cpp - the rshard command --------------------------------------===//

#include "Commands.h"

int main(int argc, char **argv) {
  return rshard::tool::runCommandLine(argc, argv);
}
