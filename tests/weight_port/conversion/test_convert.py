"""Conversion between dialects: reversible, by layer, and refused where anything is off."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weight_port
from weight_port import arch
from weight_port.dialects import keys

ROWS = list(keys.DIALECTS.values())
# Pairs whose models compute the same as they stand, with the architectures that both hold.
HELD = {
    (one.name, other.name): [name for name in one.holds if name in other.holds]
    for one, other in itertools.product(ROWS, repeat=2)
}
PLAIN = ("paddle1", "pytorch_impl", "paddle_impl", "torchvision", "paddle.vision")
TORCH = tuple(row.name for row in ROWS if row.torch)
PAIRS = list(itertools.product(PLAIN, repeat=2))
LIBRARIES = ("torchvision", "paddle.vision")
PADDLECLAS = ["resnet18_paddleclas", "resnet34_paddleclas"]
TRIPLES = [(*pair, name) for pair, names in HELD.items() for name in names]


def ends_early(*names: str) -> bool:
    """Whether one of the dialects has no place for a classifier."""
    return any(keys.DIALECTS[name].linear is None for name in names)


def without_counters(tensors: dict) -> dict:
    return {key: array for key, array in tensors.items() if not key.endswith("batches_tracked")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(2, "f4"), np.array([0, -0.0], "f4")),
        (np.array([0x7FC00000], "u4").view("f4"), np.array([0x7FC00001], "u4").view("f4")),
        (np.zeros(2, "c16"), np.array([0, complex(0, -0.0)], "c16")),
        (np.zeros(2, ml_dtypes.bfloat16), np.array([0, 1], ml_dtypes.bfloat16)),
        (np.zeros(2, "f4"), np.zeros(2, "i4")),
        (np.zeros((2, 1), "f4"), np.zeros((1, 2), "f4")),
    ],
)
def test_the_comparison_of_bits_sees_what_numbers_hide(same_bits, one, other) -> None:
    same_bits({"x": one}, {"x": one.copy()})
    with pytest.raises(AssertionError):
        same_bits({"x": one}, {"x": other})
    with pytest.raises(AssertionError):
        same_bits({"x": one}, {"y": one})


@settings(max_examples=80, deadline=None)
@given(
    triple=st.sampled_from(TRIPLES),
    classes=st.sampled_from([1, 7, 512, 2048]),
    channels=st.integers(1, 4),
    top=st.booleans(),
)
def test_there_and_back_is_identity(
    fake, same_bits, triple, classes: int, channels: int, top: bool
) -> None:
    """Rules, then their reverse, over every architecture that two dialects hold."""
    source, to, name = triple
    top = top and not ends_early(source, to)
    tensors = fake(source, name, classes, channels, top)
    # The epsilons may differ; with the tensors' own names alone at stake, that is let pass.
    free = {"include_top": top, "allow_mismatch": True, "architecture": name}
    there = weight_port.convert(tensors, to=to, source=source, **free)
    # Made for each dialect apart, with numbers that hang on the scheme's names alone.
    same_bits(without_counters(there), without_counters(fake(to, name, classes, channels, top)))
    back = weight_port.convert(there, to=source, source=to, **free)
    if all(d in TORCH and keys.DIALECTS[d].writes_counters for d in (source, to)):
        same_bits(back, tensors)
    else:
        same_bits(without_counters(back), without_counters(tensors))


@pytest.mark.parametrize("name", arch.ARCHITECTURES)
def test_every_architecture_goes_to_every_dialect_that_holds_it(fake, same_bits, name: str) -> None:
    tensors = fake("paddle1", name)
    for row in ROWS:
        if name not in row.holds:
            continue
        top = row.linear is not None
        free = {"include_top": top, "allow_mismatch": True, "architecture": name}
        there = weight_port.convert(tensors, to=row.name, **free)
        same_bits(without_counters(there), without_counters(fake(row.name, name, include_top=top)))
        back = weight_port.convert(there, to="paddle1", source=row.name, **free)
        same_bits(back, {k: a for k, a in tensors.items() if top or not k.startswith("fc_0")})


@pytest.mark.parametrize(("source", "to"), PAIRS)
def test_every_pair_at_full_size(fake, same_bits, source: str, to: str) -> None:
    converted = weight_port.convert(fake(source, "resnet101"), to=to)
    same_bits(without_counters(converted), without_counters(fake(to, "resnet101")))
    assert list(converted) == list(keys.keys(to, "resnet101"))


@pytest.mark.parametrize(("source", "to"), PAIRS)
@pytest.mark.parametrize(("name", "classes"), [("resnet50", 2048), ("resnet18", 512)])
def test_square_linear_weights_are_transposed_by_layer(
    fake, source: str, to: str, name: str, classes: int
) -> None:
    tensors = fake(source, name, classes)
    before = tensors["fc_0.w_0" if source == "paddle1" else "fc.weight"]
    after = weight_port.convert(tensors, to=to)["fc_0.w_0" if to == "paddle1" else "fc.weight"]
    turned = (source in TORCH) != (to in TORCH)
    np.testing.assert_array_equal(after, before.T if turned else before)
    assert not np.array_equal(before, before.T)


def test_square_convolutions_are_never_transposed(fake) -> None:
    tensors = fake("paddle1", "resnet50")
    weight = np.arange(64 * 64, dtype=np.float32).reshape(64, 64, 1, 1)
    tensors["res2a_branch2a_weights"] = weight
    converted = weight_port.convert(tensors, to="torchvision")
    np.testing.assert_array_equal(converted["layer1.0.conv1.weight"], weight)


def test_arrays_are_views_and_the_input_is_left_alone(fake) -> None:
    tensors = fake("paddle1", "resnet18")
    before = dict(tensors)
    converted = weight_port.convert(tensors, to="torchvision")
    assert converted["conv1.weight"] is tensors["conv1_weights"]
    assert np.shares_memory(converted["fc.weight"], tensors["fc_0.w_0"])
    assert all(tensors[key] is before[key] for key in before)


# -- the batch counter, which Paddle does not have


def counters(tensors: dict) -> dict:
    return {key: array for key, array in tensors.items() if key.endswith("num_batches_tracked")}


def test_counters_are_kept_from_torch_to_torch(fake) -> None:
    tensors = fake("torchvision", "resnet18")
    converted = weight_port.convert(tensors, to="pytorch_impl")
    assert len(counters(converted)) == 20
    origin = tensors["layer1.0.bn1.num_batches_tracked"]
    assert converted["res2a.branch2a.bn.num_batches_tracked"] == origin
    assert len({int(array) for array in counters(converted).values()}) == 20


@pytest.mark.parametrize("to", ["pytorch_impl", "torchvision", "timm", "transformers"])
def test_counters_are_made_from_paddle_to_torch(fake, to: str) -> None:
    made = counters(weight_port.convert(fake("paddle.vision", "resnet18"), to=to))
    assert len(made) == 20
    assert {(array.dtype.name, array.shape, int(array)) for array in made.values()} == {
        ("int64", (), 0)
    }


@pytest.mark.parametrize("to", ["paddle1", "paddle_impl", "paddle.vision"])
def test_counters_are_dropped_from_torch_to_paddle(fake, to: str) -> None:
    tensors = fake("torchvision", "resnet18")
    converted = weight_port.convert(tensors, to=to)
    assert not counters(converted)
    assert len(converted) == len(tensors) - 20


def test_a_counter_that_is_missing_is_made_and_the_others_kept(fake) -> None:
    tensors = fake("torchvision", "resnet18")
    del tensors["bn1.num_batches_tracked"]
    converted = weight_port.convert(tensors, to="torchvision")
    assert converted["bn1.num_batches_tracked"] == 0
    assert converted["layer1.0.bn1.num_batches_tracked"] != 0


# -- dtypes


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
@pytest.mark.parametrize("to", PLAIN)
def test_dtypes_are_kept(fake, dtype, to: str) -> None:
    tensors = {key: array.astype(dtype) for key, array in fake("paddle1", "resnet18").items()}
    converted = without_counters(weight_port.convert(tensors, to=to))
    assert {array.dtype for array in converted.values()} == {np.dtype(dtype)}


# -- what check() must see: each fault alone, on tensors that pass without it


def drop(tensors: dict, key: str) -> None:
    del tensors[key]


def add(tensors: dict, key: str) -> None:
    tensors[key] = np.zeros((3, 2), np.float32)


def reshape(tensors: dict, key: str) -> None:
    tensors[key] = np.zeros((1, *tensors[key].shape), np.float32)


def quantise(tensors: dict, key: str) -> None:
    tensors[key] = tensors[key].astype(np.int8)


def transpose(tensors: dict, key: str) -> None:
    tensors[key] = tensors[key].T


HINT = "it stands the other way round, as in the other framework; transpose it first"
# fault, key, the heading it comes under, and its line: the file's name, the scheme's, the shape
FAULTS = [
    (drop, "layer1.0.downsample.1.running_var", "missing (1):",
     "- layer1.0.downsample.1.running_var  (bn2a_branch1_variance)  [256]"),
    (drop, "fc.bias", "missing (1):", "- fc.bias  (fc_0.b_0)  [1000]"),
    (add, "layer5.0.conv1.weight", "unexpected (1):",
     "+ layer5.0.conv1.weight  (not in the scheme)  [3, 2]"),
    (reshape, "layer3.5.bn3.weight", "mis-shaped (1):",
     "~ layer3.5.bn3.weight  (bn4f_branch2c_scale)  is [1, 1024], should be [1024]"),
    (reshape, "bn1.num_batches_tracked", "mis-shaped (1):",
     "~ bn1.num_batches_tracked  (bn_conv1 (batch counter))  is [1], should be []"),
    (transpose, "fc.weight", "mis-shaped (1):",
     f"~ fc.weight  (fc_0.w_0)  is [2048, 1000], should be [1000, 2048]: {HINT}"),
    (quantise, "conv1.weight", "not floating point (1):", "~ conv1.weight  (conv1_weights)  int8"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "key", "heading", "line"), FAULTS)
def test_each_fault_is_listed_under_its_heading_alone(
    fake, fault, key: str, heading: str, line: str
) -> None:
    tensors = fake("torchvision", "resnet50", 1000)
    weight_port.check(tensors, weight_port.detect(tensors))  # nothing raised: complete
    fault(tensors, key)
    with pytest.raises(weight_port.MismatchError) as raised:
        weight_port.convert(tensors, to="paddle1")
    first, *rest = str(raised.value).splitlines()
    assert first.startswith("the tensors are not a complete resnet50 in torchvision (")
    assert rest == [f"  {heading}", f"    {line}"]


def test_faults_together_are_listed_apart(fake) -> None:
    tensors = fake("torchvision", "resnet50", 1000)
    for fault, key, *_ in FAULTS:
        if key in tensors or fault is add:
            fault(tensors, key)
    with pytest.raises(weight_port.MismatchError) as raised:
        weight_port.convert(tensors, to="paddle1")
    headings = [line for line in str(raised.value).splitlines() if line.endswith("):")]
    assert headings == [
        "  missing (2):",
        "  unexpected (1):",
        "  mis-shaped (3):",
        "  not floating point (1):",
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dialect=st.sampled_from(PLAIN))
def test_no_tensor_can_be_lost_renamed_or_bent_unseen(fake, data, dialect: str) -> None:
    tensors = fake(dialect, "resnet18")
    known = keys.keys(dialect, "resnet18", 7)
    key = data.draw(st.sampled_from([key for key, e in known.items() if e.parameter]))
    array = tensors.pop(key)
    bent = {
        "lost": {},
        "renamed": {f"{key}_": array},
        "bent": {key: array[..., :-1] if array.shape[-1] > 1 else array[0]},
        "integer": {key: array.astype(np.int32)},
    }[data.draw(st.sampled_from(["lost", "renamed", "bent", "integer"]))]
    # Without its stem ResNet-18 is CIFAR's too, where a dialect holds both: that is said instead.
    errors = (weight_port.MismatchError, weight_port.DialectError)
    with pytest.raises(errors, match=known[key].name.replace(".", r"\.")):
        weight_port.convert({**tensors, **bent}, to="paddle1", source=dialect)


def test_a_bias_of_other_classes_than_the_weight_is_named_too(fake) -> None:
    for dialect in ("torchvision", "paddle.vision"):
        tensors = fake(dialect, "resnet18")
        tensors["fc.bias"] = tensors["fc.bias"][:-1]
        with pytest.raises(weight_port.MismatchError) as raised:
            weight_port.convert(tensors, to="paddle1")
        line = "the bias (fc_0.b_0) has 6 classes; one of the two is not whole"
        assert str(raised.value).endswith(line)


# -- the classifier left out


@pytest.mark.parametrize(("source", "to"), PAIRS)
def test_no_top_leaves_the_classifier_out(fake, same_bits, source: str, to: str) -> None:
    headless = weight_port.convert(fake(source, "resnet18"), to=to, include_top=False)
    wanted = fake(to, "resnet18", include_top=False)
    same_bits(without_counters(headless), without_counters(wanted))


def test_a_backbone_needs_no_word_for_the_classifier_that_it_lacks(fake, same_bits) -> None:
    backbone = fake("torchvision", "resnet18", include_top=False)
    with pytest.raises(weight_port.MismatchError, match=r"missing \(2\).*\n.*fc\.weight") as raised:
        weight_port.check(backbone, weight_port.detect(backbone))
    assert "pass --no-top (include_top=False) for the backbone alone" in str(raised.value)
    for free in ({}, {"include_top": False}):
        converted = weight_port.convert(backbone, to="paddle1", **free)
        same_bits(converted, fake("paddle1", "resnet18", include_top=False))


def test_the_way_out_is_not_shown_where_the_classifier_is_there(fake) -> None:
    tensors = fake("torchvision", "resnet18")
    del tensors["fc.bias"]
    with pytest.raises(weight_port.MismatchError) as raised:
        weight_port.convert(tensors, to="paddle1")
    assert "--no-top" not in str(raised.value)


# -- two networks of one depth


@pytest.mark.parametrize("name", PADDLECLAS)
@pytest.mark.parametrize("to", ["paddle.vision", "transformers"])
def test_a_port_between_the_two_forms_is_refused_with_the_reason(fake, name: str, to: str) -> None:
    said = f"{name} has a projection in its first block .* no model in {to} has one there"
    with pytest.raises(weight_port.MismatchError, match=said):
        weight_port.convert(fake("paddle1", name), to=to)


@pytest.mark.parametrize("name", PADDLECLAS)
@pytest.mark.parametrize("to", ["paddle1", "pytorch_impl", "paddle_impl"])
def test_the_dialects_that_have_both_forms_take_either(fake, name: str, to: str) -> None:
    converted = weight_port.convert(fake("paddle1", name), to=to)
    assert weight_port.detect(converted).architecture == name
    standard = weight_port.convert(fake("paddle1", name.removesuffix("_paddleclas")), to=to)
    assert len(without_counters(converted)) - len(without_counters(standard)) == 5


# -- through files


def files_of(folder: Path) -> dict[str, str]:
    """A folder's files by name, as hashes: short where an assertion prints them."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


