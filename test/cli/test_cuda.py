"""`rshard run --target cuda` without a GPU: the driver is test/fakecuda, which runs the kernels as plain loops."""

import ctypes
import itertools
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from commandline import GOLDEN, LLAMA, ROOT, RSHARD, ids, refuse, relative_error, run_json, succeed

PTXAS = ROOT / "test" / "fakecuda" / "ptxas"
MODELS = ["bert-tiny", "gpt2-tiny", "llama-tiny", "qwen2-tiny", "smol-tiny"]
PLANS = {
    "single": ["--comp", 1, "--attn", "1x1", "--ranks", 1, "--activations", "bf16"],
    "figure": ["--comp", 4, "--attn", "4x4", "--cluster", 2, "--period", 7, "--activations", "f16"],
    "thirds": ["--comp", 3, "--attn", "3x2", "--ranks", 4, "--client-layers", "1,0", "--activations", "bf16"],
}
FIGURE = PLANS["figure"][:-2]
# Rounding to 8 and 11 bits, as it adds up in these models.
ALLOWED = {"bf16": 0.1, "f16": 0.01}
TOKENS = ["--tokens", "1,2,3", "--max-new-tokens", 4]


@pytest.fixture(autouse=True)
def driver(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(RSHARD.parent.parent / "test" / "fakecuda"))


def on_cuda(*options):
    return ["--target", "cuda", "--ptxas", PTXAS, *options]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("model", MODELS)
def test_golden_models(model, plan, tmp_path):
    golden = load_file(GOLDEN / model / "reference.safetensors")
    out = tmp_path / "out.npy"
    kind = "--hidden" if model == "bert-tiny" else "--logits"
    succeed("run", GOLDEN / model, *on_cuda(), *PLANS[plan], "--tokens",
            ids(golden["tokens_64"]), "--max-new-tokens", 0, kind, out)
    assert relative_error(np.load(out), golden["output_64"]) < ALLOWED[PLANS[plan][-1]]


@pytest.mark.parametrize("ranks", [[], ["--ranks", 1]])
def test_steps_and_decoding_agree_with_the_cpu(ranks, tmp_path):
    """C5, and the caches, counters and tables of many steps. On one rank a token has one partial, which is not merged."""
    prompt = ids(load_file(LLAMA / "reference.safetensors")["tokens_13"])
    common = ["--tokens", prompt, "--max-new-tokens", 12, *FIGURE, *ranks]
    whole = succeed("run", LLAMA, *on_cuda("--activations", "f16"), *common).out
    assert succeed("run", LLAMA, *on_cuda("--activations", "f16"), *common, "--chunk", 3).out == whole
    assert succeed("run", LLAMA, *common).out == whole


@pytest.mark.parametrize("rows", [256, 257])
def test_norms_in_epilogues(rows, tmp_path):
    """Beyond 256 rows products pass squares and factors on, where the norm was a kernel."""
    def logits(name, *options):
        succeed("run", LLAMA, "--tokens", ids((7 * i + 5) % 400 for i in range(rows)), "--max-new-tokens", 0, "--logits", tmp_path / name,
                *options)
        return np.load(tmp_path / name)
    assert relative_error(logits("cuda.npy", *on_cuda(), *PLANS["single"]), logits("cpu.npy")) < ALLOWED["bf16"]


@pytest.mark.parametrize("heads", [2, 32])
def test_rotation_in_products(heads, tmp_path):
    """Heads of 64: products rotate queries and keys themselves, for few rows of narrow weights another kernel does."""
    shape = {"hidden_size": 128, "num_attention_heads": heads, "num_key_value_heads": 1, "head_dim": 64}
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(json.loads((LLAMA / "config.json").read_text()) | shape))

    def logits(*options):
        out = tmp_path / "out.npy"
        succeed("run", model, "--weights", "random:5", "--tokens", ids(range(40, 60)), "--max-new-tokens", 0, "--logits", out, *options)
        return np.load(out)
    expected = logits()
    for activations, chunk in itertools.product(ALLOWED, (20, 3)):
        got = logits(*on_cuda("--activations", activations), "--chunk", chunk)
        assert relative_error(got, expected) < ALLOWED[activations]


@pytest.mark.parametrize("plan, graphs", [(PLANS["single"][:-2], 1), ([*FIGURE, "--ranks", 1], 7)])
def test_decoding_replays_graphs(plan, graphs, tmp_path, monkeypatch):
    """What a step of one token launches does not depend on the length of the caches, only on whose token it is."""
    monkeypatch.setenv("RSHARD_FAKE_CUDA", f"report={tmp_path / 'report'}")
    succeed("run", LLAMA, *on_cuda(), *plan, "--tokens", ids(range(20)), "--max-new-tokens", 41, "--ignore-eos")
    launches, made, replayed = map(int, (tmp_path / "report").read_text().split())
    # 40 steps of one token; each kind is launched when it comes first and captured when it comes again.
    assert made <= graphs and replayed >= 40 - graphs, (launches, made, replayed)


def test_artifact_and_its_messages(tmp_path):
    """C7: messages between the ranks of a device are messages; rows of bf16 are half as long."""
    artifact = tmp_path / "llama.rshard"
    succeed("compile", LLAMA, *on_cuda(), *FIGURE, "-o", artifact)
    run, cpu = run_json(artifact, "--model", LLAMA, *TOKENS), run_json(LLAMA, *TOKENS, *FIGURE)
    assert run["tokens"] == cpu["tokens"] and run["ranks"] == 21
    assert run["bytes"] == {name: count if name.startswith("down") else count // 2
                            for name, count in cpu["bytes"].items()}
    refuse("run", artifact, "--model", LLAMA, *TOKENS, "--target", "cpu", status=2,
           match="code is generated: --target")


