"""Attention against float64: python3 test_attention.py requests > FILE, emit-kernels FILE DIR, python3 test_attention.py run DIR [SECONDS].

Random shapes and token sets (contiguous, striped, clustered, random subsets, windows, several sequences in one launch,
rows that see nothing), queries scaled up to 20 times, outputs poisoned with NaN and followed by guard rows, keys and
values followed by NaN. Three launches must agree to the bit. A partial that is continued over pieces of the keys must
agree with one pass, and one that is continued by nothing must not change.
"""
import json
import math
import random
import sys
import time

# query heads, key heads, head size
MODELS = ((4, 4, 16), (4, 2, 16), (8, 2, 8), (9, 3, 8), (9, 3, 64), (32, 8, 64), (32, 8, 128), (16, 16, 128), (8, 2, 256))
OTHERS = ((12, 12, 32), (8, 8, 80), (8, 4, 96), (4, 4, 24), (4, 4, 40), (3, 1, 160), (2, 2, 192), (20, 1, 64), (71, 1, 64))
FEW_ROWS = (1, 16)  # one request for each size of rows with a variant of its own


def requests():
    out = []
    for heads, key_heads, width in MODELS + OTHERS:
        for element in ("bf16", "f16"):
            for result in (element, "f32"):
                if (heads, key_heads, width) in OTHERS and (element, result) not in (("bf16", "f32"), ("f16", "f16")):
                    continue
                base = {"kernel": "attention", "heads": heads, "keyHeads": key_heads, "width": width, "element": element, "result": result}
                out += [base] + [base | {"rows": rows} for rows in FEW_ROWS]
    for width in (64, 128, 256):
        base = {"kernel": "attention", "heads": 4, "keyHeads": 2, "width": width, "element": "bf16", "result": "f32", "softCap": 5.0}
        out += [base, base | {"rows": 1}]
    return out


