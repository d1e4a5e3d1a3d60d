"""The record of a degradation experiment: made of its trainings, checked, and shown as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from parity import machine, records
from parity.records import Record
from training import curves
from training.loop.checkpoints import State
from weight_port import arch

SCHEMA = Path(__file__).with_name("schema.json")
_WHAT = "record of a degradation experiment"
_NUMBERS = ("rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")


def names(depth: int) -> tuple[str, str]:
    """The plain network of a depth, and its ResNet with shortcuts that have no parameters."""
    return f"plain{depth}", f"resnet{depth}"


def make(states: Mapping[str, State], settings: Mapping[str, Any]) -> Record:
    """The record of finished trainings by name.

    Raises parity.records.RecordError where one is missing or not finished.
    """
    record = {
        "schema": records.version(SCHEMA),
        "kind": "degradation",
        "context": machine.context(settings["framework"]),
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
    check(record, "the trainings")
    return record


def _unsound(record: Record) -> Iterator[str]:
    """What the schema can't say: why a record is not that of a whole experiment."""
    settings, networks = record["settings"], record["networks"]
    wanted = [name for depth in settings["depths"] for name in names(depth)]
    given = [network["name"] for network in networks]
    if given != wanted:
        yield f"has {', '.join(given) or 'no network'} instead of {', '.join(wanted)}"
        return
    for network in networks:
        yield from _unsound_network(network, settings)


def _unsound_network(network: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    name, lines = network["name"], network["epochs"]
    if network["trained"] != name or network["shortcuts"] != arch.RESNETS[name].shortcuts:
        yield f"{name}: its curve is of {network['trained']}, shortcuts {network['shortcuts']}"
    epochs = [line["epoch"] for line in lines]
    if epochs != list(range(1, settings["epochs"] + 1)):
        yield f"{name}: {len(epochs)} of {settings['epochs']} epochs, or not in order"
    others = {line["framework"] for line in lines} - {settings["framework"]}
    if others:
        yield f"{name}: epochs in {', '.join(sorted(others))}"
    if not all(math.isfinite(line[key]) for line in lines for key in _NUMBERS):
        yield f"{name}: a value that is NaN or infinite"


def check(record: Any, where: object) -> None:
    """Raises parity.records.RecordError that lists what is wrong with a record, or missing."""
    records.check(record, SCHEMA, where, _WHAT)
    what = f"no whole {_WHAT}; run python -m training.degradation again"
    records.refuse(list(_unsound(record)), str(where), what)


def read(path: Path) -> Record:
    """The record in a file. Raises parity.records.RecordError for any other file."""
    record: Record = records.load(path)
    check(record, path)
    return record


def runs(record: Mapping[str, Any]) -> dict[str, curves.History]:
    """The curves by the networks' names."""
    return {network["name"]: network["epochs"] for network in record["networks"]}


def table(record: Mapping[str, Any], style: str) -> str:
    """The errors after the last epoch, a line for each network, in a style of tabulate's."""
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
    """What was trained, where and with what, and how far the table can be trusted."""
    settings = record["settings"]
    images = f"the first {settings['limit']}" if settings["limit"] else "all"
    return (
        f"{settings['epochs']} epochs on {images} images of each part, batch {settings['batch']}, "
        f"rate {settings['rate']:g}, {settings['schedule']} schedule. One seed, so no interval: "
        "differences may be the seed's. The training error is counted while the last epoch's "
        "weights change, on randomly cropped and flipped images. "
        f"{machine.summary(record['context'])}"
    )
