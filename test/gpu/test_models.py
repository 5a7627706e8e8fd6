"""The golden models on a GPU: compiled programs beside PyTorch in the same type, both against float64.

usage: test_models.py ARTIFACTS MODELS RUN
  ARTIFACTS  directory with MODEL.PLAN.TYPE.rshard, as scripts/gpu-test.sh compiles them
  MODELS     directory with the models (test/golden)
  RUN        the program run-artifact

Errors are max abs over max abs of the float64 result, over all prompts together: that of a short prompt alone is the
luck of a few roundings. A program passes if its error is at most 1.5 times that of PyTorch on the same device, and its
greedy token the same as float64's wherever float64's two best logits differ by more than twice the error.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers
from safetensors.torch import load_file

from tally import Tally

TYPES = {"bf16": torch.bfloat16, "f16": torch.float16}
LENGTHS = (1, 2, 13, 64, 173)
LONGEST = 400  # more rows than norms of their own kernel have
ALLOWED = 1.5


def outputs(directory, dtype, prompts, implementation):
    """The model's outputs for every prompt: logits, or the last hidden state."""
    config = transformers.AutoConfig.from_pretrained(directory)
    kind = getattr(transformers, config.architectures[0])
    model = kind.from_pretrained(directory, dtype=dtype, attn_implementation=implementation).to("cuda").eval()
    results = []
    with torch.no_grad():
        for prompt in prompts:
            out = model(torch.tensor([prompt], device="cuda"))
            results.append((out.logits if hasattr(out, "logits") else out.last_hidden_state)[0].double().cpu().numpy())
    return results


def run(program, artifact, directory, requests):
    done = subprocess.run([program, artifact, directory], input=json.dumps(requests), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{artifact.name}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def error_of(results, exact):
    difference = max(numpy.abs(a - b).max() for a, b in zip(results, exact, strict=True))
    return float(difference / max(numpy.abs(b).max() for b in exact))


def check_artifact(program, artifact, directory, prompts, exact, peer, out):
    """Problems of one artifact, and its error over its peer's."""
    causal = exact[0].shape[-1] > 200
    requests = [{"tokens": prompt, "logits": str(out / f"{i}.npy")} for i, prompt in enumerate(prompts)]
    if causal:
        longest = prompts[-1]
        pieces = [5, 1, 1, 60, len(longest) - 67]
        requests.append({"tokens": longest, "steps": pieces, "logits": str(out / "pieces.npy")})
        requests.append({"tokens": prompts[2], "steps": [1] * len(prompts[2]), "logits": str(out / "single.npy")})
    run(program, artifact, directory, requests)
    names = [f"{i}.npy" for i in range(len(prompts))] + (["pieces.npy", "single.npy"] if causal else [])
    which = list(range(len(prompts))) + ([len(prompts) - 1, 2] if causal else [])
    results = [numpy.load(out / name).astype(numpy.float64) for name in names]
    error, allowed = error_of(results, [exact[index] for index in which]), max(peer, 1e-4)
    problems = [] if error <= ALLOWED * allowed else [f"error {error:.2e} vs {ALLOWED} x {allowed:.2e}"]
    scale = max(numpy.abs(exact[index]).max() for index in which)
    if causal:
        for name, result, index in zip(names, results, which, strict=True):
            reference = exact[index]
            best = numpy.sort(reference, axis=-1)
            clear = best[:, -1] - best[:, -2] > 2 * error * scale
            other = result.argmax(-1) != reference.argmax(-1)
            if (clear & other).any():
                problems.append(f"{name}: greedy token differs at {numpy.flatnonzero(clear & other)[:5].tolist()}")
    return problems, error / allowed


def main(artifacts, models, program):
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch)
        for directory in sorted(pathlib.Path(models).iterdir()):
            found = sorted(pathlib.Path(artifacts).glob(f"{directory.name}.*.rshard"))
            if not found:
                continue
            reference = load_file(directory / "reference.safetensors")
            prompts = [reference[f"tokens_{length}"].tolist() for length in LENGTHS]
            prompts.append((prompts[-1] * LONGEST)[:LONGEST])
            exact = outputs(directory, torch.float64, prompts, "eager")
            peers = {name: error_of(outputs(directory, dtype, prompts, "sdpa"), exact)
                     for name, dtype in TYPES.items()}
            for artifact in found:
                kind = artifact.name.split(".")[-2]
                try:
                    problems, worst = check_artifact(program, artifact, directory, prompts, exact, peers[kind], out)
                except RuntimeError as error:
                    problems, worst = [str(error)], float("nan")
                tally.add(artifact, problems, worst)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
