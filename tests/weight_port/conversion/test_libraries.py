"""Every dialect whose library installs, against a model that the library builds itself.

The weights go from ours through ``convert`` into the library's model, which loads them strictly;
both then see the same images. The models are built from configurations: nothing is downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests import ROOT

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
from tests.helpers import library_models as models
from tests.helpers.bounds import excess
from weight_port import arch
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
    "resnext50_vd_32x4d": "resnext50d_32x4d",
    "resnet50_vc": "resnet50c",
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_is_built_by_its_class_as_by_its_functions(name: str) -> None:
    with torch.device("meta"):
        one, other = models.timm(name, 5), timm.create_model(TIMM[name], num_classes=5)
    assert str(one) == str(other)


@pytest.mark.parametrize("library", [models.torchvision, models.timm])
@pytest.mark.parametrize("name", ["resnet18_paddleclas", "resnet18_vd_paddleclas"])
@pytest.mark.numerical
def test_a_projection_more_and_the_line_that_adds_it(library, name: str) -> None:
    """PaddleClas's 18 into torchvision's and timm's names: the line is run as it is printed."""
    dialect = library.__name__
    if name not in keys.DIALECTS[dialect].holds:  # torchvision has no deep stem
        with pytest.raises(weight_port.MismatchError, match="three convolutions in its stem"):
            weight_port.convert(weights(name), to=dialect)
        return
    tensors = weights(name)
    there = weight_port.convert(tensors, to=dialect)
    (said,) = (str(d) for d in there.differences if d.subject == "the target's model")
    model = library(name.removesuffix("_paddleclas"), 5)
    with pytest.raises(RuntimeError, match=r"layer1\.0\.downsample"):
        in_torch(model, there)
    exec(said.partition("builds: ")[2], {"nn": torch.nn, "model": model})  # noqa: S102 (our table's)
    assert in_torch(model, there).tobytes() == ours(name, tensors).tobytes()
    back = weight_port.convert(there, to="pytorch_impl")
    assert (back.architecture, back.differences) == (name, ())


@pytest.mark.parametrize("name", ["resnet18", "resnet18_vd"])
@pytest.mark.parametrize("to", ["paddleclas", "paddledetection", "pytorch_impl"])
@pytest.mark.numerical
def test_a_projection_that_changes_nothing_is_made_where_one_is_asked_for(
    name: str, to: str
) -> None:
    """timm's and torchvision's 18 into PaddleClas's names, which have a projection more."""
    tensors = weights(name)
    source = weight_port.convert(tensors, to="timm")
    if to == "pytorch_impl":  # which holds both
        assert weight_port.convert(source, to=to).architecture == name
        return
    top = to == "paddleclas"
    with pytest.raises(weight_port.MismatchError, match="no projection in its first block") as said:
        weight_port.convert(source, to=to, include_top=top)
    assert "--fold" in str(said.value)
    there = weight_port.convert(source, to=to, include_top=top, fold=True)
    form = f"{name}_paddleclas"
    assert there.architecture == form
    assert weight_port.detect(there).architecture == form
    if not top:
        return
    back = {key: array.copy() for key, array in weight_port.convert(there, "pytorch_impl").items()}
    exact = ours(name, tensors, torch.float64)
    assert excess(ours(form, back), ours(name, tensors), exact) <= 1
    back["res2a.branch1.conv.weight"][0, 1] = 0.1
    assert excess(ours(form, back), ours(name, tensors), exact) > 10


@pytest.mark.parametrize("name", TIMM)
def test_timm_bit_for_bit(name: str) -> None:
    tensors = weights(name)
    there = weight_port.convert(tensors, to="timm", architecture=name)
    model = timm.create_model(TIMM[name], num_classes=5)
    assert list(there) == list(model.state_dict())
    assert in_torch(model, there).tobytes() == ours(name, tensors).tobytes()


@pytest.mark.parametrize("name", keys.DIALECTS["timm"].holds)
def test_timm_has_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        model = models.timm(name, num_classes=7)
    real = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert {key: e.shape for key, e in keys.keys("timm", name, 7).items()} == real


# -- torchvision on CIFAR's stem, and cut into its children


def small(name: str) -> torch.nn.Module:
    """torchvision's network with a 3x3 stem and no max-pool, as SimCLR's ports have it."""
    model = models.torchvision(name.removeprefix("cifar_"), 5)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    return model


FOUR_STAGES = [n for n in keys.DIALECTS["cifar-fc"].holds if len(arch.RESNETS[n].blocks) == 4]


