"""Every dialect whose library installs, against a model that the library builds itself.

The weights go from ours through ``convert`` into the library's model, which loads them strictly;
both then see the same images. The models are built from configurations: nothing is downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests import ROOT
from tests.helpers.bounds import excess

os.environ["KERAS_BACKEND"] = "torch"  # before the first import; Keras would take TensorFlow

import keras
import numpy as np
import paddle
import pytest
import timm
import torch
import transformers

import paddle_impl
import pytorch_impl
import weight_port
from weight_port.dialects import keys

keras.config.set_image_data_format("channels_last")  # the layout of the published weights

SIDE = 65  # odd: pools and strides round


def images(side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((2, 3, side, side), dtype=np.float32)


def weights(name: str, classes: int = 5) -> dict[str, np.ndarray]:
    """Our network's, with batch norms whose numbers all differ."""
    torch.manual_seed(1)
    model = pytorch_impl.MODELS[name](classes)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                torch.nn.init.normal_(tensor, 0, 0.1)
    return {key: value.detach().numpy() for key, value in model.state_dict().items()}


def ours(
    name: str, tensors: dict[str, np.ndarray], dtype: torch.dtype = torch.float32
) -> np.ndarray:
    """Logits (2, 5) of our model; in float64 what any other rounds."""
    model = pytorch_impl.MODELS[name](5).eval()
    model.load_state_dict({key: torch.from_numpy(a) for key, a in tensors.items()})
    with torch.inference_mode():
        return model.to(dtype)(torch.from_numpy(images()).to(dtype)).numpy()


def in_torch(model: torch.nn.Module, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Logits of a library's model once it has loaded ``tensors``, strictly."""
    state = {key: torch.from_numpy(array.copy()) for key, array in tensors.items()}
    model.load_state_dict(state, strict=True)
    with torch.inference_mode():
        out = model.eval()(torch.from_numpy(images()))
    return getattr(out, "logits", out).numpy()


# -- timm

TIMM = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50_32x4d": "resnext50_32x4d",
    "wide_resnet50_2": "wide_resnet50_2",
    "resnet18_vd": "resnet18d",
    "resnet34_vd": "resnet34d",
    "resnet50_vd": "resnet50d",
    "resnet101_vd": "resnet101d",
    "resnet152_vd": "resnet152d",
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_bit_for_bit(name: str) -> None:
    tensors = weights(name)
    there = weight_port.convert(tensors, to="timm")
    model = timm.create_model(TIMM[name], num_classes=5)
    assert list(there) == list(model.state_dict())
    assert in_torch(model, there).tobytes() == ours(name, tensors).tobytes()


@pytest.mark.parametrize("name", keys.DIALECTS["timm"].holds)
def test_timm_has_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name.replace("_vd", "d"), num_classes=7)
    real = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert {key: e.shape for key, e in keys.keys("timm", name, 7).items()} == real


# -- transformers

DEPTHS = {
    "18": ([2, 2, 2, 2], "basic"),
    "34": ([3, 4, 6, 3], "basic"),
    "50": ([3, 4, 6, 3], "bottleneck"),
    "101": ([3, 4, 23, 3], "bottleneck"),
    "152": ([3, 8, 36, 3], "bottleneck"),
}


