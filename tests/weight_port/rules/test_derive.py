"""Rules derived from two checkpoints: the table's pairs, and planted traps."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port import arch, cli
from weight_port.dialects import dialect as dialects
from weight_port.dialects.keys import DIALECTS, keys
from weight_port.rules import derive as deriving
from weight_port.rules import reader, writer
from weight_port.rules.apply import apply
from weight_port.rules.derive import Derivation, accept, derive
from weight_port.rules.evidence import families, matching
from weight_port.rules.operations import Transpose

Tensors = dict[str, np.ndarray]
_BY_SUFFIXES = {id(dialects.KERAS): "keras", id(dialects.CAFFE): "caffe"}
ZERO = np.float32(0)


def framework(dialect: str) -> str:
    row = DIALECTS[dialect]
    return "torch" if row.torch else _BY_SUFFIXES.get(id(row.keys), "paddle")


def state(dialect: str, network: str) -> tuple[Tensors, dict[str, str]]:
    """A dialect's tensors without numbers, their names in any order; and what each is."""
    entries = keys(dialect, network)
    names = list(entries)
    random.Random(f"{dialect} {network}").shuffle(names)
    tensors = {name: np.broadcast_to(ZERO, entries[name].shape) for name in names}
    return tensors, {name: entries[name].name for name in names}


def wrong(derivation: Derivation, here: dict[str, str], there: dict[str, str]) -> list[str]:
    return [
        f"{pair.source} -> {pair.target}"
        for pair in derivation.pairs
        if here[pair.source] != there[pair.target]
    ]


def shapes_fit(result: Derivation) -> bool:
    """Whether every operation gives the target's shape."""
    for pair in result.pairs:
        shape = result.source.tensors[pair.source].shape
        for step in pair.operations:
            if isinstance(step, Transpose):
                shape = tuple(shape[axis] for axis in step.axes)
        if shape != result.target.tensors[pair.target].shape:
            return False
    return True


# Dialects whose pairs are not wholly decided yet: they stay open, and are never wrong.
OPEN = ("flax",)


@pytest.mark.parametrize("network", arch.ARCHITECTURES)
def test_no_pair_of_dialects_is_wrong_and_nearly_all_are_whole(network: str) -> None:
    dialects = [name for name, row in DIALECTS.items() if network in row.holds]
    states = {name: state(name, network) for name in dialects}
    pairs = list(itertools.permutations(dialects, 2))
    whole = 0
    for first, second in pairs:  # all of them: none may be wrong
        (source, here), (target, there) = states[first], states[second]
        result = derive(source, target, (framework(first), framework(second)))
        assert wrong(result, here, there) == []
        assert shapes_fit(result)
        shared = set(here.values()) & set(there.values())
        decided = {here[pair.source] for pair in result.pairs}
        whole += decided == shared and not {first, second} & set(OPEN)
        assert decided == shared or result.open
    assert pairs
    assert whole >= 0.95 * sum(not set(pair) & set(OPEN) for pair in pairs)


@pytest.mark.parametrize(
    ("first", "second", "network"),
    [
        ("timm", "paddleclas-2.0-vd", "resnet50_vd"),
        ("torchvision", "paddleclas", "resnet50"),
        ("timm", "paddle1", "resnet101_vd"),
        ("torchvision", "paddle1", "googlenet_bn"),
        ("torchvision", "paddle.vision", "vgg16"),
        ("keras", "transformers", "resnet50_v1"),
    ],
)
def test_the_rules_make_one_of_the_other_and_back(first: str, second: str, network: str) -> None:
    source, target = state(first, network)[0], state(second, network)[0]
    result = derive(source, target, (framework(first), framework(second)))
    assert not result.open
    rules = reader.parse(writer.text(result.rules()).encode(), "x")
    there = apply(rules, source).tensors
    assert {k: a.shape for k, a in there.items()} == {k: a.shape for k, a in target.items()}
    assert apply(rules.reverse(), there).tensors.keys() == source.keys()
    assert len(rules.rules) <= len(source)


# -- traps


def made(*names: str, shape: tuple[int, ...] = (8, 8)) -> Tensors:
    return {f"{name}.weight": np.broadcast_to(ZERO, shape) for name in names}


CONV = (8, 8, 3, 3)


def convs(*names: str) -> Tensors:
    return made(*names, shape=CONV)


def linears(*names: str) -> Tensors:
    """Square, with biases."""
    weights = made(*names)
    return weights | {f"{name}.bias": np.broadcast_to(ZERO, (8,)) for name in names}


def row(template: str, *numbers: int) -> list[str]:
    return [template.format(n) for n in numbers]


