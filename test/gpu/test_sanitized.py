"""Every kind of kernel under compute-sanitizer: python3 test_sanitized.py requests > FILE, emit-kernels FILE DIR, python3 test_sanitized.py run DIR [SECONDS [TOOL...]].

A kind is a kernel of the other tests whatever its sizes; each runs once or twice on a small case in which no tile is
whole and a persistent kernel's blocks have several tiles. memcheck, racecheck and synccheck each see all of
them, in a process of their own that uses the driver alone: under PyTorch they take minutes. Arrays are allocations of
their own, and results begin uninitialised. A kind that did not run (within SECONDS) is a failure, and so is anything that a
tool reports.
"""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

# Not initcheck: it takes minutes, and reports reads of rows that the copy engine has written.
TOOLS = ("memcheck", "racecheck", "synccheck")
SIZES = ("inputs", "outputs", "width", "heads", "keyHeads", "rotatedHeads")
CLEAN = re.compile(r"(ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards displayed)")
WAVE = 2  # multiprocessors of a small device


def kind_of(request):
    """What tells the kernel's code from others of its family, in words: not its sizes, unless they choose another path."""
    kind = {key: value for key, value in request.items() if key not in SIZES and value}
    if request["kernel"] == "linear":
        kind["joined"] = len(request["outputs"]) > 1
        kind["mapped"] = request["inputs"] % 8 == 0  # else the copy engine cannot address the rows
    elif request["kernel"] == "attention":
        kind["head size"] = request["width"]
        kind["grouped"] = request["heads"] != request["keyHeads"]
    else:
        kind["heads"] = "heads" in request
        kind["both"] = "keyHeads" in request
        kind["vectors"] = request["width"] % 8 == 0
    return " ".join(f"{key} {value}" for key, value in sorted(kind.items()))


def shrink(request):
    """The request with sizes of the small case."""
    if request["kernel"] == "attention":
        group = min(request["heads"] // request["keyHeads"], 4)
        return request | {"heads": 2 * group, "keyHeads": 2}
    if request["kernel"] != "linear":
        return request
    # More steps than a pipeline has stages, and a rest; columns of more than one tile, and a rest.
    inputs = 584 if request["inputs"] % 8 == 0 else 77
    joined = len(request["outputs"]) > 1
    if head := request.get("headSize"):  # the values' columns are not rotated; for few rows, narrow weights neither
        queries = 2112 // head + 1 if "small" in request["schedule"] else 2
        return request | {"inputs": inputs, "outputs": [queries * head, head, head] if joined else [head],
                          "rotatedHeads": queries + 1 if joined else 1}
    return request | {"inputs": inputs, "outputs": [200, 56, 24] if joined else [192] if request.get("sumsSquares") else [216]}


def size_of(request):
    return request["width"] * (request.get("heads", 1) + request.get("keyHeads", 0)) if "width" in request else 0


def requests():
    """One for each kind of the other tests' kernels: the smallest."""
    import test_attention
    import test_linear
    import test_rows
    chosen = {}
    for test in (test_rows, test_linear, test_attention):
        for request in test.requests():
            kind = kind_of(request)
            if kind not in chosen or size_of(request) < size_of(chosen[kind]):
                chosen[kind] = request
    return [shrink(request) for request in chosen.values()]


class Array:
    """Rows on the device, initialised from the host's or not at all."""

    def __init__(self, shape, size, values=None):
        from launch import allocate, check, driver
        import ctypes
        self.shape, elements = shape, 1
        for extent in shape:
            elements *= extent
        self.address = allocate(elements * size)
        if values is not None and elements:
            assert values.nbytes == elements * size
            check(driver.cuMemcpyHtoD_v2(ctypes.c_uint64(self.address), ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.nbytes)), "copy")

    def data_ptr(self):
        return self.address


class Arrays:
    """Makes the arrays of one case."""

    def __init__(self, numpy, request):
        self.numpy, self.random = numpy, numpy.random.default_rng(3)
        self.element, self.result = request["element"], request.get("result", request["element"])

    def reals(self, *shape, kind=None):
        numpy, kind = self.numpy, kind or self.element
        values = self.random.standard_normal(shape, dtype=numpy.float32)
        if kind == "f16":
            values = values.astype(numpy.float16)
        elif kind == "bf16":
            values = (values.view(numpy.uint32) >> 16).astype(numpy.uint16)
        return Array(shape, values.itemsize, values)

    def numbers(self, values):
        values = self.numpy.asarray(values, self.numpy.int32)
        return Array(values.shape, 4, values)

    def below(self, count, bound):
        return self.numbers(self.random.integers(0, bound, count))

    def empty(self, *shape, kind=None):
        return Array(shape, 4 if (kind or self.result) == "f32" else 2)


