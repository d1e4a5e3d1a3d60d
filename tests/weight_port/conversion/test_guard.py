"""What a state dict can't show: each difference is refused, named, folded or let pass."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import pytest
import torch

import pytorch_impl
import weight_port
from weight_port import arch
from weight_port.conversion import fold, guard
from weight_port.dialects import keys
from weight_port.dialects.rows import DIALECTS


def subjects(source: str, name: str, to: str) -> dict[str, str]:
    return {item.subject: item.kind for item in guard.differences(source, name, to)}


# source, architecture, target: what differs, by kind
CASES = [
    ("torchvision", "resnet50", "pytorch_impl", {}),
    ("torchvision", "resnet50", "paddle.vision", {}),
    ("torchvision", "resnet50", "paddle1", {"softmax": guard.USE}),
    (
        "torchvision",
        "resnet50",
        "detectron2",
        {"channel order": guard.USE, "images": guard.USE},
    ),
    (
        "torchvision",
        "resnet50",
        "keras",
        {
            "stride of a bottleneck": guard.FUNCTION,
            "batch norm's epsilon": guard.FOLD,
            "channel order": guard.USE,
            "images": guard.USE,
            "softmax": guard.USE,
        },
    ),
    (
        "keras",
        "resnet50_v1",
        "pytorch_impl",
        {"bias": guard.FOLD, "batch norm's epsilon": guard.FOLD, "softmax": guard.USE},
    ),
    (
        "keras",
        "resnet50_v1",
        "keras-first",
        {"pool1": guard.FUNCTION, "batch norm's epsilon": guard.FOLD},
    ),
    (
        "caffe",
        "resnet50_caffe",
        "keras",
        {
            "pool1": guard.FUNCTION,
            "batch norm's epsilon": guard.FOLD,
            "images": guard.USE,
        },
    ),
    (
        "caffe",
        "resnet101_caffe",
        "torchvision",
        {
            "stride of a bottleneck": guard.FUNCTION,
            "pool1": guard.FUNCTION,
            "channel order": guard.USE,
            "images": guard.USE,
            "softmax": guard.USE,
        },
    ),
    ("caffe", "resnet50_caffe", "pytorch_impl", {"bias": guard.FOLD, "softmax": guard.USE}),
    ("torchvision", "resnet18", "transformers", {}),
    ("flax", "resnet50", "pytorch_impl", {"padding of strided 3x3 windows": guard.FUNCTION}),
    ("tf-official", "resnet50", "flax", {"images": guard.USE, "softmax": guard.USE}),
    (
        "tf-official",
        "resnet50",
        "keras-first",
        {
            "stride of a bottleneck": guard.FUNCTION,
            "pool1": guard.FUNCTION,
            "padding of strided 3x3 windows": guard.FUNCTION,
            "batch norm's epsilon": guard.FOLD,
            "channel order": guard.USE,
            "images": guard.USE,
        },
    ),
    ("paddleclas-2.0-vd", "resnet50_vc", "timm", {}),
    ("paddleclas-2.0-vd", "resnet50_vc", "transformers-backbone", {"shortcuts": guard.FUNCTION}),
    ("paddleclas", "resnet18_vd_paddleclas", "timm", {"the target's model": guard.USE}),
    ("timm", "resnet18_vd_paddleclas", "paddleclas", {}),
    ("timm", "resnet18_vd", "paddleclas", {"shortcut of the first block": guard.FOLD}),
    ("cifar", "cifar_resnet50", "pytorch_impl", {}),
    ("cifar", "resnet20_b", "cifar-fc", {}),
    ("cifar", "resnet20", "paddle1", {"softmax": guard.USE}),
    ("pytorch_impl", "plain20", "paddle_impl", {}),
    ("pytorch_impl", "plain20", "cifar", {"shortcuts": guard.FUNCTION}),
]


@pytest.mark.parametrize(("source", "name", "to", "wanted"), CASES)
def test_differences(source: str, name: str, to: str, wanted: dict[str, str]) -> None:
    assert subjects(source, name, to) == wanted


@pytest.mark.parametrize("row", DIALECTS.values(), ids=lambda row: row.name)
def test_a_dialect_does_not_differ_from_itself(row: keys.Dialect) -> None:
    for name in row.holds:
        assert guard.differences(row.name, name, row.name) == ()


@pytest.mark.parametrize(
    ("field", "value", "subject"),
    [
        ("epsilon", 1e-3, "batch norm's epsilon"),
        ("padding", "SAME", "padding of strided 3x3 windows"),
        ("changed", {"resnet50": "model = 1"}, "the target's model"),
        ("channels", "BGR", "channel order"),
        ("normalisation", "in [0, 255]", "images"),
        ("softmax", True, "softmax"),
    ],
)
def test_each_trait_of_a_dialect_is_seen(monkeypatch, field: str, value, subject: str) -> None:
    assert subject not in subjects("torchvision", "resnet50", "timm")
    changed = dataclasses.replace(DIALECTS["timm"], **{field: value})
    monkeypatch.setitem(DIALECTS, "timm", changed)
    assert subject in subjects("torchvision", "resnet50", "timm")


def test_a_trait_of_an_architecture_is_seen(monkeypatch) -> None:
    """With the stride forgotten, the guard lets the port pass: it is the row that refuses it."""
    assert "stride of a bottleneck" in subjects("detectron2", "resnet50_v1", "torchvision")
    forgotten = dataclasses.replace(arch.ARCHITECTURES["resnet50_v1"], stride_in_1x1=False)
    monkeypatch.setitem(arch.ARCHITECTURES, "resnet50_v1", forgotten)
    assert "stride of a bottleneck" not in subjects("detectron2", "resnet50_v1", "torchvision")


def test_shortcuts_are_a_trait_of_the_row(monkeypatch) -> None:
    assert subjects("pytorch_impl", "resnet20", "cifar") == {}
    held = (*DIALECTS["cifar-fc"].holds, "plain20")
    monkeypatch.setitem(DIALECTS, "cifar-fc", dataclasses.replace(DIALECTS["cifar-fc"], holds=held))
    assert "shortcuts" in subjects("cifar", "resnet20", "cifar-fc")  # plain20 alone is there
    forgotten = dataclasses.replace(arch.ARCHITECTURES["plain20"], shortcuts="padded")
    monkeypatch.setitem(arch.ARCHITECTURES, "plain20", forgotten)
    assert subjects("pytorch_impl", "plain20", "cifar") == {}
    assert "shortcuts" not in subjects("cifar", "resnet20", "cifar-fc")


# -- refusals


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_a_plain_network_is_no_resnet(fake, same_bits, depth: int) -> None:
    """The tensors are a ResNet's, to the last shape: what is said of them decides."""
    name = f"plain{depth}"
    tensors = fake("pytorch_impl", name)
    found = weight_port.detect(tensors)
    assert (found.architecture, found.twins) == (f"resnet{depth}", (name,))
    assert f"could be those of {name} too" in found.undecided
    with pytest.raises(weight_port.MismatchError) as raised:
        weight_port.convert(tensors, to="cifar", architecture=name)
    assert "shortcuts: none in the source, padded in the target" in str(raised.value)
    assert f"{name} is in paddle1, pytorch_impl, paddle_impl" in str(raised.value)
    with pytest.raises(
        weight_port.MismatchError, match=f"{name} has no shortcuts; no model in cif"
    ):
        weight_port.convert(tensors, to="cifar-fc", architecture=name, allow_mismatch=True)
    same_bits(weight_port.convert(tensors, to="paddle1", architecture=name), fake("paddle1", name))


