"""Twins are said: networks with the same tensors, of the suite's table and of others."""

from __future__ import annotations

import json

import pytest

import pytorch_impl
import weight_port
from weight_port import cli
from weight_port.conversion import twins
from weight_port.dialects.lookalikes import LOOKALIKES

# dialect, network, words that must be said, words that must not
CASES = [
    ("torchvision", "resnet50", ["resnet50_v1", "dilat", "blurred", "last stage"], ["_vc"]),
    ("torchvision", "resnet18", ["dilat", "blurred"], ["resnet18_v1", "1x1"]),
    ("timm", "resnet50_vd", ["dilat", "blurred"], ["resnet50_vc", "resnet50_v1"]),
    ("mmseg", "resnet50_vc", ["dilat"], ["resnet50_vd"]),
    ("pytorch_impl", "resnet101_vd", ["resnet101_vc: shortcuts projected, not pr"], []),
    ("torchvision", "wide_resnet50_2", ["stride in the 1x1"], ["resnet50_v1"]),
    ("paddleclas", "resnet50_vd", ["resnet50_vc: s", "recogniser", "PaddleSeg"], ["blurred"]),
    ("paddleclas-2.0-vd", "resnet34_vd_paddleclas", ["recogniser", "dilat"], ["blurred", "_vc"]),
    ("paddleclas", "resnet50", ["ResNet50_last_stage_stride1", "resnet50_v1"], ["_vc"]),
    ("paddleclas-2.0", "resnet50", ["ResNetTSM", "resnet50_v1"], ["blurred"]),
    ("paddledetection", "resnet50", ["resnet50_v1", "dilat"], ["recogniser"]),
    ("detectron2", "resnet101_v1", ["resnet101: stride"], ["_vc"]),
    ("cifar", "resnet20", ["plain20", "option A"], ["dilat"]),
    ("pytorch_impl", "plain56", ["plain56: shortcuts none, not padded"], ["dilat"]),
    ("cifar", "cifar_resnet18", ["max-pool"], ["plain", "dilat"]),
    ("paddle_impl", "lenet5", ["lenet5_relu: activation relu", "tanh"], ["dilat"]),
    ("pytorch_impl", "alexnet", ["alexnet_lrn: local response"], ["dilat"]),
    ("caffe", "resnet50_caffe", ["DeepLab"], ["resnet50_v1", "blurred"]),
]


@pytest.mark.parametrize(("dialect", "name", "words", "others"), CASES)
def test_what_else_the_tensors_can_be_is_said(fake, dialect, name, words, others) -> None:
    text = "\n".join(twins.lines(weight_port.detect(fake(dialect, name), dialect)))
    assert [word for word in words if word not in text] == []
    assert [word for word in others if word in text] == []


@pytest.mark.parametrize("name", ["vgg16", "googlenet_bn", "alexnet_owt"])
def test_nothing_is_said_where_nothing_is_open(fake, name: str) -> None:
    detection = weight_port.detect(fake("torchvision", name))
    assert (detection.undecided, twins.warning("x", detection)) in (
        ("", ""),
        ("paddle.vision has the same names", ""),
    )


def test_every_row_of_the_table_is_met(fake) -> None:
    met = {
        item.what
        for dialect, name, *_ in CASES
        for item in weight_port.detect(fake(dialect, name), dialect).lookalikes
    }
    uncounted = fake("torchvision", "resnet50")
    for key in [key for key in uncounted if key.endswith("num_batches_tracked")]:
        del uncounted[key]
    assert "frozen batch norms" not in met
    met |= {item.what for item in weight_port.detect(uncounted).lookalikes}
    assert met == {item.what for item in LOOKALIKES}


def test_who_names_the_network_is_told_nothing(fake) -> None:
    tensors = fake("torchvision", "resnet50")
    for name in ("resnet50", "resnet50_v1", "resnet50_caffe"):
        detection = weight_port.detect(tensors, architecture=name)
        assert (detection.architecture, twins.names(detection)) == (name, "")
    with pytest.raises(weight_port.MismatchError, match="stride of a bottleneck"):
        weight_port.convert(tensors, "timm", architecture="resnet50_v1")


@pytest.mark.parametrize(
    ("dialect", "name", "to", "twin"),
    [
        ("paddle_impl", "resnet50", "torchvision", "resnet50_v1"),
        ("pytorch_impl", "resnet101", "timm", "resnet101_caffe"),
        ("paddle1", "resnet20", "cifar", "plain20"),
    ],
)
def test_a_port_says_which_twins_the_target_has_not(
    tmp_path, fake, capsys, dialect: str, name: str, to: str, twin: str
) -> None:
    source, out = tmp_path / "there.npz", tmp_path / "port.safetensors"
    weight_port.write(source, fake(dialect, name))
    assert cli.main(["inspect", str(source)]) == 0
    assert f"{twin}: " in capsys.readouterr().out
    words = ["convert", str(source), str(out), "--to", to]
    assert cli.main([*words, "--json"]) == 0
    (done,) = json.loads(capsys.readouterr().out)["done"]
    assert done["undecided"][0].startswith(f"no model in {to} computes what ")
    assert twin in done["undecided"][0]
    notes = weight_port.recognise(out).contents.notes
    assert any(note.startswith("metadata undecided: ") and twin in note for note in notes)
    assert cli.main([*words, "--force", "--architecture", name]) == 0
    assert "undecided" not in capsys.readouterr().out
    many = ["convert", str(source), "--out-dir", str(tmp_path / "o"), "--format", "npz", "--to", to]
    assert cli.main(many) == 0
    assert twin in capsys.readouterr().out


def test_load_warns_and_a_name_settles_it(tmp_path, fake) -> None:
    path = tmp_path / "x.npz"
    weight_port.write(path, fake("torchvision", "resnet50"))
    with pytest.warns(weight_port.TwinWarning, match=r"(?s)resnet50_v1.*dilat"):
        assert pytorch_impl.load(path).architecture == "resnet50"
    assert pytorch_impl.load(path, architecture="resnet50_v1").architecture == "resnet50_v1"


@pytest.mark.parametrize("to", ["torchvision", "paddle.vision", "paddle_impl"])
def test_a_file_without_classifier_needs_no_no_top(tmp_path, fake, same_bits, capsys, to) -> None:
    weight_port.write(tmp_path / "x.npz", fake("timm", "resnet18", include_top=False))
    words = ["convert", str(tmp_path / "x.npz"), str(tmp_path / "y.npz"), "--to", to]
    assert cli.main(words) == 0
    assert "note: there is no classifier in the source" in capsys.readouterr().out
    same_bits(weight_port.read(tmp_path / "y.npz"), fake(to, "resnet18", include_top=False))


def test_a_head_of_several_layers_is_not_left_out_unasked(tmp_path, fake, capsys) -> None:
    tensors = fake("torchvision", "resnet18")
    tensors["fc.1.weight"], tensors["fc.1.bias"] = tensors.pop("fc.weight"), tensors.pop("fc.bias")
    weight_port.write(tmp_path / "x.npz", tensors)
    words = ["convert", str(tmp_path / "x.npz"), str(tmp_path / "y.npz"), "--to", "timm"]
    assert cli.main(words) == 2
    assert "fc.1.weight" in capsys.readouterr().err
