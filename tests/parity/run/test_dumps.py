"""Dumps that are incomplete, damaged or changed by hand end with an error, never with a verdict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weight_port
from parity import seeded
from parity.__main__ import main
from parity.run import dumps
from parity.workers.outputs import DONE
from tests.helpers import commands

FORWARD = "forward-eval-float64"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dump of each framework, of a small network after a step of training."""
    root = tmp_path_factory.mktemp("pair")
    weight_port.write(root / "w.safetensors", seeded.draw("resnet20", 0))
    options = ("--weights", root / "w.safetensors", "--precision", "float64", "--train-steps", "1")
    for side in ("torch", "paddle"):
        done = commands.run(main, "dump", side, "resnet20", root / side, *options)
        assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def copies(pair: Path, tmp_path: Path) -> Path:
    for side in ("torch", "paddle"):
        shutil.copytree(pair / side, tmp_path / side)
    return tmp_path


def compared(root: Path) -> Any:
    return commands.run(main, "compare", root / "torch", root / "paddle", "--out", root / "out")


def test_the_pair_is_equal(copies: Path) -> None:
    done = compared(copies)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("\nEQUAL")


def edited(**change: Any) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        for side in ("torch", "paddle"):
            path = root / side / "manifest.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    return edit


def options(**change: Any) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        asked = json.loads((root / "torch" / "manifest.json").read_text())["options"]
        edited(options={**asked, **change})(root)

    return edit


def one_sided(**change: Any) -> Callable[[Path], None]:
    """Other options in torch's dump alone."""

    def edit(root: Path) -> None:
        path = root / "torch" / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["options"] |= change
        path.write_text(json.dumps(manifest))

    return edit


def written(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / "torch" / name).write_text(text)  # type: ignore[return-value]


def removed(name: str, side: str = "torch") -> Callable[[Path], None]:
    return lambda root: (root / side / name).unlink()


def truncated(name: str) -> Callable[[Path], None]:
    def cut(root: Path) -> None:
        path = root / "torch" / name
        path.write_bytes(path.read_bytes()[:-8])

    return cut


