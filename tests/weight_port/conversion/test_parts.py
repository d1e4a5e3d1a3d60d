"""Networks inside other things: found, ported and put back to the bit, and nothing goes unsaid."""

from __future__ import annotations

import importlib
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weight_port
from weight_port import cli
from weight_port.dialects import keys

ONE = np.ones(3, np.float32)
HEADLESS = {"include_top": False}


def behind(prefix: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + key: array for key, array in tensors.items()}


def beside(*names: str) -> dict[str, np.ndarray]:
    """Tensors of these names, no two alike."""
    return {name: np.arange(3, dtype=np.float32) + place for place, name in enumerate(names)}


# -- the wrappings of real libraries: prefix, dialect, network, with a classifier?, what is beside

WRAPPINGS = {
    "PaddleSeg": ("backbone.", "paddleclas", "resnet50_vd", False, ("head.a.w", "aux_head.w")),
    "PaddleDetection": (
        "backbone.", "paddledetection", "resnet50_vd", False,
        ("neck.lateral.w", "head.w", "transformer.w", "detr_head.w", "rpn_head.w", "bbox_head.w"),
    ),
    "PaddleOCR": ("backbone.", "paddleclas-2.0-vd", "resnet50_vd", False, ("neck.w", "head.w")),
    "PaddleClas RecModel": ("backbone.", "paddleclas", "resnet50", True, ("neck.w", "head.w")),
    "PaddleClas distillation": ("Student.", "paddleclas", "resnet50_vd", True, ("Teacher.x.w",)),
    "PaddleClas export": ("base_model.", "paddleclas", "resnet50", True, ()),
    "PaddleClas RecModel's export": (
        "base_model.backbone.", "paddleclas", "resnet50", True, ("base_model.head.weight",)
    ),
    "paddle.DataParallel": ("_layers.", "paddle.vision", "resnet18", True, ()),
    "network.": ("network.", "paddle.vision", "resnet18", True, ("loss.w",)),
    "DataParallel": ("module.", "torchvision", "resnet18", True, ()),
    "AveragedModel": ("module.", "torchvision", "resnet18", True, ("n_averaged",)),
    "torch.compile": ("_orig_mod.", "torchvision", "resnet18", True, ()),
    "both": ("_orig_mod.module.", "torchvision", "resnet18", True, ()),
    "Lightning": ("model.", "torchvision", "resnet18", True, ("criterion.weight", "acc.confmat")),
    "Lightning, backbone": ("backbone.", "torchvision", "resnet18", False, ("classifier.weight",)),
    "MoCo v2": (
        "module.encoder_q.", "torchvision", "resnet50", False, ("module.queue", "module.queue_ptr")
    ),
    "MoCo v3": ("module.base_encoder.", "torchvision", "resnet50", False, ("module.predictor.w",)),
    "SimSiam": ("module.encoder.", "torchvision", "resnet50", False, ("module.predictor.0.w",)),
    "DINO": ("module.backbone.", "torchvision", "resnet50", False, ("module.head.mlp.0.weight",)),
    "SwAV": (
        "module.", "torchvision", "resnet50", False,
        ("module.projection_head.0.weight", "module.prototypes.weight"),
    ),
    "Barlow": ("module.backbone.", "torchvision", "resnet50", False, ("module.projector.0.w",)),
    "mmseg": (
        "backbone.", "torchvision", "resnet50", False,
        ("decode_head.conv_seg.weight", "auxiliary_head.conv_seg.weight"),
    ),
    "torchvision's detectors": (
        "backbone.body.", "torchvision", "resnet50", False, ("backbone.fpn.w", "rpn.head.w")
    ),
    "DETR": ("backbone.0.body.", "torchvision", "resnet50", False, ("transformer.w", "query.w")),
    "detectron2": (
        "backbone.bottom_up.", "detectron2", "resnet50_v1", False, ("roi_heads.w", "pixel_mean")
    ),
    "segmentation_models": ("encoder.", "torchvision", "resnet34", False, ("decoder.blocks.w",)),
    "transformers": ("model.", "transformers", "resnet50", True, ("loss.weight",)),
}  # fmt: skip


