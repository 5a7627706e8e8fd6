"""Matrix products against cuBLAS (through PyTorch) and the memory's bandwidth.

python3 linear.py requests > FILE, emit-kernels FILE DIR, python3 linear.py run DIR [RESULTS.json]

TFLOP/s count 2 M N K. `ratio` is cuBLAS's time over ours in the same run; where an operation is fused, cuBLAS is
followed by PyTorch's eager operation. Nothing is timed that was not right first.
"""
import json
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test" / "gpu"))

SCHEDULES = ("p192", "p128")
LAYER = {  # of a Llama 8B
    "qkv": {"inputs": 4096, "outputs": [4096, 1024, 1024]},
    "o": {"inputs": 4096, "outputs": [4096], "residual": True},
    "gate+up": {"inputs": 4096, "outputs": [14336], "gated": True, "activation": "silu"},
    "down": {"inputs": 14336, "outputs": [4096], "residual": True},
}
MANY_ROWS = (2048, 8192)
FEW_ROWS = (1, 2, 4, 8, 16)
BETWEEN = (17, 32, 64, 128, 192, 256)
SMALL = LAYER | {
    "1024 of 4096": {"inputs": 4096, "outputs": [1024]},
    "1B qkv": {"inputs": 2048, "outputs": [2048, 512, 512]},
    "1B o": {"inputs": 2048, "outputs": [2048], "residual": True},
    "1B gate+up": {"inputs": 2048, "outputs": [8192], "gated": True, "activation": "silu"},
    "1B down": {"inputs": 8192, "outputs": [2048], "residual": True},
    "logits": {"inputs": 4096, "outputs": [128256], "result": "f32"},
}


def plain(spec):
    """The same weights, without what is fused."""
    return {"inputs": spec["inputs"], "outputs": [sum(spec["outputs"]) * (2 if spec.get("gated") else 1)]}


def is_plain(spec):
    return set(spec) == {"inputs", "outputs"} and len(spec["outputs"]) == 1


def wanted():
    """(kind, name, spec, schedule or rows) of every kernel, in order."""
    square = {"inputs": 8192, "outputs": [8192]}
    out = [("many", "8192^3", square, schedule) for schedule in SCHEDULES]
    for name, spec in LAYER.items():
        for schedule in SCHEDULES:
            out.append(("many", name, plain(spec), schedule))
            out.append(("many", name, spec, schedule))
    for name, spec in SMALL.items():
        for schedule in ("small8", "small16"):
            out.append(("few", name, spec, schedule))
    for rows in BETWEEN:
        out += [("between", name, spec, rows) for name, spec in SMALL.items() if name not in ("1024 of 4096", "logits")]
    # What the compiler chooses.
    for rows in MANY_ROWS:
        out += [("choice", name, spec, rows) for name, spec in LAYER.items()]
        out += [("choice", name + " plain", plain(spec), rows) for name, spec in LAYER.items()]
    out.append(("choice", "8192^3 plain", square, 8192))
    return out


def requests():
    out = []
    for kind, _, spec, how in wanted():
        out.append({"kernel": "linear", "element": "bf16"} | spec | ({"rows": how} if kind in ("choice", "between") else {"schedule": how}))
    return out