def other_images(root: Path) -> None:
    path = root / "paddle" / "inputs.safetensors"
    tensors = {name: array.copy() for name, array in weight_port.read(path).items()}
    tensors["images"] += 1
    path.unlink()
    weight_port.write(path, tensors)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a run that did not end": (removed(f"{FORWARD}/{DONE}"), f"incomplete: no {DONE} there"),
    "the reference did not end": (removed(f"{FORWARD}/{DONE}", "paddle"), "incomplete: no"),
    "a layer": (removed(f"{FORWARD}/conv1.safetensors"), "incomplete: no output of conv1"),
    "Paddle's layer": (removed(f"{FORWARD}/fc.safetensors", "paddle"), "no output of fc"),
    "a step": (
        lambda root: shutil.rmtree(root / "torch" / "training-train-float64"), "no step1",
    ),
    "a step's loss": (
        removed("training-train-float64/step1/loss.safetensors"), "no output of loss",
    ),
    "the weights": (removed("weights.safetensors"), "weights.safetensors"),
    "the inputs": (removed("inputs.safetensors", "paddle"), "inputs.safetensors"),
    "the manifest": (removed("manifest.json"), "can't be read"),
    "an output cut short": (truncated(f"{FORWARD}/conv1.safetensors"), "conv1.safetensors"),
    "how a run ended, damaged": (written(f"{FORWARD}/{DONE}", "{"), "damaged"),
    "how a run ended, a list": (written(f"{FORWARD}/{DONE}", "[]"), "how the run ended"),
    "how a run ended, unsaid": (written(f"{FORWARD}/{DONE}", "{}"), "how the run ended"),
    "a manifest of nothing": (written("manifest.json", ""), "no JSON"),
    "a manifest too deep": (written("manifest.json", "[" * 200_000), "no JSON"),
    "a list for a manifest": (written("manifest.json", "[]"), "no manifest of a dump"),
    "another network": (edited(model="resnet32"), "incomplete: no output of"),
    "an unknown network": (edited(model="resnet21"), "doesn't know"),
    "other images": (other_images, "not the images of manifest.json"),
    "another digest": (edited(images_sha256=64 * "0"), "not the images of manifest.json"),
    "other labels": (edited(labels=[0, 0, 0, 0]), "are not those of manifest.json"),
    "another shape": (edited(images=[1, 3, 32, 32]), "are not those of manifest.json"),
    "steps without end": (options(steps=10**9), "no step1000000000"),
    "steps that are no integer": (options(steps=1.0), "options that no dump has"),
    "an unknown precision": (options(precisions=["float8"]), "options that no dump has"),
    "no precision": (options(precisions=[]), "options that no dump has"),
    "a precision that was not run": (options(precisions=["float32"]), "no step1"),
    "nothing in common": (
        lambda root: (options(modes=["train"], steps=0)(root), one_sided(modes=["eval"])(root)),
        "nothing in common: forward, eval mode, float64: only in torch",
    ),
    "a mode that was not run": (options(modes=["eval", "train"]), "incomplete"),
    "gradients that were not run": (options(backward=True), "incomplete"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_dump_ends_with_an_error(
    copies: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(copies)
    done = compared(copies)
    assert done.returncode == 2, done.stdout + done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (copies / "out").exists()


def resigned(folder: Path) -> None:
    """The manifest of a dump whose files were changed, with their digests of now."""
    path = folder / "manifest.json"
    manifest = {**json.loads(path.read_text()), "digests": dumps._digests(folder)}
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("side", ["torch", "paddle"])
@pytest.mark.parametrize(
    "name",
    [
        f"{FORWARD}/logits.safetensors", f"{FORWARD}/conv1.safetensors", "weights.safetensors",
        "training-train-float64/step1/loss.safetensors",
        "training-train-float64/step1/fc_0.w_0.safetensors",
    ],
)  # fmt: skip
def test_a_changed_tensor_is_not_compared(copies: Path, side: str, name: str) -> None:
    path = copies / side / name
    tensors = {key: array.copy() for key, array in weight_port.read(path).items()}
    path.unlink()
    for array in tensors.values():
        array.reshape(-1)[:1].view(np.uint8)[:1] ^= 1  # the last bit: no comparison shows it
    weight_port.write(path, tensors)
    done = compared(copies)
    assert done.returncode == 2, done.stdout
    assert f"{path}: changed since the run: its digest is another" in done.stderr
    resigned(copies / side)
    done = compared(copies)
    assert "changed since" not in done.stderr


def test_a_file_that_no_run_wrote_is_refused(copies: Path) -> None:
    shutil.copy(copies / "torch" / FORWARD / "conv1.safetensors", copies / "torch" / "more")
    done = compared(copies)
    assert done.returncode == 2, done.stdout
    assert "more: not named in manifest.json" in done.stderr


def test_digests_can_not_be_left_out(copies: Path) -> None:
    path = copies / "torch" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["digests"]
    path.write_text(json.dumps(manifest))
    done = compared(copies)
    assert done.returncode == 2, done.stdout
    assert "digests" in done.stderr


def test_outputs_copied_from_the_other_side_do_not_hide_other_weights(copies: Path) -> None:
    path = copies / "torch" / "weights.safetensors"
    tensors = {name: array.copy() for name, array in weight_port.read(path).items()}
    tensors["bn_conv1_mean"] += np.float32(1)
    path.unlink()
    weight_port.write(path, tensors)
    resigned(copies / "torch")
    done = compared(copies)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "outputs equal, 1 tensor differs" in done.stdout
    assert "bn_conv1_mean (16 of 16 values differ, by at most 1.0e+00)" in done.stdout


@pytest.mark.parametrize(
    ("change", "sections", "left"),
    [
        ({"precisions": ["float64", "bfloat16"]}, 2, "forward, eval mode, bfloat16: only in torch"),
        ({"precisions": ["float64", "tf32"]}, 2, "training, train mode, tf32: only in torch"),
        ({"modes": ["eval", "train"]}, 2, "forward, train mode, float64: only in torch"),
        ({"modes": ["train"]}, 1, "forward, eval mode, float64: only in paddle"),
        ({"backward": True}, 2, "gradients, eval mode, float64: only in torch"),
        ({"steps": 0}, 1, "training, train mode, float64: only in paddle"),
    ],
)
def test_what_one_side_alone_holds_is_left_out_and_said(
    copies: Path, change: dict[str, Any], sections: int, left: str
) -> None:
    one_sided(**change)(copies)
    done = compared(copies)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"left out: {left}" in done.stdout
    record = json.loads((copies / "out" / "resnet20.json").read_text())
    assert len(record["sections"]) == sections
    assert any(sentence.startswith(left) for sentence in record["left_out"])


def test_another_number_of_steps_is_another_training(copies: Path) -> None:
    (copies / "torch" / "training-train-float64" / "step2").mkdir()
    one_sided(steps=2)(copies)
    done = compared(copies)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "training, train mode, float64: 2 steps in torch's dump, 1 in Paddle's" in done.stdout


JUNK: list[Any] = [
    None, True, -1, 0, 1.0, 10**30, 1e400, "", "\x1b[2J", "\ud800", [], [[]], {},
    {"a": 1}, 64 * "0",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    return [path, *(deeper for key, item in inner for deeper in places(item, (*path, key)))]


@pytest.mark.parametrize("seed", range(4))
def test_no_manifest_ends_in_a_traceback_or_sends_escapes(copies: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    path = copies / "torch" / "manifest.json"
    sound = path.read_text()
    every = [place for place in places(json.loads(sound)) if place]
    for _ in range(25):
        manifest = json.loads(sound)
        *way, last = every[random.integers(len(every))]
        holder = manifest
        for key in way:
            holder = holder[key]
        holder[last] = JUNK[random.integers(len(JUNK))]
        path.write_text(json.dumps(manifest))
        done = compared(copies)
        assert done.returncode in (0, 2), done.stdout
        assert "\x1b" not in done.stdout + done.stderr
    for _ in range(15):  # and bytes
        damaged = bytearray(sound.encode())
        damaged[random.integers(len(damaged))] = random.integers(256)
        path.write_bytes(damaged)
        assert compared(copies).returncode in (0, 2)
