"""Attention kernels beside cuDNN: attention.py requests > FILE, emit-kernels FILE DIR, attention.py run DIR [RESULTS.json].

All numbers of a table are of one run on one GPU. Every kernel is compared with float64 before it is timed.
  round robin  random order, single launches between events, median: all kernels see the same clocks
  sustained    a tenth of a second back to back, mean of two: launch gaps and power limits included
Inputs rotate, so that no launch finds its own in the second-level cache. TFLOP/s count 4 d for every visible pair of
query and key and every head. Needs a Hopper GPU and PyTorch with cuDNN, and test/gpu/{kernels,launch}.py.
"""
import json
import math
import pathlib
import random
import statistics
import sys
import time

SHAPES = ((8, 2048), (2, 8192), (1, 16384))  # batch, tokens
HEADS = {128: 16, 64: 32}
DECODE = (8192, 16384, 32768, 65536, 131072)
DECODE_HEADS = (32, 8)
SETS = 3  # of inputs


def requests():
    out = {}
    for width, heads in HEADS.items():
        for batch in sorted({batch for batch, _ in SHAPES} | {1}):
            for result in ("bf16", "f32"):
                out[f"any {width} {heads * batch} {result}"] = {"heads": heads * batch, "width": width, "result": result}
    for width in (128, 64):
        for rows in (1, 4, 16):
            out[f"decode {width} {rows}"] = {"heads": DECODE_HEADS[0], "keyHeads": DECODE_HEADS[1], "width": width, "result": "f32", "rows": rows}
    return {name: {"kernel": "attention", "element": "bf16"} | request for name, request in out.items()}