@pytest.mark.parametrize("what", WRAPPINGS)
def test_the_wrappings_of_real_libraries(fake, same_bits, what: str) -> None:
    prefix, dialect, name, top, names = WRAPPINGS[what]
    tensors = fake(dialect, name, include_top=top)
    network = weight_port.recognise({**beside(*names), **behind(prefix, tensors)})
    assert (network.prefix, network.detection.architecture) == (prefix, name)
    assert network.detection.dialect == dialect
    assert network.detection.num_classes == (7 if top else None)
    same_bits(network.tensors, tensors)
    same_bits(network.others, beside(*names))
    (note,) = network.notes
    for module in network.modules:
        assert f"`{module}` ({network.modules[module]})" in note
    assert prefix in note


def test_inspect_says_what_the_issue_asks_for(tmp_path, fake, capsys) -> None:
    backbone = behind("backbone.", fake("paddleclas-2.0-vd", "resnet50_vd", include_top=False))
    rest = beside(*(f"neck.{i}.w" for i in range(40)), *(f"head.{i}.w" for i in range(45)))
    for suffix in (".pdparams", ".safetensors", ".npz", ".pth"):
        path = tmp_path / f"x{suffix}"
        weight_port.write(path, {**backbone, **rest})
        assert cli.main(["inspect", str(path)]) == 0
        wanted = (
            "resnet50_vd under `backbone.` (275 of 360); other names: `neck.` (40), `head.` (45)"
        )
        assert wanted in capsys.readouterr().out


# -- found, ported, put back

PREFIXES = st.sampled_from(
    ["", "module.", "backbone.", "Student.", "module.encoder_q.", "a.b.c.", "x/", "_orig_mod.m."]
)
OTHERS = st.lists(
    st.from_regex(r"\A(neck|decoder|proj)\.[a-z]{1,4}(\.[0-9]{1,2})?\.weight\Z"), unique=True
)
NETWORKS = [
    (dialect, name)
    for dialect in ("torchvision", "paddle.vision", "paddleclas", "pytorch_impl", "paddle_impl",
                    "timm", "detectron2", "transformers", "paddledetection", "paddle1")
    for name in ("resnet18", "resnet18_paddleclas", "resnet50_vd", "resnet50", "resnet50_v1")
    if name in keys.DIALECTS[dialect].holds
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NETWORKS), PREFIXES, OTHERS, st.booleans())
def test_what_was_wrapped_is_found_ported_and_put_back_to_the_bit(
    fake, same_bits, pair, prefix: str, names, top: bool
) -> None:
    dialect, name = pair
    own = fake(dialect, name, include_top=top)
    outer = behind(prefix.split(".")[0] + "_", beside(*names))
    file = {**behind(prefix, own), **outer}
    network = weight_port.recognise(file, dialect, alone=True)
    assert network.prefix == prefix
    same_bits(network.tensors, own)
    same_bits(network.others, outer)
    free = {"allow_mismatch": True, "architecture": name, "rest": "keep"}
    for to in ("pytorch_impl", "paddle_impl"):
        there = weight_port.convert(file, to, dialect, **free)
        plain = weight_port.convert(own, to, dialect, allow_mismatch=True, architecture=name)
        same_bits(there, {**behind(prefix, plain), **outer})
        back = weight_port.convert(there, dialect, to, **free)
        same_bits(without_counters(back), without_counters(file))


def without_counters(tensors):
    return {key: a for key, a in tensors.items() if not key.endswith(keys.COUNTER)}


@pytest.mark.parametrize("suffix", [".pdparams", ".pth", ".safetensors", ".npz"])
def test_a_backbone_goes_out_of_a_detector_and_into_it_again(
    tmp_path, fake, same_bits, suffix: str
) -> None:
    backbone = fake("paddledetection", "resnet50")
    rest = beside("neck.a.w", "head.b.w")
    detector = {**behind("backbone.", backbone), **rest}
    paths = [tmp_path / f"{name}{suffix}" for name in ("detector", "out", "rest", "back", "kept")]
    source, out, others, back, kept = paths
    weight_port.write(source, detector)
    done = weight_port.convert_file(source, out, "torchvision", rest=others)
    assert done.prefix == "backbone."
    assert done.others == {"neck.": 1, "head.": 1}
    same_bits(weight_port.read(others), rest)
    same_bits(weight_port.read(out), weight_port.convert(backbone, "torchvision"))
    weight_port.convert_file(out, back, "paddledetection", into=source)
    same_bits(weight_port.read(back), detector)
    # Into what is left, where nothing says what stood there.
    free = {"force": True, "to_prefix": "backbone."}
    weight_port.convert_file(out, back, "paddledetection", into=others, **free)
    same_bits(weight_port.read(back), detector)
    weight_port.convert_file(source, kept, "torchvision", rest="keep", to_prefix="body.")
    wanted = {**behind("body.", weight_port.convert(backbone, "torchvision")), **rest}
    same_bits(weight_port.read(kept), wanted)