class Attention:
    """The launches of one request."""

    def __init__(self, torch, request, kernel):
        types = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
        self.torch, self.request, self.kernel = torch, request, kernel
        self.heads, self.key_heads, self.width = request["heads"], request["keyHeads"], request["width"]
        self.element, self.result = types[request["element"]], types[request["result"]]
        self.few = request.get("rows")
        self.scale = self.width ** -0.5
        self.counters = torch.zeros(8192, dtype=torch.int32, device="cuda")
        self.partials = torch.empty(1 << 24, dtype=torch.float32, device="cuda") if self.few else self.counters.float()

    def outputs(self, rows):
        """o and lse, poisoned, with guard rows."""
        torch = self.torch
        o = torch.full((rows + 5, self.heads * self.width), math.nan, device="cuda", dtype=self.result)
        return o, torch.full((rows + 5, self.heads), math.nan, device="cuda")

    def launch(self, q, k, v, first, last, o, lse, continues):
        rows = q.shape[0]
        self.partials.fill_(math.nan)
        source = self.torch.arange(rows, device="cuda", dtype=self.torch.int32)
        pool = q
        if self.few:  # the queries lie among others, in any order, and q itself is not read
            source = self.torch.randperm(3 * rows, device="cuda", dtype=self.torch.int32)[:rows]
            pool = self.torch.full((3 * rows, q.shape[1]), math.nan, device="cuda", dtype=q.dtype)
            pool[source.long()] = q
            q = self.torch.full_like(q, math.nan)
        self.kernel(q, k, v, first, last, o[:rows], lse[:rows], self.partials, self.counters, int(continues), pool, source)
        self.torch.cuda.synchronize()

    def expected(self, q, k, v, first, last):
        torch, rows, keys = self.torch, q.shape[0], k.shape[0]
        q, k, v = (x.double().reshape(x.shape[0], x.shape[1] // self.width, self.width) for x in (q, k, v))
        group = self.heads // self.key_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = torch.einsum("ihd,jhd->hij", q, k) * self.scale
        if cap := self.request.get("softCap"):
            scores = cap * torch.tanh(scores / cap)
        index = torch.arange(keys, device="cuda")
        seen = (index >= first[:, None]) & (index < last[:, None])
        scores = scores.masked_fill(~seen, -math.inf)
        lse = torch.logsumexp(scores, -1) if keys else torch.full((self.heads, rows), -math.inf, device="cuda", dtype=torch.float64)
        weights = torch.exp(scores - torch.where(lse == -math.inf, 0.0, lse)[..., None])
        return torch.einsum("hij,jhd->ihd", weights, v).reshape(rows, self.heads * self.width), lse.T


def lists(torch, rng, kind, rows, keys):
    """first and last of a random token set of this kind."""
    span = rows + keys + rng.choice((0, 10, 3000))

    def subset(count):
        return torch.randperm(span, device="cuda")[:count].sort().values

    def arange(count):
        return torch.arange(count, device="cuda")

    def clusters(count, size, phase):
        return arange(count) // size * size * 3 + arange(count) % size + phase * size

    zeros = torch.zeros(rows, dtype=torch.long, device="cuda")
    if kind == "full":
        return zeros, zeros + keys
    if kind == "sequences":  # several, one behind the other, in rows and in keys
        count = rng.choice((2, 3, 8))
        sequence = arange(rows) * count // max(rows, 1)
        begin = (sequence * keys) // count
        row = arange(rows) - (sequence * rows + count - 1) // count
        return begin, torch.minimum(begin + row + 1, ((sequence + 1) * keys) // count)
    if kind == "any":
        first = torch.randint(0, keys + 1, (rows,), device="cuda").sort().values
        return first, torch.maximum(first, torch.randint(0, keys + 1, (rows,), device="cuda").sort().values)
    positions = {
        "contiguous": lambda: (arange(rows) + max(keys - rows, 0), arange(keys)),
        "shifted": lambda: (arange(rows), arange(keys) + rng.randint(-keys, rows + 5)),
        "striped": lambda: (arange(rows) * 3 + rng.randint(0, 2), arange(keys) * 3 + rng.randint(0, 2)),
        "clustered": lambda: (clusters(rows, size := rng.choice((2, 64, 128)), rng.randint(0, 2)), clusters(keys, size, rng.randint(0, 2))),
        "subsets": lambda: (subset(rows), subset(keys)),
        "window": lambda: (subset(rows), subset(keys)),
    }[kind]()
    query, key = positions
    last = torch.searchsorted(key, query, right=True)
    if kind != "window":
        return zeros, last
    size = rng.choice((1, 7, 100, 256, 1000))
    return torch.searchsorted(key, query - size, right=True), last


KINDS = ("full", "contiguous", "shifted", "striped", "clustered", "subsets", "window", "sequences", "any")


class Checks:
    def __init__(self):
        self.count, self.failed, self.worst = 0, 0, {}

    def add(self, good, text, family=None, error=0.0):
        self.count += 1
        if family:
            self.worst[family] = max(self.worst.get(family, 0.0), error)
        if not good:
            self.failed += 1
            if self.failed <= 40:
                print("FAILED", text)


def bits(torch, x):
    return x.view(torch.int16 if x.element_size() == 2 else torch.int32)


def check_case(torch, rng, attention, rows, keys, kind, checks):
    element = attention.element
    magnitude = rng.choice((1, 1, 5, 20))

    def random_rows(count, heads, behind):
        whole = torch.full((count + behind, heads * attention.width), math.nan, device="cuda", dtype=element)
        whole[:count] = torch.randn(count, heads * attention.width, device="cuda")
        return whole

    q = random_rows(rows, attention.heads, 3)[:rows] * magnitude
    whole_k, whole_v = (random_rows(keys, attention.key_heads, 70) for _ in range(2))
    k, v = whole_k[:keys], whole_v[:keys]
    first, last = (x.to(torch.int32) for x in lists(torch, rng, kind, rows, keys))
    # Few rows are attended over the whole cache: what lies behind the last key may be anything.
    passed_k, passed_v = (whole_k, whole_v) if attention.few else (k, v)
    text = f"{attention.kernel.name} rows {rows} keys {keys} {kind} x{magnitude}"
    runs = []
    for _ in range(3):
        o, lse = attention.outputs(rows)
        attention.launch(q, passed_k, passed_v, first, last, o, lse, False)
        runs.append((o, lse))
    o, lse = runs[0]
    same = all(torch.equal(bits(torch, a), bits(torch, b)) for other in runs[1:] for a, b in zip(runs[0], other))
    checks.add(same, f"{text}: bits differ between launches")
    checks.add(bool(o[rows:].isnan().all() and lse[rows:].isnan().all()), f"{text}: guard rows written")
    checks.add(not bool(attention.counters.any()), f"{text}: counters left at {attention.counters.nonzero()[:4].tolist()}")
    expected_o, expected_lse = attention.expected(q, k, v, first, last)

    def compare(o, lse, what):
        error = float((o[:rows].double() - expected_o).norm() / expected_o.norm().clamp(min=1e-30))
        finite = expected_lse != -math.inf
        lse_error = float(((lse[:rows].double() - expected_lse).abs() / expected_lse.abs().clamp(min=1))[finite].max()) if finite.any() else 0.0
        empty = bool((lse[:rows][~finite] == -math.inf).all()) and not bool(o[:rows].reshape(rows, attention.heads, attention.width)[~finite].any())
        bound = 8e-3 if element == torch.bfloat16 or attention.result == torch.bfloat16 else 1.5e-3
        family = (what, "few" if attention.few else "any", attention.request["element"], attention.request["result"])
        checks.add(error <= bound and lse_error <= 1e-4 and empty,
                   f"{text}, {what}: error {error:.2e} (bound {bound}), lse {lse_error:.2e}, rows without keys right {empty}", family, error)

    compare(o, lse, "one pass")
    if not keys:
        return
    # Continued by nothing: the same numbers. Not always the same bits: adding 0 makes 0 of the -0 that a small value
    # becomes in f16.
    before = o.clone(), lse.clone()
    nothing = torch.zeros_like(first)
    attention.launch(q, passed_k, passed_v, nothing, nothing, o, lse, True)
    checks.add(torch.equal(o[:rows], before[0][:rows]) and torch.equal(lse[:rows], before[1][:rows]),
               f"{text}: continued by nothing, but changed")
    # The keys in pieces.
    o, lse = attention.outputs(rows)
    cuts = sorted({0, keys, *(rng.randint(0, keys) for _ in range(2))})
    for begin, end in zip(cuts, cuts[1:]):
        piece_first, piece_last = ((x - begin).clamp(0, end - begin) for x in (first, last))
        attention.launch(q, k[begin:end], v[begin:end], piece_first, piece_last, o, lse, begin > 0)
    compare(o, lse, f"{'f32' if attention.result == torch.float32 else '16-bit'} pieces")


def run(directory, seconds):
    import torch
    from kernels import load
    rng, checks = random.Random(5), Checks()
    torch.manual_seed(5)
    kernels = list(zip(requests(), load(directory), strict=True))
    end, passes = time.time() + seconds, 0
    while time.time() < end or not passes:
        for request, kernel in kernels:
            attention = Attention(torch, request, kernel)
            few = attention.few
            for kind in KINDS if not passes else rng.sample(KINDS, 2):
                rows = rng.randint(1, few) if few else rng.choice((1, 2, 63, 64, 65, 127, 128, 129, 200, 257, 500, 1024, 1500))
                keys = rng.choice((1, 2, 7, 64, 127, 128, 129, 160, 255, 300, 512, 1000, 1777) + ((5000, 20000) if few else ()))
                check_case(torch, rng, attention, rows, keys, kind, checks)
            if not passes:
                check_case(torch, rng, attention, few or 130, 0, "full", checks)
                attention.launch(*(torch.empty(0, heads * attention.width, device="cuda", dtype=attention.element) for heads in
                                   (attention.heads, attention.key_heads, attention.key_heads)),
                                 *(torch.empty(0, device="cuda", dtype=torch.int32),) * 2, *attention.outputs(0), False)
        passes += 1
    for family, error in sorted(checks.worst.items()):
        print(f"{' '.join(family):34} worst error {error:.2e}")
    print(f"{checks.count - checks.failed} passed, {checks.failed} failed, {passes} rounds")
    return checks.failed


if __name__ == "__main__":
    if sys.argv[1] == "requests":
        json.dump(requests(), sys.stdout)
    else:
        sys.exit(1 if run(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 30.0) else 0)
