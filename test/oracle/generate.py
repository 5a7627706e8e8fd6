#!/usr/bin/env python3
"""Makes a small random model of any supported architecture, as a Hugging Face directory.

Weights are spread so that attention is far from uniform. With --reference the oracle also writes
reference.safetensors in the form of test/golden: tokens_N and output_N, hidden_64_i, greedy_13_48.

usage: generate.py ARCHITECTURE DIRECTORY [--seed N] [--dtype float32|float16|bfloat16]
                   [--shards N] [--reference] [KEY=JSON ...]

KEY=JSON sets a key of config.json, e.g. num_hidden_layers=6 sliding_window=16 attention_bias=true
'rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}'
"""

import argparse
import json
from pathlib import Path

import numpy as np

from checkpoint import write_file, write_json
from model import load

LENGTHS = (1, 2, 13, 64, 173)

# Values of `rope_parameters`.
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

DECODER = {
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "dtype": "float32",
    "eos_token_id": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 176,
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "tie_word_embeddings": False,
    "vocab_size": 499,
}
QWEN = {"use_sliding_window": False, "sliding_window": None, "max_window_layers": 28}
DEFAULTS = {
    "LlamaForCausalLM": {**DECODER, "model_type": "llama", "attention_bias": False, "mlp_bias": False},
    "MistralForCausalLM": {**DECODER, "model_type": "mistral", "sliding_window": 16},
    "Qwen2ForCausalLM": {**DECODER, **QWEN, "model_type": "qwen2", "tie_word_embeddings": True},
    # Qwen3 states its head size, which is not hidden / heads.
    "Qwen3ForCausalLM": {**DECODER, **QWEN, "model_type": "qwen3", "head_dim": 24, "attention_bias": False},
    "GPT2LMHeadModel": {
        "activation_function": "gelu_new",
        "bos_token_id": 1,
        "dtype": "float32",
        "eos_token_id": 2,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_embd": 64,
        "n_head": 4,
        "n_inner": None,
        "n_layer": 3,
        "n_positions": 512,
        "tie_word_embeddings": True,
        "vocab_size": 499,
    },
    "BertModel": {
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_size": 64,
        "intermediate_size": 256,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "bert",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "type_vocab_size": 2,
        "vocab_size": 499,
    },
}


def linear(shapes, name, out, inputs, bias):
    shapes[name + ".weight"] = (out, inputs)
    if bias:
        shapes[name + ".bias"] = (out,)


def norm(shapes, name, width, bias=True):
    shapes[name + ".weight"] = (width,)
    if bias:
        shapes[name + ".bias"] = (width,)


def decoder_shapes(c):
    s, width, inner = {}, c["hidden_size"], c["intermediate_size"]
    d, architecture = c["head_dim"], c["architectures"][0]
    q, kv = c["num_attention_heads"] * d, c["num_key_value_heads"] * d
    bias = architecture == "Qwen2ForCausalLM" or c.get("attention_bias", False)
    s["model.embed_tokens.weight"] = (c["vocab_size"], width)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        norm(s, p + "input_layernorm", width, False)
        norm(s, p + "post_attention_layernorm", width, False)
        linear(s, p + "self_attn.q_proj", q, width, bias)
        linear(s, p + "self_attn.k_proj", kv, width, bias)
        linear(s, p + "self_attn.v_proj", kv, width, bias)
        linear(s, p + "self_attn.o_proj", width, q, bias and architecture != "Qwen2ForCausalLM")
        if architecture == "Qwen3ForCausalLM":
            norm(s, p + "self_attn.q_norm", d, False)
            norm(s, p + "self_attn.k_norm", d, False)
        linear(s, p + "mlp.gate_proj", inner, width, c.get("mlp_bias", False))
        linear(s, p + "mlp.up_proj", inner, width, c.get("mlp_bias", False))
        linear(s, p + "mlp.down_proj", width, inner, c.get("mlp_bias", False))
    norm(s, "model.norm", width, False)
    if not c["tie_word_embeddings"]:
        linear(s, "lm_head", c["vocab_size"], width, False)
    return s


