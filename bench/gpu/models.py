"""Whole models against transformers: prefill and decoding of Llama-shaped models with random weights.

python3 models.py pack DIRECTORY      here, without a GPU: configurations and artifacts
python3 models.py run DIRECTORY [RESULTS.json] [SIZE...]     on the GPU, with PyTorch and transformers

Prefill is one step of a prompt whose last row's logits come back; decoding is one token a step at a context, logits
back too. Ours is wall time of Session::step on the host. The peer is the best of eager and torch.compile for the prefill,
and torch.compile with CUDA graphs and a static cache for decoding, by events on the device.
"""
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMON = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256, "max_position_embeddings": 131072,
          "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
          "dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2}
SIZES = {
    "1B": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True},
    "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": False},
}
PLANS = {"one": ["--comp", "1", "--attn", "1x1", "--ranks", "1"],
         "figure": ["--comp", "4", "--attn", "4x4", "--cluster", "2", "--period", "7", "--ranks", "1"]}
PROMPTS, CONTEXTS = (128, 2048, 8192), (1024, 8192)
DECODED, REPEATS = 64, 5


def pack(directory):
    for size, keys in SIZES.items():
        model = directory / size
        model.mkdir(parents=True, exist_ok=True)
        (model / "config.json").write_text(json.dumps(COMMON | keys))
        for plan, options in PLANS.items():
            subprocess.run([ROOT / "build" / "bin" / "rshard", "compile", model, "--target", "cuda", "--weights", "random:1", *options,
                            "-o", directory / f"{size}.{plan}.rshard"], check=True)
    (directory / "run-artifact").write_bytes((ROOT / "build" / "bin" / "run-artifact").read_bytes())
    (directory / "run-artifact").chmod(0o755)


def ours(directory, size, plan):
    """{("prefill", rows) or ("decode", context): seconds of a step}, medians."""
    numbers = random.Random(3)
    requests, keys = [], []
    for key in [("prefill", rows) for rows in PROMPTS] + ([("decode", context) for context in CONTEXTS] if plan == "one" else []):
        tokens = [numbers.randrange(128256) for _ in range(key[1])]
        for _ in range(REPEATS + 1 if key[0] == "prefill" else 2):  # the first one warms up
            requests.append({"tokens": tokens} | ({"new_tokens": DECODED + 1} if key[0] == "decode" else {}))
            keys.append(key)
    done = subprocess.run([directory / "run-artifact", directory / f"{size}.{plan}.rshard", "random:1"],
                          input=json.dumps(requests), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    results = {}
    for key, result in zip(keys, json.loads(done.stdout), strict=True):
        seconds = result["prompt_seconds"] if key[0] == "prefill" else result["token_seconds"] / DECODED
        results.setdefault(key, []).append(seconds)
    return {key: statistics.median(samples[1:]) for key, samples in results.items()}


def peer(size):
    """The same of transformers, and how it was reached."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

    def seconds(call, count):
        for _ in range(2):
            call()
        samples = []
        for _ in range(count):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            torch.cuda.synchronize()
            samples.append(begin.elapsed_time(end) / 1e3)
        return statistics.median(samples)

    config = LlamaConfig(**{key: value for key, value in (COMMON | SIZES[size]).items() if key not in ("architectures", "dtype")},
                         attn_implementation="sdpa")
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    results = {}
    with torch.no_grad():
        for rows in PROMPTS:
            ids = torch.randint(0, 128256, (1, rows), device="cuda")
            times = {"eager": seconds(lambda: model(ids, logits_to_keep=1, use_cache=False), REPEATS)}
            compiled = torch.compile(model)
            times["torch.compile"] = seconds(lambda: compiled(ids, logits_to_keep=1, use_cache=False), REPEATS)
            torch._dynamo.reset()
            best = min(times, key=times.get)
            results["prefill", rows] = times[best], best
        for context in CONTEXTS:
            cache = StaticCache(config=config, max_cache_len=context + 2 * DECODED)
            ids = torch.randint(0, 128256, (1, context), device="cuda")
            model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            compiled = torch.compile(model, mode="reduce-overhead", fullgraph=True)
            token, place = torch.tensor([[5]], device="cuda"), torch.tensor([[context]], device="cuda")

            def step():
                torch.compiler.cudagraph_mark_step_begin()
                compiled(token, past_key_values=cache, position_ids=place, use_cache=True, logits_to_keep=1)
            for _ in range(3):
                step()
            results["decode", context] = seconds(step, 20), "torch.compile, graphs, static cache"
            torch._dynamo.reset()
            del cache
    del model
    torch.cuda.empty_cache()
    return results


def run(directory, output, sizes):
    import torch
    report = []
    for size in sizes or SIZES:
        begin = time.time()
        first = ours(directory, size, "one")
        theirs = peer(size)
        second = ours(directory, size, "one")
        sharded = ours(directory, size, "figure")
        for key, (reference, how) in theirs.items():
            own = min(first[key], second[key])
            row = {"size": size, "what": key[0], "tokens": key[1], "ours_ms": own * 1e3, "both_ms": [first[key] * 1e3, second[key] * 1e3],
                   "peer_ms": reference * 1e3, "peer": how, "ratio": reference / own}
            if key in sharded:
                row |= {"figure_ms": sharded[key] * 1e3, "tax": sharded[key] / own}
            report.append(row)
            print(f"{size} {key[0]} {key[1]:5}: ours {own * 1e3:.2f} ms ({first[key] * 1e3:.2f}, {second[key] * 1e3:.2f}), {how} {reference * 1e3:.2f} ms, "
                  f"x {reference / own:.2f}" + (f"; 4 / 4x4 {sharded[key] * 1e3:.2f} ms, tax {sharded[key] / own:.2f}" if key in sharded else ""), flush=True)
        print(f"{size}: {time.time() - begin:.0f} s", flush=True)
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    if output:
        pathlib.Path(output).write_text(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": report}, indent=1))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("pack", "run"):
        sys.exit(__doc__)
    if sys.argv[1] == "pack":
        pack(pathlib.Path(sys.argv[2]))
    else:
        run(pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None, sys.argv[4:])
