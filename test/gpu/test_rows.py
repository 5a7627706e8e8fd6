"""Row kernels against float64: python3 test_rows.py requests > FILE, emit-kernels FILE DIR, python3 test_rows.py run DIR.

Every kernel gets 0, 1 and a few rows, outputs poisoned with NaN, guard rows behind the end that must stay as they are,
and three launches that must agree to the bit.
"""
import json
import math
import sys

ELEMENTS = ("bf16", "f16")
WIDTHS = (64, 72, 576, 4096, 14336, 499, 48)
HEADS = ((9, 8), (4, 16), (32, 128), (9, 64), (3, 64), (5, 6))
ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu")


def requests():
    out = []
    for element in ELEMENTS:
        for width in WIDTHS:
            base = {"width": width, "element": element}
            out += [base | {"kernel": kernel} for kernel in ("activation", "add", "add_row", "gather", "append")]
            out.append(base | {"kernel": "append", "count": 2})
            for activation in ACTIVATIONS:
                out += [base | {"kernel": kernel, "activation": activation} for kernel in ("activation", "gated")]
            for kind in ("rms", "layer"):
                out += [base | {"kernel": "norm", "kind": kind, "bias": bias} for bias in (False, True)]
                out += [base | {"kernel": "norm", "kind": kind, "unscaled": True}]
            if width % 64 == 0:
                out.append(base | {"kernel": "norm_factors"})
            out.append(base | {"kernel": "embed", "table": element})
            out.append(base | {"kernel": "embed", "table": "f32", "constant": True, "accumulate": True})
        for heads, width in HEADS:
            base = {"heads": heads, "width": width, "element": element}
            out += [base | {"kernel": "rope"}, base | {"kernel": "norm", "kind": "rms"}]
            out.append(base | {"kernel": "rope", "keyHeads": -(-heads // 3)})
            out += [base | {"kernel": "merge", "partial": partial} for partial in ("f32", element)]
    return out


def activate(torch, kind, x):
    if kind is None:
        return x
    functional = torch.nn.functional
    return {"silu": functional.silu, "gelu": functional.gelu, "relu": functional.relu,
            "gelu_tanh": lambda v: functional.gelu(v, approximate="tanh")}[kind](x)


class Case:
    """The arguments of one launch, and what it must write where."""

    def __init__(self, torch, request, rows, generator):
        self.torch, self.request, self.rows, self.generator = torch, request, rows, generator
        self.element = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[request["element"]]
        self.width = request["width"] * request.get("heads", 1)
        self.widths = [self.width]  # of the outputs
        getattr(self, request["kernel"])()

    def random(self, *shape, dtype=None, scale=1.0):
        value = self.torch.randn(*shape, generator=self.generator, device="cuda", dtype=self.torch.float32) * scale
        return value.to(dtype or self.element)

    def integers(self, count, below):
        return self.torch.randint(0, below, (count,), generator=self.generator, device="cuda", dtype=self.torch.int32)

    def outputs(self):
        """[rows + 3 guards, width] each: NaN, or `start` where the kernel adds to it."""
        wholes = [self.torch.full((self.rows + 3, width), math.nan, device="cuda", dtype=self.element) for width in self.widths]
        if self.start is not None:
            wholes[0][: self.rows] = self.start
        return wholes

    def finish(self, arguments, expected, start=None):
        """`expected` has a matrix for each output, one beside the other. Outputs are arguments where these are None, else the last."""
        self.arguments, self.expected, self.start = arguments, expected, start
        if None not in arguments:
            arguments += [None] * len(self.widths)

    def activation(self):
        x = self.random(self.rows, self.width, scale=3)
        self.finish([x], activate(self.torch, self.request.get("activation"), x.double()))

    def gated(self):
        gate, up = self.random(self.rows, self.width, scale=3), self.random(self.rows, self.width)
        self.finish([gate, up], activate(self.torch, self.request["activation"], gate.double()) * up.double())

    def add(self):
        a, b = self.random(self.rows, self.width), self.random(self.rows, self.width)
        self.finish([a, b], a.double() + b.double())

    def add_row(self):
        x, row = self.random(self.rows, self.width), self.random(self.width, dtype=self.torch.float32)
        self.finish([x, row], x.double() + row.double())

    def gather(self):
        pool, source = self.random(self.rows + 5, self.width), self.integers(self.rows, self.rows + 5)
        self.finish([pool, source], pool.double()[source.long()])

    def append(self):
        count = self.request.get("count", 1)
        self.widths *= count
        pools, source = [self.random(self.rows + 5, self.width) for _ in self.widths], self.integers(self.rows, self.rows + 5)
        target = self.torch.randperm(self.rows, generator=self.generator, device="cuda").to(self.torch.int32)
        expected = self.torch.empty(self.rows, self.width * count, device="cuda", dtype=self.torch.float64)
        expected[target.long()] = self.torch.cat(pools, 1).double()[source.long()]
        self.finish([*pools, source, *[None] * count, target], expected)

    def norm(self):
        request, torch = self.request, self.torch
        x = self.random(self.rows, request.get("heads", 1), request["width"]) + 0.5
        scale = self.random(request["width"], dtype=torch.float32)
        bias = self.random(request["width"], dtype=torch.float32)
        v = x.double()
        if request["kind"] == "layer":
            v = v - v.mean(-1, keepdim=True)
        y = v / torch.sqrt((v * v).mean(-1, keepdim=True) + 1e-5)
        arguments = [x.reshape(self.rows, self.width)]
        if not request.get("unscaled"):
            y = y * scale.double()
            arguments.append(scale)
        if request.get("bias"):
            y = y + bias.double()
            arguments.append(bias)
        self.finish(arguments, y.reshape(self.rows, self.width))

    def norm_factors(self):
        self.element, self.widths = self.torch.float32, [1]
        squares = self.random(self.rows, self.width // 64).square() * 64
        mean = squares.double().sum(1, keepdim=True) / self.width
        self.finish([squares], (mean + 1e-5).rsqrt())

    def rope(self):
        torch, heads, d = self.torch, self.request["heads"], self.request["width"]
        more = self.request.get("keyHeads")
        self.widths += [more * d] if more else []
        heads += more or 0
        x, positions = self.random(self.rows, heads, d), self.integers(self.rows, 100)
        angles = torch.rand(100, d // 2, generator=self.generator, device="cuda") * 6
        table = torch.cat([angles.cos(), angles.sin()], 1)
        cos, sin = (part.double()[positions.long()][:, None] for part in (table[:, : d // 2], table[:, d // 2:]))
        a, b = x.double()[..., : d // 2], x.double()[..., d // 2:]
        y = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
        parts = x.reshape(self.rows, heads * d).split(self.widths, 1)
        self.finish([*[part.contiguous() for part in parts], positions, table], y.reshape(self.rows, heads * d))

    def embed(self):
        torch = self.torch
        dtype = torch.float32 if self.request["table"] == "f32" else self.element
        ids, table = self.integers(self.rows, 50), self.random(50, self.width, dtype=dtype)
        y, arguments, start = table.double()[ids.long()], [ids, table], None
        if self.request.get("constant"):
            constant = self.random(self.width, dtype=torch.float32)
            y, arguments = y + constant.double(), arguments + [constant]
        if self.request.get("accumulate"):
            start = self.random(self.rows, self.width)
            y = y + start.double()
        self.finish(arguments, y, start)

    def merge(self):
        torch, heads, d = self.torch, self.request["heads"], self.request["width"]
        dtype = torch.float32 if self.request["partial"] == "f32" else self.element
        counts = torch.randint(0, 11, (self.rows,), generator=self.generator, device="cuda")
        begin = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).to(torch.int32)
        total = int(begin[-1])
        o = self.random(total + 1, heads, d, dtype=dtype)
        lse = self.random(total + 1, heads, dtype=torch.float32, scale=5)
        lse[torch.rand(lse.shape, generator=self.generator, device="cuda") < 0.2] = -math.inf
        o[lse == -math.inf] = 0  # what saw no key (C3)
        source = torch.randperm(total, generator=self.generator, device="cuda").to(torch.int32)
        y = torch.zeros(self.rows, heads, d, device="cuda", dtype=torch.float64)
        for row in range(self.rows):
            part = source[begin[row]: begin[row + 1]].long()
            if len(part):
                l = lse[part].double()
                top = l.max(0).values
                w = torch.exp(l - torch.where(top == -math.inf, 0.0, top))
                total_weight = w.sum(0)
                y[row] = (w[..., None] * o[part].double()).sum(0) / torch.where(total_weight == 0, 1.0, total_weight)[:, None]
        self.finish([o.reshape(total + 1, self.width), lse, begin, source], y.reshape(self.rows, self.width))


def run(directory):
    import torch
    from kernels import load
    generator = torch.Generator("cuda").manual_seed(7)
    failures, checks, worst = 0, 0, {}
    for request, kernel in zip(requests(), load(directory), strict=True):
        for rows in (0, 1, 2, 37):
            case = Case(torch, request, rows, generator)
            results = []
            for _ in range(3):
                wholes = case.outputs()
                places = iter(wholes)
                kernel(*[next(places)[:rows] if argument is None else argument for argument in case.arguments])
                torch.cuda.synchronize()
                results.append(torch.cat(wholes, 1))
            y = results[0][:rows].double()
            error = float((y - case.expected).abs().max() / case.expected.abs().max().clamp(min=1e-30)) if rows else 0.0
            bound = {"bf16": 4.5e-3, "f16": 6e-4}[request["element"]]
            same = all(torch.equal(results[0].view(torch.int16), other.view(torch.int16)) for other in results[1:])
            guards = bool(results[0][rows:].isnan().all())
            checks += 1
            family = (request["kernel"], request["element"])
            worst[family] = max(worst.get(family, 0.0), error)
            if not (error <= bound and same and guards):
                failures += 1
                print(f"FAILED {kernel.name} rows {rows}: error {error:.2e} (bound {bound}), bits the same {same}, guards kept {guards}")
    for family, error in sorted(worst.items()):
        print(f"{family[0]:12} {family[1]:5} worst error {error:.2e}")
    print(f"{checks - failures} passed, {failures} failed")
    return failures


if __name__ == "__main__":
    if sys.argv[1] == "requests":
        json.dump(requests(), sys.stdout)
    else:
        sys.exit(1 if run(sys.argv[2]) else 0)
