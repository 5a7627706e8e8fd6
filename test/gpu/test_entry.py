"""Attention-only programs on a GPU beside PyTorch in the same type, both against float64.

usage: test_entry.py modules DIRECTORY           writes the programs, NAME.mlir
       test_entry.py DIRECTORY ATTEND ON_DEVICE
  DIRECTORY  with NAME.PLAN.TYPE.rshard, as scripts/gpu-test.sh compiles them
  ATTEND     the program rshard-example-attend, which gives rows in the host's memory
  ON_DEVICE  the program attend-on-device, which gives them in the GPU's

A program passes if its error, max abs over max abs, is at most 1.5 times that of PyTorch on the same device, and its
bits are the same from either memory.
"""
import pathlib
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "examples"))

from attention_program import module
from tally import Tally

# Mask, query heads, key heads, head size.
PROGRAMS = {
    "causal": ("causal", 32, 8, 128),
    "window": ("window 100", 6, 2, 64),
    "full": ("full", 4, 4, 80),
}
STEPS = [[1], [700], [300, 1, 1, 17, 1, 380]]
ALLOWED = 1.5


def attend(torch, rows, mask):
    """PyTorch's attention of [rows, heads, head size], in the type of the rows."""
    query, key, value = (part.transpose(0, 1)[None] for part in rows)
    behind = torch.arange(query.shape[2], device="cuda")[:, None] - torch.arange(query.shape[2], device="cuda")[None]
    visible = torch.ones_like(behind, dtype=torch.bool)
    if mask != "full":
        visible &= behind >= 0
    if mask.startswith("window"):
        visible &= behind < int(mask.split()[1])
    key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], dim=1) for part in (key, value))
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
    return out[0].transpose(0, 1).double()


def error_of(actual, exact):
    return float((actual - exact).abs().max() / exact.abs().max())


def check(torch, artifact, programs):
    """Problems of one artifact, and its error over PyTorch's."""
    name, _, kind, _ = artifact.name.split(".")
    mask, heads, key_heads, size = PROGRAMS[name]
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[kind]
    torch.manual_seed(1)
    problems, worst = [], 0.0
    for steps in STEPS if mask != "full" else STEPS[:2]:
        rows = [torch.randn(sum(steps), count, size, device="cuda").to(dtype) for count in (heads, key_heads, key_heads)]
        exact = attend(torch, [part.double() for part in rows], mask)
        allowed = max(error_of(attend(torch, rows, mask), exact), 1e-4)
        outputs = []
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder, part) for part in "qkv"]
            for file, part in zip(files, rows, strict=True):
                file.write_bytes(part.view(torch.int16).cpu().numpy().tobytes())
            for program in programs:
                done = subprocess.run([program, artifact, *files, *map(str, steps)], capture_output=True)
                if done.returncode:
                    return [done.stderr.decode().strip()[-500:]], float("nan")
                outputs.append(done.stdout)
        if any(output != outputs[0] for output in outputs):
            problems.append(f"steps {steps}: other bits from the device's memory than from the host's")
        actual = torch.frombuffer(bytearray(outputs[0]), dtype=torch.float32).reshape(exact.shape).cuda().double()
        error = error_of(actual, exact)
        if not error <= ALLOWED * allowed:
            problems.append(f"steps {steps}: error {error:.2e} vs {ALLOWED} x {allowed:.2e}")
        worst = max(worst, error / allowed)
    return problems, worst


def main(directory, *programs):
    if directory == "modules":
        for name, program in PROGRAMS.items():
            pathlib.Path(programs[0], f"{name}.mlir").write_text(module(*program, positions=1024), encoding="utf-8")
        return 0
    import torch

    tally = Tally()
    for artifact in sorted(pathlib.Path(directory).glob("*.rshard")):
        problems, worst = check(torch, artifact, programs)
        tally.add(artifact, problems, worst)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