def test_a_stride_elsewhere_is_refused_with_what_differs_and_what_to_do(fake) -> None:
    with pytest.raises(weight_port.MismatchError) as raised:
        weight_port.convert(fake("detectron2", "resnet50"), to="torchvision")
    said = str(raised.value)
    assert said.startswith("torchvision computes something else with the weights of resnet50_v1 in")
    assert "stride of a bottleneck: in the 1x1 (branch2a) in the source, in the 3x3" in said
    assert "resnet50_v1 is in paddle1, pytorch_impl, paddle_impl, transformers" in said
    assert "pass architecture='resnet50'" in said
    assert "--allow-mismatch" in said
    assert "images" not in said, "what is fed is no reason to refuse"


def test_what_the_weights_are_said_to_be_is_believed(fake, same_bits) -> None:
    tensors = fake("detectron2", "resnet50")
    converted = weight_port.convert(tensors, to="torchvision", architecture="resnet50")
    assert converted.mismatches == ()
    assert {item.subject for item in converted.differences} == {"channel order", "images"}
    same_bits(converted, fake("torchvision", "resnet50"))


def test_allow_mismatch_converts_all_the_same_and_says_so(fake, same_bits) -> None:
    tensors = fake("detectron2", "resnet50")
    converted = weight_port.convert(tensors, to="torchvision", allow_mismatch=True)
    assert [item.subject for item in converted.mismatches] == ["stride of a bottleneck"]
    same_bits(converted, fake("torchvision", "resnet50"))