class Bench:
    def __init__(self, directory):
        import torch
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test" / "gpu"))
        from kernels import load
        self.torch = torch
        torch.manual_seed(3)
        random.seed(3)
        self.kernels = dict(zip(requests(), load(directory), strict=True))
        self.counters = torch.zeros(4096, dtype=torch.int32, device="cuda")
        self.partials = torch.empty(1 << 20, device="cuda")
        self.rows = []

    def event(self):
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def round_robin(self, launches, rounds=10):
        """Median milliseconds of each of the named launches; a launch takes the number of the set of inputs."""
        for launch in launches.values():
            for i in range(SETS):
                launch(i)
        times = {name: [] for name in launches}
        count = 0
        for _ in range(rounds):
            for name in random.sample(list(launches), len(launches)):
                for _ in range(2):
                    count += 1
                    begin = self.event()
                    launches[name](count % SETS)
                    times[name].append((begin, self.event()))
        self.torch.cuda.synchronize()
        return {name: statistics.median(a.elapsed_time(b) for a, b in pairs) for name, pairs in times.items()}

    def sustained(self, launch, estimate, seconds=0.1):
        """Mean milliseconds of launches back to back."""
        count = max(6, int(seconds * 1000 / estimate))
        means = []
        for _ in range(2):
            self.torch.cuda.synchronize()
            time.sleep(0.05)
            begin = self.event()
            for i in range(count):
                launch(i % SETS)
            end = self.event()
            self.torch.cuda.synchronize()
            means.append(begin.elapsed_time(end) / count)
        return statistics.mean(means)

    def random_rows(self, rows, columns):
        return self.torch.randn(rows, columns, device="cuda", dtype=self.torch.bfloat16)

    def check(self, name, width, q, k, v, first, last, o, lse, group=1):
        """Some rows of some heads against float64."""
        torch = self.torch
        rows = torch.randperm(q.shape[0], device="cuda")[:200]
        rows = rows[(first < last)[rows]]
        index = torch.arange(k.shape[0], device="cuda")
        seen = (index >= first[rows][:, None]) & (index < last[rows][:, None])
        heads = q.shape[1] // width
        for head in {0, heads - 1, random.randrange(heads)}:
            def part(x, h):
                return x[:, h * width: (h + 1) * width].double()
            scores = part(q, head)[rows] @ part(k, head // group).T / math.sqrt(width)
            scores = scores.masked_fill(~seen, -math.inf)
            expected = torch.softmax(scores, -1) @ part(v, head // group)
            error = float((part(o, head)[rows] - expected).norm() / expected.norm())
            lse_error = float((lse[rows, head].double() - torch.logsumexp(scores, -1)).abs().max())
            if not (error < 8e-3 and lse_error < 1e-3):
                sys.exit(f"{name}: head {head}: error {error:.2e}, lse {lse_error:.2e}")

    def own(self, kernel, width, inputs, first, last, name):
        """A launch on any of the inputs, checked."""
        torch = self.torch
        heads = kernel_heads = inputs[0][0].shape[1] // width
        result = torch.float32 if name.endswith("f32") else torch.bfloat16
        o = torch.empty(inputs[0][0].shape, device="cuda", dtype=result)
        lse = torch.empty(inputs[0][0].shape[0], kernel_heads, device="cuda")
        launches = [kernel.prepare(q, k, v, first, last, o, lse, self.partials, self.counters, 0, q, first) for q, k, v in inputs]
        for (q, k, v), launch in list(zip(inputs, launches))[:1]:
            o.fill_(math.nan)
            launch()
            self.check(name, width, q, k, v, first, last, o, lse, heads // (k.shape[1] // width))
        return lambda i: launches[i % len(launches)]()

    def cudnn(self, inputs, causal):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        import torch.nn.functional as functional

        def launch(i):
            q, k, v = inputs[i]
            with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return launch

    def add(self, table, case, launches, work, unit, scale):
        """Times the launches and notes `work` per second."""
        robin = self.round_robin(launches)
        for name, launch in launches.items():
            self.rows.append({"table": table, "case": case, "kernel": name, "unit": unit,
                              "round robin": work[name] / robin[name] * scale if isinstance(work, dict) else work / robin[name] * scale,
                              "sustained": (work[name] if isinstance(work, dict) else work) / self.sustained(launch, robin[name]) * scale})

    def prefill(self, width):
        torch, heads = self.torch, HEADS[width]
        for batch, tokens in SHAPES:
            shape = (batch, tokens, heads, width)
            sets = [[torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(3)] for _ in range(SETS)]
            of_cudnn = [[x.transpose(1, 2) for x in one] for one in sets]
            # The batch as further heads of a row, and as further rows.
            as_heads = [[x.transpose(0, 1).reshape(tokens, -1) for x in one] for one in sets]
            as_rows = [[x.reshape(batch * tokens, -1) for x in one] for one in sets]
            index = torch.arange(tokens, device="cuda", dtype=torch.int32)
            for mask in ("full", "causal"):
                first, last = torch.zeros_like(index), index + 1 if mask == "causal" else torch.full_like(index, tokens)
                starts = torch.arange(batch, device="cuda", dtype=torch.int32).repeat_interleave(tokens) * tokens
                launches = {"cuDNN": self.cudnn(of_cudnn, mask == "causal")}
                for result in ("bf16", "f32"):
                    kernel = self.kernels[f"any {width} {heads * batch} {result}"]
                    launches[f"own, {result}"] = self.own(kernel, width, as_heads, first, last, f"{mask} {tokens} {result}")
                if batch > 1:
                    launches["own, bf16, batch in rows"] = self.own(self.kernels[f"any {width} {heads} bf16"], width, as_rows,
                                                                    starts + first.repeat(batch), starts + last.repeat(batch), f"{mask} {tokens} rows bf16")
                pairs = int((last - first).long().sum()) * batch * heads
                self.add(f"d {width}, {heads} heads", f"{mask} {tokens} x{batch}", launches, 4.0 * width * pairs, "TFLOP/s", 1e-9)

    def token_sets(self):
        """Causal masks over shards of non-contiguous tokens, with as many rows and keys."""
        torch, width, heads = self.torch, 128, HEADS[128]
        for tokens in (8192, 16384):
            inputs = [[self.random_rows(tokens, heads * width) for _ in range(3)] for _ in range(SETS)]
            index = torch.arange(tokens, device="cuda")

            def cluster(size, shard):  # of 4
                return index // size * size * 4 + shard * size + index % size
            sets = {"contiguous": (index, index), "striped, period 4": (index * 4 + 1, index * 4 + 2)}
            for size in (16, 128, 512):
                sets[f"clusters of {size}, same shard"] = (cluster(size, 1), cluster(size, 1))
                sets[f"clusters of {size}, later keys"] = (cluster(size, 1), cluster(size, 2))
            launches, work = {}, {}
            for name, (query, key) in sets.items():
                last = torch.searchsorted(key, query, right=True).int()
                launches[name] = self.own(self.kernels[f"any {width} {heads} bf16"], width, inputs, torch.zeros_like(last), last, f"{name} bf16")
                work[name] = 4.0 * width * heads * int(last.long().sum())
            self.add("token sets, d 128, 16 heads, causal", f"{tokens}", launches, work, "TFLOP/s", 1e-9)

    def copy_bandwidth(self):
        source = self.torch.empty(1 << 30, dtype=self.torch.uint8, device="cuda").random_()
        target = self.torch.empty_like(source)
        milliseconds = self.sustained(lambda i: target.copy_(source), 0.8)
        return 2 * source.numel() / milliseconds * 1e-6

    def graph(self, launches, count):
        """Seconds of one launch among many of a replayed graph."""
        torch = self.torch
        for launch in launches:
            launch()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for i in range(count):
                launches[i % len(launches)]()
        graph.replay()
        times = []
        for _ in range(5):
            begin = self.event()
            graph.replay()
            times.append((begin, self.event()))
        torch.cuda.synchronize()
        return statistics.median(a.elapsed_time(b) for a, b in times) / count

    def decode(self):
        torch = self.torch
        copy = self.copy_bandwidth()
        self.rows.append({"table": "decode", "case": "device copy", "kernel": "copy_", "unit": "GB/s", "sustained": copy})
        heads, key_heads = DECODE_HEADS
        for width, rows, lengths in ((128, 1, DECODE), (64, 1, (8192, 32768, 131072)), (128, 4, (32768,)), (128, 16, (32768,))):
            kernel = self.kernels[f"decode {width} {rows}"]
            for length in lengths:
                capacity = length + 100
                cache_bytes = 2 * length * key_heads * width * 2
                sets = max(2, math.ceil((256 << 20) / cache_bytes))
                k, v = (self.random_rows(capacity * sets, key_heads * width) for _ in range(2))
                q = self.random_rows(rows, heads * width)
                first = torch.zeros(rows, dtype=torch.int32, device="cuda")
                source = torch.arange(rows, dtype=torch.int32, device="cuda")
                last = torch.arange(length - rows + 1, length + 1, dtype=torch.int32, device="cuda")
                launches = []
                for i in range(sets):
                    inputs = q, k[i * capacity: (i + 1) * capacity], v[i * capacity: (i + 1) * capacity]
                    o, lse = torch.full((rows, heads * width), math.nan, device="cuda"), torch.empty(rows, heads, device="cuda")
                    launches.append(kernel.prepare(*inputs, first, last, o, lse, self.partials, self.counters, 0, q, source))
                    if i == 0:
                        launches[0]()
                        self.check(f"decode {width} {length}", width, *inputs, first, last, o, lse, heads // key_heads)
                count = max(len(launches), int(40 / (cache_bytes / 2.5e9)))
                milliseconds = self.graph(launches, min(count, 2000))
                rate = cache_bytes / milliseconds * 1e-6
                self.rows.append({"table": "decode", "case": f"d {width}, {rows} rows, {length} keys", "kernel": kernel.name, "unit": "GB/s",
                                  "sustained": rate, "microseconds": milliseconds * 1e3, "of copy": rate / copy})

    def print(self):
        tables = {}
        for row in self.rows:
            tables.setdefault(row["table"], {}).setdefault(row["case"], {})[row["kernel"]] = row
        for table, cases in tables.items():
            if table == "decode":
                print(f"\n{'decode, 32/8 heads, graph replay':36} {'GB/s':>8} {'us':>8} {'of copy':>8}")
                for case, kernels in cases.items():
                    row = next(iter(kernels.values()))
                    print(f"{case:36} {row['sustained']:8.0f} {row.get('microseconds', math.nan):8.1f} {row.get('of copy', math.nan):8.2f}")
                continue
            for mode in ("round robin", "sustained"):
                print(f"\n{table}: TFLOP/s, {mode} (in brackets: x the first column)")
                for case, kernels in cases.items():
                    reference = next(iter(kernels.values()))[mode]
                    print(f"  {case:14} " + "  ".join(f"{name} {row[mode]:.0f} ({row[mode] / reference:.2f})" for name, row in kernels.items()))


def run(directory, results):
    import torch
    bench = Bench(directory)
    begin = time.time()
    for part in (lambda: bench.prefill(128), lambda: bench.prefill(64), bench.token_sets, bench.decode):
        part()
        torch.cuda.empty_cache()
    bench.print()
    print(f"\n{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {time.time() - begin:.0f} s")
    if results:
        pathlib.Path(results).write_text(json.dumps({"device": torch.cuda.get_device_name(), "rows": bench.rows}, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "requests":
        json.dump(list(requests().values()), sys.stdout)
    else:
        run(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
