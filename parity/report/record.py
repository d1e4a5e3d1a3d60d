"""The record of a parity run: its report as plain data, checked, and kept beside its page.

``text`` and ``page`` render what stands in it; ``schema.json`` describes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from parity import machine, records
from parity.comparison import metrics
from parity.comparison.known_differences import paddle_epsilon
from parity.comparison.precision import FACTOR
from parity.records import Record
from parity.report import page
from parity.run.plan import Output
from parity.run.results import Outcome, Report, SectionResult
from parity.workers.launch import settings
from weight_port import arch
from weight_port.storage import disk

SCHEMA = Path(__file__).with_name("schema.json")
# Whose code ran: a port of one's own is compared by its tensors, not by its modules.
NETWORKS = {"torch": "pytorch_impl", "paddle": "paddle_impl"}


MEASURED = {
    "factor": FACTOR,
    "sample": metrics.SAMPLE,
    "quantiles": list(metrics.QUANTILES),
    "edges": list(metrics.EDGES),
}


def verdict(report: Outcome) -> str:
    """EQUAL; DIFFERENT; or NOT RUN, where nothing differs but not all could be run."""
    if report.passed:
        return "EQUAL"
    return "DIFFERENT" if report.different else "NOT RUN"


def as_json(report: Report) -> Record:
    """The report as plain data; the diagnosis is that of the first section that has one."""
    causes = (result.cause for result in report.results if result.cause is not None)
    return {
        "schema": records.version(SCHEMA),
        "kind": "parity",
        "context": {**machine.context(), "environment": settings(report.threads)},
        "verdict": verdict(report),
        "model": report.model,
        "images": list(report.images),
        "images_sha256": report.images_sha256,
        "weights": dict(report.weights),
        "networks": dict(NETWORKS),
        "tensors": tensors(report),
        "left_out": list(report.left_out),
        "device": report.device,
        "frameworks": {side: dict(worker) for side, worker in report.frameworks.items()},
        "threads": report.threads,
        "options": asdict(report.options),
        "bn_epsilon": paddle_epsilon(report.model),
        "own_epsilon_effect": report.epsilon_effect,
        "metrics": MEASURED,
        "sections": [_section(report.model, result) for result in report.results],
        "diagnosis": next(causes, None),
    }


def tensors(report: Outcome) -> Record:
    different = [asdict(difference) for difference in report.tensors.different]
    return {"compared": report.tensors.compared, "different": different}


def _section(model: str, result: SectionResult) -> Record:
    layers = {layer.name: layer for layer in arch.layers(model)}
    return section(result, lambda output: _place(model, output, layers.get(output.layer)))


def section(result: SectionResult, place: Callable[[Output], Record]) -> Record:
    """A section as plain data; ``place(output)`` says where in the network an output belongs."""
    section = result.section
    outputs = [
        {**place(output), **comparison.as_json()}
        for output, comparison in zip(section.outputs, result.outputs, strict=False)
    ]
    different = [output["name"] for output in outputs if not output["passed"]]
    return {
        "title": section.title,
        "kind": section.kind,
        "mode": section.mode,
        "precision": section.precision,
        "passed": result.passed,
        "error": result.error or None,
        "ranking": None if result.ranking is None else asdict(result.ranking),
        "first": different[0] if different else None,
        "failed": len(different),
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


def write(record: Record, folder: Path, schema: Path = SCHEMA) -> tuple[Path, Path]:
    """Keep a record and its page in ``folder``, in place of earlier ones; returns the two files.

    Raises parity.records.RecordError for what is no such record, weight_port.DestinationError.
    """
    file, shown = (folder / f"{record['model']}{suffix}" for suffix in (".json", ".html"))
    text = encode(record)
    records.check(json.loads(text), schema, file, "record of a parity run")  # lists, not tuples
    folder.mkdir(parents=True, exist_ok=True)
    disk.write_text(file, text, force=True)
    disk.write_text(shown, page.render(record), force=True)
    return file, shown


def encode(record: Record) -> str:
    """JSON with a line per output: short, and two records can be compared line by line."""
    sections = [{**section, "outputs": []} for section in record["sections"]]
    document = json.dumps({**record, "sections": sections}, indent=1, allow_nan=False)
    for section in record["sections"]:
        lines = [json.dumps(output, allow_nan=False) for output in section["outputs"]]
        outputs = "[\n" + ",\n".join(lines) + "\n]" if lines else "[ ]"
        document = document.replace('"outputs": []', f'"outputs": {outputs}', 1)
    return f"{document}\n"
