"""plan, explain and verify; plans with any token sets."""

import json
import re

import pytest

from checkpoint import read_file
from commandline import GOLDEN, LLAMA, UNSHARDED, ids, refuse, refused, rshard, run_json, succeed

# Queries and keys differ, finite prefixes, uneven sets, nodes that share ranks: 2 CompNodes, 3x2 grid.
MIXED = {
    "R": ["[0,3) [5,6) below 10, then period 4: [0,1) [2,3)", "[3,5) [6,10) below 10, then period 4: [1,2) [3,4)"],
    "S": ["period 5: [0,2)", "period 5: [2,3)", "period 5: [3,5)"],
    "T": ["period 3: [0,1)", "period 3: [1,3)"],
    "client_layers": [0, 0],
    "ranks": [0, 1, 2, 1, 3, 2, 3, 0, 4],
}


def test_figure():
    out = succeed("explain", "--one-based").out.decode()
    assert "21 nodes on 21 ranks" in out
    assert "R = [1,2,8,9..], [3,4,10,11..], [5,6,12,13..], [7,14..]\n" in out
    assert "S = T = [1,3,8,10..], [2,4,9,11..], [5,7,12,14..], [6,13..]\n" in out
    out = re.sub(" +", " ", succeed("explain").out.decode())
    assert "R = [0,1,7,8..], [2,3,9,10..], [4,5,11,12..], [6,13..]\n" in out
    assert "S = T = [0,2,7,9..], [1,3,8,10..], [4,6,11,13..], [5,12..]\n" in out
    # The picture, against the rule by brute force.
    queries = [{0, 2}, {1, 3}, {4, 6}, {5}]
    rows = [(f"comp({i})", {2 * i, 2 * i + 1} & set(range(7))) for i in range(4)]
    rows += [(f"attn({j},*) attn(*,{j})", queries[j]) for j in range(4)]
    for name, owned in rows:
        assert f"{name} {''.join('#' if p % 7 in owned else '.' for p in range(28))}\n" in out


def write(tmp_path, **keys):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**MIXED, **keys}))
    return path


def test_round_trip(tmp_path):
    """A plan that is read and written again is the same plan; the model gives the same tokens under it."""
    path, again = write(tmp_path), tmp_path / "again.json"
    succeed("plan", path, "-o", again)
    once = again.read_bytes()
    assert json.loads(once)["ranks"] == MIXED["ranks"]
    succeed("plan", "--plan", again, "-o", again)
    assert again.read_bytes() == once
    succeed("verify", path)
    tokens = read_file(LLAMA / "reference.safetensors")["greedy_13_48"].tolist()
    options = ["--tokens", ids(tokens[:13]), "--max-new-tokens", 48, "--ignore-eos"]
    out = run_json(LLAMA, "--plan", path, *options)
    assert out["tokens"] == tokens and out["ranks"] == 5
    succeed("compile", LLAMA, "--plan", again, "-o", tmp_path / "model.rshard")
    out = run_json(tmp_path / "model.rshard", "--model", LLAMA, *options, "--chunk", 4)
    assert out["tokens"] == tokens and out["ranks"] == 5


@pytest.mark.parametrize("activations, partials", [("f32", "f32"), ("bf16", "f32"), ("bf16", "bf16"), ("f16", "f16")])
def test_types(activations, partials, tmp_path):
    """Predicted bytes follow the types (C7), in the plan's file, in the IR and from options."""
    options = ["--activations", activations, "--partials", partials]
    size = {"f32": 4, "bf16": 2, "f16": 2}
    heads, width = 4, 64
    path, ir = tmp_path / "plan.json", tmp_path / "planned.mlir"
    succeed("plan", *options, "-o", path)
    assert json.loads(path.read_text())["types"] == {"activations": activations, "partials": partials}
    succeed("compile", LLAMA, "--plan", path, "--to", "planned", "-o", ir)
    whole = json.loads(succeed("explain", LLAMA, "--json").out)
    for subject in ([LLAMA, *options], [LLAMA, "--plan", path], [ir]):
        out = json.loads(succeed("explain", *subject, "--json").out)
        for step in ("prompt", "token"):
            for f32, edge in zip(whole["bytes"][step], out["bytes"][step], strict=True):
                assert {**f32, "bytes": 0} == {**edge, "bytes": 0}
                if edge["exchange"] == "down":  # half of the rows are o, half lse
                    assert edge["bytes"] == edge["rows"] // 2 * (width * size[partials] + heads * 4)
                else:
                    assert edge["bytes"] == f32["bytes"] * size[activations] // 4


def test_types_that_cpu_code_has_not(tmp_path):
    match = "error: activations are bf16 vs f32, which cpu code computes in"
    out = tmp_path / "model.rshard"
    refuse("compile", LLAMA, "--activations", "bf16", "-o", out, match=match)
    refuse("run", LLAMA, "--activations", "bf16", "--tokens", "1,2", match=match)
    assert not list(tmp_path.iterdir())
    # IR of any phase goes through, and says the same when code is asked for.
    ir = tmp_path / "partitioned.mlir"
    for phase in ("planned", "scheduled", "partitioned"):
        succeed("compile", LLAMA, "--activations", "bf16", "--to", phase, "-o", ir)
    refuse("compile", ir, "-o", out, match=match)
    assert not out.exists()