# What the trap is -> source, target, and the pairs that are right: none may be decided otherwise.
# None: something must stay open. Modules stand for their tensors.
TRAPS: dict[str, tuple[Tensors, Tensors, dict[str, str] | None]] = {
    "one square linear": (linears("fc"), linears("out"), {"fc": "out"}),
    "square linears in a row": (
        linears(*row("fc{}", 1, 2, 3)), linears(*row("linear{}", 1, 2, 3)),
        {f"fc{n}": f"linear{n}" for n in (1, 2, 3)},
    ),
    "branches exchanged in the file": (
        convs("left", "right"), convs("right", "left"), {"left": "left", "right": "right"},
    ),
    "branches exchanged, wrapped": (
        convs("left", "right"), convs("net.right", "net.left"),
        {"left": "net.left", "right": "net.right"},
    ),
    "branches of other names": (convs("left", "right"), convs("first", "second"), None),
    "branches, one renamed": (convs("left", "right"), convs("left", "other"), None),
    "three branches, two renamed": (convs("a", "b", "c"), convs("a", "dd", "ee"), None),
    "branches by number": (
        convs("branch1.conv", "branch2.conv"), convs("path1.conv", "path2.conv"),
        {"branch1.conv": "path1.conv", "branch2.conv": "path2.conv"},
    ),
    "branches numbered from 0": (
        convs("branch1", "branch2"), convs("paths.0", "paths.1"),
        {"branch1": "paths.0", "branch2": "paths.1"},
    ),
    "ten in a row, of two digits": (
        convs(*row("a.{}", *range(12))), convs(*row("b.{}", *range(12))),
        {f"a.{n}": f"b.{n}" for n in range(12)},
    ),
    "one missing at the end": (convs(*row("a.{}", 0, 1, 2)), convs(*row("b.{}", 0, 1)), None),
    "one too many at the end": (convs(*row("a.{}", 0, 1)), convs(*row("b.{}", 0, 1, 2)), None),
    "one missing within": (convs(*row("a.{}", 0, 1, 2, 3)), convs(*row("b.{}", 0, 1, 3)), None),
    "another missing on each side": (
        convs(*row("a.{}", 0, 1, 2, 4, 5)), convs(*row("b.{}", 0, 1, 3, 4, 5)), None,
    ),
    "another missing under the same names": (
        convs(*row("a.{}", 0, 1, 3)), convs(*row("a.{}", 0, 2, 3)), None,
    ),
    "numbers shifted under the same names": (
        convs(*row("a.{}", 0, 1, 2)), convs(*row("a.{}", 1, 2, 3)), None,
    ),
    "one renamed of a row": (
        convs(*row("a.{}", 0, 1, 2, 3)), convs(*row("a.{}", 0, 1, 2), "extra"), None,
    ),
    "two renamed of a row": (
        convs(*row("a.{}", 0, 1, 2, 3)), convs(*row("a.{}", 0, 1), "x", "y"), None,
    ),
    "one missing, one of another shape": (
        convs("a", "b"), {**convs("a"), **made("b", shape=(8, 9, 3, 3))}, None,
    ),
    "tied weights on one side": (
        {**made("embed", "head", shape=(20, 8))}, made("embed", shape=(20, 8)), None,
    ),
    "tied weights on both": (
        made("embed", "head", shape=(20, 8)),
        {**made("embed", shape=(20, 8)), **made("head", shape=(8, 20))},
        {"embed": "embed", "head": "head"},
    ),
    "an embedding and a head of other names": (
        made("table", "scores", shape=(20, 8)),
        {**made("lookup", shape=(20, 8)), **made("final", shape=(8, 20))}, None,
    ),
    "a square embedding": (made("embedding"), made("embed"), {"embedding": "embed"}),
    "a square matrix of no kind": (made("matrix"), made("matrix"), None),
    "queries, keys and values": (
        linears("query", "key", "value"), linears("v_proj", "k_proj", "q_proj"),
        {"query": "q_proj", "key": "k_proj", "value": "v_proj"},
    ),
    "queries, keys and values by number": (
        linears("query", "key", "value"), linears(*row("proj{}", 1, 2, 3)), None,
    ),
    "queries, keys and values of other names": (
        linears("query", "key", "value"), linears("aa", "bb", "cc"), None,
    ),
    "packed on one side": (
        {"in_proj_weight": np.broadcast_to(ZERO, (24, 8))}, made("q", "k", "v"), None,
    ),
    "encoder and decoder": (
        linears(*row("encoder.{}.fc", 0, 1), *row("decoder.{}.fc", 0, 1)),
        linears(*row("dec.{}.fc", 0, 1), *row("enc.{}.fc", 0, 1)),
        {f"{w}coder.{n}.fc": f"{w[:2]}c.{n}.fc" for w in ("en", "de") for n in (0, 1)},
    ),
    "two stacks of other names": (
        convs(*row("encoder.{}", 0, 1), *row("decoder.{}", 0, 1)),
        convs(*row("one.{}", 0, 1), *row("two.{}", 0, 1)), None,
    ),
    "two stacks in one row": (
        convs(*row("encoder.{}", 0, 1), *row("decoder.{}", 0, 1)),
        convs(*row("part.{}", 0, 1, 2, 3)), None,
    ),
    "teacher and student": (
        convs("teacher.a", "student.a"), convs("student.a", "teacher.a"),
        {"teacher.a": "teacher.a", "student.a": "student.a"},
    ),
    "teacher and student of other names": (
        convs("teacher.a", "student.a"), convs("online.a", "momentum.a"), None,
    ),
    "by layer here and by block there": (
        convs("b.0.conv1", "b.0.conv2", "b.1.conv1", "b.1.conv2"),
        convs("convs1.0", "convs1.1", "convs2.0", "convs2.1"), None,
    ),
    "a grid turned": (
        convs(*(f"x.{i}.{j}" for i in range(2) for j in range(3))),
        convs(*(f"y.{j}.{i}" for i in range(2) for j in range(3))), None,
    ),
    "a shortcut of the layer's shape": (
        convs("block.0.conv1", "block.0.shortcut", "block.1.conv1", "block.2.conv1"),
        convs("b.0.c1", "b.0.downsample", "b.1.c1", "b.2.c1"),
        {"block.0.shortcut": "b.0.downsample",
         **{f"block.{n}.conv1": f"b.{n}.c1" for n in (0, 1, 2)}},
    ),
    "axes exchanged in a convolution": (
        made("a", shape=(8, 4, 3, 3)), made("a", shape=(4, 8, 3, 3)), None,
    ),
    "a linear layer as a convolution": (
        made("fc", shape=(8, 4)), made("fc", shape=(8, 4, 1, 1)), None,
    ),
    "a bias that the target has not": (
        {**convs("a"), "a.bias": np.ones(8, np.float32)}, convs("a"), None,
    ),
    "a bias of zeros that the target has not": (
        {**convs("a"), "a.bias": np.zeros(8, np.float32)}, convs("a"), {"a": "a"},
    ),
    "two roles of one name": (
        {**convs("a"), "a.kernel": np.broadcast_to(ZERO, CONV)}, convs("a"), None,
    ),
    "nothing in common": (convs("a"), linears("b"), None),
    "a row against words": (convs(*row("a.{}", 0, 1, 2)), convs("x", "y", "z"), None),
    "some numbers are letters": (
        convs("res2a", "res2b", "res2c"), convs(*row("blocks.{}", 0, 1, 2)),
        {"res2a": "blocks.0", "res2b": "blocks.1", "res2c": "blocks.2"},
    ),
    "letters, then numbers": (
        convs("res4a", "res4b1", "res4b2", "res4b10"), convs(*row("blocks.{}", 0, 1, 2, 3)),
        {"res4a": "blocks.0", "res4b1": "blocks.1", "res4b2": "blocks.2", "res4b10": "blocks.3"},
    ),
}  # fmt: skip