class Operands:
    """One set of operands of a product, and calls of it."""

    def __init__(self, spec, rows, keep_reference=False):
        import torch
        self.torch, self.spec = torch, spec
        gated, outputs, inputs = spec.get("gated"), spec["outputs"], spec["inputs"]
        columns = sum(outputs)
        weight_rows = columns * (2 if gated else 1)

        def random(*shape):
            return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)
        self.x, self.w = random(rows, inputs), random(weight_rows, inputs) * inputs ** -0.5
        self.residual = random(rows, columns) if spec.get("residual") else None
        result = torch.float32 if spec.get("result") == "f32" else torch.bfloat16
        self.results = [torch.empty(rows, width, device="cuda", dtype=result) for width in outputs]
        self.library = torch.empty(rows, weight_rows, device="cuda", dtype=torch.bfloat16)

    def ours(self, kernel):
        extra = [] if self.residual is None else [self.residual]
        return kernel.prepare(self.x, self.w, *extra, *self.results)

    def cublas(self):
        """The product, and the eager operation that is fused in ours."""
        torch, x, w, library, residual = self.torch, self.x, self.w.t(), self.library, self.residual
        if self.spec.get("gated"):
            half = library.shape[1] // 2

            def call():
                torch.mm(x, w, out=library)
                return torch.nn.functional.silu(library[:, :half]) * library[:, half:]
        elif residual is not None:
            def call():
                torch.mm(x, w, out=library)
                return torch.add(library, residual, out=library)
        else:
            def call():
                return torch.mm(x, w, out=library)
        return call

    def check(self, kernel, rows):
        """Against float64 on rows of the beginning, the middle and the end."""
        torch = self.torch
        for result in self.results:
            result.fill_(math.nan)
        self.ours(kernel)()
        picked = torch.unique(torch.tensor([0, rows // 2, rows // 3, rows - 1], device="cuda"))
        y = self.x[picked].double() @ self.w.double().t()
        if self.spec.get("gated"):
            blocks = y.reshape(len(picked), -1, 2, 8)
            gate, up = blocks[:, :, 0].reshape(len(picked), -1), blocks[:, :, 1].reshape(len(picked), -1)
            y = torch.nn.functional.silu(gate) * up
        if self.residual is not None:
            y = y + self.residual[picked].double()
        got = torch.cat(self.results, 1)
        error = float((got[picked].double() - y).norm() / y.norm())
        if bool(got.isnan().any()) or not error < 4e-3:
            raise RuntimeError(f"{kernel.name} rows {rows}: error {error:.2e}, {int(got.isnan().sum())} NaN")


def many(kernels, report):
    from timing import round_robin, sustained
    table = {}
    for (kind, name, spec, how), kernel in kernels:
        if kind == "many":
            table.setdefault(name, []).append((spec, how, kernel))
    chosen = {(name, how): kernel.name for (kind, name, _, how), kernel in kernels if kind == "choice"}
    for rows in MANY_ROWS:
        for name, entries in table.items():
            if name == "8192^3" and rows != 8192:
                continue
            unfused, fused = entries[0][0], entries[-1][0]
            candidates, sets = {}, {}
            for label, spec in (("plain", unfused), ("fused", fused)):
                if label == "fused" and is_plain(fused):
                    continue
                sets[label] = [Operands(spec, rows) for _ in range(2)]
                candidates[f"{label} cublas"] = [one.cublas() for one in sets[label]]
            for spec, schedule, kernel in entries:
                label = "plain" if spec == unfused else "fused"
                sets[label][0].check(kernel, rows)
                candidates[f"{label} {schedule}"] = [one.ours(kernel) for one in sets[label]]
            times = round_robin(candidates, 10)
            hot = sustained(candidates, times)
            columns = unfused["outputs"][0]
            flops = 2 * rows * columns * unfused["inputs"]
            for label in sets:
                pick = chosen[(name + (" plain" if label == "plain" else ""), rows)]
                for schedule in ("cublas",) + SCHEDULES:
                    key, base = f"{label} {schedule}", f"{label} cublas"
                    report.append({"table": "many", "shape": name, "rows": rows, "columns": columns, "inputs": unfused["inputs"],
                                   "form": label, "schedule": schedule, "chosen": f"_{schedule}_" in pick,
                                   "us": times[key] * 1e6, "tflops": flops / times[key] / 1e12, "ratio": times[base] / times[key],
                                   "sustained_tflops": flops / hot[key] / 1e12, "sustained_ratio": hot[base] / hot[key]})
            del candidates, sets


def few(kernels, report):
    from timing import copy_bandwidth, in_graphs
    bandwidth = copy_bandwidth()
    report.append({"table": "copy", "gbs": bandwidth / 1e9})
    table = {}
    for (kind, name, spec, how), kernel in kernels:
        if kind in ("few", "between"):
            table.setdefault((kind, name), (spec, {}))[1][how] = kernel
    for (kind, name), (spec, schedules) in table.items():
        weights = Operands(spec, 1).w.nbytes
        sets = max(2, math.ceil(300e6 / weights))  # never twice from the L2 cache
        for rows in FEW_ROWS if kind == "few" else BETWEEN:
            candidates = {}
            operands = [Operands(spec, rows) for _ in range(sets)]
            candidates["cublas"] = [one.cublas() for one in operands]
            for how, kernel in schedules.items():
                if kind == "few" and rows > 8 and how == "small8" or kind == "between" and how != rows:
                    continue
                operands[0].check(kernel, rows)
                candidates[how if kind == "few" else kernel.name.split("_")[1]] = [one.ours(kernel) for one in operands]
            times = in_graphs(candidates, max(sets, 12))
            for schedule, time in times.items():
                report.append({"table": kind, "shape": name, "rows": rows, "schedule": schedule, "us": time * 1e6,
                               "gbs": weights / time / 1e9, "of_copy": weights / time / bandwidth, "ratio": times["cublas"] / time})
            del candidates, operands
    # The products of a layer one after the other, as decoding runs them.
    layers = [{name: Operands(SMALL[name], 1) for name in LAYER} for _ in range(3)]
    weights = sum(one.w.nbytes for one in layers[0].values())

    def chain(layer, pick):
        calls = [pick(layer[name], name) for name in LAYER]
        return lambda: [call() for call in calls]
    times = in_graphs({"ours": [chain(layer, lambda one, name: one.ours(table[("few", name)][1]["small8"])) for layer in layers],
                       "cublas": [chain(layer, lambda one, name: one.cublas()) for layer in layers]}, 12)
    for schedule, time in times.items():
        report.append({"table": "layer", "shape": "8B layer", "rows": 1, "schedule": schedule, "us": time * 1e6,
                       "gbs": weights / time / 1e9, "of_copy": weights / time / bandwidth, "ratio": times["cublas"] / time})


def show(report):
    lines = {}
    for row in report:
        if row["table"] == "copy":
            print(f"device copy {row['gbs']:.0f} GB/s; below: us, share of it, cuBLAS's time / ours")
        elif row["table"] == "many":
            key = f"{row['rows']:5} x {row['columns']:5} x {row['inputs']:5} {row['shape']:7} {row['form']}"
            lines.setdefault(key, []).append(
                f"{row['schedule']}{'*' if row['chosen'] else ''} {row['us']:.0f} us {row['tflops']:.0f}"
                + (f" ({row['ratio']:.3f}, {row['sustained_ratio']:.3f})" if row["schedule"] != "cublas" else ""))
        else:
            lines.setdefault(f"{row['shape']:12} rows {row['rows']:3}", []).append(
                f"{row['schedule']} {row['us']:.1f} {100 * row['of_copy']:.0f} %"
                + (f" {row['ratio']:.2f}" if row["schedule"] != "cublas" else ""))
    for key, parts in lines.items():
        print(key + ": " + "  ".join(parts))
    print("products of many rows: TFLOP/s (cuBLAS's time / ours in round robin, sustained); * is the compiler's choice")


def run(directory, results):
    import torch
    from kernels import load
    torch.manual_seed(5)
    kernels = list(zip(wanted(), load(directory), strict=True))
    print(torch.cuda.get_device_name(), torch.__version__)
    report = []
    few(kernels, report)
    many(kernels, report)
    show(report)
    if results:
        pathlib.Path(results).write_text(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": report}, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "requests":
        json.dump(requests(), sys.stdout)
    else:
        run(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
