"""Bad input: one clear line, status 1 (2 for usage), nothing half-written, never a crash."""

import json
import os
import random
import re
import resource

import numpy as np
import pytest

import checkpoint
import generate
from commandline import GOLDEN, LLAMA, UNSHARDED, check_said, copy_model, refuse, refused, rshard, run_json, succeed

RUN = ["--tokens", "1,2,3", "--max-new-tokens", "2"]


@pytest.fixture
def model(tmp_path):
    return copy_model(LLAMA, tmp_path / "model")


def parts(model):
    """(header, data) of the weights."""
    data = (model / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def write(model, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (model / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)


def refuse_model(model, match=None):
    out = model.parent / "out.rshard"
    refuse("compile", model, *UNSHARDED, "-o", out, match=match)
    refuse("run", model, *UNSHARDED, *RUN, "--logits", model.parent / "out.npy", match=match)
    assert [file.name for file in model.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 2000, 30000, -1])
def test_truncated_weights(model, length):
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    refuse_model(model, "model.safetensors")


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1])
def test_header_size(model, size):
    path = model / "model.safetensors"
    path.write_bytes(size.to_bytes(8, "little") + path.read_bytes()[8:])
    refuse_model(model, "model.safetensors")


def names(header):
    return sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])


LIES = {
    "overlap": lambda t: t.update(data_offsets=[t["data_offsets"][0] - 4, t["data_offsets"][1] - 4]),
    "beyond the end": lambda t: t.update(data_offsets=[2**40, 2**40 + t["data_offsets"][1] - t["data_offsets"][0]]),
    "backwards": lambda t: t.update(data_offsets=t["data_offsets"][::-1]),
    "negative": lambda t: t.update(data_offsets=[-4, t["data_offsets"][1]]),
    "wrapping": lambda t: t.update(data_offsets=[2**64 - 4, 4]),
    "one offset": lambda t: t.update(data_offsets=[0]),
    "text offsets": lambda t: t.update(data_offsets=["0", "4"]),
    "shape": lambda t: t.update(shape=[n + 1 for n in t["shape"]]),
    "negative shape": lambda t: t.update(shape=[-n for n in t["shape"]]),
    "huge shape": lambda t: t.update(shape=[2**33, 2**33]),
    "fraction": lambda t: t.update(shape=[0.5]),
    "no shape": lambda t: t.pop("shape"),
    "type": lambda t: t.update(dtype="F64"),
    "unknown type": lambda t: t.update(dtype="Q4"),
    "transposed rank": lambda t: t.update(shape=[1, *t["shape"]]),
}


@pytest.mark.parametrize("lie", LIES)
def test_lying_header(model, lie):
    header, data = parts(model)
    LIES[lie](header[names(header)[5]])
    write(model, header, data)
    refuse_model(model)


NO_HEADERS = [b"", b"{", b"[]", b"null", b"[" * 50000, b'{"a":' * 50000, b"\xff\xfe", b'{"\x00": 1}']


@pytest.mark.parametrize("header", NO_HEADERS)
def test_no_header(model, header):
    write(model, header, b"\0" * 64)
    refuse_model(model, "model.safetensors")


def test_duplicate_key(model):
    header, data = parts(model)
    name = names(header)[3]
    text = json.dumps(header).encode()
    entry = json.dumps({name: header[name]}).encode()[1:-1]
    write(model, text[:-1] + b", " + entry + b"}", data)
    refuse_model(model, "model.layers|norm|embed|lm_head")


