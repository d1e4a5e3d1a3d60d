"""From a section that failed to its cause: what ``parity.diagnosis`` is asked, and its answer.

It imports the hypotheses only where something differs: most runs need none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from parity.comparison.known_differences import paddle_epsilon
from parity.run.plan import Section

Outputs = Callable[[str], "np.ndarray | None"]
Weights = Callable[[], Mapping[str, Mapping[str, np.ndarray]]]


def find(
    model: str,
    section: Section,
    first: str,
    outputs: Mapping[str, Outputs],
    weights: Weights,
    images: np.ndarray,
) -> dict[str, Any] | None:
    """Why ``first`` differs, as plain data; None for what is not diagnosed.

    ``outputs`` gives either framework's of the section by name, ``weights()`` either's tensors in
    the dialect paddle1. Only a forward pass in evaluation mode is looked into: there a layer's
    output follows from its input and its parameters alone.
    """
    if (section.kind, section.mode) != ("forward", "eval"):
        return None
    from parity.diagnosis.judge import UNKNOWN, Diagnosis, diagnose
    from parity.diagnosis.view import Case

    def side(name: str) -> Outputs:
        return lambda output: images if output == "images" else outputs[name](output)

    tensors = weights()
    case = Case(
        architecture=model,
        reference=side("paddle"),
        port=side("torch"),
        weights=tensors["paddle"],
        first=first,
        port_weights=tensors["torch"],
        epsilon=paddle_epsilon(model),
        precision=section.precision,
    )
    try:
        with np.errstate(all="ignore"):  # a port's statistics may be negative, or NaN
            diagnosis = diagnose(case)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        # The outputs are compared already: what can't be computed of them is no lost verdict.
        sentence = f"{first}: the cause is unknown: it could not be looked into ({error})"
        diagnosis = Diagnosis(first, UNKNOWN, sentence)
    plain = asdict(diagnosis)
    numbers = {key: plain[key] for key in ("difference", "residual")}
    # Infinite where shapes differ, NaN where nothing was named: JSON has neither.
    finite = {key: value if math.isfinite(value) else None for key, value in numbers.items()}
    return {**plain, **finite, "section": section.title}
