#!/bin/sh
# The interesting modules are those that declare a rotary: status 1, as mlir-reduce wants it.
! grep -q rshard.rotary "$1"
