"""Matrix products against float64: python3 test_linear.py requests > FILE, emit-kernels FILE DIR, python3 test_linear.py run DIR.

Every schedule of every product gets 0, 1 and more rows, outputs poisoned with NaN, guard rows behind the end that must
stay as they are, and three launches that must agree to the bit; the first rows of many must have the bits of few.
"""
import json
import math
import sys

SCHEDULES = ("small8", "small16", "s64", "s128", "s256", "p128", "p192")
EPSILON = 1e-5
ROWS = (0, 1, 2, 8, 9, 16, 17, 37, 127, 128, 129, 300)
MANY = (1000, 2500)  # rows of the products that are not huge: several waves, bands and strips


def product(inputs, outputs, **rest):
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return {"kernel": "linear", "inputs": inputs, "outputs": outputs, "element": "bf16"} | rest


def products():
    """The products of the golden models, SmolLM2-135M and Llama 1B and 8B, then what their shapes do not reach."""
    gated = {"gated": True, "activation": "silu"}
    out = [product(64, [64, 32, 32]), product(64, 64, residual=True), product(64, 176, **gated),
           product(176, 64, residual=True), product(64, 499, result="f32"),  # llama-tiny
           product(64, [64, 16, 16], bias=True), product(64, 160, **gated), product(160, 64, residual=True),  # qwen2-tiny
           product(72, [72, 24, 24]), product(72, 192, **gated), product(192, 72, residual=True),  # smol-tiny
           product(64, [64, 64, 64], bias=True), product(64, 64, bias=True, residual=True),  # bert-tiny, gpt2-tiny
           product(64, 256, bias=True, activation="gelu"), product(64, 256, bias=True, activation="gelu_tanh"),
           product(256, 64, bias=True, residual=True), product(64, 512, result="f32")]
    for hidden, keys, inner, vocabulary in ((576, 192, 1536, 49152), (2048, 512, 8192, 128256), (4096, 1024, 14336, 128256)):
        out += [product(hidden, [hidden, keys, keys]), product(hidden, hidden, residual=True), product(hidden, inner, **gated),
                product(inner, hidden, residual=True), product(hidden, vocabulary, result="f32")]
    out += [product(512, 1000, activation="relu"), product(512, 1000, bias=True, activation="silu", residual=True),
            product(136, 328, gated=True, activation="gelu_tanh", bias=True), product(136, 320, gated=True, activation="gelu"),
            product(1024, [200, 56, 128], result="f32", bias=True), product(520, [192, 64, 8]),
            product(328, 264, gated=True, activation="relu", result="f32"),
            product(8, 8), product(24, 16, bias=True), product(1024, 7), product(1024, 1001, bias=True),
            # What the copy engine cannot address.
            product(100, 64, bias=True), product(62, [33, 31], residual=False), product(51, 20, residual=True), product(77, 40, **gated)]
    # f16 has its own instructions; the odd shapes are the same code.
    plain = len(out)
    out += [one | {"element": "f16"} for one in out[:17:3] + out[17:22] + out[-10:-4]]
    # Squares that one product sums, and factors that another takes.
    sums = [product(inputs, 576, residual=True, sumsSquares=True) for inputs in (72, 1536)]
    sums += [product(14336, 4096, residual=True, sumsSquares=True), product(192, 1088, bias=True, activation="gelu", sumsSquares=True)]
    takes = [one | {"norm": True, "factorsGiven": True} for one in (product(64, 64), product(576, 1536, **gated), product(192, [200, 56], bias=True),
             product(2048, [2048, 512, 512], rotatedHeads=40, headSize=64), product(4096, 14336, **gated),
             product(576, 576, residual=True, sumsSquares=True))]
    out += sums + takes
    # Normalised inputs: every number of rows of w in a block, parts of K for some warps, for all, and part of a part.
    out += [one | {"norm": True} for one in out[:plain] if one["inputs"] % 8 == 0 and "residual" not in one]
    # Queries and keys rotated on the way: whole heads in a tile, and parts of them.
    rotated = [product(64, [128, 64, 64], rotatedHeads=3, headSize=64), product(576, [576, 192, 192], rotatedHeads=12, headSize=64),
               product(2048, [2048, 512, 512], rotatedHeads=40, headSize=64), product(4096, [4096, 1024, 1024], rotatedHeads=40, headSize=128),
               product(512, [384, 192, 192], rotatedHeads=3, headSize=192), product(264, [512, 256, 256], rotatedHeads=3, headSize=256),
               product(128, 128, rotatedHeads=1, headSize=64)]
    out += rotated + [one | {"element": "f16"} for one in rotated[::3]] + [one | {"norm": True} for one in rotated[2:4]]
    # One row that is a partial of attention, among others.
    partial = [product(64, 64, residual=True), product(72, 72, residual=True), product(576, 576, residual=True),
               product(64, 64, bias=True, residual=True), product(2048, 2048, residual=True), product(4096, 4096, residual=True),
               product(136, [200, 56], bias=True), product(264, 1000, activation="relu", result="f32")]
    out += [one | {"element": element, "partial": kind} for one in partial for element in ("bf16", "f16") for kind in ("f32", element)]
    return out


