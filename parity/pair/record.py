"""The record of a pair's run: its report as plain data, for the text and the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from parity import machine, records
from parity.pair import run
from parity.records import Record
from parity.report import record as reports
from parity.run.plan import Output
from parity.workers.launch import settings

SCHEMA = Path(__file__).with_name("schema.json")


def as_json(report: run.Report) -> Record:
    """The report as plain data."""
    causes = (result.cause for result in report.results if result.cause is not None)
    place = _places(report)
    return {
        "schema": records.version(SCHEMA),
        "kind": "pair",
        "context": {**machine.context(), "environment": settings(report.threads)},
        "verdict": reports.verdict(report),
        "model": report.settings.name,
        "sides": {side: own.make for side, own in report.settings.sides.items()},
        "inputs": {
            name: {"dtype": array.dtype.name, "shape": list(array.shape)}
            for name, array in report.inputs.items()
        },
        "inputs_sha256": run.digest(report.inputs),
        "weights": dict(report.origin),
        "tensors": reports.tensors(report),
        "matching": run.plain(report.layout),
        "device": report.device,
        "frameworks": {side: dict(worker) for side, worker in report.frameworks.items()},
        "threads": report.threads,
        "options": {**asdict(report.options), "optimizer": report.optimizer},
        "metrics": reports.MEASURED,
        "sections": [reports.section(result, place) for result in report.results],
        "diagnosis": next(causes, None),
    }


def _places(report: run.Report) -> Callable[[Output], Record]:
    """Where an output belongs: the matched layer's kind, and the first part of its path."""
    layout, names = report.layout, report.layout.names()
    rows = {
        names[match.torch, match.paddle]: (
            run.kind(layout, match.torch, match.paddle),
            layout.paddle["calls"][match.paddle]["path"].partition(".")[0],
        )
        for match in layout.matching.matches
    }
    calls = {layout.paddle["calls"][match.paddle]["call"]: names[match.torch, match.paddle]
             for match in layout.matching.matches}  # fmt: skip

    def place(output: Output) -> Record:
        layer = output.layer if output.layer in rows else calls.get(output.layer)
        kind, stage = rows.get(layer or "", (output.name, "ends"))
        return {"what": output.what, "layer": layer, "type": output.role or kind, "stage": stage}

    return place
