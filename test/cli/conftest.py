"""A compile cache of the tests' own, and what is compiled once for all of them."""

import pytest

from commandline import LLAMA, RSHARD, ROOT, succeed


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    assert RSHARD.exists(), f"{RSHARD} is not built"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def artifact(cache, tmp_path_factory):
    """llama-tiny under the figure's plan."""
    path = tmp_path_factory.mktemp("artifact") / "llama.rshard"
    succeed("compile", LLAMA, "-o", path)
    return path


@pytest.fixture(scope="session")
def smollm2():
    path = ROOT / "models" / "SmolLM2-135M-Instruct"
    assert (path / "config.json").exists(), "scripts/convert-smollm2.py makes this model"
    return path
