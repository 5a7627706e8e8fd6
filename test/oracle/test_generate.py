"""Random models, and the parts of the oracle that no golden model reaches."""

import subprocess
import sys

import numpy as np
import pytest

import generate
from checkpoint import read_directory, read_file
from model import attention, load
from rope import inverse_frequencies

TOKENS = np.random.default_rng(5).integers(0, 499, 48)
BIASED = {"attention_bias": True, "mlp_bias": True}


def output(directory, architecture, **keys):
    generate.write_model(directory, architecture, **keys)
    return load(directory).step(TOKENS)[0]


@pytest.mark.parametrize("architecture", sorted(generate.DEFAULTS))
def test_every_architecture(tmp_path, architecture):
    generate.write_model(tmp_path, architecture, seed=3)
    generate.write_reference(tmp_path)
    reference = read_file(tmp_path / "reference.safetensors")
    for length in generate.LENGTHS:
        assert len(reference[f"tokens_{length}"]) == len(reference[f"output_{length}"]) == length
    assert np.isfinite(reference["output_173"]).all()
    assert ("greedy_13_48" in reference) == (architecture != "BertModel")


@pytest.mark.parametrize("keys", [BIASED, {"rope_parameters": generate.LINEAR}, {"rope_parameters": generate.LLAMA3}])
def test_keys_change_the_output(tmp_path, keys):
    assert not np.allclose(output(tmp_path, "LlamaForCausalLM"), output(tmp_path, "LlamaForCausalLM", **keys))


def test_older_rope_keys(tmp_path):
    newer = output(tmp_path, "LlamaForCausalLM", rope_parameters=generate.LINEAR)
    older = {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}}
    assert np.array_equal(newer, output(tmp_path, "LlamaForCausalLM", rope_parameters=None, **older))


def test_llama3_frequencies():
    plain = inverse_frequencies({"rope_theta": 500000.0}, 64)
    scaled = inverse_frequencies({"rope_parameters": generate.LLAMA3}, 64)
    wavelength = 2 * np.pi / plain
    short, long = wavelength < 64 / 4.0, wavelength > 64 / 1.0
    assert short.any() and long.any() and not (short | long).all()
    assert np.array_equal(scaled[short], plain[short])
    assert np.allclose(scaled[long], plain[long] / 8, rtol=1e-15)
    between = ~(short | long)
    smooth = (64 / wavelength[between] - 1.0) / (4.0 - 1.0)
    assert np.allclose(scaled[between], (1 - smooth) * plain[between] / 8 + smooth * plain[between], rtol=1e-14)


def test_window_by_brute_force():
    generator = np.random.default_rng(0)
    q, k, v = (generator.standard_normal((9, heads, 4)) for heads in (4, 2, 2))
    actual = attention(q, k, v, 0, window=3).reshape(9, 4, 4)
    for row in range(9):
        for head in range(4):
            seen = [key for key in range(9) if 0 <= row - key < 3]
            weights = np.exp([q[row, head] @ k[key, head // 2] / 2 for key in seen])
            expected = sum(w * v[key, head // 2] for w, key in zip(weights, seen)) / weights.sum()
            assert np.allclose(actual[row, head], expected, rtol=1e-12)


def test_window_reaches_only_so_far(tmp_path):
    """Over L layers a row sees L * (window - 1) positions back and not one more."""
    generate.write_model(tmp_path, "MistralForCausalLM", sliding_window=4, num_hidden_layers=2)
    model = load(tmp_path)
    before = model.step(TOKENS)[0]
    model.restart()
    changed = TOKENS.copy()
    changed[10] = (changed[10] + 1) % 499
    after = model.step(changed)[0]
    moved = np.flatnonzero(np.abs(after - before).max(-1) > 0)
    assert moved.tolist() == list(range(10, 10 + 2 * 3 + 1))


@pytest.mark.parametrize("architecture", ["Qwen2ForCausalLM", "Qwen3ForCausalLM"])
def test_layer_types(tmp_path, architecture):
    types = ["full_attention", "sliding_attention", "sliding_attention"]
    window = {"use_sliding_window": True, "sliding_window": 4}
    by_list = output(tmp_path, architecture, layer_types=types, **window)
    by_count = output(tmp_path, architecture, max_window_layers=1, **window)
    assert np.array_equal(by_list, by_count)
    assert not np.allclose(by_list, output(tmp_path, architecture))


def test_storage(tmp_path):
    """Several files, and bf16 as the nearest neighbours of the same random values."""
    single = output(tmp_path / "a", "LlamaForCausalLM", dtype="bfloat16")
    split = output(tmp_path / "b", "LlamaForCausalLM", dtype="bfloat16", shards=3)
    assert np.array_equal(single, split)
    generate.write_model(tmp_path / "c", "LlamaForCausalLM")
    exact, rounded = (read_directory(tmp_path / name)[1] for name in ("c", "a"))
    for name, values in exact.items():
        assert np.abs(rounded[name] - values).max() <= np.abs(values).max() * 2.0**-8


def test_command_line(tmp_path):
    command = [sys.executable, generate.__file__, "LlamaForCausalLM", tmp_path, "--reference", "num_hidden_layers=6"]
    subprocess.run(command, check=True)
    assert read_directory(tmp_path)[0]["num_hidden_layers"] == 6
    assert "hidden_64_6" in read_file(tmp_path / "reference.safetensors")
