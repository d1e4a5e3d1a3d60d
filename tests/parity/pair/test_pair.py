"""The command on pairs of small networks: equal ones are equal, in everything that is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity import records
from parity.__main__ import main
from parity.pair import record
from tests import ROOT
from tests.helpers import commands, pair_in_process

# name: (inputs, matched layers, tensors)
PAIRS = {
    "Perceptron": (["x=float32[3,6]"], 4, 6),
    "Mobile": (["x=float32[2,3,12,12]"], 11, 15),
    "Recogniser": (["ids=int64[3,10]<20", "mask=bool[3,5]"], 7, 25),
    "Encoder": (["in.x=float32[2,4,8]", "in.position=float32[1,4,8]"], 13, 33),
}
Pair = Callable[..., Any]


def command(name: str, *more: str | Path, torch: str = "", paddle: str = "") -> tuple[Any, ...]:
    given = [word for form in PAIRS[name][0] for word in ("--input", form)]
    sides = (
        "--torch", f"tests.helpers.pair_torch:{torch or name}",
        "--paddle", f"tests.helpers.pair_paddle:{paddle or name}",
    )  # fmt: skip
    return ("pair", *sides, *given, *more)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """``pair(name, *options)`` gives (what was printed and how it ended, the record)."""
    monkeypatch.chdir(ROOT)

    def call(name: str, *more: str | Path, **sides: str) -> tuple[Any, Any]:
        done = commands.run(main, *command(name, *more, "--out", tmp_path, **sides))
        file = tmp_path / "pair.json"
        return done, json.loads(file.read_text()) if file.exists() else None

    return call


WHOLE = ("--isolate", "--backward", "--train-steps", "3", "--mode", "eval,train")


@pytest.mark.parametrize(
    ("name", "optimizer", "failing"),
    [
        ("Perceptron", "sgd", ()),
        ("Mobile", "adam", ()),
        ("Recogniser", "adamw", ("gradients, eval mode",)),  # Paddle has no such LSTM
        ("Encoder", "adamw", ()),
    ],
)
@pytest.mark.numerical
def test_equal_networks_are_equal_in_everything(
    pair: Pair, name: str, optimizer: str, failing: tuple[str, ...]
) -> None:
    done, written = pair(name, *WHOLE, "--optimizer", optimizer)
    matching, sections = written["matching"], written["sections"]
    wrong = [(s["title"], s["first"], s["error"]) for s in sections
             if not s["passed"] and not s["title"].startswith(failing or "nothing")]  # fmt: skip
    assert not wrong, done.stdout
    assert done.returncode == (2 if failing else 0), done.stdout
    assert len(sections) == 2 * (2 * 3 + 1)
    assert (len(matching["layers"]), len(matching["weights"])) == PAIRS[name][1:]
    assert matching["unmatched"] == {"torch": [], "paddle": []} == matching["unmapped"]
    exact = [o["relative_l2"] for s in sections for o in s["outputs"]
             if s["title"] == "forward, eval mode, float64"]  # fmt: skip
    assert max(exact) < 1e-14  # no constant is stored otherwise
    records.check(written, record.SCHEMA, "the record", "record of a pair")


def test_what_a_function_gives_is_compared_where_it_goes(pair: Pair) -> None:
    _, written = pair("Mobile", "--precision", "float64")
    (forward,) = written["sections"]
    names = [output["name"] for output in forward["outputs"]]
    assert "into squeeze = gap" not in names  # a layer's output, as it is
    assert names.index("into pool = down") == names.index("pool = down") - 1
    assert "into head = fc" in names
    assert names[-1] == "output"


def test_a_verdict_can_fail(pair: Pair, tmp_path: Path) -> None:
    """One weight, on one side alone: first that differs, in everything after it, exit status 1."""
    done, written = pair("Perceptron", "--precision", "float64")
    assert done.returncode == 0
    states = states_of("Perceptron", tmp_path)
    states["torch"]["norm.weight"][2] += 1e-6
    np.savez(tmp_path / "torch.npz", **states["torch"])
    np.savez(tmp_path / "paddle.npz", **states["paddle"])
    files = ("--torch-weights", tmp_path / "torch.npz", "--paddle-weights", tmp_path / "paddle.npz")
    done, written = pair("Perceptron", "--precision", "float64", "--backward", *files)
    assert done.returncode == 1, done.stdout
    assert [row["name"] for row in written["tensors"]["different"]] == ["ln.weight"]
    forward, gradients = written["sections"]
    assert forward["first"] == "norm = ln"
    assert forward["failed"] == 3
    assert gradients["first"] == "loss"


@pytest.mark.parametrize(
    ("name", "form", "tensors"),
    [("bare_linear", "float32[2,7]", 2), ("bare_lstm", "float32[2,5,4]", 4),
     ("bare_function", "float32[3]", 0)],
)  # fmt: skip
@pytest.mark.numerical
def test_a_network_may_be_one_layer(tmp_path: Path, name: str, form: str, tensors: int) -> None:
    pair = pair_in_process.build(name, {"x": form}, tmp_path)
    (match,) = pair.layout.matching.matches
    assert pair.layout.names() == {(match.torch, match.paddle): "network"}
    assert len(pair.layout.entries) == tensors
    assert pair.cause(tmp_path / "runs") is None


def states_of(name: str, folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Equal tensors of a pair, by the keys and in the layout of each side; a square one too."""
    assert name == "Perceptron"
    random = np.random.default_rng(3)
    shapes = {"first.weight": (6, 6), "first.bias": (6,), "norm.weight": (6,), "norm.bias": (6,),
              "last.weight": (4, 6), "last.bias": (4,)}  # fmt: skip
    torch = {key: random.standard_normal(shape) for key, shape in shapes.items()}
    torch = {key: array.astype(np.float32) for key, array in torch.items()}
    renamed = {"first": "fc1", "norm": "ln", "last": "fc2"}
    paddle = {
        key.replace(key.split(".")[0], renamed[key.split(".")[0]]): array.T if array.ndim == 2
        else array for key, array in torch.items()
    }  # fmt: skip
    return {"torch": torch, "paddle": {key: array.copy() for key, array in paddle.items()}}