def test_another_network_is_not_put_in_its_place(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "d.npz", behind("body.", fake("torchvision", "resnet18")))
    for name, classes, said in (
        ("resnet34", 7, "holds resnet18, the source resnet34"),
        ("resnet18", 5, r"its fc.weight is \[7, 512\], the source's \[5, 512\]"),
    ):
        weight_port.write(tmp_path / f"{name}.npz", fake("paddle.vision", name, classes))
        with pytest.raises(weight_port.MismatchError, match=said):
            weight_port.convert_file(
                tmp_path / f"{name}.npz", tmp_path / "x.npz", "torchvision", into=tmp_path / "d.npz"
            )
    weight_port.write(tmp_path / "n.npz", ONE_TENSOR)
    with pytest.raises(weight_port.DialectError, match=r"n\.npz: the names fit no network"):
        weight_port.convert_file(
            tmp_path / "resnet18.npz", tmp_path / "x.npz", "torchvision", into=tmp_path / "n.npz"
        )
    assert not (tmp_path / "x.npz").exists()


ONE_TENSOR = {"w": ONE}


# -- several


def two(fake, one: str, other: str) -> dict[str, np.ndarray]:
    """A network behind each prefix, other in every tensor."""
    tensors = fake("torchvision", "resnet18")
    return {**behind(one, tensors), **behind(other, {k: a + 1 for k, a in tensors.items()})}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Student.", "Teacher."), ("Student.backbone.", "Teacher.backbone."), ("backbone.", "model."),
     ("G/", "D/"), ("Student.", "Student2.")],
)  # fmt: skip
def test_two_of_equal_worth_are_an_error_that_lists_them(
    tmp_path, fake, same_bits, capsys, one: str, other: str
) -> None:
    tensors = two(fake, one, other)
    weight_port.write(tmp_path / "x.npz", tensors)
    words = ["convert", str(tmp_path / "x.npz"), str(tmp_path / "y.npz"), "--to", "torchvision"]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in (f"`{one}` (122)", f"`{other}` (122)", "--prefix"))
    assert cli.main(["inspect", str(tmp_path / "x.npz")]) == 0
    assert "2 networks are in it" in capsys.readouterr().out
    for place, prefix in enumerate((one, other)):
        for spelt in (prefix, prefix[:-1]):
            assert cli.main([*words, "--prefix", spelt, "--force"]) == 0
            assert re.search(r"note: .*other names: `", capsys.readouterr().out)
            wanted = {k: a + place for k, a in fake("torchvision", "resnet18").items()}
            same_bits(weight_port.read(tmp_path / "y.npz"), wanted)
            same_bits(weight_port.recognise(tensors, prefix=spelt).tensors, wanted)


@pytest.mark.parametrize(
    ("meant", "other"),
    [("module.encoder_q.", "module.encoder_k."), ("module.base_encoder.", "momentum_encoder."),
     ("model.", "model_ema.module."), ("", "ema."), ("online_encoder.", "target_encoder.")],
)  # fmt: skip
def test_of_two_that_which_its_library_goes_on_with_is_taken_and_the_other_said(
    fake, same_bits, meant: str, other: str
) -> None:
    network = weight_port.recognise(two(fake, meant, other))
    assert network.prefix == meant
    same_bits(network.tensors, fake("torchvision", "resnet18"))
    assert f"another network: resnet18 in torchvision under `{other}` (122)" in network.notes[1]
    assert [part.prefix for part in network.networks] == [other]


def test_a_prefix_of_nothing_is_an_error_that_says_what_there_is(fake) -> None:
    with pytest.raises(weight_port.DialectError, match=r"begin with `Student\.` \(122\), `Teach"):
        weight_port.recognise(two(fake, "Student.", "Teacher."), prefix="student.")


