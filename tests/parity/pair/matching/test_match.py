"""The alignment of two executions, on traces that no framework made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity.pair.matching.match import match
from parity.pair.matching.weights import to_paddle, to_torch, weight_map
from parity.pair.sides.trace import GIVEN
from parity.run.inputs import UsageError

SHAPES = {"linear": [[4, 4], [4]], "conv": [[8, 3, 3, 3]], "batch_norm": [[4], [4], [4], [4]]}
ROLES = {
    "linear": (["weight", "bias"], ["weight", "bias"]),
    "conv": (["weight"], ["weight"]),
    "batch_norm": (["weight", "bias", "running_mean", "running_var"],
                   ["weight", "bias", "_mean", "_variance"]),
}  # fmt: skip


def trace(side: str, *layers: str, sums: dict[str, int] | None = None) -> dict[str, Any]:
    """A chain of layers, each ``path:kind`` or ``path:kind:width`` of its output.

    ``sums`` of the bit patterns of a layer's tensors; without them they all differ.
    """
    sums = sums or {layer.partition(":")[0]: hash((side, layer)) for layer in layers}
    calls, tensors = [], []
    for number, layer in enumerate(layers):
        path, kind, *width = layer.split(":")
        shape = [2, int(width[0]) if width else 4]
        call = {"path": path, "kind": kind, "class": kind, "whole": False, "settings": {},
                "number": 0, "leaf": True, "inputs": [shape], "from": [number - 1 or GIVEN],
                "outputs": [["", shape, "float32"]], "call": path, "began": number,
                "made": [number]}  # fmt: skip
        calls.append(call)
        for role, sides in zip(
            ROLES.get(kind, ([], []))[side == "paddle"], SHAPES.get(kind, []), strict=True
        ):
            tensors.append({"key": f"{path}.{role}", "role": role, "shape": sides,
                            "path": path, "kind": kind, "sum": sums.get(path, 0)})  # fmt: skip
    outputs = [["", calls[-1]["outputs"][0][1], "float32"]]
    return {"calls": calls, "tensors": tensors, "outputs": outputs, "made": [len(calls) - 1]}


def matched(torch: Any, paddle: Any, names: dict[str, str] | None = None) -> list[tuple[str, str]]:
    found = match(torch, paddle, names or {})
    return [(torch["calls"][m.torch]["path"], paddle["calls"][m.paddle]["path"])
            for m in found.matches]  # fmt: skip


CHAIN = ("a:linear", "b:batch_norm", "c:relu", "d:linear", "e:relu")


@pytest.mark.parametrize(
    ("torch", "paddle", "pairs", "left"),
    [
        (CHAIN, ("v:linear", "w:batch_norm", "x:relu", "y:linear", "z:relu"),
         "av bw cx dy ez", ((), ())),
        # a layer that one side lacks
        (CHAIN, ("v:linear", "w:batch_norm", "y:linear", "z:relu"), "av bw dy ez", (("c",), ())),
        (("a:linear", "d:linear"), ("v:linear", "x:relu", "y:linear"), "av dy", ((), ("x",))),
        # another activation is the same place in the network, another kind is not
        (("a:linear", "c:gelu"), ("v:linear", "x:relu"), "av cx", ((), ())),
        (("a:linear", "c:softmax"), ("v:linear", "x:relu"), "av", (("c",), ("x",))),
        # shapes tell which of two is missing
        (("a:relu:4", "b:relu:8"), ("z:relu:8",), "bz", (("a",), ())),
        # dropout and identity are nobody's loss
        (("a:linear", "i:identity", "d:dropout", "c:relu"), ("v:linear", "x:relu"), "av cx",
         ((), ())),
        # a function on the other side each: none is the other
        (("a:linear", "c:relu", "d:linear"), ("v:linear", "y:linear", "x:relu"), "av dy",
         (("c",), ("x",))),
        # computed in another order: the only one of its kind and shapes on either side
        (("a:linear", "c:conv", "e:relu"), ("w:conv", "v:linear", "z:relu"), "cw av ez", ((), ())),
    ],
)  # fmt: skip
def test_executions_are_aligned(
    torch: tuple[str, ...], paddle: tuple[str, ...], pairs: str, left: tuple[tuple[str, ...], ...]
) -> None:
    sides = trace("torch", *torch), trace("paddle", *paddle)
    assert sorted(matched(*sides)) == sorted((one[0], one[1]) for one in pairs.split())
    unmatched = match(*sides, {}).unmatched
    assert (unmatched["torch"], unmatched["paddle"]) == left


def test_names_overrule_and_are_checked() -> None:
    sides = trace("torch", "a:relu", "b:relu"), trace("paddle", "x:relu", "y:relu")
    assert matched(*sides) == [("a", "x"), ("b", "y")]
    assert matched(*sides, {"a": "y"}) == [("a", "y")]
    found = match(*sides, {"a": "y"}).matches[0]
    assert (found.confidence, found.evidence) == (1.0, ("named by the user",))
    for names in ({"q": "y"}, {"a": "q"}):
        with pytest.raises(UsageError, match="'q' is no module of"):
            match(*sides, names)


def test_values_tell_branches_apart_that_run_in_another_order() -> None:
    """Two linear layers of one shape, of which each side runs another first."""
    one = trace("torch", "a:linear", "b:linear", sums={"a": 1, "b": 2})
    other = trace("paddle", "x:linear", "y:linear", sums={"x": 2, "y": 1})
    assert sorted(matched(one, other)) == [("a", "y"), ("b", "x")]
    found = match(one, other, {}).matches
    assert all(m.confidence == 1.0 and m.evidence[-1] == "tensors' values" for m in found)
    wrong = trace("paddle", "x:linear", "y:linear", sums={"x": 3, "y": 4})
    assert matched(one, wrong) == [("a", "x"), ("b", "y")]  # as they ran


def test_confidence_falls_with_the_evidence() -> None:
    def least(*layers: str) -> float:
        found = match(trace("torch", "a:linear"), trace("paddle", *layers), {})
        return found.matches[0].confidence

    assert least("a:linear") == 1.0
    assert 1.0 > least("b:linear") > least("b:linear:8") > 0


def test_weights_go_there_and_back() -> None:
    sides = (trace("torch", "a:linear", "b:batch_norm", "c:conv"),
             trace("paddle", "x:linear", "y:batch_norm", "z:conv"))  # fmt: skip
    entries = weight_map(*sides, match(*sides, {}), {})
    assert {entry.source: (entry.target, entry.order) for entry in entries} == {
        "a.weight": ("x.weight", (1, 0)),
        "a.bias": ("x.bias", ()),
        "b.weight": ("y.weight", ()),
        "b.bias": ("y.bias", ()),
        "b.running_mean": ("y._mean", ()),
        "b.running_var": ("y._variance", ()),
        "c.weight": ("z.weight", ()),
    }
    random = np.random.default_rng(0)
    torch = {row["key"]: random.standard_normal(row["shape"]) for row in sides[0]["tensors"]}
    paddle = to_paddle(entries, torch)
    assert np.array_equal(paddle["x.weight"], torch["a.weight"].T)
    back = to_torch(entries, paddle)
    assert back.keys() == torch.keys()
    assert all(np.array_equal(back[key], torch[key]) for key in torch)


def test_a_map_of_weights_overrules_and_is_checked() -> None:
    sides = (trace("torch", "a:linear", "b:linear"), trace("paddle", "x:linear", "y:linear"))
    found = match(*sides, {})
    entries = weight_map(*sides, found, {"a.bias": "y.bias"})
    pairs = {entry.source: entry.target for entry in entries}
    assert pairs["a.bias"] == "y.bias"
    assert "b.bias" not in pairs or pairs["b.bias"] == "x.bias"
    sides = trace("torch", "a:batch_norm"), trace("paddle", "x:batch_norm")
    found = match(*sides, {})
    same = weight_map(*sides, found, {"a.running_var": "x._variance"})
    assert same == weight_map(*sides, found, {})  # its role and layer are not lost
    with pytest.raises(UsageError, match="'q' is no tensor of paddle's"):
        weight_map(*sides, found, {"a.bias": "q"})
