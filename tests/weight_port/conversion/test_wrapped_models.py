"""Networks inside models that torchvision, timm and transformers build, as torch saves them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn

import weight_port
from weight_port import cli

models = torchvision.models
NONE = {"weights": None, "weights_backbone": None}


def with_head(model: nn.Module, *layers: nn.Module) -> nn.Module:
    model.fc = nn.Sequential(*layers)
    return model


# What is saved; the prefix, network and dialect that are to be seen, its classes, and the modules
# beside it.
MODELS: dict[str, tuple[Callable[[], nn.Module], str, str, str, int | None, set[str]]] = {
    "a segmenter": (
        lambda: models.segmentation.fcn_resnet50(**NONE, aux_loss=True),
        "backbone.", "resnet50", "torchvision", None, {"classifier.", "aux_classifier."},
    ),
    "a detector, frozen": (
        lambda: models.detection.fasterrcnn_resnet50_fpn(**NONE),
        "backbone.body.", "resnet50", "torchvision", None, {"backbone.fpn.", "rpn.", "roi_heads."},
    ),
    "DataParallel": (
        lambda: nn.DataParallel(models.resnet18(num_classes=5)),
        "module.", "resnet18", "torchvision", 5, set(),
    ),
    "AveragedModel": (
        lambda: torch.optim.swa_utils.AveragedModel(models.resnet18(num_classes=5)),
        "module.", "resnet18", "torchvision", 5, {"n_averaged"},
    ),
    "behind its normalisation": (
        lambda: nn.Sequential(nn.BatchNorm2d(3, affine=False), models.resnet18(num_classes=5)),
        "1.", "resnet18", "torchvision", 5, {"0."},
    ),
    "another head": (
        lambda: with_head(models.resnet18(), nn.Dropout(), nn.Linear(512, 5)),
        "", "resnet18", "torchvision", None, set(),
    ),
    "VGG in a Lightning module": (
        lambda: nn.ModuleDict({"net": models.vgg11(num_classes=5), "loss": nn.Linear(2, 2)}),
        "net.", "vgg11", "torchvision", 5, {"loss."},
    ),
    "timm's d": (
        lambda: nn.ModuleDict({"model": timm.create_model("resnet18d", num_classes=5)}),
        "model.", "resnet18_vd", "timm", 5, set(),
    ),
    "timm's features": (
        lambda: nn.ModuleDict({
            "encoder": timm.create_model("resnet18", features_only=True), "dec": nn.Linear(2, 2)
        }),
        "encoder.", "resnet18", "torchvision", None, {"dec."},
    ),
    "transformers": (
        lambda: nn.ModuleDict({
            "model": transformers.ResNetForImageClassification(
                transformers.ResNetConfig(depths=[3, 4, 6, 3], num_labels=5)
            ),
            "head": nn.Linear(2, 2),
        }),
        "model.", "resnet50", "transformers", 5, {"head."},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MODELS)
def test_the_network_is_seen_and_the_rest_is_said(tmp_path, what: str) -> None:
    build, prefix, name, dialect, classes, modules = MODELS[what]
    state = build().state_dict()
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "x.pth")
    network = weight_port.recognise(tmp_path / "x.pth")
    detection = network.detection
    assert (network.prefix, detection.architecture, detection.dialect) == (prefix, name, dialect)
    assert detection.num_classes == classes
    assert set(network.modules) == modules
    assert len(network.tensors) + sum(network.modules.values()) == len(state)
    options = [] if classes else ["--no-top"]
    words = ["convert", str(tmp_path / "x.pth"), str(tmp_path / "y.npz"), "--to", "paddle1"]
    assert cli.main([*words, *options]) == 0
    arrays = weight_port.convert(weight_port.read(tmp_path / "y.npz"), dialect, "paddle1")
    for key, array in arrays.items():
        if key in network.tensors and not key.endswith("num_batches_tracked"):
            assert array.tobytes() == state[prefix + key].numpy().tobytes(), key


@pytest.mark.parametrize(
    "model", ["seresnet50", "resnet26d", "resnext26ts", "vit_tiny_patch16_224"]
)
def test_other_networks_are_not_taken_for_ours(tmp_path, model: str) -> None:
    state = timm.create_model(model).state_dict()
    torch.save({f"backbone.{key}": value for key, value in state.items()}, tmp_path / "x.pth")
    with pytest.raises(weight_port.DialectError, match="the names fit no network"):
        weight_port.recognise(tmp_path / "x.pth")