def test_a_network_or_dialect_that_is_none_is_said_before_the_names_are_looked_at() -> None:
    for question, said in ((("cafe", None), "unknown dialect"), ((None, "r51"), "unknown archit")):
        with pytest.raises(weight_port.DialectError, match=said):
            weight_port.recognise({"backbone.layer1.0.conv1.weight": ONE}, *question)


# -- keys of a checkpoint


@pytest.mark.parametrize("suffix", [".pth", ".pdparams"])
def test_a_key_chooses_among_states(tmp_path, fake, same_bits, capsys, suffix: str) -> None:
    import pickle

    tensors = fake("paddle.vision", "resnet18")
    states = {"model": tensors, "ema": {"module": {k: a + 1 for k, a in tensors.items()}}}
    path = tmp_path / f"x{suffix}"
    path.write_bytes(pickle.dumps({**states, "epoch": 3}, protocol=4))
    for key, more in ((None, 0), ("model", 0), ("ema/module", 1), ("ema.module", 1)):
        wanted = {k: a + more for k, a in tensors.items()}
        same_bits(weight_port.read(path, key=key), wanted)
        same_bits(weight_port.recognise(path, key=key).tensors, wanted)
        options = ["--key", key] if key else []
        out = [str(tmp_path / "y.npz"), "--to", "paddle.vision", "--force"]
        assert cli.main(["convert", str(path), *out, *options]) == 0
        said = capsys.readouterr().out
        assert "taken from" in said
        assert "left out beside" in said
        same_bits(weight_port.read(tmp_path / "y.npz"), wanted)
    with pytest.raises(weight_port.FormatError, match=r"'emma' .*no key of .*'model', 'ema'"):
        weight_port.read(path, key="emma")


def test_a_file_of_names_has_no_keys(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "x.safetensors", ONE_TENSOR)
    with pytest.raises(weight_port.FormatError, match="has names alone, which --prefix"):
        weight_port.read(tmp_path / "x.safetensors", key="model")


def test_read_takes_a_part_by_its_prefix(tmp_path, same_bits) -> None:
    weight_port.write(tmp_path / "x.npz", {"a.w": ONE, "b.w": ONE + 1})
    same_bits(weight_port.read(tmp_path / "x.npz", prefix="b."), {"w": ONE + 1})
    with pytest.raises(weight_port.FormatError, match="no name begins with prefix 'c'"):
        weight_port.read(tmp_path / "x.npz", prefix="c")


# -- what may be a part of another network is not left out unasked


def test_beside_a_whole_network_in_its_module_nothing_is_left_out_unasked(
    tmp_path, fake, same_bits, capsys
) -> None:
    tensors = fake("torchvision", "resnet18")
    for prefix in ("", "model."):
        file = behind(prefix, {**tensors, "attention.w": ONE})
        weight_port.write(tmp_path / "x.npz", file, force=True)
        words = ["convert", str(tmp_path / "x.npz"), str(tmp_path / "y.npz"), "--to", "torchvision"]
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert "+ attention.w  (not in the scheme)  [3]" in said
        assert "Beside the network stand `attention.` (1): --rest drop (rest=…) leaves" in said
        for option in (["--rest", "drop"], ["--drop", "*attention*"]):
            assert cli.main([*words, *option, "--force"]) == 0
            assert "attention" in capsys.readouterr().out
            same_bits(weight_port.read(tmp_path / "y.npz"), tensors)


def test_within_a_networks_modules_nothing_is_left_out_but_by_name(fake, same_bits) -> None:
    tensors = fake("torchvision", "resnet18")
    strange = {**tensors, "layer1.0.se.w": ONE}
    with pytest.raises(weight_port.MismatchError, match=r"\+ layer1\.0\.se\.w"):
        weight_port.convert(strange, "torchvision", rest="drop")
    same_bits(weight_port.convert(strange, "torchvision", drop=["*.se.*"]), tensors)
    with pytest.raises(weight_port.MismatchError, match=r"--drop '\*\.sf\.\*' .* no tensor"):
        weight_port.convert(strange, "torchvision", drop=["*.sf.*"])