def gpt2_shapes(c):
    s, width = {}, c["n_embd"]
    inner = c.get("n_inner") or 4 * width
    p = "transformer."
    s[p + "wte.weight"] = (c["vocab_size"], width)
    s[p + "wpe.weight"] = (c["n_positions"], width)
    for i in range(c["n_layer"]):
        h = f"{p}h.{i}."
        norm(s, h + "ln_1", width)
        norm(s, h + "ln_2", width)
        for name, out, inputs in (
            ("attn.c_attn", 3 * width, width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", inner, width),
            ("mlp.c_proj", width, inner),
        ):
            s[h + name + ".weight"] = (inputs, out)  # Conv1D
            s[h + name + ".bias"] = (out,)
    norm(s, p + "ln_f", width)
    if not c["tie_word_embeddings"]:
        linear(s, "lm_head", c["vocab_size"], width, False)
    return s


def bert_shapes(c):
    s, width, inner = {}, c["hidden_size"], c["intermediate_size"]
    s["embeddings.word_embeddings.weight"] = (c["vocab_size"], width)
    s["embeddings.position_embeddings.weight"] = (c["max_position_embeddings"], width)
    s["embeddings.token_type_embeddings.weight"] = (c["type_vocab_size"], width)
    norm(s, "embeddings.LayerNorm", width)
    for i in range(c["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        for name in ("query", "key", "value"):
            linear(s, p + "attention.self." + name, width, width, True)
        linear(s, p + "attention.output.dense", width, width, True)
        norm(s, p + "attention.output.LayerNorm", width)
        linear(s, p + "intermediate.dense", inner, width, True)
        linear(s, p + "output.dense", width, inner, True)
        norm(s, p + "output.LayerNorm", width)
    return s


def random_tensor(generator, name, shape, config):
    noise = generator.standard_normal(shape)
    if name.endswith(".bias"):
        return 0.1 * noise
    if len(shape) == 1:  # the gain of a norm
        return 1 + 0.1 * noise
    if "embed" in name or name.endswith(("wte.weight", "wpe.weight")):
        return noise * (0.5 if "position" in name or "wpe" in name else 1)
    fan_in = shape[0] if config["model_type"] == "gpt2" and name != "lm_head.weight" else shape[1]
    sharpness = 1.7 if any(part in name for part in ("q_proj", "k_proj", "query", "key", "c_attn")) else 1
    return sharpness * noise / np.sqrt(fan_in)


def write_model(directory, architecture, seed=0, dtype="float32", shards=1, **keys):
    """Writes config.json and the weights; keys override those of config.json, None included."""
    config = {"architectures": [architecture], **DEFAULTS[architecture], **keys, "dtype": dtype}
    shapes = {"gpt2": gpt2_shapes, "bert": bert_shapes}.get(config["model_type"], decoder_shapes)(config)
    generator = np.random.default_rng(seed)
    tensors = {name: random_tensor(generator, name, shape, config) for name, shape in shapes.items()}
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "config.json", config)
    if shards == 1:
        write_file(directory / "model.safetensors", tensors, dtype)
        return
    names, where = sorted(tensors), {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[i::shards]}
        where.update({name: file for name in part})
        write_file(directory / file, part, dtype)
    write_json(directory / "model.safetensors.index.json", {
        "metadata": {"total_size": sum(t.size for t in tensors.values()) * (4 if dtype == "float32" else 2)},
        "weight_map": where,
    })


def write_reference(directory, seed=1):
    """reference.safetensors, computed by the oracle in float64 and stored as float32."""
    model = load(directory)
    generator = np.random.default_rng(seed)
    reference = {}
    draw = lambda n: generator.integers(3, model.config["vocab_size"], n).astype(np.int32)
    for length in LENGTHS:
        model.restart()
        tokens = draw(length)
        output, hidden = model.step(tokens)
        reference[f"tokens_{length}"], reference[f"output_{length}"] = tokens, output
        if length == 64:
            reference.update({f"hidden_64_{i}": rows for i, rows in enumerate(hidden)})
    if model.causal:
        reference["greedy_13_48"] = np.asarray(model.greedy(reference["tokens_13"], 48), np.int32)
    write_file(Path(directory) / "reference.safetensors", reference, "float32")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("architecture", choices=sorted(DEFAULTS))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("keys", nargs="*")
    a = parser.parse_intermixed_args()
    keys = {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in a.keys)}
    write_model(a.directory, a.architecture, a.seed, a.dtype, a.shards, **keys)
    if a.reference:
        write_reference(a.directory, a.seed + 1)


if __name__ == "__main__":
    main()
