"""Rules files: read and written, carried out and undone, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import weight_port
from weight_port import cli
from weight_port.errors import FormatError, MismatchError
from weight_port.rules import operations, reader, writer
from weight_port.rules.apply import apply
from weight_port.rules.check import check
from weight_port.rules.model import Rule, Rules
from weight_port.rules.patterns import literal, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = json.loads(Path(reader.__file__).with_name("schema.json").read_text())

PORT = """
version = 1
source = "torch"
target = "paddle"

[[rule]]
from = "layer{i}.{j}.conv{k}.weight"
to = "blocks.{i-1}.{j}.conv{k-1}.weight"
where = { i = [1, 2], j = [0, 1], k = [1, 3] }

[[rule]]
from = "fc.weight"
to = "out.weight"
do = [{ transpose = [1, 0] }]

[[rule]]
from = "attention.in_proj_weight"
to = ["q.weight", "k.weight", "v.weight"]
do = [{ split = 3, axis = 0 }, { transpose = [1, 0] }]

[[rule]]
from = "{m:path}.running_mean"
to = "{m:path}._mean"

[[dropped]]
name = "{m:path}.num_batches_tracked"
beside = "{m:path}.running_mean"
shape = []
dtype = "int64"
value = 0
"""


def tensors() -> dict[str, np.ndarray]:
    """A source of PORT, no two numbers of which are the same."""
    shapes: dict[str, tuple[int, ...]] = {
        f"layer{i}.{j}.conv{k}.weight": (2, 3, 1, 1)
        for i in (1, 2)
        for j in (0, 1)
        for k in (1, 2, 3)
    }
    shapes |= {"fc.weight": (5, 5), "attention.in_proj_weight": (12, 4), "a.b.running_mean": (7,)}
    size = sum(int(np.prod(shape)) for shape in shapes.values())
    numbers = iter(np.arange(size, dtype=np.float32))
    made = {
        name: np.array([next(numbers) for _ in range(int(np.prod(shape)))], np.float32).reshape(
            shape
        )
        for name, shape in shapes.items()
    }
    return {**made, "a.b.num_batches_tracked": np.zeros((), np.int64)}


def port(text: str = PORT) -> Rules:
    return reader.parse(text.encode(), "x.toml")


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """Whether the two hold the same names, shapes, dtypes and bits."""
    return left.keys() == right.keys() and all(
        (left[name].shape, left[name].dtype, left[name].tobytes())
        == (right[name].shape, right[name].dtype, right[name].tobytes())
        for name in left
    )


def test_a_port_there_and_back_is_the_same_to_the_bit() -> None:
    source = tensors()
    there = apply(port(), source)
    assert there.tensors["blocks.1.0.conv2.weight"] is source["layer2.0.conv3.weight"]
    assert np.array_equal(there.tensors["out.weight"], source["fc.weight"].T)
    assert np.array_equal(there.tensors["k.weight"], source["attention.in_proj_weight"][4:8].T)
    assert there.dropped == ("a.b.num_batches_tracked",)
    back = apply(port().reverse(), there.tensors)
    assert back.made == ("a.b.num_batches_tracked",)
    assert same(back.tensors, source)
    assert port().reverse().reverse() == port()


def test_what_is_written_is_read_back() -> None:
    assert reader.parse(writer.text(port(), ["a remark"]).encode(), "x") == port()
    jsonschema.validate(tomllib.loads(writer.text(port())), SCHEMA)


# -- reverse ∘ rules = identity, for rules of any operations that can be undone


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[operations.Operation], list[np.ndarray]]:
    """Operations that fit an array, and all that the array becomes."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    dtype = draw(st.sampled_from(["float16", "float32", "float64", "bfloat16", "int64"]))
    size = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(-100, 100), min_size=size, max_size=size))
    arrays = [np.array(numbers).reshape(shape).astype(operations.dtype(dtype))]
    chain: list[operations.Operation] = []
    for _ in range(draw(st.integers(0, 5))):
        step = draw(st.sampled_from(list(filter(None, _steps(draw, arrays)))))
        arrays = step.apply(arrays, lambda _: np.zeros(1))
        chain.append(step)
    return chain, [np.array(numbers).reshape(shape).astype(operations.dtype(dtype)), *arrays]