def truth(pairs: dict[str, str]) -> set[tuple[str, str]]:
    return {(f"{a}.{leaf}", f"{b}.{leaf}") for a, b in pairs.items() for leaf in ("weight", "bias")}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_trap_is_right_or_open(trap: str, seed: int) -> None:
    source, target, right = TRAPS[trap]
    sides = []
    for side in (source, target):
        names = list(side)
        random.Random(seed).shuffle(names)
        sides.append({name: side[name] for name in names})
    result = derive(*sides, ("torch", "paddle"))
    if right is None:
        assert result.open
        return
    assert not result.open
    assert {(pair.source, pair.target) for pair in result.pairs} <= truth(right)
    assert {pair.target for pair in result.pairs} == set(target)


def test_there_are_traps_enough() -> None:
    assert len(TRAPS) >= 40


def steps(result: Derivation) -> dict[str, bool]:
    return {pair.source: bool(pair.operations) for pair in result.pairs}


def test_square_linears_are_turned_by_the_frameworks_alone() -> None:
    source, target = linears("fc1", "fc2"), linears("fc1", "fc2")
    weights = ("fc1.weight", "fc2.weight")
    assert all(steps(derive(source, target, ("torch", "paddle")))[name] for name in weights)
    assert not any(steps(derive(source, target, ("torch", "torch"))).values())
    for unknown in (("", "paddle"), ("torch", ""), ("", "")):
        assert len(derive(source, target, unknown).open) == 2


