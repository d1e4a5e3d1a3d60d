"""From a pair's results to the cause of the first difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from parity.diagnosis.view import ROUNDING, relative
from parity.pair.causes import judge
from parity.pair.causes.second_look import Start, look
from parity.pair.plan import Layout
from parity.run.plan import REFERENCE
from parity.run.results import FRAMEWORKS, SectionResult
from parity.workers.launch import WorkerError


@dataclass(frozen=True)
class Evidence:
    """What is known of a pair: its layout, both sides' tensors under Paddle's names, the inputs."""

    layout: Layout
    weights: Mapping[str, Mapping[str, np.ndarray]]
    inputs: Mapping[str, np.ndarray]
    plans: Mapping[str, Mapping[str, Any]]  # of each side's worker


def explained(
    results: Sequence[SectionResult],
    evidence: Evidence,
    folder: Path,
    start: Start,
    say: Callable[[str], None],
) -> tuple[SectionResult, ...]:
    """The results, the first of which that differs in a forward pass in evaluation has a cause.

    A layer's output follows from its input and its tensors alone there.
    """
    for number, result in enumerate(results):
        first = _first(result)
        if first is None or (result.section.kind, result.section.mode) != ("forward", "eval"):
            continue
        say(f"a second look at {first}")
        cause = _cause(result, results, first, evidence, folder, start)
        with_cause = replace(result, cause={**cause, "section": result.section.title})
        return (*results[:number], with_cause, *results[number + 1 :])
    return tuple(results)


def _first(result: SectionResult) -> str | None:
    """The first output that differs."""
    return next((output.name for output in result.outputs if not output.passed), None)


def _cause(
    result: SectionResult,
    results: Iterable[SectionResult],
    first: str,
    evidence: Evidence,
    folder: Path,
    start: Start,
) -> dict[str, Any]:
    precision = result.section.precision
    same = ("forward", "eval", REFERENCE)
    if any((r.section.kind, r.section.mode, r.section.precision) == same and r.passed
           for r in results):  # fmt: skip
        return judge.arithmetic(first, precision)
    runs = {side: _forward(evidence.plans[side]["runs"]) for side in FRAMEWORKS}
    carried = {side: evidence.plans[side]["carried"] for side in FRAMEWORKS}
    place = judge.place(evidence.layout, first)
    try:
        with look(evidence.layout, runs, carried, place, folder, start) as looks:
            values = [looks[side].output(first) for side in FRAMEWORKS]
            equal = values[0] is not None and values[1] is not None
            if equal and relative(*values) <= ROUNDING[REFERENCE]:  # type: ignore[arg-type]
                return judge.arithmetic(first, precision)
            return judge.judge(evidence.layout, first, looks, evidence.weights, evidence.inputs)
    except WorkerError as error:
        return judge.unknown(first, f"; the second look at it failed: {error}")


def _forward(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A forward run in evaluation, made one in float64."""
    chosen = next(run for run in runs if (run["task"], run["mode"]) == ("forward", "eval"))
    return {**chosen, "precision": REFERENCE, "feed": None, "rounded": None, "after": None}