def test_missing_and_misshapen_weights(model):
    tensors = checkpoint.read_file(model / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    kept = tensors.pop(name)
    checkpoint.write_file(model / "model.safetensors", tensors)
    refuse_model(model, name)
    checkpoint.write_file(model / "model.safetensors", {**tensors, name: kept[:-1]})
    refuse_model(model, name)
    (model / "model.safetensors").unlink()
    refuse_model(model)


CONFIGS = {
    "architectures": [["FooForCausalLM"], [], None, 3],
    "hidden_act": ["swishy", 3],
    "hidden_size": [0, -64, 65, "64", 2**40, 1e300],
    "num_attention_heads": [0, 3, -1],
    "num_key_value_heads": [0, 3],
    "num_hidden_layers": [0, -1, 4, 10**9],
    "vocab_size": [0, 500],
    "rope_scaling": [{"rope_type": "yarn", "factor": 2.0}, {"rope_type": "linear"}, 7],
    "rms_norm_eps": ["small"],
    "head_dim": [7, 0],
}


@pytest.mark.parametrize("key,value", [(k, v) for k, values in CONFIGS.items() for v in values])
def test_config(model, key, value):
    config = json.loads((model / "config.json").read_text())
    if key == "rope_scaling":
        config.pop("rope_parameters", None)
    config[key] = value
    (model / "config.json").write_text(json.dumps(config))
    out = model.parent / "out.rshard"
    refuse("compile", model, *UNSHARDED, "-o", out)
    assert not out.exists()


NO_CONFIGS = ["", "{", "[]", "null", "[" * 100000, '{"architectures": ["LlamaForCausalLM"]}', "\x00"]


@pytest.mark.parametrize("text", NO_CONFIGS)
def test_no_config(model, text):
    (model / "config.json").write_text(text)
    refuse_model(model, "config.json|error")


def no_file(path, kind):
    """Something at `path` whose reading would not end, or not begin."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


KINDS = ["pipe", "device", "directory"]
READ = ["config.json", "generation_config.json", "model.safetensors"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READ)
def test_no_regular_file(model, name, kind):
    no_file(model / name, kind)
    refuse_model(model, f"{name}: error: not a regular file")


@pytest.mark.parametrize("kind", KINDS)
def test_no_tokenizer_file(model, kind):
    no_file(model / "tokenizer.json", kind)
    refuse("run", model, "--prompt", "a", match="tokenizer.json: error: not a regular file")


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_no_regular_files(artifact, tmp_path, kind):
    no_file(tmp_path / "x.npy", kind)
    refuse("run", artifact, "--model", LLAMA, "--tokens", tmp_path / "x.npy", match="x.npy: error: not a regular file")
    no_file(tmp_path / "x.json", kind)
    refuse("plan", "--plan", tmp_path / "x.json", match="x.json: error: not a regular file")
    if kind == "directory":  # of a model
        return
    no_file(tmp_path / "x.mlir", kind)
    refuse("compile", tmp_path / "x.mlir", "-o", tmp_path / "x.rshard", match="x.mlir: error: not a regular file")
    assert not (tmp_path / "x.rshard").exists()


TOKEN_LISTS = ["1,499", "-1", "1,-2", "", ",", "1,", "1,,2", "1 2", "99999999999999999999", "1.5", "nan", "0x1"]


@pytest.mark.parametrize("tokens", TOKEN_LISTS)
def test_token_lists(artifact, tmp_path, tokens):
    out = tmp_path / "out.npy"
    result = rshard("run", artifact, "--model", LLAMA, f"--tokens={tokens}", "--max-new-tokens", 1, "--logits", out)
    assert result.status in (1, 2) and result.out == b""
    check_said(result)
    assert not out.exists()


def npy(path, array):
    np.save(path, array)
    return path.read_bytes()


def test_token_files(artifact, tmp_path):
    good = npy(tmp_path / "good.npy", np.arange(5, dtype=np.int32))
    bad = [
        npy(tmp_path / "a.npy", np.array([1.5, 2.5])),
        npy(tmp_path / "b.npy", np.array([], np.int32)),
        npy(tmp_path / "c.npy", np.array([[1, 2], [3, 4]], np.int32)),
        npy(tmp_path / "d.npy", np.array([1, 499])),
        npy(tmp_path / "e.npy", np.array([2**40])),
        good[:-1], good[:40], good[:9], b"", b"\x93NUMPY", b"hello", good.replace(b"(5,)", b"(9,)"),
        good.replace(b"<i4", b"<q9"), good.replace(b"(5,)", b"(-5,)"),
    ]
    for i, data in enumerate(bad):
        (tmp_path / "bad.npy").write_bytes(data)
        result = rshard("run", artifact, "--model", LLAMA, "--tokens", tmp_path / "bad.npy", "--max-new-tokens", 1)
        assert result.status == 1 and result.out == b"", (i, result.status, result.out, result.errors)
        check_said(result)
    refuse("run", artifact, "--model", LLAMA, "--tokens", tmp_path / "none.npy")


def test_prompts(artifact, smollm2):
    refuse("run", artifact, "--model", LLAMA, "--prompt", "hello", match="tokenizer.json")
    refuse("run", smollm2, "--prompt", "", match="error")
    refuse("run", artifact, "--model", LLAMA, status=2)
    refuse("run", artifact, "--model", LLAMA, "--prompt", "a", "--tokens", "1", status=2)


def test_lengths(artifact):
    refuse("run", artifact, "--model", LLAMA, "--tokens", "1", "--max-new-tokens", 600, match="600")
    refuse("run", artifact, "--model", LLAMA, "--tokens", "1,2,3", "--capacity", 2, match="capacity|2")
    for option, value in [("--max-new-tokens", -1), ("--chunk", -1), ("--threads", -1), ("--capacity", -5),
                          ("--temperature", -1), ("--temperature", "nan"), ("--top-p", 0), ("--top-p", 2), ("--seed", "x")]:
        refused(rshard("run", artifact, "--model", LLAMA, "--tokens", "1", f"{option}={value}"), 1, 2)


def test_heads(tmp_path, artifact):
    bert, out = GOLDEN / "bert-tiny", tmp_path / "out.npy"
    # Before anything is compiled.
    empty = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    refuse("run", bert, "--tokens", "1,2", match="no head", env=empty)
    refuse("run", bert, "--tokens", "1,2", "--logits", out, match="--hidden", env=empty)
    refuse("run", bert, "--tokens", "1,2", "--hidden", out, "--max-new-tokens", 3, match="generate 3 tokens", env=empty)
    refuse("run", LLAMA, "--tokens", "1,2", "--hidden", out, match="--logits", env=empty)
    assert not list(tmp_path.glob("cache/**/*.rshard"))
    refuse("run", artifact, "--model", LLAMA, "--tokens", "1", "--hidden", out, match="--logits")
    # IR says it in every phase, the later ones by the artifact that they become.
    ir = tmp_path / "model.mlir"
    for phase in ("model", "planned", "partitioned"):
        succeed("compile", LLAMA, "--to", phase, "-o", ir)
        refuse("run", ir, "--model", LLAMA, "--tokens", "1", "--hidden", out, match="--logits")
    # A bidirectional model takes one step.
    refuse("run", bert, "--tokens", "1,2,3", "--chunk", 2, "--hidden", out)
    assert not out.exists()


def test_files_that_are_not_there(tmp_path, artifact):
    gone = tmp_path / "gone"
    for arguments in (["run", gone, *RUN], ["compile", gone, "-o", tmp_path / "a"], ["inspect", gone], ["verify", gone],
                      ["explain", gone], ["plan", gone], ["run", artifact, "--model", gone, *RUN],
                      ["run", LLAMA, "--plan", gone, *RUN], ["inspect", tmp_path], ["run", tmp_path, *RUN]):
        refuse(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_deeply_nested_text(tmp_path):
    """MLIR's parser would end where the stack does."""
    path, out = tmp_path / "deep.mlir", tmp_path / "out.mlir"
    for text in ("module {" * 5000 + "}" * 5000, "#a = " + "[" * 200000 + "]" * 200000,
                 "func.func private @f(" + "tuple<" * 2000 + "i32" + ">" * 2000 + ")"):
        path.write_text(text)
        refuse("compile", path, "--to", "model", match=r"deep.mlir: error: \d+ brackets stand in one another vs at most 1000$")
    # Brackets of comments, strings and functions that are beside one another are not nested.
    path.write_text("// " + "[" * 2000 + "\nmodule @\"" + "{\\22" * 2000 + "\" {}\n" +
                    "".join(f"func.func private @f{i}(i1) -> (i1)\n" for i in range(2000)))
    succeed("compile", path, "--to", "model", "-o", out)


def test_outputs_that_cannot_be_written(tmp_path, artifact):
    refuse("compile", LLAMA, "-o", tmp_path / "none" / "a.rshard")
    refuse("compile", LLAMA, "-o", tmp_path)
    refuse("plan", "-o", tmp_path / "none" / "plan.json")
    result = rshard("run", artifact, "--model", LLAMA, "--tokens", "1", "--max-new-tokens", 0,
                    "--logits", tmp_path / "none" / "out.npy")
    assert result.status == 1
    check_said(result)
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_looked_at_before_compiling(tmp_path):
    for out in (tmp_path / "none" / "out.npy", tmp_path):
        result = refuse("run", LLAMA, *UNSHARDED, *RUN, "--logits", out, "--cpu", "x86-64-v2")
        assert "compiling" not in result.errors and "hashing" not in result.errors


def test_outputs_that_are_read(model, tmp_path):
    """A model is not overwritten by what is made of it, through links neither."""
    plan, link, tokens = tmp_path / "plan.json", tmp_path / "link", tmp_path / "tokens.npy"
    plan.write_bytes(rshard("plan").out)
    npy(tokens, np.arange(3))
    link.symlink_to(model / "config.json")
    before = {file: file.read_bytes() for file in [*model.iterdir(), plan, tokens]}
    for arguments in (["compile", model, "-o", model / "model.safetensors"], ["compile", model, "-o", link],
                      ["compile", model, "--plan", plan, "-o", plan], ["plan", model, "-o", model / "config.json"],
                      ["run", model, *RUN, "--logits", model / "config.json"],
                      ["run", model, "--tokens", tokens, "--logits", tokens]):
        refuse(*arguments, status=2, match="it is read too: the output would replace it")
    assert all(file.read_bytes() == data for file, data in before.items())
    # Other files there may be outputs.
    for _ in range(2):
        assert rshard("plan", model, "-o", model / "plan.json").status == 0


def test_long_names(tmp_path, artifact):
    long = "a" * 300
    for arguments in (["run", long, *RUN], ["compile", long, "-o", tmp_path / "a"], ["inspect", long], ["plan", long],
                      ["run", artifact, "--model", long, *RUN], ["compile", LLAMA, "-o", tmp_path / long],
                      ["plan", "--plan", long],
                      ["run", artifact, "--model", LLAMA, *RUN, "--logits", tmp_path / long]):
        refuse(*arguments, match="File name too long|no such file|cannot read")


def test_not_a_number(model):
    """Also where no token is drawn."""
    tensors = checkpoint.read_file(model / "model.safetensors")
    checkpoint.write_file(model / "model.safetensors", {name: tensor * np.float32("nan") for name, tensor in tensors.items()})
    for count in (0, 2):
        refuse("run", model, *UNSHARDED, "--tokens", "1,2,3", "--max-new-tokens", count, match="result 0 of position 2 is nan")
    out = model.parent / "out.npy"
    refuse("run", model, *UNSHARDED, "--tokens", "1,2,3", "--max-new-tokens", 0, "--logits", out, match="position 0 is nan")
    assert not out.exists()


def test_tokenizer_that_cannot_be_read(model):
    """Ids are printed, and it is said why."""
    (model / "tokenizer.json").write_text("{")
    result = rshard("run", model, *UNSHARDED, *RUN)
    assert result.status == 0 and result.out.count(b",") == 1
    assert re.fullmatch("note: .*tokenizer.json.*: ids are printed instead of text", result.said[0])


def test_cache_that_cannot_be_made(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    result = refuse("run", LLAMA, *UNSHARDED, *RUN, match="cannot keep compiled code: .*XDG_CACHE_HOME.*compile -o")
    assert len(result.said) == 1


def test_full_disk(tmp_path, artifact):
    """A limit on the size of files stands for a full disk: no output, no temporary file."""
    commands = [
        ["run", artifact, "--model", LLAMA, *RUN, "--logits", tmp_path / "out.npy"],
        ["compile", LLAMA, "-o", tmp_path / "out.rshard"],
    ]
    for command in commands:
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        # Python ignores SIGXFSZ; a command that inherits this sees writes fail, as on a full disk.
        result = rshard(*command, preexec_fn=limit, restore_signals=False)
        assert result.status == 1, (command, result.status, result.errors)
        check_said(result)
        assert list(tmp_path.iterdir()) == []


def test_artifact_of_another_model(artifact, tmp_path):
    refuse("run", artifact, "--model", GOLDEN / "smol-tiny", *RUN, match="model")
    # The same shapes, one weight differs in its last bit.
    other = copy_model(LLAMA, tmp_path / "other")
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-4] ^= 1
    (other / "model.safetensors").write_bytes(data)
    refuse("run", artifact, "--model", other, *RUN, match="other weights")


def test_truncated_artifact(artifact, tmp_path):
    data, cut = artifact.read_bytes(), tmp_path / "cut.rshard"
    for length in [0, 1, 4, 8, 15, 16, 63, 64, 200, 4096, len(data) // 2, len(data) - 1]:
        cut.write_bytes(data[:length])
        refuse("run", cut, "--model", LLAMA, *RUN)
        refuse("inspect", cut)
    cut.write_bytes(data + b"\0")
    refuse("run", cut, "--model", LLAMA, *RUN)


def flip(data, random, first, last):
    data = bytearray(data)
    at = random.randrange(first, last)
    data[at] ^= 1 << random.randrange(8)
    return at, bytes(data)


def test_flipped_bits_of_artifacts(artifact, tmp_path):
    """Half in the first kilobyte, half anywhere. Only the gaps between sections hold nothing that
    counts: a run that succeeds gives the tokens of the undamaged file."""
    expected = rshard("run", artifact, "--model", LLAMA, *RUN).out
    unnoticed = 0
    draw, data, path = random.Random(1), artifact.read_bytes(), tmp_path / "flipped.rshard"
    for i in range(60):
        at, damaged = flip(data, draw, 0, 1024 if i % 2 else len(data))
        path.write_bytes(damaged)
        result = rshard("run", path, "--model", LLAMA, *RUN)
        if result.status == 0:
            assert result.out == expected, at
            unnoticed += 1
        else:
            refused(result, 1)
    assert unnoticed <= 3


def test_flipped_bits_of_weight_headers(model):
    """Compiles to a whole file or refuses in one line; a flipped bit may hit a name in __metadata__."""
    draw, path, out = random.Random(2), model / "model.safetensors", model.parent / "out.rshard"
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for i in range(60):
        at, damaged = flip(data, draw, 0, 8 if i < 10 else end)
        path.write_bytes(damaged)
        result = rshard("compile", model, *UNSHARDED, "-o", out)
        assert result.status in (0, 1), (at, result.status, result.errors)
        assert out.exists() == (result.status == 0)
        if result.status:
            check_said(result)
            refused += 1
        out.unlink(missing_ok=True)
    assert refused > 30


def test_shards(tmp_path):
    """An index that names a file or a tensor that is not there, or a path outside."""
    model = tmp_path / "model"
    generate.write_model(model, "LlamaForCausalLM", shards=2)
    index = model / "model.safetensors.index.json"
    whole = json.loads(index.read_text())
    assert run_json(model, *UNSHARDED, *RUN)["prompt_tokens"] == 3
    name = next(iter(whole["weight_map"]))
    for file in ("none.safetensors", "../model.safetensors", "/etc/passwd", "", 3, None):
        index.write_text(json.dumps({**whole, "weight_map": {**whole["weight_map"], name: file}}))
        refuse("run", model, *UNSHARDED, *RUN)
    for text in ("", "{}", "[", '{"weight_map": []}', '{"weight_map": {}}'):
        index.write_text(text)
        refuse("run", model, *UNSHARDED, *RUN)


def test_damaged_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tokens = run_json(LLAMA, *UNSHARDED, *RUN)["tokens"]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    for file in files:
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:100])
    assert run_json(LLAMA, *UNSHARDED, *RUN)["tokens"] == tokens


