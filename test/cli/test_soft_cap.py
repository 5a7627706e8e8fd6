"""Capped scores: a golden model whose IR says `soft_cap`, compiled for both targets, against the reference interpreter."""

import re
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file

from commandline import LLAMA, ROOT, RSHARD, ids, relative_error, succeed

CAP = 0.5  # most of this model's scores are below 2
PLANS = {
    "single": ["--comp", 1, "--attn", "1x1", "--ranks", 1],
    "figure": ["--comp", 4, "--attn", "4x4", "--cluster", 2, "--period", 7],
    "client": ["--comp", 3, "--attn", "3x2", "--ranks", 4, "--client-layers", "1,0"],
}


@pytest.fixture(scope="module")
def tokens():
    return ids(load_file(LLAMA / "reference.safetensors")["tokens_64"])


@pytest.fixture(scope="module")
def capped(cache, tmp_path_factory):
    """llama-tiny with a cap in every layer, as IR."""
    path = tmp_path_factory.mktemp("capped") / "llama.mlir"
    text = succeed("compile", LLAMA, "--to", "model").out.decode()
    text, layers = re.subn(r"(rshard\.attention .* scale \S+)", rf"\1 soft_cap {CAP:e}", text)
    assert layers == 1
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def expected(capped, tokens, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "out.npy"
    subprocess.run([RSHARD.parent / "rshard-interpret", capped, "--weights", LLAMA, "--tokens", tokens, "-o", out], check=True)
    return np.load(out)


def test_caps_matter(expected):
    plain = load_file(LLAMA / "reference.safetensors")["output_64"]
    assert relative_error(expected, plain) > 0.01


@pytest.mark.parametrize("plan", PLANS)
def test_on_the_cpu(plan, capped, expected, tokens, tmp_path):
    common = ["--model", LLAMA, *PLANS[plan], "--tokens", tokens, "--max-new-tokens", 0]
    succeed("run", capped, *common, "--logits", tmp_path / "whole.npy")
    assert relative_error(np.load(tmp_path / "whole.npy"), expected) < 5e-5
    # Steps of few rows have kernels of their own, and continue what earlier steps have cached.
    succeed("run", capped, *common, "--chunk", 5, "--logits", tmp_path / "steps.npy")
    assert relative_error(np.load(tmp_path / "steps.npy"), expected) < 5e-5


@pytest.mark.parametrize("plan", PLANS)
def test_with_kernels_for_cuda(plan, capped, expected, tokens, tmp_path, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(RSHARD.parent.parent / "test" / "fakecuda"))
    succeed("run", capped, "--model", LLAMA, "--target", "cuda", "--ptxas", ROOT / "test" / "fakecuda" / "ptxas", *PLANS[plan],
            "--activations", "f16", "--tokens", tokens, "--max-new-tokens", 0, "--logits", tmp_path / "out.npy")
    assert relative_error(np.load(tmp_path / "out.npy"), expected) < 0.01