def test_python_is_warned_of_what_is_left_out_unasked(fake, same_bits) -> None:
    tensors = fake("torchvision", "resnet18", **HEADLESS)
    file = {**behind("backbone.", tensors), **beside("head.w")}
    with pytest.warns(weight_port.PartWarning, match=r"other names: `head\.` \(1\)"):
        same_bits(weight_port.convert(file, "torchvision"), tensors)
    converted = weight_port.convert(file, "torchvision", rest="drop")
    assert converted.notes == ("resnet18 under `backbone.` (120 of 121); other names: `head.` (1)",)
    with pytest.raises(weight_port.DestinationError, match="rest='all'"):
        weight_port.convert(file, "torchvision", rest="all")


@pytest.mark.parametrize("package", ["pytorch_impl", "paddle_impl"])
def test_load_takes_the_network_out_and_warns(tmp_path, fake, package: str) -> None:
    side = importlib.import_module(package)
    tensors = two(fake, "Student.", "Teacher.")
    weight_port.write(tmp_path / "x.npz", tensors)
    with pytest.raises(weight_port.DialectError, match="2 networks are in it"):
        side.load(tmp_path / "x.npz")
    with pytest.warns(weight_port.PartWarning, match=r"x\.npz: .*other names: `Student\.` \(122\)"):
        model = side.load(tmp_path / "x.npz", prefix="Teacher.", architecture="resnet18")
    weight = next(iter(model.state_dict().values())).numpy()
    assert np.array_equal(weight, tensors["Teacher.conv1.weight"])


