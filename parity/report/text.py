"""A run's record as text for a terminal: the table, what failed, and the facts below it."""

from __future__ import annotations

import numpy as np
from tabulate import tabulate

from parity.comparison.compare import apart
from parity.comparison.known_differences import AVERAGES, pool_gradients
from parity.records import Record
from weight_port import arch

_COLUMNS = ("", "output", "max abs", "relative L2", "allowed", "torch err", "paddle err", "verdict")
_NAMED = 5  # tensors that differ
_COUNTED = ("", "bit-equal", "torch nearer", "paddle nearer", "same top-1", "top-5 overlap")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}" if value else "0"


def _row(label: str, output: Record, own: bool) -> list[str]:
    name = f"{output['name']}, step {output['step']}" if output["step"] else output["name"]
    relative, limit = output["relative_l2"], output["allowed"]
    figures = (_number(relative), _number(limit))
    if not output["passed"] and relative is not None and limit is not None:
        figures = apart(relative, limit)
    return [
        label,
        name,
        _number(output["max_abs"]),
        *figures,
        _number(output["torch_error"]) if own else "",
        _number(output["paddle_error"]) if own else "reference",
        "equal" if output["passed"] else "DIFFERENT",
    ]


def _severity(output: Record) -> tuple[bool, float]:
    """A key to sort by: what could not be measured at all is worst."""
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


def _weights(record: Record) -> list[str]:
    """Where the weights come from, whose networks they went into, and which tensors differ."""
    lines = [f"{side} weights: {path}" for side, path in record["weights"].items()]
    if networks := record.get("networks"):
        lines.append(
            f"networks: the suite's own on both sides, {networks['torch']} and "
            f"{networks['paddle']}; modules of your own: parity.pytest.assert_parity"
        )
    return lines + [f"left out: {sentence}" for sentence in record.get("left_out", ())]


def _tensors(record: Record) -> list[str]:
    """What differs between the two sides' weights, whatever the outputs are."""
    tensors = record.get("tensors", {"different": []})
    different = tensors["different"]
    if not different:
        return []
    named = ", ".join(f"{row['name']} ({row['problem']})" for row in different[:_NAMED])
    more = f" and {len(different) - _NAMED} more" if len(different) > _NAMED else ""
    count = f"{len(different)} tensors differ" if len(different) > 1 else "1 tensor differs"
    line = f"weights: {count} of {tensors['compared']}: {named}{more}"
    if all(section["passed"] for section in record["sections"]):
        line = (
            f"outputs equal, {count}: the weights are not the same, though these inputs in these "
            f"modes don't show it\n{line}"
        )
    return [line]


def _failures(record: Record) -> list[str]:
    lines = _tensors(record)
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
    """By section: outputs equal bit for bit, the nearer framework, the classes ranked first."""
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
    distances = (
        float(np.abs(pool_gradients(layer, sides[layer.name][0]) - 1).max(initial=0.0))
        for layer in arch.layers(model)
        if layer.kind in AVERAGES
    )
    return max(distances, default=0.0)


def tables(record: Record, every: bool) -> list[str]:
    """The lines of the sections: figures, counts, and what failed."""
    rows = [row for section in record["sections"] for row in _rows(section, every)]
    figures = tabulate(rows, headers=_COLUMNS, disable_numparse=True)
    errors = "errors: relative L2 from the reference, Paddle's float64 output"
    counts = tabulate(_counts(record), headers=_COUNTED, disable_numparse=True)
    return ["", figures, errors, "", counts, "", *_failures(record)]


def render(record: Record, every: bool = False) -> str:
    """The text of a record, with a line for ``every`` output; the verdict stands last."""
    count, *size = record["images"]
    versions = {side: worker["version"] for side, worker in record["frameworks"].items()}
    title = (
        f"{record['model']}: {count} images of {'×'.join(map(str, size))}; torch "
        f"{versions['torch']}, paddle {versions['paddle']}, {record['device']}, "
        f"{record['threads']} threads"
    )
    lines = [title]
    lines += _weights(record)
    lines += [*tables(record, every), *_facts(record)]
    if diagnosis := record["diagnosis"]:
        lines += ["", f"cause: {diagnosis['sentence']}"]
    return "\n".join([*lines, "", record["verdict"]])
