"""``weight_port.recognise``: what a file is, by whichever of its names say so."""

from __future__ import annotations

import numpy as np
import pytest

import weight_port
from weight_port.formats.contents import Contents


def test_a_path_and_its_tensors_are_recognised_alike(tmp_path, fake, same_bits) -> None:
    tensors = fake("torchvision", "resnet18")
    metadata = {"architecture": "resnet18", "who": "we"}
    path = tmp_path / "x.safetensors"
    weight_port.write(path, tensors, metadata=metadata)
    of_path = weight_port.recognise(path)
    assert of_path.detection == weight_port.detect(tensors)
    assert of_path.contents.architecture == "resnet18"
    assert of_path.contents.notes == ("metadata architecture: resnet18", "metadata who: we")
    same_bits(of_path.tensors, tensors)
    for source in (str(path), tensors, Contents(tensors)):
        other = weight_port.recognise(source)
        assert (other.detection, other.notes) == (of_path.detection, ())
        same_bits(other.tensors, tensors)


def test_a_wrappers_prefix_is_taken_off_the_tensors(fake, same_bits) -> None:
    tensors = fake("pytorch_impl", "lenet5")
    network = weight_port.recognise({f"module.{key}": array for key, array in tensors.items()})
    assert network.detection.architecture == "lenet5"
    assert network.notes == ("prefix 'module.' taken off every name",)
    assert all(key.startswith("module.") for key in network.contents.tensors)
    same_bits(network.tensors, tensors)


def test_the_dialect_and_the_network_can_be_named(fake) -> None:
    tensors = fake("timm", "resnet50")
    assert weight_port.recognise(tensors).detection.dialect == "torchvision"
    assert weight_port.recognise(tensors, "timm").detection.dialect == "timm"
    ours = fake("pytorch_impl", "resnet50")
    named = weight_port.recognise(ours, architecture="resnet50_v1").detection
    assert (named.architecture, named.twins) == ("resnet50_v1", ())


def test_what_is_no_network_is_an_error_that_names_the_file(tmp_path) -> None:
    path = tmp_path / "x.safetensors"
    weight_port.write(path, {"a": np.zeros(3)})
    with pytest.raises(weight_port.DialectError, match=r"^the names fit no network"):
        weight_port.recognise({"a": np.zeros(3)})
    with pytest.raises(weight_port.DialectError, match=r"x\.safetensors: the names fit no network"):
        weight_port.recognise(path)
    with pytest.raises(weight_port.FormatError, match="no such file"):
        weight_port.recognise(tmp_path / "none.pth")


def test_a_network_that_lacks_a_tensor_is_recognised_and_check_says_so(fake) -> None:
    tensors = fake("torchvision", "resnet18")
    del tensors["layer1.0.conv1.weight"]
    network = weight_port.recognise(tensors)
    assert network.detection.architecture == "resnet18"
    with pytest.raises(weight_port.MismatchError, match=r"missing \(1\)"):
        weight_port.check(network.tensors, network.detection)


def test_the_function_is_not_shadowed_by_its_module() -> None:
    import weight_port.conversion.recognise

    assert callable(weight_port.recognise)
    assert weight_port.recognise is weight_port.conversion.recognise.recognise


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "module._orig_mod."])
def test_prefixes_are_taken_off_and_said(tmp_path, fake, same_bits, prefix: str) -> None:
    tensors = fake("torchvision", "resnet18")
    wrapped = {prefix + key: array for key, array in tensors.items()}
    weight_port.write(tmp_path / "a.pth", wrapped)
    same_bits(weight_port.read(tmp_path / "a.pth"), wrapped)
    done = weight_port.convert_file(tmp_path / "a.pth", tmp_path / "b.npz", "pytorch_impl")
    assert done.notes == (f"prefix {prefix!r} taken off every name",)
    same_bits(weight_port.read(tmp_path / "b.npz"), weight_port.convert(tensors, "pytorch_impl"))
    weight_port.convert_file(tmp_path / "a.pth", tmp_path / "raw.npz", "raw")
    same_bits(weight_port.read(tmp_path / "raw.npz"), wrapped)


def test_a_prefix_of_what_is_no_network_is_taken_off_nothing(fake) -> None:
    with pytest.raises(weight_port.DialectError, match=r"the first names are module\.a, b$"):
        weight_port.recognise({"module.a": np.zeros(1), "b": np.zeros(1)})
