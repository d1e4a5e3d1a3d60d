"""What Keras itself saves, in each of its three forms, against the variables of its models."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before the first import; Keras would take TensorFlow

import h5py
import keras
import numpy as np
import pytest
import torch

import pytorch_impl
import weight_port
from tests.helpers.bounds import excess
from weight_port.formats import files

keras.config.set_image_data_format("channels_last")
# Keras's backend of torch, when it hands an array to h5py.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't:DeprecationWarning"
)
Tensors = dict[str, np.ndarray]
FORMS = ("x.h5", "x.weights.h5", "x.keras")


def save(model: keras.Model, path: Path) -> Path:
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return path


def variables(model: keras.Model) -> Tensors:
    """By the last two parts of their paths: a Sequential model puts its own name before them."""
    return {"/".join(v.path.split("/")[-2:]): v.numpy() for v in model.weights}


def randomised(model: keras.Model) -> keras.Model:
    random = np.random.default_rng(5)
    for variable in model.weights:
        if len(variable.shape) == 1:
            low = 0.5 if variable.path.endswith(("gamma", "moving_variance")) else -0.1
            variable.assign(random.uniform(low, low + 0.5, variable.shape).astype(np.float32))
    return model


def small(name: str = "small") -> keras.Model:
    image = keras.layers.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.SeparableConv2D(4, 3, name="separable")(x)
    x = keras.layers.Conv2D(4, 3, name="last")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(2, name="logits")(x), name=name)


def sequential() -> keras.Model:
    layers = (
        keras.layers.Input((8, 8, 3)),
        keras.layers.Conv2D(4, 3, name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Flatten(),
        keras.layers.Dense(2, name="logits"),
    )
    return keras.Sequential(layers)


def nested() -> keras.Model:
    """A backbone as one layer of a classifier, as transfer learning builds it."""
    image = keras.layers.Input((8, 8, 3))
    return keras.Model(image, keras.layers.Dense(3, name="head")(small("inner")(image)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("build", [small, sequential, nested])
def test_every_form_of_file(tmp_path, same_bits, build, form: str) -> None:
    model = randomised(build())
    same_bits(weight_port.read(save(model, tmp_path / form)), variables(model))


@pytest.mark.parametrize("form", FORMS)
def test_an_optimizer_is_left_out_and_said(tmp_path, same_bits, form: str) -> None:
    model = small()
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 2)), verbose=0)
    contents = files.open_checkpoint(save(model, tmp_path / form)).contents
    same_bits(contents.tensors, variables(model))
    (note,) = contents.notes
    assert note.startswith("left out beside the weights: optimizer")


@pytest.fixture(scope="module")
def resnet50() -> keras.Model:
    application = keras.applications.ResNet50
    return randomised(
        application(weights=None, classes=5, input_shape=(65, 65, 3), classifier_activation=None)
    )


@pytest.mark.parametrize("form", FORMS)
def test_resnet50_of_keras_applications(tmp_path, same_bits, resnet50, form: str) -> None:
    path = save(resnet50, tmp_path / form)
    same_bits(weight_port.read(path), variables(resnet50))
    detection = weight_port.recognise(path).detection
    assert (detection.dialect, detection.architecture) == ("keras", "resnet50_v1")


@pytest.mark.parametrize("form", FORMS)
def test_resnet50_v2_of_keras_applications(tmp_path, same_bits, form: str) -> None:
    """No network of ours, but a file whose tensors can be had."""
    model = keras.applications.ResNet50V2(weights=None, classes=5, input_shape=(65, 65, 3))
    same_bits(weight_port.read(save(model, tmp_path / form)), variables(model))


@pytest.mark.numerical
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_files_network_computes_what_keras_does(tmp_path, resnet50) -> None:
    path = save(resnet50, tmp_path / "x.h5")
    weight_port.convert_file(path, tmp_path / "x.pth", "pytorch_impl", fold=True)
    state = torch.load(tmp_path / "x.pth")
    images = np.random.default_rng(7).standard_normal((2, 65, 65, 3), dtype=np.float32)

    def ours(dtype: torch.dtype) -> np.ndarray:
        model = pytorch_impl.resnet50_v1(5).eval()
        model.load_state_dict(state)
        with torch.inference_mode():
            batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(dtype)
            return model.to(dtype)(batch).numpy()

    theirs = resnet50(images, training=False).detach().numpy()
    assert excess(ours(torch.float32), theirs, ours(torch.float64)) <= 1


def test_the_first_keras_files(tmp_path, fake, same_bits) -> None:
    """github.com/fchollet/deep-learning-models, as Keras 2 wrote it with TensorFlow's names."""
    tensors = fake("keras-first", "resnet50_keras")
    layers = list(dict.fromkeys(key.partition("/")[0] for key in tensors))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        # Of more than 64 KB an attribute is cut into pieces, whose names are numbered.
        file.attrs["layer_names0"] = np.array(layers, "S")
        for layer in layers:
            group = file.create_group(layer)
            keys = [key for key in tensors if key.startswith(f"{layer}/")]
            # Built a second time in one process, its variables had another name than the layer.
            names = [f"{layer}_3/{key.partition('/')[2]}:0" for key in keys]
            group.attrs["weight_names"] = np.array(names, "S")
            for key, name in zip(keys, names, strict=True):
                group[name] = tensors[key]
    same_bits(weight_port.read(tmp_path / "x.h5"), tensors)
    assert weight_port.recognise(tmp_path / "x.h5").detection.dialect == "keras-first"


def without_names(path: Path) -> None:
    """As Keras 3 wrote its files before layers said their names."""
    with h5py.File(path, "r+") as file:
        found: list[h5py.Group] = []
        file.visititems(lambda _, item: found.append(item))
        for item in found:
            if "name" in item.attrs:
                del item.attrs["name"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("build", [small, sequential, nested])
def test_names_from_the_configuration(tmp_path, same_bits, build, method: int) -> None:
    model = build()
    path = save(model, tmp_path / "x.keras")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "in")
    without_names(tmp_path / "in" / "model.weights.h5")
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.write(tmp_path / "in" / name, name)
    same_bits(weight_port.read(path), variables(model))
    # Alone, such a file has no more than its layers' classes.
    names = weight_port.read(tmp_path / "in" / "model.weights.h5")
    assert {"conv2d/kernel", "batch_normalization/moving_mean"} <= names.keys()


def test_names_that_two_layers_share(tmp_path) -> None:
    """Two nested models of one kind: the models' names tell their layers apart."""
    image = keras.layers.Input((8, 8, 3))
    both = keras.layers.Add()([small("one")(image), small("two")(image)])
    path = save(keras.Model(image, both), tmp_path / "x.weights.h5")
    names = weight_port.read(path).keys()
    assert {"one/conv/kernel", "two/conv/kernel", "two/norm/gamma"} <= names
    assert len(names) == 2 * len(small().weights)


def test_a_keras_file_without_weights(tmp_path) -> None:
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({}))
    with pytest.raises(weight_port.FormatError, match=r"a zip without model\.weights\.h5"):
        weight_port.read(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", '{"config": {"layers": [{}]}}')
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    with pytest.raises(weight_port.FormatError, match=r"x\.keras: damaged HDF5 file"):
        weight_port.read(path)
