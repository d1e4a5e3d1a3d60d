"""A run's report as text and as JSON."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from parity import context
from parity.compare import TOLERANCES, Comparison
from parity.launch import settings
from parity.run import PADDLE_EPSILON, Report

_COLUMNS = (
    "precision",
    "output",
    "shape",
    "max abs",
    "relative L2",
    "allowed",
    "torch error",
    "paddle error",
    "verdict",
)


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.1e}" if value else "0"


def _row(output: Comparison, label: str = "") -> list[str]:
    return [
        output.dtype,
        label or output.name,
        "×".join(map(str, output.shape)),
        _number(output.max_abs),
        _number(output.relative_l2),
        f"{TOLERANCES[output.dtype]:.0e}",
        _number(output.torch_error),
        "reference" if output.dtype == "float64" else _number(output.paddle_error),
        "equal" if output.passed else "DIFFERENT",
    ]


def _severity(output: Comparison) -> tuple[bool, float]:
    """What could not be measured at all is worst."""
    return not output.passed and output.relative_l2 != output.relative_l2, output.relative_l2


def of_precision(report: Report, precision: str) -> tuple[Comparison, list[Comparison]]:
    """(the logits, the layers in order) of one precision."""
    logits, *layers = (output for output in report.outputs if output.dtype == precision)
    return logits, layers


def _rows(report: Report, every_layer: bool) -> list[list[str]]:
    rows = []
    for precision in report.top1_agree:
        logits, layers = of_precision(report, precision)
        rows.append(_row(logits))
        if every_layer:
            rows += map(_row, layers)
        else:
            worst = max(layers, key=_severity)
            rows.append(_row(worst, f"{worst.name} (largest of {len(layers)} layers)"))
    return rows


def _failures(report: Report) -> list[str]:
    lines = []
    for precision in report.top1_agree:
        logits, layers = of_precision(report, precision)
        wrong = [layer for layer in layers if not layer.passed]
        if wrong:
            lines.append(
                f"{precision}: first layer that differs: {wrong[0].name}: {wrong[0].problem} "
                f"({len(wrong)} of {len(layers)} layers differ)"
            )
        if not logits.passed:
            lines.append(f"{precision}: logits: {logits.problem}")
    return lines


def _facts(report: Report) -> list[str]:
    agree = ", ".join(f"{count} in {precision}" for precision, count in report.top1_agree.items())
    equal = ", ".join(
        f"{sum(layer.bit_equal for layer in of_precision(report, precision)[1])} in {precision}"
        for precision in report.top1_agree
    )
    effect = f"its own 1e-5 would move the float64 logits by {report.epsilon_effect:.1e}"
    return [
        f"top-1 agrees on: {agree}; layers equal to the last bit: {equal}",
        f"batch norm's epsilon: Paddle stores 1e-5 as a float32, {PADDLE_EPSILON!r};",
        f"  PyTorch ran with the same ({effect})",
    ]


def text(report: Report, every_layer: bool = False) -> str:
    """The report for a terminal; the verdict stands last."""
    count, *size = report.images
    title = (
        f"{report.model}: {count} images of {'×'.join(map(str, size))}; torch "
        f"{report.versions['torch']}, paddle {report.versions['paddle']}, {report.threads} threads"
    )
    lines = [title]
    lines += [f"{side} weights: {path}" for side, path in report.weights.items()]
    lines += ["", tabulate(_rows(report, every_layer), headers=_COLUMNS, disable_numparse=True)]
    lines += ["errors: relative L2 from the reference, Paddle's float64 output", ""]
    lines += _failures(report) or _facts(report)
    lines += ["", "EQUAL" if report.passed else "DIFFERENT"]
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain data; ``layers`` in execution order within a precision."""
    return {
        "schema": 1,
        "kind": "parity",
        "context": {
            "date": context.date(),
            "commit": context.commit(),
            "system": context.system(),
            "environment": settings(report.threads),
        },
        "passed": report.passed,
        "model": report.model,
        "images": list(report.images),
        "weights": report.weights,
        "versions": report.versions,
        "threads": report.threads,
        "tolerances": TOLERANCES,
        "bn_epsilon": PADDLE_EPSILON,
        "own_epsilon_effect": report.epsilon_effect,
        "top1_agree": report.top1_agree,
        "outputs": [output.as_json() for output in report.outputs],
    }