@pytest.mark.parametrize("name", FOUR_STAGES)
def test_torchvision_on_cifars_stem_has_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        model = small(name)
    real = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert {key: e.shape for key, e in keys.keys("cifar-fc", name, 5).items()} == real


@pytest.mark.parametrize("name", ["cifar_resnet18", "cifar_resnet50"])
def test_torchvision_on_cifars_stem_bit_for_bit(name: str) -> None:
    tensors = weights(name)
    there = weight_port.convert(tensors, to="cifar-fc")
    assert in_torch(small(name), there).tobytes() == ours(name, tensors).tobytes()


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


def hugging_face_backbone(name: str) -> torch.nn.Module:
    """ResNetModel and, of the vd networks, RT-DETR's backbone."""
    if not arch.RESNETS[name].pooled:
        return hugging_face(name).resnet
    depths, kind = DEPTHS[name.removeprefix("resnet").partition("_")[0]]
    widths = [64, 128, 256, 512] if kind == "basic" else [256, 512, 1024, 2048]
    return transformers.RTDetrResNetBackbone(
        transformers.RTDetrResNetConfig(
            depths=depths, layer_type=kind, hidden_sizes=widths, out_features=["stage4"]
        )
    )


@pytest.mark.parametrize("name", keys.DIALECTS["transformers-backbone"].holds)
def test_transformers_backbones_have_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        model = hugging_face_backbone(name)
    real = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    table = {key: e.shape for key, e in keys.keys("transformers-backbone", name).items()}
    assert {key: shape for key, shape in table.items() if not key.endswith("tracked")} == {
        key: shape for key, shape in real.items() if not key.endswith("tracked")
    }


@pytest.mark.parametrize(
    "name", ["resnet18_vd_paddleclas", "resnet50_vd", "resnet18", "resnet50_v1"]
)
def test_transformers_backbones_bit_for_bit(name: str) -> None:
    tensors = weights(name)
    there = weight_port.convert(
        tensors, "transformers-backbone", architecture=name, include_top=False
    )
    model = hugging_face_backbone(name).eval()
    model.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in there.items()})
    backbone = pytorch_impl.MODELS[name](include_top=False).eval()
    pytorch_impl.load_weights(backbone, tensors)
    with torch.inference_mode():
        out = model(torch.from_numpy(images()))
        maps = getattr(out, "feature_maps", None) or (out.last_hidden_state,)
        mine = backbone(torch.from_numpy(images()))
    assert maps[-1].numpy().tobytes() == mine.numpy().tobytes()


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


# -- libraries that do not install beside these, whose model files run by themselves

LIBRARY_KEYS = ROOT / "tests" / "goldens" / "libraries"


def golden(path: Path) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a state dict, as the library's own model listed them."""
    pairs = (line.split() for line in path.read_text().splitlines())
    return {key: tuple(map(int, shape.split("x"))) for key, shape in pairs}


@pytest.mark.parametrize("path", sorted(LIBRARY_KEYS.glob("*/*.txt")), ids=lambda p: p.stem)
def test_a_librarys_model_has_these_keys_and_shapes(path: Path) -> None:
    """Of PaddleClas release/2.0 and 2.6.0, PaddleDetection, RT-DETR, MMPretrain, MMSegmentation,
    Detectron2 and Flax; torch's counters left out, which frozen batch norms have not."""
    dialect, name = path.parent.name, path.stem
    table = keys.keys(dialect, name)
    real = golden(path)
    assert {key: e.shape for key, e in table.items() if e.role != "counter"} == real
    found = weight_port.detect({key: np.broadcast_to(np.float32(0), real[key]) for key in real})
    assert (found.dialect, found.aliases) == (dialect, ())
    assert name in (found.architecture, *found.twins)
    real.pop(next(iter(real)))
    assert {key: e.shape for key, e in table.items() if e.role != "counter"} != real


# -- PaddleClas, whose package asks for libraries that do not install beside Paddle 3.3

PADDLECLAS = ROOT / "tests" / "goldens" / "paddleclas"


@pytest.mark.parametrize("path", sorted(PADDLECLAS.iterdir()), ids=lambda path: path.stem)
def test_paddleclas_has_these_keys(path: Path) -> None:
    """The state-dict keys of paddleclas 2.6.0's own models (legendary_models/resnet.py)."""
    assert set(keys.keys("paddleclas", path.stem)) == set(path.read_text().split())


def test_the_goldens_of_paddleclas_cover_every_form() -> None:
    forms = {path.stem for path in PADDLECLAS.iterdir()}
    assert forms >= {"resnet18_paddleclas", "resnet50", "resnet18_vd_paddleclas", "resnet101_vd"}