def without_home(tmp_path, monkeypatch):
    """No directory of the user's: artifacts are kept in the temporary directory."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / f"rshard-{os.getuid()}"


def test_cache_in_the_temporary_directory_is_private(tmp_path, monkeypatch):
    cache = without_home(tmp_path, monkeypatch)
    first = run_json(LLAMA, *UNSHARDED, *RUN)["tokens"]
    assert cache.stat().st_mode & 0o777 == 0o700
    assert len(list(cache.glob("*.rshard"))) == 1
    assert run_json(LLAMA, *UNSHARDED, *RUN)["tokens"] == first
    # What others can write is no place for code that is going to run.
    cache.chmod(0o777)
    refuse("run", LLAMA, *UNSHARDED, *RUN, match="not a safe place for compiled code: writable by others: mode 0777 vs 0700")


@pytest.mark.parametrize("kind", ["link", "file"])
def test_cache_is_a_directory_of_ones_own(tmp_path, monkeypatch, kind):
    cache = without_home(tmp_path, monkeypatch)
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        cache.symlink_to(tmp_path / "elsewhere")
    else:
        cache.write_text("")
    refuse("run", LLAMA, *UNSHARDED, *RUN, match="not a safe place for compiled code: not a directory")
    assert kind == "file" or not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_cache_of_somebody_else(tmp_path, monkeypatch):
    cache = without_home(tmp_path, monkeypatch)
    cache.mkdir(mode=0o700)
    os.chown(cache, 12345, 12345)
    refuse("run", LLAMA, *UNSHARDED, *RUN, match="owned by user 12345 vs 0")