def test_diff_compares_what_stands_beside_the_networks_too(tmp_path, fake, capsys) -> None:
    backbone = fake("paddledetection", "resnet50")
    one = {**behind("backbone.", backbone), **beside("head.w")}
    ported = weight_port.convert(one, "torchvision", rest="keep")
    weight_port.write(tmp_path / "a.npz", one)
    for change, status in (({}, 0), ({"head.w": ONE * 9}, 1), ({"neck.w": ONE}, 1)):
        weight_port.write(tmp_path / "b.npz", {**ported, **change}, force=True)
        assert cli.main(["diff", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == status
        said = capsys.readouterr().out
        assert all(name in said for name in (*change, "`backbone.`"))


# -- the head


@pytest.mark.parametrize(
    "names",
    [("fc.0.weight", "fc.0.bias", "fc.3.weight"), ("fc.1.weight", "fc.1.bias"), ("fc.a.b.c",)],
)
def test_a_head_of_any_form_is_left_out_by_no_top_alone(fake, same_bits, names) -> None:
    body = fake("torchvision", "resnet18", **HEADLESS)
    for prefix in ("", "module.encoder_q."):
        file = behind(prefix, {**body, **beside(*names)})
        network = weight_port.recognise(file)
        assert (network.prefix, network.detection.num_classes) == (prefix, None)
        assert f"its classifier is of another form: {names[0]}" in network.notes[-1]
        with pytest.raises(weight_port.MismatchError, match=f"{names[0]} .*pass --no-top"):
            weight_port.convert(file, "timm")
        same_bits(weight_port.convert(file, "timm", include_top=False), body)


@pytest.mark.parametrize("dialect", keys.DIALECTS)
def test_a_file_without_classifier_has_no_classes(fake, dialect: str) -> None:
    name = keys.DIALECTS[dialect].holds[0]
    detection = weight_port.detect(fake(dialect, name, include_top=False))
    assert detection.num_classes is None
    assert weight_port.convert(fake(dialect, name, include_top=False), dialect, dialect)


def test_a_classifier_of_no_classes_is_none(fake, same_bits) -> None:
    body = fake("paddleclas", "resnet50_vd", **HEADLESS)
    empty = {"fc.weight": np.zeros((2048, 0), np.float32), "fc.bias": np.zeros(0, np.float32)}
    assert weight_port.detect({**body, **empty}).num_classes is None
    same_bits(weight_port.convert({**body, **empty}, "paddleclas"), body)


# -- shapes and block counts overrule names


def stretched(tensors, counts: dict[str, int]):
    """The tensors with the last block of stages once more, until they have as many."""
    out = dict(tensors)
    for stage, count in counts.items():
        blocks = [int(m[1]) for k in tensors if (m := re.match(rf"{stage}(\d+)\.", k))]
        last = max(blocks)
        for index in range(last + 1, count):
            for key in [k for k in tensors if k.startswith(f"{stage}{last}.")]:
                out[key.replace(f"{stage}{last}.", f"{stage}{index}.", 1)] = tensors[key]
    return out


def without_blocks(tensors, *prefixes: str):
    return {key: a for key, a in tensors.items() if not key.startswith(prefixes)}


def narrowed(tensors):
    return {k: np.zeros([(n + 1) // 2 for n in a.shape], a.dtype) for k, a in tensors.items()}


def stranger_cases(fake):
    vd, tv = fake("paddleclas-2.0-vd", "resnet152_vd"), fake("torchvision", "resnet50")
    se = {f"bb_{s}_{i}.scale.squeeze.{w}": ONE for s, i in itertools.product(range(4), range(3))
          for w in ("weight", "bias")}  # fmt: skip
    mnist = {
        "conv1.weight": np.zeros((32, 1, 3, 3)), "conv1.bias": np.zeros(32),
        "conv2.weight": np.zeros((64, 32, 3, 3)), "conv2.bias": np.zeros(64),
        "fc1.weight": np.zeros((128, 9216)), "fc1.bias": np.zeros(128),
        "fc2.weight": np.zeros((10, 128)), "fc2.bias": np.zeros(10),
    }  # fmt: skip
    return {
        "blocks 3, 20, 36, 3": (
            stretched(vd, {"bb_1_": 20}), r"resnet152_vd .* names in its modules"
        ),
        "squeezed": ({**fake("paddleclas-2.0-vd", "resnet50_vd"), **se}, "resnet50_vd .* 24 names"),
        "a block less": (without_blocks(tv, "layer3.5."), "stages have 3, 4, 5, 3 blocks, not 3, "),
        "a block more": (stretched(tv, {r"layer3.": 7}), "18 names in its modules are not its own"),
        "half as wide": (narrowed(tv), r"resnet50 in torchvision, but \d+ of these have other sh"),
        "MNIST": (mnist, r"lenet5 .*other shapes: conv1.weight is \[32, 1, 3, 3\], there \[6, 1, "),
    }  # fmt: skip


@pytest.mark.parametrize(
    "what", ["blocks 3, 20, 36, 3", "squeezed", "a block less", "a block more", "half as wide",
             "MNIST"],
)  # fmt: skip
def test_another_network_is_no_damaged_one_and_the_nearest_is_named(fake, what: str) -> None:
    tensors, said = stranger_cases(fake)[what]
    for prefix in ("", "backbone."):
        with pytest.raises(weight_port.DialectError, match=f"the names fit no network.*{said}"):
            weight_port.recognise(behind(prefix, tensors))


def test_a_file_that_was_cut_off_is_an_incomplete_network_still(fake) -> None:
    tensors = without_blocks(fake("torchvision", "resnet50"), "layer4.1.", "layer4.2.", "fc.")
    assert weight_port.detect(tensors).architecture == "resnet50"
    with pytest.raises(weight_port.MismatchError, match=r"missing \(30\)"):
        weight_port.convert(tensors, "torchvision")


POOL = [
    key
    for dialect in ("torchvision", "paddle.vision", "paddle1", "keras")
    for key in list(keys.keys(dialect, keys.DIALECTS[dialect].holds[0]))[:40]
]
NAMES = st.one_of(
    st.text("./ab1_", max_size=8),
    st.sampled_from(POOL),
    st.tuples(st.text("./a1", max_size=4), st.sampled_from(POOL)).map("".join),
)
SHAPES = st.sampled_from([(), (1,), (0,), (64,), (64, 3, 7, 7), (10, 5), (0, 3)])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(NAMES, SHAPES.map(lambda shape: np.zeros(shape, np.float32)), max_size=60),
    st.one_of(st.none(), st.text("./ab1", max_size=3)),
    st.sampled_from(["drop", "keep"]),
)
def test_any_names_are_a_network_or_an_error_of_ours(tensors, prefix, rest: str) -> None:
    with pytest.raises(weight_port.WeightPortError) as raised:  # of so few names none is whole
        weight_port.convert(tensors, "timm", prefix=prefix, rest=rest)
    assert str(raised.value)


@pytest.mark.parametrize("rest", ["keeep", "Drop", ""])
def test_a_misspelt_rest_writes_no_folder(tmp_path, fake, capsys, rest: str) -> None:
    weight_port.write(tmp_path / "a.npz", {**fake("torchvision", "resnet18"), "neck.w": ONE})
    arguments = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--to", "timm", "--force"]
    assert cli.main(["convert", *arguments, "--rest", rest]) == 2
    assert "is neither drop nor keep, nor a file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