def test_folding_does_not_let_a_stride_pass(fake) -> None:
    with pytest.raises(weight_port.MismatchError, match="stride of a bottleneck"):
        weight_port.convert(fake("keras", "resnet50_v1"), to="torchvision", fold=True)


@pytest.mark.parametrize(
    ("name", "to", "said"),
    [
        ("resnet50_vd", "torchvision", "three convolutions in its stem"),
        ("resnet18_paddleclas", "transformers", "a projection in its first block"),
        ("se_resnext50_32x4d", "timm", "squeeze-and-excitation"),
        ("wide_resnet50_2", "caffe", "a network that is not among its rows"),
        ("cifar_resnet18", "torchvision", "a 3x3 stem and no pool1"),
        ("resnet20", "timm", "a 3x3 stem and no pool1"),
        ("resnet18", "cifar", "pool1 and a stem with a stride"),
        ("resnet20", "cifar-fc", "shortcuts that pad with channels of zeros"),
        ("cifar_resnet50", "timm", "a 3x3 stem and no pool1"),
    ],
)
def test_another_network_is_refused_whatever_is_allowed(
    fake, name: str, to: str, said: str
) -> None:
    with pytest.raises(weight_port.MismatchError, match=f"{name} has {said}"):
        weight_port.convert(fake("paddle1", name), to=to, fold=True, allow_mismatch=True)


def test_a_classifier_has_no_place_in_a_backbone(fake, same_bits) -> None:
    with pytest.raises(weight_port.MismatchError, match="paddledetection ends at its feature map"):
        weight_port.convert(fake("paddle1", "resnet50"), to="paddledetection")
    back = weight_port.convert(fake("paddledetection", "resnet50"), to="paddle1")
    same_bits(back, fake("paddle1", "resnet50", include_top=False))
    there = weight_port.convert(
        fake("paddle1", "resnet50"), to="paddledetection", include_top=False
    )
    same_bits(there, fake("paddledetection", "resnet50"))


# -- folding