@pytest.mark.parametrize("plan", [[], UNSHARDED, ["--comp", "3", "--attn", "3x2"], ["--client-layers", "1,0"]])
def test_verify(plan):
    result = json.loads(succeed("verify", LLAMA, *plan, "--json").out)
    assert {check["constraint"] for check in result["checks"]} >= {"C1", "C2", "C6"}
    assert all(check["holds"] for check in result["checks"])


BROKEN = {
    "lost": ({"R": ["period 4: [0,2)", "period 4: [2,3)"]}, "C1.*position 3 .*R"),
    "twice": ({"S": ["period 5: [0,2)", "period 5: [1,3)", "period 5: [3,5)"]}, "C1.*position 1 .*S"),
    "lost far away": ({"T": ["[0,40) below 40, then period 3: [0,1)", "[] below 40, then period 3: [1,2)"]}, "error"),
    "lost prefix": ({"T": ["[1,3) below 3, then period 3: [0,1)", "period 3: [1,3)"]}, "error"),
    "few ranks": ({"ranks": [0, 1, 2]}, "rank"),
    "many ranks": ({"ranks": list(range(10))}, "rank"),
    "negative rank": ({"ranks": [0, 1, 2, 1, 3, 2, 3, 0, -4]}, "rank"),
    "rank with no node": ({"ranks": [0, 1, 2, 1, 3, 2, 3, 0, 2000000000]}, "rank"),
    "text as rank": ({"ranks": "all"}, "rank"),
    "no queries": ({"S": []}, "S"),
    "number as set": ({"R": [1, 2]}, "R"),
    "period 0": ({"R": ["period 0: [0,1)"]}, "period"),
    "run backwards": ({"R": ["period 4: [3,1)", "period 4: [0,4)"]}, r"\[3,1\)"),
    "huge period": ({"R": ["period 99999999999999999999: [0,1)"]}, "error"),
    "no common period": (
        {"R": ["period 1000003: [0,5)", "period 1000003: [5,1000003)"], "S": ["period 999983: [0,999983)"]}, "error"),
    "client layers": ({"client_layers": [-1, 0]}, "client"),
    "three client layers": ({"client_layers": [0, 0, 0]}, "client"),
    "unknown key": ({"Q": []}, "Q"),
    "unknown type": ({"types": {"activations": "f8"}}, "activations are f8 vs f32, bf16 or f16"),
    "types that differ": ({"types": {"activations": "bf16", "partials": "f16"}}, "partials are f16"),
    "type of nothing": ({"types": {"cache": "f32"}}, "types.cache"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_plans(name, tmp_path):
    keys, match = BROKEN[name]
    path, out = write(tmp_path, **keys), tmp_path / "model.rshard"
    refuse("verify", path, match=match)
    refuse("compile", LLAMA, "--plan", path, "-o", out, match=match)
    refuse("run", LLAMA, "--plan", path, "--tokens", "1,2", match=match)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"R": 1}', "[" * 100000, "\x00\xff", '{"R": "' + "a" * 10**6])
def test_no_plans(text, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(text)
    refuse("verify", path)


def test_impossible_options():
    refuse("plan", "--comp", "4", "--cluster", "2", "--period", "9", status=2, match="C1.*9")
    refuse("compile", GOLDEN / "smol-tiny", "--client-layers", "1,1", "--to", "planned", match="1 \\+ 1 vs less than the 2 layers")
    for grid in ("4", "0x4", "4x", "-1x4", "4x4x4", "99999999999999999999x1"):
        refused(rshard("plan", f"--attn={grid}"), 2)
    refuse("plan", "--ranks", "22", status=2)


@pytest.mark.parametrize("session", [["--max-new-tokens", 2], ["--max-new-tokens", 2, "--capacity", 60]])
@pytest.mark.parametrize("plan", [[], ["--comp", "3", "--attn", "3x2", "--ranks", "4"]], ids=["figure", "ranks"])
def test_explained_bytes_are_those_of_the_run(plan, session):
    """Of a prompt and one more step, in a session of the same capacity: it decides which keys are sent (C2, C7)."""
    explained = json.loads(succeed("explain", LLAMA, *plan, "--length", 28, *session, "--json").out)["bytes"]
    ran = run_json(LLAMA, *plan, "--tokens", ids(range(1, 29)), *session, "--ignore-eos", "--stats")["bytes"]
    for kind in ("enter", "up", "down", "leave"):
        expected = sum(one["bytes"] for step in explained.values() for one in step if one["exchange"] == kind)
        assert sum(bytes for name, bytes in ran.items() if name.rstrip("0123456789") == kind) == expected, kind
