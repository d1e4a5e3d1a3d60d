"""The models: their parts, their independent references, and what can be done with them."""

from __future__ import annotations

import copy
from functools import lru_cache

import numpy as np
import paddle
import pytest
import torch
import torchvision

import paddle_impl
import pytorch_impl
import weight_port
import weight_port.dialects
from paddle_impl.checkpoint import to_tensor as to_paddle
from parity.comparison.precision import FACTOR, PRECISIONS
from pytorch_impl.checkpoint import to_tensor as to_torch
from tests.helpers.bounds import FLOAT64, excess, spread
from weight_port import arch

STANDARD = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
UNLIKE = (
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
# Training passes of the largest say nothing that those of their little sisters do not.
BITWISE = [(name, False) for name in (*STANDARD, *UNLIKE)] + [
    (name, True) for name in (*STANDARD, "resnext50_32x4d", "wide_resnet50_2")
]
# One row of every form, at its smallest: where what is tested hangs on the form alone.
FORMS = (
    "resnet18",
    "plain18",
    "resnet18_text",
    "resnet50",
    "resnet18_paddleclas",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "resnet18_vd",
    "resnet18_vd_paddleclas",
    "resnet50_vd",
    "resnet18_vc",
    "se_resnet18_vd",
    "se_resnext50_vd_32x4d",
    "resnet50_v1",
    "resnet50_caffe",
    "resnet50_keras",
    "cifar_resnet18",
    "cifar_resnet50",
    "resnet20",
    "resnet20_b",
    "plain20",
)


FORCE = {pytorch_impl: {"force": True}}  # numpy() of a torch parameter


def images(count: int = 2, side: int = 64, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((count, channels, side, side), dtype=np.float32)


def torch_state(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy() for key, value in model.state_dict().items()}


def paddle_state(model: paddle.nn.Layer) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in model.state_dict().items()}


# -- the parts


Mirrors = tuple[str, torch.nn.Module, paddle.nn.Layer]


@pytest.fixture(scope="module", params=FORMS)
def mirrors(request: pytest.FixtureRequest) -> Mirrors:
    """A form's name and its network in both frameworks, which no test changes."""
    name = request.param
    return name, pytorch_impl.MODELS[name](), paddle_impl.MODELS[name]()


def test_modules_are_the_layers_of_the_table(mirrors: Mirrors) -> None:
    name, model, twins = mirrors
    mirror = dict(twins.named_sublayers())
    for layer in arch.layers(name):
        module, twin = model.get_submodule(layer.path), mirror[layer.path]
        if layer.kind == "conv":
            assert layer.path.removesuffix(".conv").replace(".", "_") == layer.name
            kernel, stride = 2 * [layer.kernel], 2 * [layer.stride]
            wanted = [layer.in_channels, layer.out_channels, layer.groups, *kernel, *stride]
            sizes = (module.in_channels, module.out_channels, module.groups)
            assert [*sizes, *module.kernel_size, *module.stride] == wanted
            sizes = (twin._in_channels, twin._out_channels, twin._groups)
            assert [*sizes, *twin._kernel_size, *twin._stride] == wanted
        for parameter in layer.parameters:
            if parameter.role in ("scale", "weight"):
                assert tuple(module.weight.shape) == parameter.shape == tuple(twin.weight.shape)


def test_paddle_parameters_carry_their_1x_names(mirrors: Mirrors) -> None:
    name, _, mirror = mirrors
    names = [parameter.name for parameter in mirror.parameters()]
    assert sorted(names) == sorted(parameter.name for parameter in arch.parameters(name))


def test_two_paddle_models_can_be_built_in_one_process() -> None:
    first, second = paddle_impl.resnet18(), paddle_impl.resnet18()
    assert [p.name for p in first.parameters()] == [p.name for p in second.parameters()]
    assert not np.array_equal(first.conv1.conv.weight.numpy(), second.conv1.conv.weight.numpy())


def test_state_dicts_carry_the_same_keys_up_to_the_statistics(mirrors: Mirrors) -> None:
    _, model, mirror = mirrors
    spelling = {".running_mean": "._mean", ".running_var": "._variance"}
    keys = [key for key in model.state_dict() if "num_batches" not in key]
    for theirs, ours in spelling.items():
        keys = [key.replace(theirs, ours) for key in keys]
    assert keys == list(mirror.state_dict())


def test_he_initialisation_has_the_same_spread_in_both() -> None:
    ours = pytorch_impl.resnet50()
    mirror = dict(paddle_impl.resnet50().named_sublayers())
    for layer in (layer for layer in arch.layers("resnet50") if layer.kind == "conv"):
        expected = np.sqrt(2 / (layer.out_channels * layer.kernel**2))
        drawn = ours.get_submodule(layer.path).weight.detach().numpy()
        for weight in (drawn, mirror[layer.path].weight.numpy()):
            # Six standard errors of a mean and of a standard deviation.
            assert abs(weight.mean()) < 6 * expected / np.sqrt(weight.size)
            assert abs(weight.std() / expected - 1) < 6 / np.sqrt(2 * weight.size)


# -- independent references, bit for bit


def reference_pair_torch(name: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    reference = getattr(torchvision.models, name)()
    with torch.device("meta"):  # nothing is drawn: all is replaced
        model = pytorch_impl.MODELS[name]()
    model.to_empty(device="cpu")
    pytorch_impl.load_weights(model, torch_state(reference))
    return model, reference


def undrawn_paddle(name: str, num_classes: int = 1000) -> paddle.nn.Layer:
    """The network with zeros, which a test replaces: drawing weights is most of a build."""
    with pytest.MonkeyPatch.context() as patched:
        zeros = paddle.nn.initializer.Constant(0.0).forward
        for drawn in (paddle.nn.initializer.Normal, paddle.nn.initializer.Uniform):
            patched.setattr(drawn, "forward", lambda _, *given, **named: zeros(*given, **named))
        return paddle_impl.MODELS[name](num_classes)


def paddle_reference(name: str) -> paddle.nn.Layer:
    """The network as paddle.vision builds it; it has no function for ResNeXt-101 32x8d."""
    if name == "resnext101_32x8d":
        from paddle.vision.models.resnet import BottleneckBlock, ResNet

        return ResNet(BottleneckBlock, 101, width=8, groups=32)
    return getattr(paddle.vision.models, name)()


def gradients_torch(model: torch.nn.Module, batch: np.ndarray) -> tuple[np.ndarray, dict]:
    logits = model(torch.from_numpy(batch))
    logits.square().sum().backward()
    gradients = {key: value.grad.numpy() for key, value in model.named_parameters()}
    return logits.detach().numpy(), gradients


def gradients_paddle(model: paddle.nn.Layer, batch: np.ndarray) -> tuple[np.ndarray, dict]:
    logits = model(paddle.to_tensor(batch))
    logits.square().sum().backward()
    # Layers built here and by paddle.vision both count BN statistics among the parameters.
    trained = {k: v.grad for k, v in model.named_parameters() if not v.stop_gradient}
    return logits.numpy(), {key: grad.numpy() for key, grad in trained.items()}


def named(gradients: dict, dialect: str, name: str) -> dict[str, np.ndarray]:
    keys = weight_port.dialects.keys.keys(dialect, name)
    return {keys[key].name: gradient for key, gradient in gradients.items()}


def assert_same_bits(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    pairs = {key: (ours[key].reshape(-1), theirs[key].reshape(-1)) for key in ours}
    assert [key for key, (one, other) in pairs.items() if one.dtype != other.dtype
            or not np.array_equal(one.view(np.uint8), other.view(np.uint8))] == []  # fmt: skip


@pytest.mark.parametrize(("name", "training"), BITWISE)
def test_pytorch_impl_is_torchvision_bit_for_bit(name: str, training: bool) -> None:
    model, reference = reference_pair_torch(name)
    logits, gradients = gradients_torch(model.train(training), images())
    expected, reference_gradients = gradients_torch(reference.train(training), images())
    assert logits.tobytes() == expected.tobytes()
    assert np.isfinite(logits).all()
    trainable = {p.name for p in arch.parameters(name) if p.role not in ("mean", "variance")}
    ours = named(gradients, "pytorch_impl", name)
    assert ours.keys() == trainable
    assert_same_bits(ours, named(reference_gradients, "torchvision", name))


@pytest.mark.parametrize(("name", "training"), BITWISE)
def test_paddle_impl_is_paddle_vision_bit_for_bit(name: str, training: bool) -> None:
    reference = paddle_reference(name)
    model = undrawn_paddle(name)
    paddle_impl.load_weights(model, paddle_state(reference))
    for side in (model, reference):
        side.train() if training else side.eval()
    logits, gradients = gradients_paddle(model, images())
    expected, reference_gradients = gradients_paddle(reference, images())
    assert logits.tobytes() == expected.tobytes()
    assert np.isfinite(logits).all()
    trainable = {p.name for p in arch.parameters(name) if p.role not in ("mean", "variance")}
    ours = named(gradients, "paddle_impl", name)
    assert ours.keys() == trainable
    assert_same_bits(ours, named(reference_gradients, "paddle.vision", name))


def test_the_bitwise_comparison_can_fail() -> None:
    model, reference = reference_pair_torch("resnet18")
    with torch.no_grad():
        model.conv1.conv.weight[0, 0, 3, 3] += 1e-3
    logits, gradients = gradients_torch(model.eval(), images())
    expected, reference_gradients = gradients_torch(reference.eval(), images())
    assert logits.tobytes() != expected.tobytes()
    with pytest.raises(AssertionError):
        assert_same_bits(
            named(gradients, "pytorch_impl", "resnet18"),
            named(reference_gradients, "torchvision", "resnet18"),
        )


# -- forms that no library builds: the difference from the standard one, by hand


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet50_caffe", "resnet50_keras"])
def test_the_same_weights_give_another_output_in_another_form(name: str) -> None:
    """What no state dict shows: all tensors equal, the outputs far apart."""
    torch.manual_seed(3)
    standard, other = pytorch_impl.resnet50().eval(), pytorch_impl.MODELS[name]().eval()
    other.load_state_dict(standard.state_dict(), strict=True)
    batch = torch.from_numpy(images(side=96))
    with torch.inference_mode():
        one, two = standard(batch), other(batch)
    assert float((one - two).norm() / one.norm()) > 0.01


POOLED = {  # of 112 and of 113 rows; He's prototxt in ceil mode, the first Keras release without
    "resnet50": (56, 57),
    "resnet50_caffe": (56, 56),
    "resnet50_keras": (55, 56),
}


@pytest.mark.parametrize("name", POOLED)
def test_the_forms_of_pool1(name: str) -> None:
    ours, mirror = pytorch_impl.MODELS[name](), paddle_impl.MODELS[name]()
    for rows, pooled in zip((112, 113), POOLED[name], strict=True):
        batch = images(1, rows, 1)
        left, right = ours.pool1(torch.from_numpy(batch)), mirror.pool1(paddle.to_tensor(batch))
        assert left.numpy().tobytes() == right.numpy().tobytes()
        assert tuple(left.shape) == (1, 1, pooled, pooled)


@lru_cache(maxsize=1)
def evaluated_pair(name: str) -> tuple[torch.nn.Module, paddle.nn.Layer]:
    """``float64_pair`` in evaluation mode, which no test changes: built once for both sizes."""
    model, mirror = float64_pair(name)
    model.eval()
    mirror.eval()
    return model, mirror


def float64_pair(name: str) -> tuple[torch.nn.Module, paddle.nn.Layer]:
    """The same weights in both frameworks, and the same epsilon: Paddle keeps it as a float32."""
    torch.manual_seed(0)
    model, mirror = pytorch_impl.MODELS[name](num_classes=5), undrawn_paddle(name, 5)
    paddle_impl.load_weights(mirror, torch_state(model))
    mirror.to(dtype="float64")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = float(np.float32(arch.BN_EPS))
    return model.double(), mirror


def small_images(name: str, side: int) -> np.ndarray:
    """Float64; half as large for networks that do not halve them at once."""
    return images(2, side // 2 if arch.ARCHITECTURES[name].cifar else side).astype(np.float64)


@pytest.mark.parametrize("side", [64, 70])  # 70: the average pool meets odd sizes
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.numerical
def test_the_mirrors_agree(name: str, side: int) -> None:
    model, mirror = evaluated_pair(name)
    batch = small_images(name, side)
    with torch.inference_mode(), paddle.no_grad():
        ours, theirs = model(torch.from_numpy(batch)).numpy(), mirror(paddle.to_tensor(batch))
    assert np.isfinite(ours).all()
    assert np.linalg.norm(ours - theirs.numpy()) <= 1e-12 * np.linalg.norm(ours)


@pytest.mark.parametrize("name", [name for name in FORMS if arch.ARCHITECTURES[name].cifar])
@pytest.mark.numerical
def test_the_gradients_of_the_mirrors_agree(name: str) -> None:
    model, mirror = float64_pair(name)
    batch = small_images(name, 64)
    logits, gradients = gradients_torch(model.train(), batch)
    mirror.train()
    expected, mirrored = gradients_paddle(mirror, batch)
    assert np.linalg.norm(logits - expected) <= 1e-12 * np.linalg.norm(logits)
    keys = weight_port.dialects.keys.keys("pytorch_impl", name, 5)
    turned = {key: g.T if keys[key].transposed else g for key, g in gradients.items()}
    ours, theirs = named(turned, "pytorch_impl", name), named(mirrored, "paddle_impl", name)
    assert ours.keys() == theirs.keys()
    for key, gradient in ours.items():
        assert np.isfinite(gradient).all()
        error = np.linalg.norm(gradient - theirs[key])
        assert error <= 1e-11 * np.linalg.norm(gradient), key


# -- what can be done with them


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("resnet50", 2048)])
def test_feature_map_without_the_top(name: str, channels: int) -> None:
    ours = pytorch_impl.MODELS[name](in_channels=1, include_top=False)
    mirror = paddle_impl.MODELS[name](in_channels=1, include_top=False)
    batch = images(1, 70, 1)
    assert tuple(ours(torch.from_numpy(batch)).shape) == (1, channels, 3, 3)
    assert tuple(mirror(paddle.to_tensor(batch)).shape) == (1, channels, 3, 3)
    assert not any(key.startswith("fc") for key in [*ours.state_dict(), *mirror.state_dict()])


def test_softmax_gives_probabilities() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(pytorch_impl.softmax(torch.from_numpy(logits)).numpy(), expected)
    np.testing.assert_allclose(paddle_impl.softmax(paddle.to_tensor(logits)).numpy(), expected)


@pytest.fixture(scope="module")
def small() -> pytorch_impl.ResNet:
    torch.manual_seed(0)
    return pytorch_impl.resnet18(num_classes=10).eval()


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.numerical
def test_torch_compile_gives_the_eager_output(small: pytorch_impl.ResNet) -> None:
    model, batch = copy.deepcopy(small).double(), torch.from_numpy(images()).double()
    # aot_eager traces and partitions as inductor does, without a C++ build of every kernel.
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.inference_mode():
        assert relative(compiled(batch).numpy(), model(batch).numpy()) <= FLOAT64.logits


@pytest.mark.numerical
def test_torch_export_gives_the_eager_output(small: pytorch_impl.ResNet) -> None:
    model, batch = copy.deepcopy(small).double(), torch.from_numpy(images()).double()
    exported = torch.export.export(model, (batch,)).module()
    with torch.inference_mode():
        assert relative(exported(batch).numpy(), model(batch).numpy()) <= FLOAT64.logits


@pytest.mark.numerical
def test_to_static_gives_the_eager_output() -> None:
    model = paddle_impl.resnet18(num_classes=10).to(dtype="float64")
    model.eval()
    batch = paddle.to_tensor(images()).astype("float64")
    with paddle.no_grad():
        eager = model(batch).numpy()
        static = paddle.jit.to_static(model)(batch).numpy()
    assert relative(static, eager) <= FLOAT64.logits


@pytest.mark.numerical
def test_float64_and_bfloat16_follow_float32(small: pytorch_impl.ResNet) -> None:
    """Each as far from float64 as its unit says.

    The longest sum is of 3x3 pixels of 512 channels: one product after the other, float32 rounds it
    by some sqrt(4608) epsilons (Higham 2002, section 4.2). bfloat16's kernels sum in float32, and
    round what comes out.
    """
    batch = images()
    with torch.inference_mode():
        logits = small(torch.from_numpy(batch)).double()
        double = copy.deepcopy(small).double()(torch.from_numpy(batch).double())
        half = copy.deepcopy(small).bfloat16()(torch.from_numpy(batch).bfloat16())
    assert double.dtype == torch.float64
    assert half.dtype == torch.bfloat16
    rounded = {"float32": logits, "bfloat16": half.double()}
    ulps = {
        name: relative(found.numpy(), double.numpy()) / PRECISIONS[name].epsilon
        for name, found in rounded.items()
    }
    assert 0 < ulps["float32"] <= np.sqrt(4608), ulps
    assert 1 / FACTOR <= ulps["bfloat16"] <= FACTOR, ulps


@pytest.mark.numerical
def test_paddle_float64_follows_float32(small: pytorch_impl.ResNet) -> None:
    """As far from it as torch's float32 is from torch's float64, with the same weights."""
    model, batch = paddle_impl.resnet18(num_classes=10), paddle.to_tensor(images())
    paddle_impl.load_weights(model, torch_state(small))
    model.eval()
    with paddle.no_grad(), torch.inference_mode():
        logits = model(batch).numpy()
        model.to(dtype="float64")
        double = model(batch.astype("float64")).numpy()
        torchs = small(torch.from_numpy(images())).numpy()
    assert double.dtype == np.float64
    assert excess(logits, torchs, double) <= 1
    errors = [relative(logits, double), relative(torchs, double)]
    assert min(errors) > 0
    assert spread(errors) <= 1


# -- load


@pytest.mark.parametrize(
    ("dialect", "suffix"),
    [
        ("paddle1", ""),
        ("paddle_impl", ".pdparams"),
        ("paddle.vision", ".pdparams"),
        ("pytorch_impl", ".pth"),
        ("torchvision", ".safetensors"),
    ],
)
def test_load_takes_every_dialect(tmp_path, small, dialect: str, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    weight_port.write(path, weight_port.convert(torch_state(small), to=dialect))
    loaded, mirror = pytorch_impl.load(path), paddle_impl.load(path)
    assert not loaded.training
    assert not mirror.training
    assert_same_bits(torch_state(loaded), torch_state(small))
    assert_same_bits(
        weight_port.convert(paddle_state(mirror), to="paddle1"),
        weight_port.convert(torch_state(small), to="paddle1"),
    )


def test_load_takes_a_combined_file_with_numbered_names(tmp_path, small) -> None:
    weight_port.write(tmp_path / "tv.pth", weight_port.convert(torch_state(small), "torchvision"))
    path = tmp_path / "x.pdiparams"
    weight_port.convert_file(tmp_path / "tv.pth", path, "paddle.vision")
    assert "conv2d_0.w_0" in weight_port.read(path)
    assert_same_bits(
        weight_port.convert(torch_state(pytorch_impl.load(path)), to="paddle1"),
        weight_port.convert(torch_state(small), to="paddle1"),
    )
    assert_same_bits(
        weight_port.convert(paddle_state(paddle_impl.load(path)), to="paddle1"),
        weight_port.convert(torch_state(small), to="paddle1"),
    )


@pytest.mark.parametrize("name", ["resnet18_paddleclas", "resnet34_paddleclas"])
def test_load_takes_the_form_that_the_file_holds(tmp_path, name: str) -> None:
    model = paddle_impl.MODELS[name](num_classes=5)
    paddle.save(model.state_dict(), str(tmp_path / "clas.pdparams"))
    for load in (pytorch_impl.load, paddle_impl.load):
        loaded = load(tmp_path / "clas.pdparams")
        assert loaded.architecture == name
        assert type(loaded.res2a.branch1).__name__ == "Projection"


@pytest.mark.parametrize("implementation", [pytorch_impl, paddle_impl])
def test_load_takes_the_form_that_is_named(tmp_path, implementation) -> None:
    model = pytorch_impl.resnet50_caffe(num_classes=5)
    weight_port.write(tmp_path / "net.safetensors", torch_state(model))
    assert implementation.load(tmp_path / "net.safetensors").architecture == "resnet50"
    named = implementation.load(tmp_path / "net.safetensors", architecture="resnet50_caffe")
    assert named.architecture == "resnet50_caffe"
    assert named.conv1.conv.weight.numpy(**FORCE.get(implementation, {})).tobytes() == (
        model.conv1.conv.weight.detach().numpy().tobytes()
    )
    with pytest.raises(weight_port.DialectError, match="fit no network"):
        implementation.load(tmp_path / "net.safetensors", architecture="resnet101_caffe")


def test_every_row_of_the_table_has_a_function_of_its_name_in_both() -> None:
    for implementation in (pytorch_impl, paddle_impl):
        assert list(implementation.MODELS) == list(arch.ARCHITECTURES)
        for name, make in implementation.MODELS.items():
            assert make is getattr(implementation, name)
            assert make.__name__ == name
            assert name in implementation.__all__


@pytest.mark.parametrize("implementation", [pytorch_impl, paddle_impl])
def test_plain_networks_add_nothing_and_the_text_adds_where_nothing_changes(implementation) -> None:
    for name in ("plain18", "plain20"):
        plain = implementation.MODELS[name]()
        assert all(getattr(plain, block.name).branch1 is None for block in arch.blocks(name))
    text = implementation.resnet18_text()
    for block in arch.blocks("resnet18_text"):
        changes = block.name in ("res3a", "res4a", "res5a")
        assert (getattr(text, block.name).branch1 is None) == changes
        for branch in ("branch2a", "branch2b"):
            bias = getattr(getattr(text, block.name), branch).conv.bias
            assert bias.shape[0] == block.out_channels
            assert not bias.numpy(**FORCE.get(implementation, {})).any()


@pytest.mark.parametrize("name", ["plain18", "resnet18_text", "plain20"])
def test_blocks_without_shortcuts_by_hand(name: str) -> None:
    model = pytorch_impl.MODELS[name]().eval()
    channels = arch.ARCHITECTURES[name].channels
    x = torch.from_numpy(images(side=16, channels=channels))
    block = model.res3a
    with torch.inference_mode():
        found = block(x.clone())
        y = torch.relu(block.branch2a.bn(block.branch2a.conv(x)))
        y = torch.relu(block.branch2b.bn(block.branch2b.conv(y)))
    assert torch.equal(found, y)


@pytest.mark.numerical
def test_load_without_the_top_leaves_the_classifier(tmp_path, small) -> None:
    torch.save(small.state_dict(), tmp_path / "weights.pth")
    loaded = pytorch_impl.load(tmp_path / "weights.pth", include_top=False)
    mirror = paddle_impl.load(tmp_path / "weights.pth", include_top=False)
    batch = images()
    with torch.inference_mode(), paddle.no_grad():
        ours, theirs = loaded(torch.from_numpy(batch)), mirror(paddle.to_tensor(batch))
        assert tuple(ours.shape) == (2, 512, 2, 2)
        exact = loaded.double()(torch.from_numpy(batch).double())
    assert excess(ours.numpy(), theirs.numpy(), exact.numpy()) <= 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_load_keeps_the_dtype_of_the_file(tmp_path, small, dtype: torch.dtype) -> None:
    state = copy.deepcopy(small).to(dtype).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    loaded = pytorch_impl.load(tmp_path / "weights.pth").state_dict()
    assert {key: value.dtype for key, value in loaded.items()} == {
        key: value.dtype for key, value in state.items()
    }
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    mirror = paddle_impl.load(tmp_path / "weights.pth")
    assert str(mirror.fc.weight.dtype) == f"paddle.{dtype}".replace("torch.", "")
    kept = weight_port.read(tmp_path / "weights.pth")["fc.weight"].T
    assert to_paddle(kept).numpy().tobytes() == mirror.fc.weight.numpy().tobytes()
    assert torch.equal(to_torch(kept), state["fc.weight"].T)


@pytest.mark.parametrize("implementation", [pytorch_impl, paddle_impl])
def test_load_refuses_what_is_not_the_network(tmp_path, small, implementation) -> None:
    state = torch_state(small)
    del state["res2a.branch2a.bn.running_mean"]
    weight_port.write(tmp_path / "part.safetensors", state)
    with pytest.raises(weight_port.MismatchError, match=r"bn2a_branch2a_mean"):
        implementation.load(tmp_path / "part.safetensors")
    with pytest.raises(weight_port.MismatchError, match=r"resnet18, the model is resnet34"):
        implementation.load_weights(implementation.resnet34(), torch_state(small))