CHAIN = [
    ("a.safetensors", "torchvision"),
    ("b.pdparams", "paddle.vision"),
    ("c.pdparams", "paddle_impl"),
    ("d.pth", "pytorch_impl"),
    ("end", "paddle1"),
]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("resnet50", "float32"),
        ("resnet18", "float16"),
        ("resnet18", "float64"),
        ("resnet18", ml_dtypes.bfloat16),
    ],
)
def test_round_trip_through_every_format_gives_the_same_files(tmp_path, name: str, dtype) -> None:
    random = np.random.default_rng(0)
    start = {
        parameter.name: random.standard_normal(parameter.shape, dtype=np.float32).astype(dtype)
        for parameter in arch.parameters(name, num_classes=7)
    }
    weight_port.write(tmp_path / "start", start)
    source = tmp_path / "start"
    for file, dialect in CHAIN:
        done = weight_port.convert_file(source, tmp_path / file, dialect)
        source = tmp_path / file
        assert done.source.architecture == name
        assert weight_port.detect(weight_port.read(source)).dialect == dialect
    assert len(files_of(tmp_path / "start")) == len(start)
    assert files_of(tmp_path / "end") == files_of(tmp_path / "start")


def test_a_round_trip_of_other_weights_gives_other_files(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "start", fake("paddle1", "resnet18"))
    weight_port.convert_file(tmp_path / "start", tmp_path / "a.pdparams", "paddle_impl")
    tensors = dict(weight_port.read(tmp_path / "a.pdparams"))
    one, other = "res2b.branch2a.conv.weight", "res2b.branch2b.conv.weight"  # of the same shape
    tensors[one], tensors[other] = tensors[other], tensors[one]
    weight_port.write(tmp_path / "end", weight_port.convert(tensors, to="paddle1"))
    start, end = files_of(tmp_path / "start"), files_of(tmp_path / "end")
    different = [file for file in start if start[file] != end[file]]
    assert different == ["res2b_branch2a_weights", "res2b_branch2b_weights"]


def test_convert_file_says_what_it_made_and_left_out(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "tv.pth", fake("torchvision", "resnet18"))
    kept = weight_port.convert_file(tmp_path / "tv.pth", tmp_path / "ours.pth", "pytorch_impl")
    assert (kept.tensors, kept.counters_made, kept.dropped) == (122, 0, ())
    dropped = weight_port.convert_file(tmp_path / "tv.pth", tmp_path / "pd.pdparams", "paddle_impl")
    assert (dropped.tensors, dropped.counters_made, len(dropped.dropped)) == (102, 0, 20)
    assert all(key.endswith("num_batches_tracked") for key in dropped.dropped)
    made = weight_port.convert_file(tmp_path / "pd.pdparams", tmp_path / "back.pth", "torchvision")
    assert (made.tensors, made.counters_made, made.dropped) == (122, 20, ())
    headless = weight_port.convert_file(
        tmp_path / "tv.pth", tmp_path / "backbone", "paddle1", include_top=False
    )
    assert (headless.tensors, len(headless.dropped)) == (100, 22)
    assert {"fc.weight", "fc.bias"} <= set(headless.dropped)