@pytest.mark.parametrize("size", [12, 264])
def test_heads_that_kernels_cannot_do(size, tmp_path):
    refuse("compile", LLAMA, *on_cuda("--config", f"head_dim={size}", "--weights", "random:1"), "-o", tmp_path / "llama.rshard",
           match=f"head size: {size} vs a multiple of 8 up to 256")


def test_plan_file_that_leaves_types_open(tmp_path):
    plan, out = tmp_path / "plan.json", tmp_path / "planned.mlir"
    succeed("plan", LLAMA, *FIGURE, "-o", plan)
    stated = json.loads(plan.read_text())
    assert stated.pop("types") == {"activations": "f32", "partials": "f32"}
    # A plan that was printed says f32, and is not given other types.
    refuse("compile", LLAMA, "--plan", plan, *on_cuda(), "-o", tmp_path / "llama.rshard",
           match="activations are f32 vs bf16 or f16")
    plan.write_text(json.dumps(stated))

    def types(*options):
        succeed("compile", LLAMA, "--plan", plan, *options, "--to", "planned", "-o", out)
        printed = tmp_path / "printed.json"
        succeed("plan", out, "-o", printed)
        return json.loads(printed.read_text())["types"]
    assert types() == {"activations": "f32", "partials": "f32"}
    assert types("--target", "cuda") == {"activations": "bf16", "partials": "f32"}
    assert types("--target", "cuda", "--activations", "f16", "--partials", "f16") == {"activations": "f16", "partials": "f16"}
    # What it says stays, and an option may repeat it.
    plan.write_text(json.dumps(stated | {"types": {"activations": "f16"}}))
    assert types("--target", "cuda") == {"activations": "f16", "partials": "f32"}
    assert types("--target", "cuda", "--activations", "f16", "--partials", "f16") == {"activations": "f16", "partials": "f16"}
    refuse("compile", LLAMA, "--plan", plan, *on_cuda("--activations", "bf16"), "-o", out,
           match=f"{plan}: error: plan: activations are f16 vs bf16, which is asked for$")
    plan.write_text(json.dumps(stated))
    succeed("run", LLAMA, "--plan", plan, *on_cuda(), *TOKENS)


@pytest.mark.parametrize("machine, match", [
    ("devices=0", "the CUDA driver: no CUDA-capable device is detected"),
    ("capability=80", r"device 0 \(Fake GPU\) has compute capability 8.0, the artifact's kernels are for sm_90a"),
    ("memory=300000", r"device 0 \(Fake GPU\) has 300000 bytes free, \S+ (MB|bytes) are needed: "
                      r"\S+ (MB|bytes) for weights and \S+ (MB|bytes) for the session"),
])
def test_other_machines(machine, match, monkeypatch, tmp_path):
    monkeypatch.setenv("RSHARD_FAKE_CUDA", machine)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = refuse("run", LLAMA, *on_cuda(), *TOKENS, match=match)
    # Only how much memory is needed takes a compilation to know.
    assert ("compiling" in done.errors) == machine.startswith("memory")


@pytest.mark.parametrize("memory, plan, match", [
    (1000000, FIGURE, r"for the session; all nodes on one rank \(--ranks 1\) fit$"),
    (1000000, ["--comp", 1, "--attn", "1x1", "--ranks", 1, "--capacity", 512], r"; \d+ of 512 positions fit$"),
])
def test_what_fits(memory, plan, match, monkeypatch):
    monkeypatch.setenv("RSHARD_FAKE_CUDA", f"memory={memory}")
    refuse("run", LLAMA, *on_cuda(), *plan, *TOKENS, match=f"(?m){match}")


def test_rows_that_registers_do_not_hold(tmp_path):
    """Found out before a kernel is built."""
    refuse("compile", LLAMA, "--weights", "random:1", "--config", "hidden_size=65536", "--config", "head_dim=16", "--target", "cuda",
           "--ptxas", "/bin/false", "-o", tmp_path / "out",
           match="'rshard.norm' op normalises 65536 elements at once vs at most 32768, which the registers of a block hold$")


def test_positions_whose_angles_kernels_cannot_number():
    """Found out before memory is: heads have 16 elements, an angle's number 32 bits."""
    many = 2**32 // 16 + 1
    refuse("run", LLAMA, *on_cuda("--config", f"max_position_embeddings={many}", "--capacity", many), *TOKENS,
           match=rf": capacity of {many} positions, the 32 bits in which kernels number angles allow 1 to {many - 1}$")


def test_device_that_is_not_there():
    refuse("run", LLAMA, *on_cuda("--device", 1), *TOKENS, match="device 1: the CUDA driver shows 1 device")


def has_driver():
    try:
        return ctypes.CDLL("libcuda.so.1") is not None
    except OSError:
        return False


@pytest.mark.skipif(has_driver(), reason="this machine has a driver")
def test_no_driver(monkeypatch, tmp_path):
    monkeypatch.delenv("LD_LIBRARY_PATH")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = refuse("run", LLAMA, *on_cuda(), *TOKENS, match="(?m)^error: no CUDA driver on this machine: libcuda.so.1")
    assert "compiling" not in done.errors
