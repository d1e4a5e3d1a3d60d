"""A pair's record as text for a terminal: what was matched with what, and the tables."""

from __future__ import annotations

from tabulate import tabulate

from parity.records import Record
from parity.report import text

_COLUMNS = ("torch", "paddle", "kind", "confidence", "for")
_SHOWN = 8  # names in a line
_DOUBTFUL = 0.75  # matches below it are named without being asked for


def render(record: Record, every: bool = False) -> str:
    """The text of a record, with a line for ``every`` output and match; the verdict stands last."""
    versions = {side: worker["version"] for side, worker in record["frameworks"].items()}
    inputs = ", ".join(f"{name} {row['dtype']}{row['shape']}"
                       for name, row in record["inputs"].items())  # fmt: skip
    title = (
        f"{record['model']}: {inputs}; torch {versions['torch']}, paddle {versions['paddle']}, "
        f"{record['device']}, {record['threads']} threads"
    )
    lines = [title, *(f"{side}: {make}" for side, make in record["sides"].items())]
    lines += [f"{side} weights: {origin}" for side, origin in record["weights"].items()]
    lines += _matching(record["matching"], every)
    lines += text.tables(record, every)
    if diagnosis := record["diagnosis"]:
        lines += ["", f"cause: {diagnosis['sentence']}"]
    return "\n".join([*lines, "", record["verdict"]])


def _matching(matching: Record, every: bool) -> list[str]:
    """How many layers are matched, how surely, and what is left on either side."""
    layers = matching["layers"]
    doubtful = [row for row in layers if row["confidence"] < _DOUBTFUL]
    least = min((row["confidence"] for row in layers), default=0.0)
    alike = (
        "PyTorch ran with what Paddle stores: epsilons and momenta of norms as float32, the slope "
        "of a hardsigmoid, in float64 the gradients of average pools"
    )
    summary = (
        f"layers: {len(layers)} matched, {len(matching['weights'])} tensors; least confidence "
        f'{least:.2f}; a function between layers is seen in what it gives the next one, its "into"'
    )
    lines = [summary, alike]
    shown = layers if every else doubtful
    rows = [
        [row["torch"], row["paddle"], row["type"], f"{row['confidence']:.2f}",
         ", ".join(row["evidence"])]
        for row in shown
    ]  # fmt: skip
    if rows:
        lines += ["" if every else "matched with little confidence; [names] in the file overrules:"]
        lines += [tabulate(rows, headers=_COLUMNS, disable_numparse=True)]
    for what, left in (("layers", matching["unmatched"]), ("tensors", matching["unmapped"])):
        for side, names in left.items():
            if names:
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                lines.append(f"{what} of {side} without a match: {', '.join(names[:_SHOWN])}{more}")
    return lines
