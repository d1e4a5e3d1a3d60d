"""The record of a degradation experiment: made of the trainings, checked, and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from parity import machine
from training import curves
from training.errors import TrainingError
from training.loop.checkpoints import State
from weight_port import arch

SCHEMA = 1
Record = dict[str, Any]
_NUMBERS = ("rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")
_KEYS = {
    "context": ("date", "commit", "system", "versions"),
    "settings": (
        "framework",
        "depths",
        "epochs",
        "batch",
        "rate",
        "schedule",
        "seed",
        "limit",
        "data",
    ),
}


class RecordError(TrainingError):
    """A record is not that of a whole experiment."""


def names(depth: int) -> tuple[str, str]:
    """The plain network of a depth, and its ResNet with shortcuts that have no parameters."""
    return f"plain{depth}", f"resnet{depth}"


def make(states: Mapping[str, State], settings: Mapping[str, Any]) -> Record:
    """The record of finished trainings by name. Raises RecordError where it isn't whole."""
    record = {
        "schema": SCHEMA,
        "kind": "degradation",
        "context": machine.made(settings["framework"]),
        "settings": dict(settings),
        "networks": [
            {
                "name": name,
                "trained": state.settings["model"],
                "shortcuts": arch.RESNETS[name].shortcuts,
                "epochs": state.history,
            }
            for name, state in states.items()
        ],
    }
    return check(record, "the trainings")


def _problems(record: Any) -> Iterator[str]:
    """What keeps a record from being that of a whole experiment."""
    if not isinstance(record, dict) or record.get("kind") != "degradation":
        yield "no record of a degradation experiment"
        return
    if record.get("schema") != SCHEMA:
        yield f"schema {record.get('schema')}, this version has {SCHEMA}"
        return
    missing = [f"{p}.{key}" for p, keys in _KEYS.items() for key in keys if key not in record[p]]
    if missing:
        yield f"no {', '.join(missing)}"
        return
    settings, networks = record["settings"], record["networks"]
    wanted = [name for depth in settings["depths"] for name in names(depth)]
    found = [network["name"] for network in networks]
    if found != wanted:
        yield f"has {', '.join(found) or 'no network'} instead of {', '.join(wanted)}"
        return
    for network in networks:
        yield from _wrong(network, settings)


def _wrong(network: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    name, lines = network["name"], network["epochs"]
    if network["trained"] != name or network["shortcuts"] != arch.RESNETS[name].shortcuts:
        yield f"{name}: its curve is of {network['trained']}, shortcuts {network['shortcuts']}"
    epochs = [line["epoch"] for line in lines]
    if epochs != list(range(1, settings["epochs"] + 1)):
        yield f"{name}: {len(epochs)} of {settings['epochs']} epochs"
    others = {line["framework"] for line in lines} - {settings["framework"]}
    if others:
        yield f"{name}: epochs in {', '.join(sorted(others))}"
    if not all(math.isfinite(line[key]) for line in lines for key in _NUMBERS):
        yield f"{name}: a value that is no number"


def check(record: Any, where: object) -> Record:
    """The record. Raises RecordError, which lists what is wrong with it or missing."""
    try:
        found = list(_problems(record))
    except (KeyError, TypeError, AttributeError) as error:
        found = [f"no record of a degradation experiment ({error!r})"]
    if found:
        raise RecordError(f"{where}: {'; '.join(found)}; run python -m training.degradation again")
    checked: Record = record
    return checked


def read(path: Path) -> Record:
    """What ``write`` wrote. Raises RecordError for any other file."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: no record ({error})") from None
    return check(record, path)


def runs(record: Mapping[str, Any]) -> dict[str, curves.History]:
    """The curves by the networks' names."""
    return {network["name"]: network["epochs"] for network in record["networks"]}


def table(record: Mapping[str, Any], style: str) -> str:
    """Errors after the last epoch: a line per network."""
    lines = [
        [
            name,
            *(f"{100 * (1 - history[-1][f'{part}_accuracy']):.2f}" for part in ("train", "test")),
        ]
        for name, history in runs(record).items()
    ]
    headings = ["network", "training error, %", "test error, %"]
    right = ["left", "right", "right"]
    return tabulate(lines, headings, tablefmt=style, colalign=right, disable_numparse=True)


def legend(record: Mapping[str, Any]) -> str:
    """What was trained on what, where and with what, and what the table can't say."""
    settings = record["settings"]
    images = f"the first {settings['limit']}" if settings["limit"] else "all"
    return (
        f"{settings['epochs']} epochs on {images} images of each part, batch {settings['batch']}, "
        f"rate {settings['rate']:g}, {settings['schedule']} schedule. One seed, so no interval: "
        "differences may be the seed's. The training error is counted while the last epoch's "
        f"weights change, on its crops and flips. {machine.said(record['context'])}"
    )
