"""What ``summary`` shows of a network, in both frameworks and at the command line."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import paddle
import pytest
import torch

import paddle_impl
import pytorch_impl
from weight_port import arch, summaries

BOTH = [pytorch_impl, paddle_impl]


def cells(text: str) -> dict[str, list[str]]:
    """The table's lines by layer: kind, output, parameters, multiply-adds, receptive field."""
    lines = text.split("\n\n")[0].splitlines()[2:]
    return {line.split()[0]: re.split(r"\s{2,}", line.strip())[1:] for line in lines}


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "resnet18_vd",
        "resnet18_text",
        "resnet20",
        "plain18",
        "plain20",
        "lenet5",
        "nin_cifar",
        "googlenet",
        "googlenet_bn",
    ],
)
def test_every_layer_with_what_it_gives_and_holds(side: Any, name: str) -> None:
    said = side.summary(side.MODELS[name]())
    found = cells(said)
    layers = arch.layers(name)
    skipped = {"pool1"} if name in ("resnet20", "plain20") else {x.name for x in layers if x.head}
    assert list(found) == [layer.name for layer in layers if layer.name not in skipped]
    heads = tuple(p for layer in layers if layer.head for p in layer.parameters)
    in_heads = arch.count_trainable(heads)
    trainable = arch.count_trainable(arch.parameters(name)) - in_heads
    assert f"{trainable:,} trainable parameters" in said
    assert (f"{in_heads:,} more in the auxiliary classifiers" in said) == bool(in_heads)
    assert f"{arch.multiply_adds(name) / 1e9:.3g} GMACs per image" in said
    row = arch.architecture(name)
    sides = arch.sides(name, row.size)
    for layer in layers:
        if layer.head:
            continue
        own = arch.count_trainable(layer.parameters)
        assert (f"{own:,}" in found[layer.name]) == bool(own), layer.name
        side_of = sides[layer.name][1]
        shape = [1, layer.out_channels] + ([] if layer.kind == "linear" else [side_of, side_of])
        assert found[layer.name][:2] == [layer.kind, " × ".join(map(str, shape))]
    work = sum(int(line[3].replace(",", "")) for line in found.values() if len(line) == 5)
    assert work == arch.multiply_adds(name)


def test_the_mirrors_say_the_same() -> None:
    ours, theirs = (side.summary(side.resnet50()) for side in BOTH)
    assert ours.replace("torchinfo", "paddle.summary") == theirs
    assert "resnet50: 50 weighted layers: 49 convolutions and the classifier" in ours
    assert "4 projections of shortcuts are not counted" in ours
    assert cells(ours)["res5c"][-1] == "427"
    assert cells(ours)["fc"][-1] == "image"


@pytest.mark.parametrize("side", BOTH)
def test_other_sizes_classes_channels_and_no_top(side: Any) -> None:
    model = side.resnet18(num_classes=7, in_channels=4)
    found = cells(side.summary(model, 64))
    assert found["conv1"][:3] == ["conv", "1 × 64 × 32 × 32", f"{64 * 4 * 49:,}"]
    assert found["fc"][1:4] == ["1 × 7", f"{512 * 7 + 7:,}", f"{512 * 7:,}"]
    headless = side.summary(side.resnet18(include_top=False))
    assert list(cells(headless))[-1] == "res5b"
    assert "17 weighted layers: 17 convolutions;" in headless


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(side: Any, training: bool) -> None:
    model = side.resnet18()
    model.train() if training else model.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    side.summary(model, 64)
    assert model.training == training
    assert all(module.training == training for module in model.children())
    equal = torch.equal if side is pytorch_impl else lambda a, b: bool(paddle.equal_all(a, b))
    assert all(equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_sum_that_paddle_does_not_find_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle, "summary", lambda *_: {"trainable_params": 1})
    with pytest.raises(RuntimeError, match=r"resnet18: paddle\.summary counts"):
        paddle_impl.summary(paddle_impl.resnet18())


def test_the_sums_are_of_what_was_seen() -> None:
    """Not of the table: a module with other parameters shows."""
    layers = {layer.path: layer for layer in arch.layers("resnet18")}
    seen = {
        path: summaries.Ran((1, layer.out_channels, 7, 7)[: 2 if path == "fc" else 4],
                             sum(math.prod(p.shape) for p in layer.parameters))
        for path, layer in layers.items()
    }  # fmt: skip
    more = {**seen, "fc": summaries.Ran((1, 1000), 512 * 1000 + 1000 + 5)}
    one, two = (summaries.text("resnet18", modules, "x") for modules in (seen, more))
    count = re.compile(r"([\d,]+) trainable")
    values = [int(count.search(said)[1].replace(",", "")) for said in (one, two)]
    assert values[1] - values[0] == 5


@pytest.mark.parametrize("package", ["pytorch_impl", "paddle_impl"])
def test_at_the_command_line(package: str) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-m", package, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("summary", "resnet20", "--no-top")
    assert done.returncode == 0, done.stderr
    assert "resnet20: 19 weighted layers: 19 convolutions" in done.stdout
    for words, said in (
        (["summary", "resnet51"], "invalid choice: 'resnet51'"),
        (["summary", "resnet18", "--size", "3"], "'3' must be a whole number, at least 32"),
        ([], "the following arguments are required: COMMAND"),
    ):
        wrong = run(*words)
        assert wrong.returncode == 2
        assert said in wrong.stderr
        assert "Traceback" not in wrong.stderr
