"""The lit suite: compiler tests written as IR, beside the area they test.

RSHARD_ROUNDTRIP=1 makes rshard-opt print every module it has parsed and parse it again, as text and as
bytecode, before it runs passes; tests without rshard-opt are left out.
"""

import os
from pathlib import Path

import lit.formats
import lit.util

config.name = "rshard"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["golden", "oracle", "unit", "Inputs"]
config.test_source_root = os.path.join(config.rshard_source_dir, "test")
config.test_exec_root = os.path.join(config.rshard_build_dir, "test")

config.environment["PATH"] = os.pathsep.join(
    [config.rshard_tools_dir, config.llvm_tools_dir, config.environment["PATH"]])
# A variable of one CHECK-LABEL block must not leak into the next one.
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"

opt = os.path.join(config.rshard_tools_dir, "rshard-opt")
if os.environ.get("RSHARD_ROUNDTRIP"):
    opt += " --verify-roundtrip"
    # The other tests are the same; names are those of files in any folder.
    tests = [path for suffix in config.suffixes for path in Path(config.test_source_root).rglob("*" + suffix)]
    changed = {path.name for path in tests if "rshard-opt" in path.read_text()}
    config.excludes += {path.name for path in tests} - changed
config.substitutions += [
    (r"\brshard-opt\b", opt),
    ("%golden", os.path.join(config.test_source_root, "golden")),
]

# Tests that assemble kernels look for it where the compiler does.
if "CUDA_HOME" in os.environ:
    config.environment["CUDA_HOME"] = os.environ["CUDA_HOME"]
installed = os.pathsep.join([config.environment["PATH"], "/usr/local/cuda/bin"])
if lit.util.which("ptxas", installed):
    config.available_features |= {"ptxas", "installed-ptxas"}
if lit.util.which("ptxas", os.environ.get("CUDA_HOME", "") + "/bin"):
    config.available_features.add("ptxas")