def test_a_linear_layer_that_contradicts_the_frameworks_leaves_squares_open() -> None:
    """GPT-2's Conv1D is [in, out] in PyTorch."""
    wide = {f"mlp.{leaf}": np.broadcast_to(ZERO, s) for leaf, s in
            (("weight", (8, 32)), ("bias", (32,)))}  # fmt: skip
    result = derive({**linears("fc"), **wide}, {**linears("fc"), **wide}, ("torch", "paddle"))
    assert [item.sources for item in result.open] == [("fc.weight",)]


def numbers(names: Tensors) -> Tensors:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=a.shape).astype(np.float32) for name, a in names.items()}


def test_equal_values_decide_what_names_leave_open() -> None:
    source = numbers({**convs("left", "right"), **made("m")})
    target = {
        "one.weight": source["right.weight"], "two.weight": source["left.weight"],
        "n.weight": source["m.weight"].T,
    }  # fmt: skip
    result = derive(source, target)
    assert not result.open
    assert {(p.source, p.target, bool(p.operations)) for p in result.pairs} == {
        ("right.weight", "one.weight", False),
        ("left.weight", "two.weight", False),
        ("m.weight", "n.weight", True),
    }
    changed = {name: array + np.float32(1) for name, array in target.items()}
    assert derive(source, changed).open


def test_constants_are_no_evidence() -> None:
    source = {name: np.ones(a.shape, np.float32) for name, a in convs("left", "right").items()}
    target = {"x.weight": source["left.weight"], "y.weight": source["right.weight"] + 1}
    assert derive(source, target).open


def test_what_is_accepted_is_written_and_what_is_not_there_is_not_made() -> None:
    assert not accept(derive(convs("left", "right"), convs("one", "two"))).open
    assert not accept(derive({**convs("a"), **linears("fc")}, convs("a"))).open
    assert accept(derive(convs("a", "b"), convs("a"))).open  # which of them, no order says
    assert accept(derive(convs("a"), {**convs("a"), **linears("fc")})).open


def test_an_order_that_is_taken_for_granted_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The traps fail where the checks of order, or those of what is left, are taken out."""
    monkeypatch.setattr(families, "_same_grid", lambda *_: True)
    monkeypatch.setattr(families, "_is_broken", lambda *_: False)
    for trap in ("by layer here and by block there", "another missing on each side"):
        source, target, _ = TRAPS[trap]
        assert not derive(source, target, ("torch", "paddle")).open, trap
    for module in (families, matching):
        monkeypatch.setattr(module, "may_be_left", lambda *_: True)
    source, target, _ = TRAPS["branches, one renamed"]
    assert not derive(source, target).open
    assert deriving.GUESSED not in derive(source, target).evidence


# -- command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    source = numbers({**linears("fc"), **convs("left", "right")})
    weight_port.write(tmp_path / "src.pth", source)
    weight_port.write(tmp_path / "same.pdparams", {f"net.{k}": a for k, a in source.items()})
    other = {"fc.weight": "fc.weight", "fc.bias": "fc.bias", "left.weight": "x.weight"}
    open_names = {other.get(name, "y.weight"): array + 1 for name, array in source.items()}
    weight_port.write(tmp_path / "open.pdparams", open_names)
    return tmp_path


def call(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_rules_are_derived_checked_and_used(files: Path, capsys) -> None:
    out = files / "rules.toml"
    assert call("derive", files / "src.pth", files / "same.pdparams", "--out", out) == 0
    assert call("rules", "check", out, files / "src.pth", files / "same.pdparams") == 0
    assert call("convert", files / "src.pth", files / "out.pdparams", "--rules", out) == 0
    assert call("diff", files / "out.pdparams", files / "same.pdparams") == 0
    assert "the same values" in capsys.readouterr().out


def test_what_is_open_is_listed_and_nothing_written(files: Path, capsys) -> None:
    out = files / "rules.toml"
    derive_open = ("derive", files / "src.pth", files / "open.pdparams", "--out", out)
    assert call(*derive_open) == 3
    assert not out.exists()
    shown = capsys.readouterr().out
    assert "left.weight" in shown
    assert "x.weight" in shown
    mine = files / "mine.toml"
    mine.write_text('version = 1\n[[rule]]\nfrom = "left.weight"\nto = "x.weight"\n')
    assert call(*derive_open, "--with", mine) == 0
    rules = reader.read(out)
    assert apply(rules, weight_port.read(files / "src.pth")).origins["y.weight"] == (
        "right.weight",
    )
    assert call(*derive_open, "--accept") == 2  # it exists
    assert call(*derive_open, "--accept", "--force") == 0
