"""Writes a model directory like another one, changed as asked, with weights of zeros: the importer
reads names, types and shapes alone.

usage: fixture.py FROM TO [KEY=JSON | --drop TENSOR | --add TENSOR SHAPE | --shape TENSOR SHAPE |
                           --type TENSOR TYPE | --rename OLD NEW | --prefix TEXT | --file NAME TEXT] ...

--drop and --type take patterns; --rename and --prefix change every name; --file writes another file.
"""

import fnmatch
import json
import shutil
import struct
import sys
from math import prod
from pathlib import Path

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I8": 1}


def read_header(path):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    return {name: [entry["dtype"], entry["shape"]] for name, entry in header.items() if name != "__metadata__"}


def write_zeros(path, tensors):
    header, offset = {}, 0
    for name in sorted(tensors):
        kind, shape = tensors[name]
        size = prod(shape) * SIZES[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


def main(source, target, *changes):
    source, target = Path(source), Path(target)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tensors = read_header(source / "model.safetensors")
    changes = list(changes)
    while changes:
        change = changes.pop(0)
        if change == "--drop":
            for name in fnmatch.filter(list(tensors), changes.pop(0)):
                del tensors[name]
        elif change in ("--add", "--shape"):
            name, shape = changes.pop(0), json.loads(changes.pop(0))
            tensors[name] = [tensors.get(name, ["F32"])[0], shape]
        elif change == "--type":
            pattern, kind = changes.pop(0), changes.pop(0)
            for name in fnmatch.filter(list(tensors), pattern):
                tensors[name][0] = kind
        elif change == "--rename":
            old, new = changes.pop(0), changes.pop(0)
            tensors = {name.replace(old, new): entry for name, entry in tensors.items()}
        elif change == "--prefix":
            text = changes.pop(0)
            tensors = {text + name: entry for name, entry in tensors.items()}
        elif change == "--file":
            (target / changes.pop(0)).write_text(changes.pop(0), encoding="utf-8")
        else:
            key, value = change.split("=", 1)
            config[key] = json.loads(value)
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_zeros(target / "model.safetensors", tensors)


main(*sys.argv[1:])
