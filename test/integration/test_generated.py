"""Compiled programs on models that the oracle makes: what no golden model has."""

import os
import subprocess
from pathlib import Path

import pytest

import generate

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = Path(os.environ.get("RSHARD_BUILD", ROOT / "build")) / "bin" / "IntegrationTests"

FULL, SLIDING = "full_attention", "sliding_attention"

# Plans and client layers, of those that the tests know.
EVERYTHING = ["*_0_0", "*_1_1"]
# A few that reach every code path.
SOME = ["figure_0_0", "figure_1_1", "wide_1_0"]

# Name -> architecture, keys of config.json, which plans.
MODELS = {
    "six-layers": ("LlamaForCausalLM", {"num_hidden_layers": 6}, SOME),
    # The figure's period is 7: windows below it leave cells without keys.
    "mistral-narrow": ("MistralForCausalLM", {"sliding_window": 4}, EVERYTHING),
    "mistral-wide": ("MistralForCausalLM", {"sliding_window": 40}, SOME),
    "mistral-self": ("MistralForCausalLM", {"sliding_window": 1}, SOME),
    "qwen3-mixed": (
        "Qwen3ForCausalLM",
        {
            "num_hidden_layers": 5,
            "use_sliding_window": True,
            "sliding_window": 5,
            "layer_types": [SLIDING, FULL, SLIDING, SLIDING, FULL],
        },
        EVERYTHING,
    ),
    # Only the client's layer slides.
    "qwen3-client-slides": (
        "Qwen3ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 5, "layer_types": [SLIDING, FULL, FULL]},
        SOME,
    ),
    "qwen2-sliding": (
        "Qwen2ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 30, "max_window_layers": 1},
        SOME,
    ),
    "llama-biases-llama3": (
        "LlamaForCausalLM",
        {"attention_bias": True, "mlp_bias": True, "rope_parameters": generate.LLAMA3},
        SOME,
    ),
    "llama-linear-bf16": ("LlamaForCausalLM", {"rope_parameters": generate.LINEAR, "dtype": "bfloat16"}, SOME),
    "llama-f16-files": ("LlamaForCausalLM", {"dtype": "float16", "shards": 3}, SOME),
    "gpt2-untied": ("GPT2LMHeadModel", {"tie_word_embeddings": False, "n_inner": 100}, SOME),
    "bert": ("BertModel", {"type_vocab_size": 3, "num_hidden_layers": 4}, SOME),
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_model(tmp_path, name):
    architecture, keys, plans = MODELS[name]
    generate.write_model(tmp_path / "models" / name, architecture, seed=7, **keys)
    generate.write_reference(tmp_path / "models" / name)
    identifier = name.replace("-", "_")
    patterns = [f"*/{suite}.*/{identifier}_{plan}" for suite in ("GoldenTest", "SeparationTest") for plan in plans]
    done = subprocess.run(
        [TESTS, "--gtest_brief=1", "--gtest_filter=" + ":".join(patterns)],
        env={**os.environ, "RSHARD_TEST_MODELS": str(tmp_path / "models")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n[  PASSED  ]" in done.stdout and "[==========] 0 tests" not in done.stdout
