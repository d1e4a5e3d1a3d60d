"""CIFAR's ResNets against both published forms, written out here in plain torch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import paddle
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import paddle_impl
import pytorch_impl
import weight_port
from weight_port import arch

DEEP = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}
NAMES = ["cifar_resnet18", "cifar_resnet34", "cifar_resnet50"] + [
    f"resnet{depth}{form}" for depth in (20, 32) for form in ("", "_b")
]


class Zeros(nn.Module):
    """Option A of akamaster/pytorch_resnet_cifar10: a quarter of the planes on either side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.pad = (0, 0, 0, 0, before, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, ::2, ::2], self.pad)


class Block(nn.Module):
    def __init__(self, cin: int, planes: int, stride: int, expansion: int, option: str) -> None:
        super().__init__()
        cout = planes * expansion
        sizes = [(cin, planes, 3, stride), (planes, planes, 3, 1)]
        if expansion == 4:
            sizes = [(cin, planes, 1, 1), (planes, planes, 3, stride), (planes, cout, 1, 1)]
        self.last = len(sizes)
        for n, (a, b, kernel, step) in enumerate(sizes, start=1):
            conv = nn.Conv2d(a, b, kernel, step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{n}", conv)
            self.add_module(f"bn{n}", nn.BatchNorm2d(b))
        self.shortcut = nn.Sequential()
        self.added = option != "none"
        if (stride != 1 or cin != cout) and option == "A":
            self.shortcut = Zeros(planes // 4, planes // 4)
        elif (stride != 1 or cin != cout) and option == "B":
            conv = nn.Conv2d(cin, cout, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(cout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for n in range(1, self.last + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            y = y if n == self.last else F.relu(y)
        return F.relu(y + self.shortcut(x)) if self.added else F.relu(y)


class Reference(nn.Module):
    """kuangliu/pytorch-cifar (four stages from 64) and akamaster's (three from 16)."""

    def __init__(self, name: str, classes: int = 10) -> None:
        super().__init__()
        depth = int(re.sub("^(cifar_)?(resnet|plain)|_b$", "", name))
        counts = DEEP[depth] if name.startswith("cifar_") else 3 * [(depth - 2) // 6]
        option = "B" if name.startswith("cifar_") or name.endswith("_b") else "A"
        option = "none" if name.startswith("plain") else option
        channels = planes = 64 if name.startswith("cifar_") else 16
        expansion = 4 if depth == 50 else 1
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.stages = len(counts)
        for stage, count in enumerate(counts, start=1):
            made = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                made.append(Block(channels, planes, stride, expansion, option))
                channels = planes * expansion
            self.add_module(f"layer{stage}", nn.Sequential(*made))
            planes *= 2
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.linear(F.avg_pool2d(x, x.shape[-1]).flatten(1))


def reference(name: str, classes: int = 10) -> Reference:
    """In float64 and evaluation mode, with batch norms whose numbers all differ."""
    torch.manual_seed(1)
    model = Reference(name, classes).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, 0, 0.1)
    return model


def state(model: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy() for key, value in model.state_dict().items()}


def images() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((2, 3, 32, 32))


def logits(model: nn.Module) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(images())).numpy()


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.numerical
def test_the_published_form_there_and_back(name: str) -> None:
    theirs = reference(name)
    tensors = state(theirs)
    found = weight_port.detect(tensors)
    assert (found.dialect, found.architecture) == ("cifar", name)
    twins = (name.replace("resnet", "plain"),) if f"plain{name[6:]}" in arch.ARCHITECTURES else ()
    assert (found.num_classes, found.aliases, found.twins) == (10, (), twins)
    ours = pytorch_impl.MODELS[name]().double().eval()
    there = weight_port.convert(tensors, to="pytorch_impl")
    ours.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in there.items()}, strict=True)
    assert relative(logits(ours), logits(theirs)) < 1e-14
    back = weight_port.convert(state(ours), to="cifar")
    assert list(back) == list(tensors)
    assert all(back[key].tobytes() == tensors[key].tobytes() for key in tensors)


@pytest.mark.parametrize("name", ["resnet20_b", "resnet32_b"])
def test_the_form_with_torchvisions_names(name: str) -> None:
    tensors = state(reference(name, 100))
    renamed = {
        key.replace("shortcut", "downsample").replace("linear", "fc"): array
        for key, array in tensors.items()
    }
    found = weight_port.detect(renamed)
    assert (found.dialect, found.architecture, found.num_classes) == ("cifar-fc", name, 100)
    back = weight_port.convert(renamed, to="cifar")
    assert all(back[key].tobytes() == tensors[key].tobytes() for key in tensors)


@pytest.mark.parametrize("name", ["plain20", "plain56"])
@pytest.mark.numerical
def test_without_shortcuts_it_is_another_network_with_the_same_tensors(name: str) -> None:
    theirs, twin = reference(name), reference(name.replace("plain", "resnet"))
    twin.load_state_dict(theirs.state_dict(), strict=True)
    assert weight_port.detect(state(theirs)).architecture == name.replace("plain", "resnet")
    for side in (pytorch_impl, paddle_impl):
        side.load_weights(side.MODELS[name](), state(theirs))  # it is named, and so no question
    ours = pytorch_impl.MODELS[name]().double().eval()
    there = weight_port.convert(state(theirs), to="pytorch_impl")
    pytorch_impl.load_weights(ours, there)
    assert relative(logits(ours), logits(theirs)) < 1e-14
    assert relative(logits(twin), logits(theirs)) > 1e-2
    mirror = paddle_impl.MODELS[name]()
    paddle_impl.load_weights(mirror, there)
    mirror.eval()
    with paddle.no_grad():
        said = mirror(paddle.to_tensor(images())).numpy()
    assert relative(said, logits(theirs)) < 1e-9


def test_zeros_elsewhere_are_another_network() -> None:
    """What no tensor shows: after the channels, as others have it, and not on both sides."""
    theirs = reference("resnet20")
    ours = pytorch_impl.resnet20().double().eval()
    pytorch_impl.load_weights(ours, state(theirs))
    for stage, planes in ((theirs.layer2, 32), (theirs.layer3, 64)):
        stage[0].shortcut = Zeros(0, planes // 2)
    assert relative(logits(ours), logits(theirs)) > 1e-3


@pytest.mark.parametrize("name", ["cifar_resnet18", "resnet20"])
@pytest.mark.numerical
def test_load_takes_what_a_trainer_with_data_parallel_saved(tmp_path: Path, name: str) -> None:
    theirs = reference(name)
    wrapped = nn.DataParallel(theirs).state_dict()
    assert all(key.startswith("module.") for key in wrapped)
    torch.save({"state_dict": wrapped, "best_prec1": 91.7}, tmp_path / "model.th")
    ours, mirror = (side.load(tmp_path / "model.th") for side in (pytorch_impl, paddle_impl))
    assert (ours.architecture, mirror.architecture) == (name, name)
    assert relative(logits(ours), logits(theirs)) < 1e-14
    with paddle.no_grad():
        said = mirror(paddle.to_tensor(images())).numpy()
    assert relative(said, logits(theirs)) < 1e-9  # Paddle keeps its epsilon as a float32
    named = pytorch_impl.load(tmp_path / "model.th", architecture=name)
    assert logits(named).tobytes() == logits(ours).tobytes()
    done = weight_port.convert_file(tmp_path / "model.th", tmp_path / "x.pdparams", "paddle_impl")
    assert "prefix 'module.' taken off every name" in done.notes
    for side in (pytorch_impl, paddle_impl):
        model = side.MODELS[name]()
        side.load_weights(model, {key: value.numpy() for key, value in wrapped.items()})


@pytest.mark.parametrize("side", [pytorch_impl, paddle_impl])
def test_load_says_what_a_wrapped_checkpoint_lacks(tmp_path: Path, side) -> None:
    wrapped = nn.DataParallel(reference("resnet20")).state_dict()
    del wrapped["module.layer2.0.bn1.running_var"]
    torch.save(wrapped, tmp_path / "part.pth")
    with pytest.raises(weight_port.MismatchError, match="bn3a_branch2a_variance"):
        side.load(tmp_path / "part.pth")
    with pytest.raises(weight_port.DialectError, match="fit no network"):
        side.load(tmp_path / "part.pth", architecture="cifar_resnet50")
    with pytest.raises(weight_port.MismatchError, match="of resnet20, the model is resnet20_b"):
        side.load_weights(side.resnet20_b(), state(reference("resnet20")))


@pytest.mark.parametrize("side", [pytorch_impl, paddle_impl])
def test_ten_classes_unless_told_otherwise(side) -> None:
    for name in ("resnet20", "cifar_resnet18"):
        weight, channels = side.MODELS[name]().fc.weight, arch.layers(name)[-1].in_channels
        assert sorted(weight.shape) == sorted((10, channels))
        assert 100 in side.MODELS[name](num_classes=100).fc.weight.shape
        assert side.MODELS[name].__name__ == name


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet20", (1, 64, 8, 8)), ("cifar_resnet50", (1, 2048, 4, 4))]
)
def test_feature_map_without_the_top(name: str, shape: tuple[int, ...]) -> None:
    batch = images()[:1].astype(np.float32)
    ours = pytorch_impl.MODELS[name](include_top=False)(torch.from_numpy(batch))
    theirs = paddle_impl.MODELS[name](include_top=False)(paddle.to_tensor(batch))
    assert tuple(ours.shape) == tuple(theirs.shape) == shape


def test_odd_sizes_are_subsampled_alike() -> None:
    block = arch.blocks("resnet20")[3]
    assert block.padded
    x = np.random.default_rng(0).standard_normal((1, 16, 7, 5), dtype=np.float32)
    ours = pytorch_impl.resnet.Padding(block)(torch.from_numpy(x)).numpy()
    theirs = paddle_impl.resnet.Padding(block)(paddle.to_tensor(x)).numpy()
    assert ours.tobytes() == theirs.tobytes()
    assert ours.shape == (1, 32, 4, 3)
    assert np.array_equal(ours[:, 8:24], x[:, :, ::2, ::2])
    assert not ours[:, :8].any()
    assert not ours[:, 24:].any()
