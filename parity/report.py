"""A run's report as plain data and as text; the page is made of the same data by ``page``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from parity import context, metrics, page
from parity.found import Found, Report
from parity.launch import settings
from parity.plan import AVERAGES, Output, paddle_epsilon, pool_gradients
from parity.precision import FACTOR
from weight_port import arch, disk

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
        "context": {**context.made(), "environment": settings(report.threads)},
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


_COLUMNS = ("", "output", "max abs", "relative L2", "allowed", "torch err", "paddle err", "verdict")
_COUNTED = ("", "bit-equal", "torch nearer", "paddle nearer", "same top-1", "top-5 overlap")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}" if value else "0"


def _row(label: str, output: Record, own: bool) -> list[str]:
    name = f"{output['name']}, step {output['step']}" if output["step"] else output["name"]
    return [
        label,
        name,
        _number(output["max_abs"]),
        _number(output["relative_l2"]),
        _number(output["allowed"]),
        _number(output["torch_error"]) if own else "",
        _number(output["paddle_error"]) if own else "reference",
        "equal" if output["passed"] else "DIFFERENT",
    ]


def _severity(output: Record) -> tuple[bool, float]:
    """What could not be measured at all is worst."""
    relative = output["relative_l2"]
    return not output["passed"] and relative is None, relative or 0.0


def _rows(section: Record, every: bool) -> list[list[str]]:
    label = section["title"]
    if section["error"]:
        return [[label, "", "", "", "", "", "", "NOT RUN"]]
    own = section["precision"] != "float64"
    outputs = section["outputs"]
    if every:
        return [_row(label if not n else "", output, own) for n, output in enumerate(outputs)]
    worst = max(outputs, key=_severity)
    last = [output for output in outputs if output["name"] in ("logits", "loss")][-1:]
    rows = [_row(label, output, own) for output in last if output is not worst]
    rows.append(_row("" if rows else label, worst, own))
    rows[-1][1] += f" (largest of {len(outputs)})"
    return rows


def _failures(record: Record) -> list[str]:
    lines = []
    for section in record["sections"]:
        if section["error"]:
            lines.append(f"{section['title']}: {section['error'].splitlines()[0]}")
        elif section["first"]:
            first = next(output for output in section["outputs"] if not output["passed"])
            step = f" (step {first['step']})" if first["step"] else ""
            nearer = f"; nearer to float64: {first['nearer']}" if first["nearer"] else ""
            lines.append(
                f"{section['title']}: first that differs: {first['name']}{step}: "
                f"{first['problem']}{nearer} ({section['failed']} of {len(section['outputs'])} "
                "differ)"
            )
    return lines


def _counts(record: Record) -> list[list[str]]:
    """By section: outputs equal to the last bit, the nearer framework, the classes seen."""
    rows = []
    for section in record["sections"]:
        outputs, ranking = section["outputs"], section["ranking"]
        if not outputs:
            continue
        nearer = [output["nearer"] for output in outputs]
        own = section["precision"] != "float64"
        rows.append(
            [
                section["title"],
                f"{sum(output['bit_equal'] for output in outputs)} of {len(outputs)}",
                *(str(nearer.count(side)) if own else "" for side in ("torch", "paddle")),
                f"{ranking['top1']} of {ranking['images']}" if ranking else "",
                f"{ranking['top5']:.0%}" if ranking else "",
            ]
        )
    return rows


def _facts(record: Record) -> list[str]:
    lines = []
    explained = [o for s in record["sections"] for o in s["outputs"] if o["explained"]]
    if explained:
        worst = max(explained, key=lambda output: output["unexplained_l2"] or 0.0)
        lines.append(
            f"running variances ({len(explained)}): {worst['explained']} ({worst['name']}); "
            f"without that they differ by {_number(worst['unexplained_l2'])}"
        )
    exact = [s for s in record["sections"] if s["precision"] == "float64"]
    pooled = any(section["kind"] in ("gradients", "training") for section in exact)
    if pooled and record["device"] == "cpu" and (effect := _pool_effect(record)):
        lines.append(
            "gradients in float64: Paddle's average pool multiplies by 1/n as a float32 on its way "
            f"back, PyTorch ran with the same (its own would be {effect:.1e} away)"
        )
    own = arch.architecture(record["model"]).epsilon
    if (effect := record["own_epsilon_effect"]) is not None:
        lines.append(
            f"batch norm's epsilon: Paddle stores {own:g} as a float32, {record['bn_epsilon']!r}; "
            f"PyTorch ran with the same (its own {own:g} would move the float64 logits by "
            f"{effect:.1e})"
        )
    return lines


def _pool_effect(record: Record) -> float:
    """How far the gradients of the two frameworks' average pools are apart at most, relatively."""
    model = record["model"]
    sides = arch.sides(model, record["images"][-1])
    found = (
        float(np.abs(pool_gradients(layer, sides[layer.name][0]) - 1).max(initial=0.0))
        for layer in arch.layers(model)
        if layer.kind in AVERAGES
    )
    return max(found, default=0.0)


def text(record: Record, every: bool = False) -> str:
    """The report for a terminal; the verdict stands last."""
    count, *size = record["images"]
    versions = {side: said["version"] for side, said in record["frameworks"].items()}
    title = (
        f"{record['model']}: {count} images of {'×'.join(map(str, size))}; torch "
        f"{versions['torch']}, paddle {versions['paddle']}, {record['device']}, "
        f"{record['threads']} threads"
    )
    lines = [title]
    lines += [f"{side} weights: {path}" for side, path in record["weights"].items()]
    rows = [row for section in record["sections"] for row in _rows(section, every)]
    lines += ["", tabulate(rows, headers=_COLUMNS, disable_numparse=True)]
    lines += ["errors: relative L2 from the reference, Paddle's float64 output", ""]
    counts = tabulate(_counts(record), headers=_COUNTED, disable_numparse=True)
    lines += [counts, "", *_failures(record), *_facts(record)]
    if diagnosis := record["diagnosis"]:
        lines += ["", f"cause: {diagnosis['sentence']}"]
    return "\n".join([*lines, "", record["verdict"]])


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