def hugging_face(name: str) -> torch.nn.Module:
    depth, _, form = name.removeprefix("resnet").partition("_")
    depths, kind = DEPTHS[depth]
    widths = [64, 128, 256, 512] if kind == "basic" else [256, 512, 1024, 2048]
    return transformers.ResNetForImageClassification(
        transformers.ResNetConfig(
            depths=depths,
            layer_type=kind,
            hidden_sizes=widths,
            downsample_in_bottleneck=form == "v1",
            num_labels=5,
        )
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet50_v1"])
def test_transformers_bit_for_bit(name: str) -> None:
    tensors = weights(name)
    there = weight_port.convert(tensors, to="transformers", architecture=name)
    assert in_torch(hugging_face(name), there).tobytes() == ours(name, tensors).tobytes()


@pytest.mark.parametrize("name", keys.DIALECTS["transformers"].holds)
def test_transformers_has_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        model = hugging_face(name)
    real = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert {key: e.shape for key, e in keys.keys("transformers", name, 5).items()} == real


def test_the_stride_in_the_wrong_place_loads_strictly_and_shows_in_the_output() -> None:
    """Why the guard is there: transformers loads a v1.5 network's weights into a v1 model."""
    tensors = weights("resnet50")
    there = weight_port.convert(tensors, to="transformers")
    wrong = in_torch(hugging_face("resnet50_v1"), there)
    right = ours("resnet50", tensors)
    assert np.linalg.norm(wrong - right) > 0.01 * np.linalg.norm(right)


# -- keras


def keras_model(name: str) -> keras.Model:
    applications = keras.applications
    build = {
        "resnet50_v1": applications.ResNet50,
        "resnet101_v1": applications.ResNet101,
        "resnet152_v1": applications.ResNet152,
    }[name]
    return build(weights=None, classes=5, classifier_activation=None, input_shape=(SIDE, SIDE, 3))


def fill(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Assign every variable by its path; none may be missing or left over."""
    paths = {variable.path: variable for variable in model.weights}
    assert set(paths) == set(tensors)
    for path, variable in paths.items():
        assert tuple(variable.shape) == tensors[path].shape, path
        variable.assign(np.ascontiguousarray(tensors[path]))


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet101_v1"])
@pytest.mark.numerical
def test_keras_applications_there_and_back(name: str) -> None:
    tensors = weights(name)
    there = weight_port.convert(tensors, "keras", fold=True, architecture=name)
    model = keras_model(name)
    fill(model, there)
    batch = np.ascontiguousarray(images().transpose(0, 2, 3, 1))
    logits = model(batch, training=False).detach().numpy()
    assert excess(logits, ours(name, tensors), ours(name, tensors, torch.float64)) <= 1
    # A trained Keras network has biases: they fold into ours.
    random = np.random.default_rng(2)
    for key in there:
        if key.endswith("_conv/bias"):
            there[key] = 0.1 * random.standard_normal(there[key].shape, dtype=np.float32)
    fill(model, there)
    logits = model(batch, training=False).detach().numpy()
    back = dict(weight_port.convert(there, "pytorch_impl", fold=True))
    back = {key: np.ascontiguousarray(array) for key, array in back.items()}
    exact = ours(name, back, torch.float64)
    assert excess(ours(name, back), logits, exact) <= 1
    dropped = weight_port.convert(there, "pytorch_impl", allow_mismatch=True)
    dropped = {key: np.ascontiguousarray(array) for key, array in dropped.items()}
    assert relative(ours(name, dropped), logits) > 1e-3
    assert excess(ours(name, dropped), logits, exact) > 10


# -- paddle.vision


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"])
def test_paddle_vision_bit_for_bit(name: str) -> None:
    there = weight_port.convert(weights(name), to="paddle.vision")
    model, mirror = getattr(paddle.vision.models, name)(num_classes=5), paddle_impl.MODELS[name](5)
    state = {key: paddle.to_tensor(np.ascontiguousarray(array)) for key, array in there.items()}
    assert model.set_state_dict(state) == ([], [])
    paddle_impl.load_weights(mirror, there)
    model.eval()
    mirror.eval()
    with paddle.no_grad():
        theirs, mine = (side(paddle.to_tensor(images())).numpy() for side in (model, mirror))
    assert theirs.tobytes() == mine.tobytes()


# -- PaddleClas, whose package asks for libraries that do not install beside Paddle 3.3

PADDLECLAS = ROOT / "tests" / "goldens" / "paddleclas"


@pytest.mark.parametrize("path", sorted(PADDLECLAS.iterdir()), ids=lambda path: path.stem)
def test_paddleclas_has_these_keys(path: Path) -> None:
    """The state-dict keys of paddleclas 2.6.0's own models (legendary_models/resnet.py)."""
    assert set(keys.keys("paddleclas", path.stem)) == set(path.read_text().split())


def test_the_goldens_of_paddleclas_cover_every_form() -> None:
    forms = {path.stem for path in PADDLECLAS.iterdir()}
    assert forms >= {"resnet18_paddleclas", "resnet50", "resnet18_vd_paddleclas", "resnet101_vd"}
