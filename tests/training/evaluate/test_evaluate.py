"""Both frameworks on the same test images: counts, confusion, disagreements, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import paddle_impl
import pytorch_impl
import weight_port
from benchmarks.readme import __main__ as readme
from parity.records import RecordError
from tests.helpers.bounds import excess
from training.data import batches
from training.data import cifar as data
from training.data.cifar import CLASSES
from training.errors import TrainingError
from training.evaluate import __main__ as evaluate
from training.evaluate import record as evaluate_record
from training.loop import epochs
from training.loop.side import How
from training.loop.side_torch import TorchSide
from training.settings import DEFAULTS

SUM = 576  # products in the longest sum of a network of 20 layers: 3 x 3 pixels of 64 channels


def logits_of(chosen: list[int]) -> np.ndarray:
    return np.eye(len(CLASSES), dtype=np.float32)[chosen]


def test_counts_confusion_and_disagreements_by_hand() -> None:
    labels = np.array([0, 0, 1, 2])
    found = evaluate_record.compare(
        {"torch": logits_of([0, 1, 1, 2]), "paddle": logits_of([0, 1, 3, 2]) * 1.5}, labels
    )
    torch, paddle = found["frameworks"].values()
    assert (torch["right"], paddle["right"]) == (3, 2)
    assert torch["by_class"][:3] == [0.5, 1.0, 1.0]
    assert paddle["by_class"][:3] == [0.5, 0.0, 1.0]
    assert torch["confusion"][0][:2] == [1, 1]
    assert paddle["confusion"][1][3] == 1
    assert np.sum(torch["confusion"]) == 4
    assert found["disagreements"] == [{"image": 2, "truth": 1, "torch": 1, "paddle": 3}]
    assert found["largest_difference"] == pytest.approx(1.5)
    said = evaluate_record.text(found)
    assert "image 2, automobile: torch automobile, paddle cat" in said
    assert said.endswith("the frameworks predict different classes for 1 image")
    assert "75.00%" in said
    same = evaluate_record.compare({"torch": logits_of([0]), "paddle": logits_of([0])}, labels[:1])
    assert evaluate_record.text(same).endswith(
        "both frameworks predict the same class for every image"
    )


COMMITTED = readme.RESULTS / "cifar-cpu.json"
MUTATIONS = [
    (lambda r: r.update(schema=2), r"record\.schema: 2, but its const should be 1"),
    (lambda r: r.update(kind="parity"), r"record\.kind: 'parity'"),
    (lambda r: r.pop("weights"), "required should be .*weights"),
    (lambda r: r["weights"].update(sha256="0"), r"record\.weights\.sha256: '0'"),
    (lambda r: r["frameworks"].pop("torch"), r"record\.frameworks: .*torch"),
    (lambda r: r["frameworks"]["torch"]["by_class"].pop(), r"torch\.by_class: 9 items"),
    (lambda r: r["frameworks"]["torch"]["confusion"][3].pop(), r"confusion\[3\]: 9 items"),
    (lambda r: r["frameworks"]["paddle"].update(right=9.5), r"paddle\.right: 9\.5"),
    (lambda r: r["disagreements"].append({"image": 1}), r"disagreements\[0\]: .*truth"),
    (lambda r: r["context"].pop("versions"), r"record\.context: .*versions"),
]


@pytest.mark.parametrize(("mutate", "reason"), MUTATIONS)
def test_a_record_that_is_no_evaluation_is_refused(
    tmp_path: Path, mutate: Callable[[dict], object], reason: str
) -> None:
    record, path = evaluate_record.read(COMMITTED), tmp_path / "x.json"
    evaluate_record.write(path, record)
    assert evaluate_record.read(path) == record
    before = path.read_bytes()
    mutate(record)
    with pytest.raises(RecordError, match=rf"x\.json: no record of an evaluation:\n.*{reason}"):
        evaluate_record.write(path, record)
    assert path.read_bytes() == before
    path.write_text(json.dumps(record))
    with pytest.raises(RecordError, match=reason):
        evaluate_record.read(path)


def exact(name: str, weights: dict[str, np.ndarray], cifar: Path, count: int) -> np.ndarray:
    """The logits of the first test images in float64: what both frameworks round."""
    side = TorchSide({**DEFAULTS, "model": name}, How(threads=1, precision="float64"))
    side.put(weights, {})
    return side.logits(batches.normalised(data.limited(data.load(cifar, "test"), count).images))


@pytest.mark.numerical
def test_a_port_of_the_same_weights_says_the_same(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    weights, drawn = tmp_path / "resnet20.safetensors", epochs.draw("resnet20", 0, 10)
    weight_port.write(weights, drawn)
    scores, scored = evaluate.scores, {}
    monkeypatch.setattr(evaluate, "scores", lambda *a: scored.update(scores(*a)) or scored)
    out = tmp_path / "out"
    words = [str(weights), "--data", str(cifar), "--limit", "600", "--out", str(out)]
    assert evaluate.main(words) == 0
    shown = capsys.readouterr().out
    assert "right, of 600" in shown
    record = evaluate_record.read(out / "evaluation.json")
    torch, paddle = record["frameworks"].values()
    assert torch == paddle
    assert np.sum(torch["confusion"]) == record["images"] == 600
    apart = np.abs(scored["torch"] - scored["paddle"]).max()
    assert record["largest_difference"] == pytest.approx(apart)
    assert apart > 0  # they are two frameworks' logits
    right = exact("resnet20", drawn, cifar, 600)
    assert excess(scored["torch"], scored["paddle"], right, terms=SUM) <= 1
    for name in ("confusion.png", "samples.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 500
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.numerical
def test_weights_are_those_of_the_network_that_was_trained(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """plain20 has the tensors of resnet20: what a training writes says which it was."""
    settings = {**DEFAULTS, "model": "plain20"}
    state = epochs.begin(settings)
    epochs.write(tmp_path, state)
    written, bare = tmp_path / epochs.WEIGHTS, tmp_path / "bare.safetensors"
    weight_port.write(bare, state.weights)
    for implementation in (pytorch_impl, paddle_impl):
        assert implementation.load(written).architecture == "plain20"
        assert implementation.load(bare).architecture == "resnet20"
        assert implementation.load(written, architecture="resnet20").architecture == "resnet20"
    logits = evaluate.scores(written, "plain20", cifar, 20)
    for name, like in (("plain20", True), ("resnet20", False)):
        right = exact(name, state.weights, cifar, 20)
        assert (excess(*logits.values(), right, terms=SUM) <= 1) == like, name
    asked = []
    monkeypatch.setattr(evaluate, "scores", lambda _, name, *rest: asked.append(name) or logits)
    words = ["--data", str(cifar), "--limit", "20"]
    for more in ([str(written)], [str(bare)], [str(bare), "--architecture", "plain20"]):
        assert evaluate.main([*more, *words]) == 0
    assert asked == ["plain20", "resnet20", "plain20"]


def test_what_is_no_network_is_an_error(
    cifar: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight_port.write(tmp_path / "x.safetensors", {"a": np.ones(3, np.float32)})
    assert evaluate.main([str(tmp_path / "x.safetensors"), "--data", str(cifar)]) == 2
    assert "fit no network" in capsys.readouterr().err
    weights = tmp_path / "weights.safetensors"
    weight_port.write(weights, epochs.draw("lenet5", 0, 10))
    assert evaluate.main([str(weights), "--data", str(cifar), "--limit", "5"]) == 2
    assert "takes images of 1 channels, CIFAR-10's have 3" in capsys.readouterr().err
    weight_port.write(weights, epochs.draw("resnet20", 0, 10), force=True)
    monkeypatch.setattr(evaluate.launch, "start", lambda *_: 1)  # it has said why
    assert evaluate.main([str(weights), "--data", str(cifar), "--limit", "5"]) == 2
    assert "torch could not score" in capsys.readouterr().err


# -- what can't be evaluated, and how images are normalised


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "resnet20.safetensors"
    weight_port.write(path, epochs.draw("resnet20", 0, 10))
    return path


@pytest.mark.parametrize("classes", [1, 9, 100, 1000])
def test_a_network_of_other_classes_is_refused_before_a_framework_starts(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, classes: int
) -> None:
    monkeypatch.setattr(evaluate.launch, "start", lambda *_: pytest.fail("started"))
    path = tmp_path / "x.safetensors"
    weight_port.write(path, epochs.draw("resnet20", 0, classes))
    assert evaluate.main([str(path), "--data", str(cifar)]) == 2
    assert f"has {classes} classes, CIFAR-10 has 10" in capsys.readouterr().err


def test_a_backbone_is_refused(cifar: Path, bare: Path, tmp_path: Path, capsys) -> None:
    tensors = {k: v for k, v in weight_port.read(bare).items() if not k.startswith("fc_")}
    weight_port.write(tmp_path / "backbone.safetensors", tensors)
    assert evaluate.main([str(tmp_path / "backbone.safetensors"), "--data", str(cifar)]) == 2
    assert "has no classifier" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_have_no_accuracy(
    cifar: Path, bare: Path, tmp_path: Path, capsys, value: float
) -> None:
    tensors = {key: array.copy() for key, array in weight_port.read(bare).items()}
    tensors["conv1_weights"].flat[3] = value
    weight_port.write(tmp_path / "x.safetensors", tensors)
    assert evaluate.main([str(tmp_path / "x.safetensors"), "--data", str(cifar)]) == 2
    said = capsys.readouterr()
    assert "not all finite: conv1_weights" in said.err
    assert said.out == ""


def test_logits_that_are_no_numbers_have_no_accuracy() -> None:
    with pytest.raises(TrainingError, match="torch's logits of it are not all finite"):
        evaluate._check_finite("torch's logits of", Path("x"), {"logits": np.array([0, np.nan])})
    evaluate._check_finite("torch's logits of", Path("x"), {"logits": np.zeros(2)})


@pytest.mark.parametrize(
    ("words", "mean", "std"),
    [
        ([], (0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784)),
        (["--normalisation", "half"], (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        (["--normalisation", "none", "--std", "1,2,4"], (0, 0, 0), (1, 2, 4)),
        (["--mean", "0.1,0.2,0.3"], (0.1, 0.2, 0.3), (0.24703223, 0.24348513, 0.26158784)),
    ],
)
def test_the_normalisation_is_said_and_used(
    cifar: Path, bare: Path, monkeypatch: pytest.MonkeyPatch, capsys, words, mean, std
) -> None:
    asked = []
    logits = {name: np.eye(20, 10, dtype=np.float32) for name in ("torch", "paddle")}
    monkeypatch.setattr(evaluate, "scores", lambda *given: asked.append(given[-1]) or logits)
    assert evaluate.main([str(bare), "--data", str(cifar), "--limit", "20", *words]) == 0
    assert asked == [(mean, std)]
    assert f"mean {', '.join(f'{value:g}' for value in mean)}" in capsys.readouterr().err
    images = np.arange(24, dtype=np.uint8).reshape(1, 3, 2, 4)
    shape = (3, 1, 1)
    wanted = (images / 255 - np.reshape(mean, shape)) / np.reshape(std, shape)
    np.testing.assert_allclose(batches.normalised(images, asked[0]), wanted, rtol=1e-6)


@pytest.mark.parametrize("words", [["--mean", "1,2"], ["--std", "1,0,1"], ["--std", "a,b,c"]])
def test_a_normalisation_that_is_none(cifar: Path, bare: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        evaluate.main([str(bare), "--data", str(cifar), *words])