@pytest.mark.parametrize("side", ["torch", "paddle"])
def test_weights_of_one_side_are_carried_to_the_other(
    pair: Pair, tmp_path: Path, side: str
) -> None:
    states = states_of("Perceptron", tmp_path)
    np.savez(tmp_path / "w.npz", **states[side])
    done, written = pair("Perceptron", f"--{side}-weights", tmp_path / "w.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    other = "paddle" if side == "torch" else "torch"
    assert written["weights"][other] == f"carried over from {side}'s"
    assert written["weights"][side].endswith("w.npz")


def test_a_square_weight_left_untransposed_differs(pair: Pair, tmp_path: Path) -> None:
    states = states_of("Perceptron", tmp_path)
    states["paddle"]["fc1.weight"] = np.ascontiguousarray(states["paddle"]["fc1.weight"].T)
    for name, state in states.items():
        np.savez(tmp_path / f"{name}.npz", **state)
    files = [w for s in states for w in (f"--{s}-weights", tmp_path / f"{s}.npz")]
    done, written = pair("Perceptron", *files)
    assert done.returncode == 1
    assert written["sections"][0]["first"] == "first = fc1"


@pytest.mark.parametrize(
    ("more", "sides", "reason"),
    [
        ((), {"torch": "no_module"}, "pair_torch:no_module: returns a int; a torch.nn.Module is"),
        ((), {"torch": "failing"}, "failed: RuntimeError: no such layer"),
        ((), {"torch": "absent"}, "tests.helpers.pair_torch has no absent"),
        ((), {"torch": "broken_forward"}, "torch's side: RuntimeError: mat1 and mat2 shapes"),
        (("--torch", "tests.helpers.nothing:x"), {}, "can't be imported: ModuleNotFoundError"),
        (("--torch", "tests.helpers"), {}, "names no callable: write pkg.mod:make or file.py:make"),
        (("--torch-weights", "absent.pth"), {}, "absent.pth: no such file"),
        (("--input", "y"), {}, "--input y: write NAME=FORM"),
        (("--input", "x=float8[2]"), {}, "input x: float8 is none of float32"),
        (("--input", "x=int64[2]"), {}, "drawn integers need a bound: int64[2]<1000"),
        (("--input", "x=absent.npy"), {}, "absent.npy: can't be read"),
        (("--input", "x=nothing/"), {}, "'nothing/' is none of float32[2,3,224,224]"),
    ],
)  # fmt: skip
def test_what_is_not_possible_is_an_error(
    pair: Pair, more: tuple[str, ...], sides: dict[str, str], reason: str
) -> None:
    done, written = pair("Perceptron", *more, **sides)
    assert done.returncode == 2, done.stdout
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert written is None


def test_a_weight_file_of_another_network_is_refused(pair: Pair, tmp_path: Path) -> None:
    states = states_of("Perceptron", tmp_path)
    for side, state in states.items():
        key, array = state.popitem()
        np.savez(tmp_path / "less.npz", **state)
        done, _ = pair("Perceptron", f"--{side}-weights", tmp_path / "less.npz")
        assert done.returncode == 2
        assert f"missing {key}" in done.stderr
        np.savez(tmp_path / "other.npz", **state, **{key: np.zeros(array.size + 1, np.float32)})
        done, _ = pair("Perceptron", f"--{side}-weights", tmp_path / "other.npz")
        assert done.returncode == 2
        assert key in done.stderr


def test_a_file_says_it_all(tmp_path: Path) -> None:
    """A pair.toml in a folder of its own, with inputs of a file, names and a map of weights."""
    (tmp_path / "port").mkdir()
    helpers = ROOT / "tests" / "helpers"
    for side in ("torch", "paddle"):
        text = (helpers / f"pair_{side}.py").read_text()
        (tmp_path / "port" / f"{side}_nets.py").write_text(text)
    np.savez(tmp_path / "batch.npz", x=np.ones((2, 6), np.float32) * np.arange(6, dtype=np.float32))
    (tmp_path / "mine.toml").write_text(
        'inputs = { x = "batch.npz" }\n'
        '[torch]\nmake = "port/torch_nets.py:Perceptron"\n'
        '[paddle]\nmake = "port.paddle_nets:Perceptron"\n'
        '[names]\nactivation = "gelu"\n[weights]\n"last.bias" = "fc2.bias"\n'
    )
    done = commands.run(main, "pair", tmp_path / "mine.toml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "out" / "mine.json").read_text())
    rows = {row["torch"]: row for row in written["matching"]["layers"]}
    assert rows["activation"]["evidence"] == ["named by the user"]
    assert written["inputs"] == {"x": {"dtype": "float32", "shape": [2, 6]}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[torch]\nmake = 1", "torch.make must be text, not int"),
        ("[torch]\nmade = 'x'", "torch.made is none of make, weights, python"),
        ("[jax]\nmake = 'x'", "jax is no table of a pair"),
        ("torch", "no TOML"),
        ("", "nothing builds torch's side"),
        ("[torch]\nmake = 'a:b'", "nothing builds paddle's side"),
    ],
)
def test_a_wrong_file_is_an_error(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "pair.toml").write_text(text)
    done = commands.run(main, "pair", tmp_path / "pair.toml")
    assert done.returncode == 2
    assert reason in done.stderr
