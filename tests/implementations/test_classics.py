"""LeNet, AlexNet, NIN, VGG and GoogLeNet: figures of the papers, libraries' own models, both ways.

Classifiers of AlexNet and VGG are narrow here where the test allows it: theirs have 120 million
values.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import torch
import torchvision

import paddle_impl
import pytorch_impl
import weight_port
from parity import seeded
from parity.comparison.known_differences import pool_gradients
from parity.run.inputs import Given, UsageError, subject
from parity.run.plan import Options
from parity.run.run import run
from tests.helpers.bounds import excess
from weight_port import arch
from weight_port.arch import classic
from weight_port.arch.initial import initial
from weight_port.dialects import keys as dialects

BOTH = [pytorch_impl, paddle_impl]
NAMES = list(arch.CLASSICS)


def narrow(side: Any, name: str, **more: Any) -> Any:
    """The network with a classifier of 8 hidden channels, where it has such."""
    hidden = {"hidden": 8} if arch.CLASSICS[name].hidden else {}
    return side.MODELS[name](**hidden, **more)


def drawn(name: str, classes: int = 7) -> dict[str, np.ndarray]:
    return seeded.draw(name, 0, classes, 8 if arch.CLASSICS[name].hidden else None)


def batch(name: str, size: int | None = None) -> np.ndarray:
    row = arch.CLASSICS[name]
    size = size or row.size
    return np.random.default_rng(1).standard_normal((2, row.in_channels, size, size), np.float32)


def logits(model: Any, images: np.ndarray) -> np.ndarray:
    model.eval()
    if isinstance(model, torch.nn.Module):
        with torch.no_grad():
            return model(torch.from_numpy(images)).numpy()
    with paddle.no_grad():
        return model(paddle.to_tensor(images)).numpy()


def state(model: Any) -> dict[str, np.ndarray]:
    return {key: np.array(value.detach().numpy()) for key, value in model.state_dict().items()}


# The number in VGG's name; eight layers: Krizhevsky et al. (2012), section 3; 22: Szegedy et al.
# (2014), section 5; NIN's by hand.
WEIGHTED = {
    "lenet5": 5, "alexnet": 8, "alexnet_lrn": 8, "alexnet_owt": 8, "nin": 12, "nin_cifar": 9,
    "vgg11": 11, "vgg13_bn": 13, "vgg16": 16, "vgg19_bn": 19, "googlenet": 22, "googlenet_bn": 22,
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted_layers(name: str) -> None:
    assert arch.architecture(name).weighted_layers == WEIGHTED[name]


# Araujo et al. (2019), table 1: VGG-16 212 and AlexNet 195 at the last pool.
@pytest.mark.parametrize(
    ("name", "layer", "pixels"),
    [("vgg16", "pool5", 212), ("alexnet", "pool5", 195), ("alexnet_owt", "pool5", 195),
     ("vgg11", "conv1_1", 3), ("lenet5", "pool2", 16), ("googlenet", "inception_3a", 59)],
)  # fmt: skip
def test_receptive_fields(name: str, layer: str, pixels: int) -> None:
    # lenet5: 5, 6, 6 + 4 * 2, + 2; 3a: 7, 11 at 4, 19 at 4, 27 at 8, and 5x5 adds 4 * 8
    assert arch.receptive_fields(name)[layer] == pixels


@pytest.mark.parametrize("name", ["lenet5", "alexnet_owt", "nin_cifar", "vgg11", "googlenet_bn"])
def test_what_a_value_feels_is_its_receptive_field(name: str) -> None:
    row = arch.CLASSICS[name]
    field = arch.receptive_fields(name)
    last = arch.layers(name, include_top=False)[-1].name
    size = 2 * field[last] if not row.fixed else row.size
    model = narrow(pytorch_impl, name, include_top=False).double().eval()
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.01).requires_grad_(False)
    images = torch.rand(1, row.in_channels, size, size, dtype=torch.float64).requires_grad_()
    found = model(images)
    middle = found.shape[2] // 2
    found[0, :, middle, middle].sum().backward()
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    felt = int(rows.max() - rows.min()) + 1
    # A max-pool hands its gradient to one pixel of a window.
    assert field[last] // 2 <= felt <= field[last]


# 224x224 (28, 32): the papers' figures and torchvision's documentation, in GMACs
@pytest.mark.parametrize(
    ("name", "work"),
    [("vgg11", 7.609), ("vgg16", 15.470), ("vgg19", 19.632), ("alexnet_owt", 0.714),
     ("googlenet_bn", 1.498), ("googlenet", 1.583)],
)  # fmt: skip
def test_multiply_adds(name: str, work: float) -> None:
    assert arch.multiply_adds(name) / 1e9 == pytest.approx(work, abs=5e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_what_the_models_do(name: str) -> None:
    # Every layer's channels and height, as the hooks see them.
    model = narrow(pytorch_impl, name)
    model.train(name.startswith("googlenet"))
    row, seen = arch.CLASSICS[name], {}
    modules = dict(model.named_modules())
    table = {layer.path: layer for layer in arch.layers(name, hidden=8)}
    for path in table:
        modules[path].register_forward_hook(
            lambda _m, _i, out, path=path: seen.__setitem__(path, tuple(out.shape))
        )
    with torch.no_grad():
        model(torch.from_numpy(batch(name)))
    sides = arch.sides(name, row.size)
    for path, layer in table.items():
        side = sides[layer.name][1]
        square = () if layer.kind == "linear" else (side, side)
        assert seen[path] == (2, layer.out_channels, *square), path
    assert len(seen) == len(table)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.numerical
def test_the_mirrors_have_the_same_keys_and_give_the_same(name: str) -> None:
    ours, mirror = (narrow(side, name, num_classes=7) for side in BOTH)
    keys = [key for key in ours.state_dict() if "num_batches" not in key]
    statistics = {"running_mean": "_mean", "running_var": "_variance"}
    for one, other in zip(keys, mirror.state_dict(), strict=True):
        module, _, role = one.rpartition(".")
        assert other == f"{module}.{statistics.get(role, role)}"
    weights = drawn(name)
    for side, model in zip(BOTH, (ours, mirror), strict=True):
        side.load_weights(model, weights)
    size = None if arch.CLASSICS[name].fixed else min(64, arch.CLASSICS[name].size)
    images = batch(name, size)
    one, other = logits(ours, images), logits(mirror, images)
    assert one.shape == (2, 7)
    assert one.std() > 0.01
    assert excess(one, other, logits(ours.double(), images.astype(np.float64))) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_ports_both_ways_are_bit_identical(name: str) -> None:
    weights = drawn(name)
    there = weight_port.convert(weights, to="pytorch_impl", architecture=name)
    assert set(there) == set(narrow(pytorch_impl, name, num_classes=7).state_dict())
    back = weight_port.convert(dict(there), to="paddle_impl", architecture=name)
    model = narrow(paddle_impl, name, num_classes=7)
    paddle_impl.load_weights(model, dict(back))
    again = weight_port.convert(state(model), to="paddle1", architecture=name)
    assert list(again) == list(weights)
    assert all(np.array_equal(again[key], weights[key]) for key in weights)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_which_network_it_is(tmp_path: Path, name: str) -> None:
    weight_port.write(tmp_path / "a.safetensors", drawn(name))
    found = weight_port.detect(weight_port.read(tmp_path / "a.safetensors"))
    assert name in (found.architecture, *found.twins)
    hidden = 8 if arch.CLASSICS[name].hidden else 0
    assert (found.num_classes, found.hidden) == (7, hidden)
    for side in BOTH:
        model = side.load(tmp_path / "a.safetensors", architecture=name)
        assert model.architecture == name
        assert not model.training


# -- libraries ------------------------------------------------------------------------------------

TORCHVISION = ["alexnet_owt", "vgg11", "vgg11_bn", "vgg13", "vgg16_bn", "googlenet_bn"]


def of_torchvision(name: str) -> Any:
    if name == "googlenet_bn":
        return torchvision.models.googlenet(num_classes=7, init_weights=True, aux_logits=True)
    made = {"alexnet_owt": "alexnet"}.get(name, name)
    model = getattr(torchvision.models, made)(num_classes=7)
    first, second, last = (model.classifier[i] for i in _linear(model))
    # Their classifiers' width is no parameter.
    first, second = torch.nn.Linear(first.in_features, 8), torch.nn.Linear(8, 8)
    last = torch.nn.Linear(8, 7)
    for place, layer in zip(_linear(model), (first, second, last), strict=True):
        model.classifier[place] = layer
    return model


def _linear(model: Any) -> list[int]:
    return [i for i, m in enumerate(model.classifier) if isinstance(m, torch.nn.Linear)]


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_gives_the_same_bits(name: str) -> None:
    torch.manual_seed(0)
    theirs = of_torchvision(name)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    assert weight_port.detect(state(theirs)).dialect == "torchvision"
    ours = narrow(pytorch_impl, name, num_classes=7)
    pytorch_impl.load_weights(ours, state(theirs))
    images = batch(name, 96)
    assert np.array_equal(logits(ours, images), logits(theirs, images))
    back = weight_port.convert(state(ours), to="torchvision")
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in back.items()})
    if name == "googlenet_bn":
        for model in (ours, theirs):
            model.train()
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        main, first, second = ours(torch.from_numpy(images))
        found = theirs(torch.from_numpy(images))
        assert torch.equal(main, found.logits)
        assert torch.equal(first, found.aux_logits1)
        assert torch.equal(second, found.aux_logits2)


@pytest.mark.parametrize("name", ["vgg11", "vgg16_bn"])
def test_paddle_vision_gives_the_same_bits(name: str) -> None:
    theirs = getattr(paddle.vision.models, name.removesuffix("_bn"))(
        batch_norm=name.endswith("_bn"), num_classes=7
    )
    for place, sizes in ((0, (25088, 8)), (3, (8, 8)), (6, (8, 7))):
        theirs.classifier[place] = paddle.nn.Linear(*sizes)
    assert weight_port.detect(state(theirs)).dialect == "paddle.vision"
    ours = narrow(paddle_impl, name, num_classes=7)
    paddle_impl.load_weights(ours, state(theirs))
    images = batch(name, 64)
    assert np.array_equal(logits(ours, images), logits(theirs, images))


def test_paddle_visions_alexnet_scales_in_evaluation_and_is_folded() -> None:
    theirs = paddle.vision.models.alexnet(num_classes=7)
    theirs._fc6, theirs._fc7 = paddle.nn.Linear(9216, 8), paddle.nn.Linear(8, 8)
    theirs._fc8 = paddle.nn.Linear(8, 7)
    images = batch("alexnet_owt")
    right = logits(theirs, images)
    with pytest.raises(weight_port.MismatchError, match=r"dropout: [^\n]*\n.*\(--fold\)"):
        weight_port.convert(state(theirs), to="paddle_impl")
    plain = weight_port.convert(state(theirs), to="paddle_impl", allow_mismatch=True)
    folded = weight_port.convert(state(theirs), to="paddle_impl", fold=True)
    ours = narrow(paddle_impl, "alexnet_owt", num_classes=7)
    outputs = []
    for tensors in (plain, folded):
        paddle_impl.load_weights(ours, dict(tensors))
        outputs.append(logits(ours, images))
    assert not np.allclose(outputs[0], right, rtol=1e-3)
    assert np.array_equal(outputs[1], right)  # a half is exact
    back = weight_port.convert(dict(folded), to="paddle.vision", fold=True)
    assert all(np.array_equal(back[key], array) for key, array in state(theirs).items())


@pytest.mark.parametrize("name", ["LeNet", "GoogLeNet"])
def test_paddle_visions_other_networks_are_not_taken_for_ours(name: str) -> None:
    theirs = state(getattr(paddle.vision.models, name)())
    with pytest.raises(weight_port.WeightPortError):
        weight_port.convert(theirs, to="pytorch_impl")


# -- what the guard sees --------------------------------------------------------------------------


def test_a_library_without_the_network_is_said_and_who_has_it() -> None:
    said = "timm has no vgg11; these can hold it: paddle1, pytorch_impl, paddle_impl, torchvision"
    with pytest.raises(weight_port.MismatchError, match=said):
        weight_port.convert(drawn("vgg11"), to="timm")


def test_twins_are_named_and_another_function_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weight_port.detect(drawn("lenet5")).twins == ("lenet5_relu",)
    assert weight_port.detect(drawn("alexnet_lrn")).twins == ("alexnet_lrn",)
    only_relu = dialects.DIALECTS["pytorch_impl"]
    held = tuple(n for n in only_relu.holds if n != "lenet5")
    changed = dialects.Dialect(**{**vars(only_relu), "holds": held})
    monkeypatch.setitem(dialects.DIALECTS, "pytorch_impl", changed)
    with pytest.raises(weight_port.MismatchError, match="activation: sigmoid in the source, relu"):
        weight_port.convert(drawn("lenet5"), to="pytorch_impl")


def test_activation_and_normalisation_change_what_the_same_weights_give() -> None:
    for one, other in (("lenet5", "lenet5_relu"), ("alexnet", "alexnet_lrn")):
        found = []
        for name in (one, other):
            model = narrow(pytorch_impl, name, num_classes=7)
            pytorch_impl.load_weights(model, drawn(one))
            found.append(logits(model, batch(name)))
        assert np.abs(found[0] - found[1]).max() > 0.01


# -- heads, freezing, dropout, beginnings ---------------------------------------------------------


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("name", ["vgg11", "nin_cifar", "googlenet"])
def test_a_new_head_keeps_all_but_the_classes_layers(tmp_path: Path, side: Any, name: str) -> None:
    weight_port.write(tmp_path / "a.safetensors", drawn(name))
    whole = state(side.load(tmp_path / "a.safetensors"))
    with pytest.warns(UserWarning, match="of 3 classes, is new"):
        found = state(side.load(tmp_path / "a.safetensors", num_classes=3))
    heads = arch.class_layers(name)
    for key, array in whole.items():
        same = array.shape == found[key].shape and np.array_equal(array, found[key])
        assert same == (key.rpartition(".")[0].replace(".", "_") not in heads), key


@pytest.mark.parametrize("side", BOTH)
def test_a_frozen_network_trains_its_last_layer_and_drops_nothing(side: Any) -> None:
    model = narrow(side, "vgg11_bn")
    model.freeze()
    model.train()
    trained = {
        key
        for key, p in model.named_parameters()
        if (p.requires_grad if side is pytorch_impl else not p.stop_gradient)
    }
    assert trained == {"fc8.weight", "fc8.bias"}
    modules = model.named_modules() if side is pytorch_impl else model.named_sublayers()
    working = {path for path, module in modules if path and module.training}
    assert working == {"fc8"}


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("name", ["alexnet", "alexnet_owt", "nin_cifar", "vgg11", "googlenet"])
def test_dropout_drops_in_training_alone(side: Any, name: str) -> None:
    model = narrow(side, name, num_classes=7)
    side.load_weights(model, drawn(name))
    images = batch(name)
    assert np.array_equal(logits(model, images), logits(model, images))
    model.train()
    to = torch.from_numpy if side is pytorch_impl else paddle.to_tensor
    found = [model(to(images)) for _ in range(2)]
    first, second = (y[0] if isinstance(y, tuple) else y for y in found)
    assert np.abs(first.detach().numpy() - second.detach().numpy()).max() > 1e-4


def _fits(values: np.ndarray, kind: str, value: float) -> bool:
    """Whether values were drawn from a distribution: bounds, mean and deviation."""
    if kind == "constant":
        return bool((values == np.float32(value)).all())
    deviation = value if kind == "normal" else value / math.sqrt(3)
    room = 5 / math.sqrt(values.size)
    bounded = kind == "normal" or np.abs(values).max() <= value * (1 + 1e-6)
    centred = abs(values.mean()) <= deviation * room
    return bool(bounded and centred and abs(values.std() / deviation - 1) <= room)


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("name", ["lenet5", "alexnet", "nin", "vgg11", "googlenet", "googlenet_bn"])
def test_networks_begin_as_their_papers_say(side: Any, name: str) -> None:
    torch.manual_seed(0)
    paddle.seed(0)
    row, model = arch.CLASSICS[name], narrow(side, name)
    tensors = state(model)
    dialect = "pytorch_impl" if side is pytorch_impl else "paddle_impl"
    hidden = 8 if row.hidden else None
    layers = {layer.name: layer for layer in arch.layers(name, hidden=hidden)}
    checked = 0
    for key, entry in dialects.keys(dialect, name, hidden=hidden).items():
        if entry.parameter is not None and layers[entry.layer].kind in ("conv", "linear"):
            kind, value = initial(row.initial, layers[entry.layer], entry.parameter)
            assert _fits(tensors[key].astype(np.float64), kind, value), (key, kind, value)
            checked += 1
    assert checked == sum(len(layer.parameters) for layer in layers.values()
                          if layer.kind in ("conv", "linear"))  # fmt: skip


def test_the_check_of_a_distribution_can_fail() -> None:
    values = np.random.default_rng(0).normal(0, 0.01, 10_000)
    assert _fits(values, "normal", 0.01)
    assert not _fits(values, "normal", 0.011)
    assert not _fits(values + 0.001, "normal", 0.01)
    assert not _fits(values, "uniform", 0.01 * math.sqrt(3))
    assert not _fits(values, "constant", 0.0)


@pytest.mark.parametrize(
    ("name", "layer", "expected"),
    [("alexnet", "conv1", 0.0), ("alexnet", "conv2", 1.0), ("alexnet", "fc6", 1.0),
     ("alexnet", "fc8", 0.0), ("googlenet", "conv1", 0.2), ("googlenet", "fc", 0.0)],
)  # fmt: skip
def test_biases_that_papers_single_out(name: str, layer: str, expected: float) -> None:
    found = next(x for x in arch.layers(name) if x.name == layer)
    assert initial(arch.CLASSICS[name].initial, found, found.parameters[1]).value == expected


@pytest.mark.parametrize("side", BOTH)
def test_auxiliary_heads_are_there_in_training_alone(side: Any) -> None:
    model = side.googlenet(num_classes=7)
    to = torch.from_numpy if side is pytorch_impl else paddle.to_tensor
    images = to(batch("googlenet"))
    model.train()
    found = model(images)
    assert [list(y.shape) for y in found] == [[2, 7]] * 3
    model.eval()
    assert list(model(images).shape) == [2, 7]
    headless = side.googlenet(include_top=False)
    headless.train()
    assert list(headless(images).shape) == [2, 1024, 7, 7]
    assert not any(key.startswith(("aux", "fc")) for key in headless.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_ends_at_the_tables_feature_map(name: str) -> None:
    row = arch.CLASSICS[name]
    last = arch.layers(name, include_top=False)[-1]
    side = arch.sides(name, row.size)[last.name][1]
    found = logits(pytorch_impl.MODELS[name](include_top=False), batch(name))
    assert found.shape == (2, last.out_channels, side, side)


# -- parity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lenet5", "nin_cifar", "googlenet_bn"])
@pytest.mark.numerical
def test_both_frameworks_agree_in_training_too(tmp_path: Path, name: str) -> None:
    size = None if name == "lenet5" else 32 if name == "nin_cifar" else 64
    one = subject(name, Given(size=size), tmp_path, lambda _: None)
    large = name == "googlenet_bn"  # a minute of everything
    modes = ("train",) if large else ("eval", "train")
    asked = Options(("float64",), modes, isolate=not large, backward=True, steps=1 + (not large))
    report = run(one, asked)
    assert report.passed, [f.section.title for f in report.results if not f.passed]
    kinds = {(found.section.kind, found.section.mode) for found in report.results}
    wanted = {"forward", "gradients", "training"} | (set() if large else {"isolated"})
    assert kinds >= {(kind, "train") for kind in wanted}
    heads = {layer.name for layer in arch.layers(name) if layer.head and layer.parameters}
    for found in report.results:
        seen = {output.layer for output in found.section.outputs}
        assert heads <= seen if found.section.mode == "train" else heads.isdisjoint(seen)
    logits = [f for f in report.results if f.section.kind == "forward"]
    assert all(found.outputs[-1].relative_l2 <= 1e-13 for found in logits)


def test_a_network_of_one_size_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lenet5: takes images of 28 pixels only, not 64"):
        subject("lenet5", Given(size=64), tmp_path, lambda _: None)


# 2.0e-8 at 7x7 as measured; a window of 25, cut ones of 9 and 6 and 4, and 5 channels
@pytest.mark.parametrize(
    ("name", "layer", "side", "expected"),
    [("googlenet", "aux1_pool", 14, {25}), ("nin_cifar", "pool2", 16, {4, 6, 9}),
     ("googlenet_bn", "aux1_pool", 14, {16}), ("vgg11", "pool6", 2, {1, 2, 4}),
     ("googlenet", "norm1", 56, {5}), ("nin", "pool4", 6, {36})],
)  # fmt: skip
def test_what_paddles_means_send_back(name: str, layer: str, side: int, expected: set) -> None:
    row = next(x for x in arch.layers(name) if x.name == layer)
    found = pool_gradients(row, side)
    sides = classic.output_side(side, row)
    assert found.shape == ((1, 1) if row.kind == "local_norm" else (sides, sides))
    assert set(found.ravel()) == {float(np.float32(1 / n)) * n for n in expected}