def drawn(dialect: str, name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Float32 tensors of a dialect with numbers that differ, variances and factors above 0."""
    random = np.random.default_rng(seed)
    spread = {"variance": (1.0, 0.3), "scale": (1.0, 0.1), "factor": (999.98, 0.0)}
    found = {}
    for key, entry in keys.keys(dialect, name, 5).items():
        centre, width = spread.get(entry.role, (0.0, 0.1))
        width = 0.05 if entry.role == "weight" else width
        values = centre + width * random.standard_normal(entry.shape)
        found[key] = np.abs(values) if entry.role == "variance" else values
    return {key: array.astype(np.float32) for key, array in found.items()}


def test_biases_and_epsilons_are_refused_unless_folded() -> None:
    tensors = drawn("keras", "resnet50_v1")
    with pytest.raises(weight_port.MismatchError, match=r"(?s)bias.*epsilon.*pass fold=True"):
        weight_port.convert(tensors, to="pytorch_impl", architecture="resnet50_v1")
    folded = weight_port.convert(tensors, to="pytorch_impl", fold=True)
    assert folded.mismatches == ()
    dropped = weight_port.convert(tensors, to="pytorch_impl", allow_mismatch=True)
    assert [item.subject for item in dropped.mismatches] == ["bias", "batch norm's epsilon"]
    assert (folded["conv1.bn.running_mean"] != dropped["conv1.bn.running_mean"]).any()


def test_biases_of_zero_need_no_folding(fake) -> None:
    tensors = fake("caffe", "resnet50_caffe")
    assert not tensors["conv1/1"].any()
    assert weight_port.convert(tensors, to="pytorch_impl").mismatches == ()
    tensors["conv1/1"] = np.ones(64, np.float32)
    with pytest.raises(weight_port.MismatchError, match="bias: one in conv1 in the source"):
        weight_port.convert(tensors, to="pytorch_impl")


class Biased(torch.nn.Module):
    """Our network with what the source has besides: biases, and another epsilon."""

    def __init__(self, tensors: dict[str, np.ndarray], dialect: str, name: str) -> None:
        super().__init__()
        self.net = pytorch_impl.MODELS[name](5).double()
        entries = keys.keys(dialect, name, 5)
        by_name = {entry.name: (tensors[key], entry) for key, entry in entries.items()}
        convs = [layer for layer in arch.layers(name) if layer.kind == "conv"]
        state = {}
        for key, entry in keys.keys("pytorch_impl", name, 5).items():
            if entry.role == "counter":
                continue
            array, here = by_name[entry.name]
            plain = array.transpose(np.argsort(here.order)) if here.order else array
            factor = by_name.get(f"{entry.layer} (scale factor)", (np.ones(1), None))[0]
            if entry.role in ("mean", "variance"):
                plain = plain / factor
            state[key] = torch.from_numpy(plain.T.copy() if entry.order else plain.copy())
        self.net.load_state_dict(state, strict=False)
        for module in self.net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = DIALECTS[dialect].epsilon
        for layer in convs:
            if (bias := by_name.get(f"{layer.name} (bias)")) is not None:
                module = self.net.get_submodule(layer.path)
                module.bias = torch.nn.Parameter(torch.from_numpy(bias[0].astype(np.float64)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("keras", "resnet50_v1"), ("keras-first", "resnet50_keras"), ("caffe", "resnet50_caffe")],
)
@pytest.mark.numerical
def test_folded_weights_compute_what_the_source_does(dialect: str, name: str) -> None:
    """In float64 against a model that has the biases, the epsilon and the factors themselves."""
    tensors = {key: array.astype(np.float64) for key, array in drawn(dialect, name).items()}
    batch = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 65, 65)))
    model = pytorch_impl.MODELS[name](5).double().eval()
    folded = weight_port.convert(tensors, to="pytorch_impl", fold=True)
    model.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in folded.items()})
    let_pass = weight_port.convert(tensors, to="pytorch_impl", allow_mismatch=True)
    with torch.inference_mode():
        wanted = Biased(tensors, dialect, name).eval()(batch)
        assert float((model(batch) - wanted).norm() / wanted.norm()) < 1e-12
        model.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in let_pass.items()})
        assert float((model(batch) - wanted).norm() / wanted.norm()) > 1e-6


def test_caffes_factor_is_divided_out_and_made() -> None:
    tensors = drawn("caffe", "resnet50_caffe")
    tensors["conv1/1"][:] = 0
    converted = weight_port.convert(tensors, to="pytorch_impl")
    wanted = (tensors["bn_conv1/0"].astype(np.float64) / np.float32(999.98)).astype(np.float32)
    np.testing.assert_allclose(converted["conv1.bn.running_mean"], wanted, rtol=2e-7)
    back = weight_port.convert(converted, to="caffe", architecture="resnet50_caffe")
    assert back["bn_conv1/2"].tolist() == [1.0]
    np.testing.assert_array_equal(back["bn_conv1/0"], converted["conv1.bn.running_mean"])
    kept = weight_port.convert(tensors, to="caffe")
    assert kept["bn_conv1/2"] is tensors["bn_conv1/2"], "nothing to merge within one dialect"


def test_a_factor_of_zero_means_statistics_of_zero() -> None:
    ones = np.ones(3, np.float32)
    assert fold.without_factor(ones, np.zeros(1, np.float32)).tolist() == [0, 0, 0]
    assert fold.without_factor(ones, np.ones(1, np.float32)) is ones


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_folding_keeps_the_dtype(dtype) -> None:
    tensors = {key: array.astype(dtype) for key, array in drawn("keras", "resnet50_v1").items()}
    folded = weight_port.convert(tensors, to="pytorch_impl", fold=True)
    floats = {a.dtype for key, a in folded.items() if not key.endswith("batches_tracked")}
    assert floats == {np.dtype(dtype)}


def test_the_epsilon_is_made_up_for_at_any_variance() -> None:
    variance = np.array([0.0, 1e-8, 1e-3, 1.0, 50.0])
    scale = np.linspace(0.5, 1.5, 5)
    moved = fold.with_epsilon(scale, variance, 1e-3, 1e-5)
    np.testing.assert_allclose(
        moved / np.sqrt(variance + 1e-5), scale / np.sqrt(variance + 1e-3), rtol=1e-15
    )
    assert abs(moved[0] / scale[0] - 0.1) < 1e-12