def _steps(draw: st.DrawFn, arrays: list[np.ndarray]) -> list[operations.Operation | None]:
    first = arrays[0]
    axis = draw(st.integers(0, first.ndim - 1))
    length = first.shape[axis]
    blocks = draw(st.sampled_from([n for n in range(1, length + 1) if length % n == 0]))
    alike = len({array.shape for array in arrays}) == 1
    cut = draw(st.integers(1, length))
    lengths = (cut, length - cut) if cut < length else (length,)
    dtypes = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}
    wider = dtypes.get(str(first.dtype))
    return [
        operations.Transpose(tuple(draw(st.permutations(range(first.ndim))))),
        operations.Reshape((first.size,), first.shape) if alike else None,
        operations.Split(lengths, axis) if len(arrays) == 1 else None,
        operations.Split(blocks, axis) if len(arrays) == 1 else None,
        operations.Concatenate(len(arrays), axis) if alike else None,
        operations.Permute(tuple(draw(st.permutations(range(blocks)))), axis) if alike else None,
        operations.Cast(wider, str(first.dtype)) if wider else None,
        operations.Scale(draw(st.sampled_from([0.5, -2.0, 4.0])))
        if first.dtype.kind != "i"
        else None,
    ]


@given(steps())
def test_whatever_can_be_undone_is_undone_to_the_bit(
    drawn: tuple[list[operations.Operation], list[np.ndarray]],
) -> None:
    chain, (array, *ends) = drawn
    names = tuple(literal(f"t{place}") for place in range(len(ends)))
    rules = Rules("", "", (Rule((literal("s"),), names, tuple(chain)),))
    rules = reader.parse(writer.text(rules).encode(), "x")  # and so is what the file says
    there = apply(rules, {"s": array}).tensors
    assert same(there, {f"t{place}": end for place, end in enumerate(ends)})
    assert same(apply(rules.reverse(), there).tensors, {"s": array})


@given(st.text(min_size=1, max_size=20), st.integers(0, 99))
def test_any_name_survives_its_file(name: str, number: int) -> None:
    rule = Rule(
        (literal(name),), (parse(f"x{{i+{number}}}".replace("{i", "{{i").replace("}", "}}")),)
    )
    rules = Rules("", "", (rule,))
    assert reader.parse(writer.text(rules).encode(), "x") == rules


@given(st.integers(0, 999_999_999), st.integers(0, 5), st.text(min_size=1, max_size=9))
def test_a_name_fits_its_own_pattern_alone(number: int, offset: int, text: str) -> None:
    pattern = parse(f"a{{i+{offset}}}.{{m:path}}")
    name = pattern.fill({"i": number - offset, "m": text}) if number >= offset else None
    if name is not None:
        assert pattern.match(name) == {"i": number - offset, "m": text}
    assert pattern.match(f"a0{number}.{text}") is None


# -- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layer2.1.conv2.weight"), "missing"),
        (lambda t: t.update(extra=np.zeros(3)), "of which no rule speaks"),
        (lambda t: t.update({"layer3.0.conv1.weight": np.zeros(3)}), "of which no rule speaks"),
        (lambda t: t.update({"a.c.num_batches_tracked": np.zeros(())}), "no rule speaks"),
        (lambda t: t.update({"fc.weight": np.zeros((2, 2, 2), np.float32)}), "transposes 2 axes"),
        (lambda t: t.update({"attention.in_proj_weight": np.zeros((4, 4))}), "3 equal parts"),
        (lambda t: t.pop("a.b.running_mean"), "missing"),
    ],
)
def test_nothing_is_lost_and_nothing_left_over(change, message: str) -> None:
    source = tensors()
    change(source)
    with pytest.raises(MismatchError, match=message):
        apply(port(), source)


