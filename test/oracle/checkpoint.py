"""Reads and writes a Hugging Face directory: config.json and safetensors, with nothing but NumPy.

bf16 is read as the float32 of the same value; NumPy has no type for it.
"""

import json
from pathlib import Path

import numpy as np

STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int32": "I32"}


def read_file(path):
    """All tensors of one safetensors file: name -> array."""
    raw = np.memmap(path, np.uint8, "r")
    start = 8 + int(raw[:8].view("<u8")[0])
    tensors = {}
    for name, entry in json.loads(bytes(raw[8:start])).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(raw[start + begin : start + end].tobytes(), STORED[entry["dtype"]])
        if entry["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def read_directory(directory):
    """(config, tensors) of a model, whether in one file or in several with an index."""
    directory = Path(directory)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    index = directory / "model.safetensors.index.json"
    if not index.exists():
        return config, read_file(directory / "model.safetensors")
    files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    tensors = {}
    for name in sorted(set(files)):
        tensors.update(read_file(directory / name))
    return config, tensors


def encoded(values, kind):
    """The array's bytes in the type; f32 to bf16 rounds to nearest even."""
    if kind == "bfloat16":
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<"))


def write_file(path, tensors, kind=None):
    """Writes name -> array as safetensors, in the order of the names; integers keep their type."""
    header, offset, kinds = {"__metadata__": {"format": "pt"}}, 0, {}
    for name in sorted(tensors):
        values = tensors[name]
        kinds[name] = kind if kind and values.dtype.kind == "f" else values.dtype.name
        size = values.size * np.dtype(STORED[NAMES[kinds[name]]]).itemsize
        header[name] = {
            "dtype": NAMES[kinds[name]],
            "shape": list(values.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(tensors):
            encoded(tensors[name], kinds[name]).tofile(file)


def write_json(path, value):
    Path(path).write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