def schedules(product):
    """Those that can run it: for few rows, narrow weights are not rotated."""
    if "partial" in product:
        return ["small8"]
    narrow = "rotatedHeads" in product and sum(product["outputs"]) <= 2112
    return [name for name in SCHEDULES if not narrow or "small" not in name]


def requests():
    return [one | {"schedule": schedule} for one in products() for schedule in schedules(one)]


def activate(torch, kind, x):
    if kind is None:
        return x
    functional = torch.nn.functional
    return {"silu": functional.silu, "gelu": functional.gelu, "relu": functional.relu,
            "gelu_tanh": lambda v: functional.gelu(v, approximate="tanh")}[kind](x)


def interleave(torch, gate, up):
    """Rows of two matrices in turn, in blocks of 8; a part of a block at the end."""
    blocks = [torch.cat([gate[i:i + 8], up[i:i + 8]]) for i in range(0, len(gate), 8)]
    return torch.cat(blocks)


def rotate(torch, x, heads, size, angles):
    """The first heads of x [rows, columns], each by angles [rows, size / 2]."""
    turned = x[:, :heads * size].reshape(len(x), heads, size)
    a, b = turned.chunk(2, dim=2)
    cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
    turned = torch.cat([a * cosines - b * sines, b * cosines + a * sines], dim=2)
    return torch.cat([turned.flatten(1), x[:, heads * size:]], dim=1)


def squares(x):
    """The sums of squares of every 64 columns of x [rows, columns]."""
    return x.double().square().unflatten(1, (-1, 64)).sum(2)


def raw(kernel):
    """Whether the kernel reads its inputs before the norm."""
    return "_norm_" in kernel.name or "_factors" in kernel.name