A, B = '[[rule]]\nfrom="a"\nto="x"\n', '[[rule]]\nfrom="b"\nto="y"'


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (f'{A}[[rule]]\nfrom="b"\nto="x"', "made twice"),
        (f'{A}[[rule]]\nfrom="a"\nto="y"\n[[dropped]]\nname="b"', "used by"),
        ('[[rule]]\nfrom=["a","a"]\nto="x"\ndo=[{concatenate=2}]\n[[dropped]]\nname="b"',
         "used by"),
        (f'{A}{B}\ndo=[{{split=2}}]', "2 tensors for 1"),
        ('[[rule]]\nfrom="{m:path}"\nto="{m:path}"\n[[made]]\nname="c"\nshape=[]', "take back"),
        (f'{A}{B}\n[[made]]\nname="x"\nshape=[]', "x: a"),
        (f'{A}{B}\ndo=[{{cast="float16", of="float64"}}]',
         "casts float64, not float32"),
        (f'{A}{B}\ndo=[{{reshape=[2], of=[2, 1]}}]',
         "reshapes"),
    ],
)  # fmt: skip
def test_rules_that_contradict_one_another_are_refused(rules: str, message: str) -> None:
    source = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)}
    with pytest.raises(MismatchError, match=message):
        apply(port(f"version = 1\n{rules}"), source)


@pytest.mark.parametrize(
    "step",
    ["{ scale = 0.3 }", '{ cast = "float16", of = "float32" }', '{ fold = "bias", with = "b" }'],
)
def test_what_loses_bits_has_no_way_back(step: str) -> None:
    rules = port(f'version = 1\n[[rule]]\nfrom = "a"\nto = "x"\ndo = [{step}]')
    with pytest.raises(MismatchError, match="a -> x"):
        rules.reverse()


def test_a_power_of_two_that_loses_bits_is_refused() -> None:
    rules = port('version = 1\n[[rule]]\nfrom = "a"\nto = "x"\ndo = [{ scale = 0.5 }]')
    with pytest.raises(MismatchError, match=r"times 0\.5"):
        apply(rules, {"a": np.array([1e-45], np.float32)})


def test_a_bias_folded_away_is_gone_from_the_mean() -> None:
    rules = port(
        'version = 1\n[[rule]]\nfrom = "m"\nto = "m"\ndo = [{ fold = "bias", with = "b" }]\n'
        '[[dropped]]\nname = "b"'
    )
    result = apply(rules, {"m": np.array([3.0, 5.0]), "b": np.array([1.0, 7.0])})
    assert result.tensors["m"].tolist() == [2.0, -2.0]


