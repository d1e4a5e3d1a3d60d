"""A run's report as plain data and as text; the page is made of the same data by ``page``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parity import machine
from parity.comparison import metrics
from parity.comparison.known_differences import paddle_epsilon
from parity.comparison.precision import FACTOR
from parity.report import page
from parity.run.plan import Output
from parity.run.results import Found, Report
from parity.workers.launch import settings
from weight_port import arch
from weight_port.storage import disk

SCHEMA = 2
Record = dict[str, Any]


def verdict(report: Report) -> str:
    """EQUAL; DIFFERENT; or NOT RUN, where nothing differs but not all could be run."""
    if report.passed:
        return "EQUAL"
    return "DIFFERENT" if report.different else "NOT RUN"


def as_json(report: Report) -> Record:
    """The report as plain data; the diagnosis is that of the first section that has one."""
    causes = (found.cause for found in report.found if found.cause is not None)
    return {
        "schema": SCHEMA,
        "kind": "parity",
        "context": {**machine.made(), "environment": settings(report.threads)},
        "verdict": verdict(report),
        "model": report.model,
        "images": list(report.images),
        "images_sha256": report.images_sha256,
        "weights": dict(report.weights),
        "device": report.device,
        "frameworks": {side: dict(said) for side, said in report.said.items()},
        "threads": report.threads,
        "options": asdict(report.options),
        "bn_epsilon": paddle_epsilon(report.model),
        "own_epsilon_effect": report.epsilon_effect,
        "metrics": {
            "factor": FACTOR,
            "sample": metrics.SAMPLE,
            "quantiles": list(metrics.QUANTILES),
            "edges": list(metrics.EDGES),
        },
        "sections": [_section(report.model, found) for found in report.found],
        "diagnosis": next(causes, None),
    }


def _section(model: str, found: Found) -> Record:
    section, layers = found.section, {layer.name: layer for layer in arch.layers(model)}
    outputs = [
        {**_place(model, output, layers.get(output.layer)), **comparison.as_json()}
        for output, comparison in zip(section.outputs, found.outputs, strict=False)
    ]
    wrong = [output["name"] for output in outputs if not output["passed"]]
    return {
        "title": section.title,
        "kind": section.kind,
        "mode": section.mode,
        "precision": section.precision,
        "passed": found.passed,
        "error": found.error or None,
        "ranking": None if found.ranking is None else asdict(found.ranking),
        "first": wrong[0] if wrong else None,
        "failed": len(wrong),
        "outputs": outputs,
    }


def _place(model: str, output: Output, layer: arch.Layer | None) -> Record:
    """Where in the network an output belongs."""
    if layer is None:
        return {"what": output.what, "layer": None, "type": output.name, "stage": "ends"}
    return {
        "what": output.what,
        "layer": layer.name,
        "type": output.role or layer.kind,
        "stage": arch.part(model, layer),
    }


# -- text


def write(record: Record, folder: Path) -> list[Path]:
    """Keep a record and its page in ``folder``, in place of earlier ones; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {".json": encode(record), ".html": page.render(record).encode()}
    for suffix, content in written.items():
        with disk.new_file(folder / f"{record['model']}{suffix}", force=True) as stream:
            stream.write(content)
    return [folder / f"{record['model']}{suffix}" for suffix in written]


def encode(record: Record) -> bytes:
    """JSON with a line per output: short, and two records can be compared line by line."""
    sections = [{**section, "outputs": []} for section in record["sections"]]
    whole = json.dumps({**record, "sections": sections}, indent=1, allow_nan=False)
    for section in record["sections"]:
        lines = [json.dumps(output, allow_nan=False) for output in section["outputs"]]
        made = "[\n" + ",\n".join(lines) + "\n]" if lines else "[ ]"
        whole = whole.replace('"outputs": []', f'"outputs": {made}', 1)
    return f"{whole}\n".encode()