class Product:
    """The operands of one product for the most rows, and what it must give."""

    def __init__(self, torch, request, rows, generator):
        self.torch, self.request = torch, request
        types = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
        self.element = types[request["element"]]
        self.result = types[request.get("result", request["element"])]
        inputs, self.outputs = request["inputs"], request["outputs"]
        columns, gated = sum(self.outputs), request.get("gated")

        def random(*shape):
            return torch.randn(*shape, generator=generator, device="cuda", dtype=torch.float32)
        # Rows of a buffer that begins before the view and goes on behind it.
        buffer = torch.full((rows + 5, inputs), math.nan, device="cuda", dtype=self.element)
        buffer[2:2 + rows] = random(rows, inputs).to(self.element)
        self.x = buffer[2:2 + rows]
        weights = [(random(columns, inputs) * inputs ** -0.5).to(self.element) for _ in range(2 if gated else 1)]
        biases = [random(columns) for _ in weights] if request.get("bias") else []
        self.w = interleave(torch, *weights) if gated else weights[0]
        self.bias = interleave(torch, *biases) if len(biases) == 2 else biases[0] if biases else None
        self.residual = random(rows, columns).to(self.element) if request.get("residual") else None
        self.rotation = []
        if "rotatedHeads" in request:
            angles = torch.rand(500, request["headSize"] // 2, generator=generator, device="cuda", dtype=torch.float64) * 7
            table = torch.cat([angles.cos(), angles.sin()], dim=1).float()
            positions = torch.randint(0, len(table), (rows,), generator=generator, device="cuda", dtype=torch.int32)
            self.rotation = [positions, table]

        def finish(x, factor=1.0):
            sums = [x.double() @ w.double().t() * factor for w in weights]
            for i, bias in enumerate(biases):
                sums[i] += bias.double()
            y = activate(torch, request.get("activation"), sums[0])
            if gated:
                y = y * sums[1]
            if self.rotation:
                y = rotate(torch, y, request["rotatedHeads"], request["headSize"], angles[positions[:len(y)].long()])
            if self.residual is not None:
                y = y + self.residual.double()[:len(y)]
            return y.split(self.outputs, dim=1)
        if request.get("norm"):
            # Rows of any size: small ones show the epsilon.
            self.raw = (self.x * torch.logspace(-3, 2, rows, device="cuda")[:, None]).to(self.element)
            factor = (self.raw.double().square().mean(1, keepdim=True) + EPSILON).rsqrt()
            self.x.copy_(self.raw.double() * factor)
            self.own = finish(self.raw, factor)
            self.factor = factor.float()
        if request.get("partial"):
            self.partials = torch.full((7, inputs), math.nan, device="cuda", dtype=types[request["partial"]])
            self.source = torch.tensor([4], device="cuda", dtype=torch.int32)
            self.partials[4] = random(inputs)
            self.x.copy_(self.partials[4:5])
        self.expected = finish(self.x)

    def run(self, kernel, rows, in_place=False):
        """The result buffers: rows of results, then three guards."""
        torch = self.torch
        wholes = [torch.full((rows + 3, width), math.nan, device="cuda", dtype=self.result) for width in self.outputs]
        arguments = [self.x[:rows], self.w]
        if self.bias is not None:
            arguments.append(self.bias)
        if self.residual is not None:
            residual = self.residual[:rows]
            if in_place:
                wholes[0][:rows] = residual
                residual = wholes[0][:rows]
            arguments.append(residual)
        if self.rotation:
            arguments += [self.rotation[0][:rows], self.rotation[1]]
        arguments += [whole[:rows] for whole in wholes]
        if raw(kernel):
            arguments[0] = torch.full_like(self.x[:rows], math.nan)  # not read
            arguments.append(self.raw[:rows])
        if "_factors" in kernel.name:
            arguments.append(self.factor[:rows])
        if "_squares" in kernel.name:
            sums = torch.full((rows + 3, self.outputs[0] // 64), math.nan, device="cuda")
            wholes.append(sums)
            arguments.append(sums[:rows])
        if "_partial_" in kernel.name:
            arguments[0] = torch.full_like(self.x[:rows], math.nan)  # not read
            arguments += [self.partials, self.source]
        kernel(*arguments)
        torch.cuda.synchronize()
        return wholes

    def error(self, kernel, wholes, rows):
        worst = 0.0
        references = list(self.own if raw(kernel) else self.expected)
        if "_squares" in kernel.name:
            references.append(squares(references[0]))
        for whole, expected in zip(wholes, references):
            reference = expected[:rows]
            scale = reference.abs() + reference.square().mean().sqrt()
            error = float(((whole[:rows].double() - reference).abs() / scale).max()) if reference.numel() else 0.0
            worst = max(worst, error if error == error else math.inf)
        return worst


def run(directory):
    import torch
    from kernels import load
    torch.backends.cuda.matmul.allow_tf32 = False
    generator = torch.Generator("cuda").manual_seed(11)
    integer = {2: torch.int16, 4: torch.int32}

    def bits(wholes, rows):
        return [whole[:rows].view(integer[whole.element_size()]) for whole in wholes]

    def same(a, b, rows):
        return all(torch.equal(left, right) for left, right in zip(bits(a, rows), bits(b, rows)))

    kernels, failures, checks, worst = iter(load(directory)), 0, 0, {}
    for request in products():
        huge = sum(request["outputs"]) * request["inputs"] > 1 << 28
        counts = (1,) if "partial" in request else ROWS if huge else ROWS + MANY
        case = Product(torch, request, counts[-1], generator)
        bound = {"bf16": 5e-3, "f16": 7e-4, "f32": 4e-4}[request.get("result", request["element"])]
        most = {}
        for schedule in schedules(request):
            kernel = next(kernels)
            small = "small" in kernel.name  # slow for many rows
            usable = [rows for rows in counts if rows <= 300 or not small]
            for rows in reversed(usable):
                wholes = case.run(kernel, rows)
                again = [case.run(kernel, rows) for _ in range(2)]
                most.setdefault(kernel.name, wholes)
                error = case.error(kernel, wholes, rows)
                problems = [] if error <= bound else [f"error {error:.2e}, bound {bound}"]
                if not all(same(wholes, other, rows) for other in again):
                    problems.append("bits differ from launch to launch")
                if not same(wholes, most[kernel.name], rows):
                    problems.append("bits depend on the number of rows")
                if not all(bool(whole[rows:].isnan().all()) for whole in wholes):
                    problems.append("rows behind the end are touched")
                if case.residual is not None and rows == usable[-1]:
                    if not same(wholes, case.run(kernel, rows, in_place=True), rows):
                        problems.append("a result in the residual's place differs")
                checks += 1
                key = (schedule, request.get("result", request["element"]))
                worst[key] = max(worst.get(key, 0.0), error)
                if problems:
                    failures += 1
                    print(f"FAILED {kernel.name} rows {rows}: {'; '.join(problems)}")
        # Schedules of one kind have the same sums in the same order; s256 may have fewer parts.
        kinds = {}
        for name, wholes in most.items():
            kind = next(kind for kind in ("small", "s256", "s", "p") if name.startswith(f"linear_{kind}"))
            kinds.setdefault((kind, "_norm_" in name or "_factors" in name), []).append((name, wholes))
        for (name, first), *others in kinds.values():
            for other, wholes in others:
                checks += 1
                if not same(first, wholes, min(len(wholes[0]), len(first[0])) - 3):
                    failures += 1
                    print(f"FAILED {name} and {other} differ in a bit")
        del case, most
    for (schedule, result), error in sorted(worst.items()):
        print(f"{schedule:8} {result:5} worst error {error:.2e}")
    print(f"{checks - failures} passed, {failures} failed")
    return failures


if __name__ == "__main__":
    if sys.argv[1] == "requests":
        json.dump(requests(), sys.stdout)
    else:
        sys.exit(1 if run(sys.argv[2]) else 0)