WRONG = {
    'version = 2\n[[rule]]\nfrom="a"\nto="b"': "version = 1",
    "version = 1": "no [[rule]]",
    "version = 1\n[rule]": "[[rule]]",
    'version = 1\n[[rule]]\nfrom="a"': "rule 1: to must be there",
    'version = 1\n[[rule]]\nfrom="a"\nto=3': "must be a text",
    'version = 1\n[[rule]]\nfrom="a{i}"\nto="b"': "same holes",
    'version = 1\n[[rule]]\nfrom="a{i}"\nto="b{i:path}"': "a number here and a path there",
    'version = 1\n[[rule]]\nfrom="a{i}{j}"\nto="b{i}.{j}"': "nothing between",
    'version = 1\n[[rule]]\nfrom="a1{i}"\nto="b{i}"': "a digit beside",
    'version = 1\n[[rule]]\nfrom="a{I}"\nto="b"': "a hole is",
    'version = 1\n[[rule]]\nfrom="{a:path}.{b:path}"\nto="{a:path}-{b:path}"': "more than one",
    'version = 1\n[[rule]]\nfrom="a{i}"\nto="b{i-1}"\nwhere={i=[0, 3]}': "below 0",
    'version = 1\n[[rule]]\nfrom="a{i}"\nto="b{i}"\nwhere={j=[0, 3]}': "no number's hole",
    'version = 1\n[[rule]]\nfrom="a{i}"\nto="b{i}"\nwhere={i=[3, 0]}': "[first, last]",
    'version = 1\n[[rule]]\nfrom="a"\nto=["b", "c"]': "say how",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\nrun="x"': "no 'run'",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\ndo=[{eval="x"}]': "each has one of",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\ndo=[{transpose=[0, 0]}]': "once",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\ndo=[{reshape=[2], of=[3]}]': "different numbers",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\ndo=[{scale=0}]': "nothing undoes",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\ndo=[{cast="object", of="float32"}]': "one of",
    'version = 1\n[[rule]]\nfrom="a"\nto="b"\ndo=[{split=0}]': "equal parts",
    'version = 1\n[[made]]\nname="a"': "shape must be there",
    'version = 1\n[[made]]\nname="a{i}"\nshape=[]': "how many there are",
    'version = 1\n[[made]]\nname="a"\nshape=[]\ndtype="int8"\nvalue=300': "none of int8",
    "version = 1\nx = ": "not TOML",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        port(text)
    assert str(caught.value).startswith("x.toml: ")
    assert WRONG[text] in str(caught.value)


def test_the_schema_refuses_other_forms() -> None:
    formless = [text for text in WRONG if "version = 2" in text or "run=" in text or "eval" in text]
    assert len(formless) == 3
    for text in formless:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(text), SCHEMA)


@given(st.binary(max_size=200))
def test_any_bytes_are_rules_or_an_error(data: bytes) -> None:
    outcome = "rules"
    try:
        reader.parse(b"version = 1\n[[rule]]\n" + data, "x.toml")
    except FormatError as error:
        outcome = str(error)
    assert outcome == "rules" or outcome.startswith("x.toml: ")


# -- commands


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weight_port.write(tmp_path / "src.pth", tensors())
    (tmp_path / "rules.toml").write_text(PORT)
    return tmp_path


def call(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_convert_by_rules_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, back = folder / "there.safetensors", folder / "back.npz"
    rules = folder / "rules.toml"
    assert call("convert", folder / "src.pth", there, "--rules", rules) == 0
    assert "16 tensors" not in capsys.readouterr().err
    assert call("rules", "check", rules, folder / "src.pth", there) == 0
    assert call("convert", there, back, "--rules", rules, "--reverse") == 0
    assert same(weight_port.read(back), tensors())


def test_convert_by_rules_writes_nothing_where_a_tensor_is_lost(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight_port.write(folder / "more.pth", {**tensors(), "extra": np.zeros(3)})
    before = sorted(folder.iterdir())
    status = call(
        "convert", folder / "more.pth", folder / "out.npz", "--rules", folder / "rules.toml"
    )
    assert status == 2
    assert sorted(folder.iterdir()) == before
    assert "extra" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [[], ["--to", "raw", "--rules", "r"], ["--to", "raw", "--reverse"], ["--rules", "r", "--fold"]],
)
def test_what_to_convert_to_is_said_once(options: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        call("convert", "a", tmp_path / "b.pth", *options)
    assert caught.value.code == 2


def test_check_notices_a_tensor_of_another_shape_or_name(folder: Path) -> None:
    target = apply(port(), tensors()).tensors
    assert check(port(), tensors(), target).ok
    for change in ({"out.weight": np.zeros((5, 4))}, {"new": np.zeros(1)}):
        assert not check(port(), tensors(), {**target, **change}).ok
    missing = {name: array for name, array in target.items() if name != "q.weight"}
    assert not check(port(), tensors(), missing).ok
    weight_port.write(folder / "wrong.npz", missing)
    assert (
        call("rules", "check", folder / "rules.toml", folder / "src.pth", folder / "wrong.npz") == 1
    )
