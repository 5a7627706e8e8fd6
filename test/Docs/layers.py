"""Checks the dependencies that docs/contributing.md allows, by what each directory includes.

usage: layers.py CHECKOUT
"""

import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^#include ["<]([^">]+)[">]', re.MULTILINE)

# Directory -> the project's and LLVM's headers that it may include. Others (system, libraries) are free.
ALLOWED = {
    "tokenset": ["rshard/tokenset/"],
    "runtime": ["rshard/tokenset/", "rshard/runtime/"],
    "examples": ["rshard/runtime/"],
    "dialects": ["rshard/tokenset/", "RShard/", "NCCL/", "mlir/", "llvm/"],
    "tools/tokenizer": ["rshard/tokenset/", "tokenizer/"],
    # The compiler: no header of CUDA.
    "lib": ["rshard/", "RShard/", "NCCL/", "mlir/", "llvm/", "lld/"],
    "include": ["rshard/", "RShard/", "NCCL/", "mlir/", "llvm/"],
    "tools": ["rshard/", "RShard/", "NCCL/", "mlir/", "llvm/", "tokenizer/"],
}
GUARDED = ("rshard/", "RShard/", "NCCL/", "mlir/", "llvm/", "lld/", "clang/", "cuda")


def check(root):
    for directory, allowed in ALLOWED.items():
        sources = sorted(path for path in (root / directory).rglob("*") if path.suffix in (".h", ".cpp", ".c"))
        if not sources:
            yield f"{directory}: no sources"
        for source in sources:
            for header in INCLUDE.findall(source.read_text(encoding="utf-8")):
                if header.startswith(GUARDED) and not header.startswith(tuple(allowed)):
                    yield f"{source.relative_to(root)}: includes {header}: {directory} may include {', '.join(allowed)}"


def main():
    problems = list(check(Path(sys.argv[1])))
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
