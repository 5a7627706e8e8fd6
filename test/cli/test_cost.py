"""What compiling costs must not grow with the nodes nor with the layers (DESIGN section 4)."""

import pytest

from commandline import LLAMA, UNSHARDED, succeed
import generate

LARGE = ["--comp", "8", "--attn", "8x8", "--cluster", "2", "--period", "16"]


def size(model, phase, *plan):
    return len(succeed("compile", model, *plan, "--to", phase).out)


@pytest.mark.parametrize("phase", ["partitioned", "scheduled"])
def test_nodes(phase, record_property):
    one, many = size(LLAMA, phase, *UNSHARDED), size(LLAMA, phase, *LARGE)
    record_property("bytes of 1/1x1 and 8/8x8", f"{one} {many}")
    assert many <= 1.1 * one, (one, many)


@pytest.mark.parametrize("phase", ["partitioned", "scheduled"])
def test_layers(phase, tmp_path, record_property):
    sizes = []
    for layers in (3, 30):
        generate.write_model(tmp_path / str(layers), "LlamaForCausalLM", num_hidden_layers=layers)
        sizes.append(size(tmp_path / str(layers), phase))
    record_property("bytes of 3 and 30 layers", f"{sizes}")
    assert sizes[1] <= 1.1 * sizes[0], sizes


@pytest.mark.parametrize("plan", [UNSHARDED, [], LARGE], ids=["1/1x1", "figure", "8/8x8"])
def test_two_processes_compile_the_same_bytes(tmp_path, plan):
    for name in ("one", "two"):
        succeed("compile", LLAMA, *plan, "-o", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
