"""The judge of a pair that differs: the first difference's cause, or "unknown"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.pair.causes import flow, layer
from parity.pair.causes.layer import Finding, Half
from parity.pair.causes.second_look import Look, sources
from parity.pair.matching import kinds
from parity.pair.plan import Layout
from parity.pair.sides.watch import INTO

Arrays = Mapping[str, np.ndarray]
UNKNOWN = "unknown"


def place(layout: Layout, first: str) -> int:
    """The number of the match that an output's name speaks of; that of the last for the output."""
    names = list(layout.names().values())
    stripped = _layer(first)
    return names.index(stripped) if stripped in names else len(names) - 1


def _layer(first: str) -> str:
    """A layer's name, of its output's or input's."""
    name = first.removeprefix(INTO)
    return name.rpartition(" [")[0] if name.endswith("]") and " [" in name else name


def judge(
    layout: Layout,
    first: str,
    looks: Mapping[str, Look],
    weights: Mapping[str, Arrays],
    inputs: Arrays,
) -> dict[str, Any]:
    """Why ``first`` differs, as plain data; ``weights`` are both sides' under Paddle's names."""
    if not layout.matching.matches:
        return unknown(first, ": no layer of one side is matched with one of the other's")
    match = layout.matching.matches[place(layout, first)]
    torch, paddle = layout.torch["calls"][match.torch], layout.paddle["calls"][match.paddle]
    found = None
    if _layer(first) == first and first != "output" and paddle["leaf"]:
        halves = {side: _half(side, layout, call, first, looks[side], weights[side])
                  for side, call in (("torch", torch), ("paddle", paddle))}  # fmt: skip
        others = {e.target: weights["paddle"][e.target] for e in layout.entries
                  if e.layer != paddle["call"]}  # fmt: skip
        if None not in halves.values():
            found = layer.find(halves["torch"], halves["paddle"], others)  # type: ignore[arg-type]
    else:
        found = _between(layout, first, looks, inputs)
    return _plain(first, found, _hints(layout, match.torch, match.paddle))


def _half(
    side: str, layout: Layout, call: Mapping[str, Any], name: str, look: Look, weights: Arrays
) -> Half | None:
    """One side's half of a matched leaf, None where it gave no such output."""
    output, match = look.output(name), layout.matching.matches[place(layout, name)]
    if output is None:
        return None
    paddle = layout.paddle["calls"][match.paddle]["call"]
    own = [entry for entry in layout.entries if entry.layer == paddle]
    tensors = {entry.role: weights[entry.target].astype(np.float64) for entry in own}
    settings = layer.normalised(call["kind"], side, call["settings"])
    return Half(call["kind"], call["class"], settings, look.inputs(name), output, tensors)


def _between(
    layout: Layout, first: str, looks: Mapping[str, Look], inputs: Arrays
) -> Finding | None:
    """The cause where a function made the value: before a layer, at a container's or the end."""
    torch, paddle = (looks[side].output(first) for side in ("torch", "paddle"))
    if torch is None or paddle is None:
        return None
    name = "" if first.startswith("output") else _layer(first)
    mine, theirs = (sources(looks[side], layout, name, inputs) for side in ("torch", "paddle"))
    return flow.find(torch, paddle, mine, theirs)


def _hints(layout: Layout, torch: int, paddle: int) -> str:
    """What may help where nothing is named: settings that differ, layers without a match."""
    a, b = layout.torch["calls"][torch], layout.paddle["calls"][paddle]
    hints = []
    if a["kind"] == b["kind"] and a["kind"] in kinds.BY_NAME:
        one, other = (layer.normalised(call["kind"], side, call["settings"])
                      for side, call in (("torch", a), ("paddle", b)))  # fmt: skip
        differ = {
            key: (one.get(key), value) for key, value in other.items() if one.get(key) != value
        }
        hints += [
            f"its {key} is {x} in PyTorch and {y} in Paddle" for key, (x, y) in differ.items()
        ]
    for side, names in layout.matching.unmatched.items():
        if names:
            hints.append(f"{side}'s {', '.join(names[:4])} ran and has no match")
    return f". Look at this: {'; '.join(hints)}" if hints else ""


def _plain(first: str, finding: Finding | None, hints: str) -> dict[str, Any]:
    if finding is None:
        advice = hints or "; compare this layer and its code on both sides"
        return unknown(first, f": no hypothesis gives PyTorch's values{advice}")
    figures = {"difference": finding.difference, "residual": finding.residual}
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    sentence = f"{first}: {finding.sentence}"
    return {"layer": first, "cause": finding.cause, "sentence": sentence, **finite, "also": []}


def unknown(first: str, why: str) -> dict[str, Any]:
    """No cause, and ``why``."""
    sentence = f"{first}: the cause is unknown{why}"
    return {"layer": first, "cause": UNKNOWN, "sentence": sentence, "difference": None,
            "residual": None, "also": []}  # fmt: skip


def arithmetic(first: str, precision: str) -> dict[str, Any]:
    """The cause where float64 is equal: it can be neither the weights nor the function."""
    sentence = (
        f"{first}: in float64 both sides are equal, so weights and function are the same; what "
        f"differs is how {precision} is computed there: a cast, or a lower precision inside"
    )
    return {"layer": first, "cause": "arithmetic", "sentence": sentence, "difference": None,
            "residual": None, "also": []}  # fmt: skip
