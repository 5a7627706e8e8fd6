"""Launches kernels that emit-kernels wrote, over the CUDA driver API alone.

A kernel's arguments are arrays on the device, which have a `shape` (views: their rows are the first dimension) and a
`data_ptr()`, and integers; its parameters are derived as an artifact's manifest says, like the runtime does it.
"""
import ctypes
import functools
import json
import pathlib

driver = ctypes.CDLL("libcuda.so.1")
TYPES = {"bf16": 9, "f16": 6, "f32": 7}  # CUtensorMapDataType
SWIZZLE = {0: 0, 32: 1, 64: 2, 128: 3}  # CUtensorMapSwizzle
MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
MULTIPROCESSORS = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
PROGRAMMATIC_STREAM_SERIALIZATION = 6  # CUlaunchAttributeID


class LaunchAttribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("padding", ctypes.c_char * 4), ("value", ctypes.c_uint64 * 8)]


class LaunchConfig(ctypes.Structure):
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint), ("stream", ctypes.c_void_p),
                ("attributes", ctypes.POINTER(LaunchAttribute)), ("attribute_count", ctypes.c_uint)]


def check(code, what):
    if code:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"{what}: {text.value.decode() if text.value else code}")


def allocate(size):
    """The address of `size` bytes on the device, which nobody gives back."""
    address = ctypes.c_uint64()
    check(driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(max(size, 1))), f"{size} bytes")
    return address.value


def multiprocessors():
    """Of the current context's device."""
    device, count = ctypes.c_int(), ctypes.c_int()
    check(driver.cuCtxGetDevice(ctypes.byref(device)), "device")
    check(driver.cuDeviceGetAttribute(ctypes.byref(count), MULTIPROCESSORS, device), "multiprocessors")
    return count.value


def value_of(argument):
    return argument if isinstance(argument, int) else argument.shape[0]


def size_of(size, arguments):
    return size if isinstance(size, int) else size["times"] * value_of(arguments[size["argument"]])


@functools.cache
def placeholder():
    """What the map of an array without rows points to: nothing is copied from there."""
    return allocate(64)


class Kernel:
    """`wave`: multiprocessors that a persistent kernel takes the device to have."""

    def __init__(self, function, spec, wave, stream):
        self.function, self.spec, self.name, self.wave, self.stream = function, spec, spec["name"], wave, stream
        if spec["shared"]:
            check(driver.cuFuncSetAttribute(function, MAX_DYNAMIC_SHARED, spec["shared"]), self.name)

    def blocks(self, arguments):
        blocks = self.spec["blocks"]
        for argument, per in self.spec["grid"]:
            blocks *= -(-value_of(arguments[argument]) // per)
        resident = self.spec["resident"]
        return min(blocks, self.wave * resident) if resident else blocks

    def prepare(self, *arguments, overlaps=False):
        """A function that launches the kernel with these arguments; maps are made once. With `overlaps` it may start before
        what is in front of it has ended, like the runtime launches it; benchmarks beside other libraries do without."""
        keep, pointers = [], []
        for parameter in self.spec["parameters"]:
            argument = arguments[parameter["argument"]]
            kind = parameter["kind"]
            if kind == "pointer":
                value = ctypes.c_uint64(argument.data_ptr())
            elif kind in ("rows", "scalar"):
                value = ctypes.c_uint32(value_of(argument) & 0xFFFFFFFF)
            else:
                value = self.map(parameter, arguments)
            keep.append(value)
            pointers.append(ctypes.addressof(value))
        array = (ctypes.c_void_p * len(pointers))(*pointers)
        blocks = self.blocks(arguments)
        attribute = LaunchAttribute(PROGRAMMATIC_STREAM_SERIALIZATION)
        attribute.value[0] = int(overlaps)
        config = LaunchConfig((blocks, 1, 1), (self.spec["threads"], 1, 1), self.spec["shared"], None, ctypes.pointer(attribute), 1)

        def launch():
            assert keep and arguments
            if blocks:
                config.stream = self.stream()
                check(driver.cuLaunchKernelEx(ctypes.byref(config), self.function, array, None), self.name)
        return launch

    def __call__(self, *arguments):
        self.prepare(*arguments, overlaps=True)()

    def map(self, parameter, arguments):
        rank = len(parameter["extents"])
        buffer = (ctypes.c_uint8 * 192)()
        address = (ctypes.addressof(buffer) + 63) // 64 * 64
        extents = [max(size_of(size, arguments), 1) for size in parameter["extents"]]
        strides = [size_of(size, arguments) for size in parameter["strides"]]
        check(driver.cuTensorMapEncodeTiled(
            ctypes.c_void_p(address), TYPES[parameter["type"]], rank,
            ctypes.c_void_p(arguments[parameter["argument"]].data_ptr() or placeholder()),
            (ctypes.c_uint64 * rank)(*extents), (ctypes.c_uint64 * max(rank - 1, 1))(*strides),
            (ctypes.c_uint32 * rank)(*parameter["box"]), (ctypes.c_uint32 * rank)(*[1] * rank),
            0, SWIZZLE[parameter["swizzle"]], 2, 0), f"{self.name}: tensor map {extents} {strides}")
        value = (ctypes.c_uint8 * 128).from_address(address)
        value.keep = buffer
        return value


def load(directory, wave=None, stream=lambda: 0):
    """The kernels of a directory, in the order of the requests, in the current context. `wave`: see Kernel, by default
    the device's multiprocessors; `stream` gives the stream of a launch."""
    directory = pathlib.Path(directory)
    module = ctypes.c_void_p()
    check(driver.cuModuleLoadData(ctypes.byref(module), (directory / "kernels.cubin").read_bytes()), "load")
    out = []
    for spec in json.loads((directory / "kernels.json").read_text()):
        function = ctypes.c_void_p()
        check(driver.cuModuleGetFunction(ctypes.byref(function), module, spec["name"].encode()), spec["name"])
        out.append(Kernel(function, spec, wave or multiprocessors(), stream))
    return out