def row_arguments(request, rows, a):
    """Arguments of a row kernel, as test_rows.py has them."""
    family, width = request["kernel"], request["width"] * request.get("heads", 1)
    y = a.empty(rows, width)
    if family == "activation":
        return [a.reals(rows, width), y]
    if family in ("gated", "add"):
        return [a.reals(rows, width), a.reals(rows, width), y]
    if family == "add_row":
        return [a.reals(rows, width), a.reals(width, kind="f32"), y]
    if family == "gather":
        return [a.reals(rows + 5, width), a.below(rows, rows + 5), y]
    if family == "append":
        count = request.get("count", 1)
        return [*(a.reals(rows + 5, width) for _ in range(count)), a.below(rows, rows + 5),
                *(a.empty(rows, width) for _ in range(count)), a.numbers(a.random.permutation(rows))]
    if family == "norm":
        vectors = [a.reals(request["width"], kind="f32") for there in (not request.get("unscaled"), request.get("bias")) if there]
        return [a.reals(rows, width), *vectors, y]
    if family == "norm_factors":
        return [a.reals(rows, width // 64, kind="f32"), a.empty(rows, kind="f32")]
    if family == "rope":
        widths = [width] + ([request["keyHeads"] * request["width"]] if "keyHeads" in request else [])
        return [*(a.reals(rows, one) for one in widths), a.below(rows, 100), a.reals(100, request["width"], kind="f32"),
                *(a.empty(rows, one) for one in widths)]
    if family == "embed":
        constant = [a.reals(width, kind="f32")] if request.get("constant") else []
        return [a.below(rows, 50), a.reals(50, width, kind=request["table"]), *constant,
                a.reals(rows, width) if request.get("accumulate") else y]
    if family == "merge":
        counts = a.random.integers(0, 5, rows)
        begin = a.numpy.concatenate([[0], a.numpy.cumsum(counts)])
        partials = int(begin[-1])
        return [a.reals(partials, width, kind=request["partial"]), a.reals(partials, request["heads"], kind="f32"),
                a.numbers(begin), a.numbers(a.random.permutation(partials)), y]
    raise ValueError(f"no arguments are known for the kernel {family}")


def linear_arguments(request, rows, a, name):
    factors, squares = "_factors" in name, "_squares" in name
    normalises = factors or "_norm_" in name  # reads its inputs before the norm, and none behind it
    partial = request.get("partial")  # likewise
    columns, inputs = sum(request["outputs"]), request["inputs"]
    rows_of_weights = columns * (2 if request.get("gated") else 1)
    return [a.empty(rows, inputs, kind=request["element"]) if normalises or partial else a.reals(rows, inputs), a.reals(rows_of_weights, inputs),
            *([a.reals(rows_of_weights, kind="f32")] if request.get("bias") else []),
            *([a.reals(rows, columns)] if request.get("residual") else []),
            *([a.below(rows, 100), a.reals(100, request["headSize"], kind="f32")] if "rotatedHeads" in request else []),
            *(a.empty(rows, width) for width in request["outputs"]),
            *([a.reals(rows, inputs)] if normalises else []),
            *([a.reals(rows, kind="f32")] if factors else []),
            *([a.empty(rows, columns // 64, kind="f32")] if squares else []),
            *([a.reals(3, inputs, kind=partial), a.numbers([2])] if partial else [])]


def attention_cases(request, a):
    """A causal window of a few tiles, some rows of which see nothing; then a partial that is continued. That one comes
    from the host: initcheck does not see what the copy engine writes."""
    few = request.get("rows")
    rows, keys = (few, 1500) if few else (150, 300)
    heads, width, key_width = request["heads"], request["heads"] * request["width"], request["keyHeads"] * request["width"]
    last = [min(keys, max(0, (row + 1) * keys // rows - (0 if few else 5))) for row in range(rows)]
    first = [max(0, end - (keys if few else 90)) for end in last]
    counters = a.numbers([0] * 8192)
    partials = a.empty(1 << 22, kind="f32") if few else counters
    results = [(a.empty(rows, width), a.empty(rows, heads, kind="f32")),
               (a.reals(rows, width, kind=a.result), a.reals(rows, heads, kind="f32"))]
    pool, source = a.reals(2 * rows, width), a.numbers(a.random.permutation(2 * rows)[:rows])
    inputs = [a.reals(rows, width), a.reals(keys, key_width), a.reals(keys, key_width), a.numbers(first), a.numbers(last)]
    return [[*inputs, o, lse, partials, counters, continues, pool, source] for continues, (o, lse) in enumerate(results)]


def cases_of(request, name, a):
    """Lists of arguments, one for each launch of the kernel of this name."""
    if request["kernel"] == "attention":
        return attention_cases(request, a)
    if request["kernel"] == "linear":
        rows = 1 if "partial" in request else {"small8": 7, "small16": 13}.get(request["schedule"], 150)
        return [linear_arguments(request, rows, a, name)]
    return [row_arguments(request, rows, a) for rows in (1, 37)]


def launch_all(directory):
    """Runs every kernel and says so: what one tool watches."""
    import ctypes
    import numpy
    from launch import check, driver, load
    context = ctypes.c_void_p()
    check(driver.cuInit(0), "driver")
    check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0), "context")
    check(driver.cuCtxSetCurrent(context), "context")
    for request, kernel in zip(requests(), load(directory, wave=WAVE), strict=True):
        for arguments in cases_of(request, kernel.name, Arrays(numpy, request)):
            kernel(*arguments)
        check(driver.cuCtxSynchronize(), kernel.name)
        print("ran", kernel.name, flush=True)


class Watch:
    """A tool, and what it and the kernels under it say."""

    def __init__(self, tool, program, directory):
        self.tool, self.said, self.seconds, self.first = tool, [], 0.0, 0.0
        command = [program, "--tool", tool, "--print-limit", "20", sys.executable, __file__, "launch", directory]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def follow(self, begin):
        """Reads until the end, also that which stop() makes."""
        for line in self.process.stdout:
            self.seconds = time.monotonic() - begin
            if line.startswith("ran ") and not self.first:
                self.first = self.seconds
            self.said.append(line.rstrip())
        self.process.wait()
        return self

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def report(self, names):
        """Prints what came of it: checks that passed and that failed."""
        ran = {line.split()[1] for line in self.said if line.startswith("ran ")}
        missing = [name for name in names if name not in ran]
        clean = self.process.returncode == 0 and CLEAN.search("\n".join(self.said))
        print(f"{self.tool:10} {len(ran)} of {len(names)} kernels, {'clean' if clean else f'NOT CLEAN (status {self.process.returncode})'}, "
              f"{self.seconds:.0f} s, the first after {self.first:.0f} s", flush=True)
        for name in missing[:20]:
            print(f"FAILED {self.tool}: {name} did not run")
        if not clean:
            print("\n".join(line for line in self.said if not line.startswith("ran "))[-6000:], flush=True)
        return len(names) - len(missing) + bool(clean), len(missing) + (not clean)


def run(directory, seconds, tools):
    program = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if not program:
        print("no compute-sanitizer in PATH or /usr/local/cuda/bin")
        print("0 passed, 1 failed")
        return 1
    with open(f"{directory}/kernels.json", encoding="utf-8") as file:
        names = sorted({spec["name"] for spec in json.load(file)})
    begin, passed, failed = time.monotonic(), 0, 0
    watches = [Watch(tool, program, directory) for tool in tools]
    end = threading.Timer(seconds, lambda: [watch.stop() for watch in watches])
    end.start()
    with concurrent.futures.ThreadPoolExecutor(len(tools)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(watch.follow, begin) for watch in watches]):
            good, bad = done.result().report(names)
            passed, failed = passed + good, failed + bad
    end.cancel()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if sys.argv[1] == "requests":
        json.dump(requests(), sys.stdout)
    elif sys.argv[1] == "launch":
        launch_all(sys.argv[2])
    else:
        sys.exit(run(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 300.0, sys.argv[4:] or TOOLS))
