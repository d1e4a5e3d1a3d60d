"""Learning rates, as functions of plain data, so that both frameworks have the same to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

State = dict[str, Any]
NAMES = ("plateau", "multistep", "cosine")
# torch.optim.lr_scheduler.ReduceLROnPlateau's names and meaning, mode "min", threshold relative.
THRESHOLD, PATIENCE, FACTOR, LEAST = 0.1, 3, 0.1, 1e-8  # the last: of a change of the rate
# He et al. (2015), section 4.2: after 32k and 48k of 64k steps.
MILESTONES = (0.5, 0.75)


def begin(rate: float) -> State:
    """What a schedule remembers between epochs."""
    return {"rate": rate, "best": None, "bad": 0}


def rate(name: str, state: Mapping[str, Any], done: float) -> float:
    """The rate when the share ``done`` of the training is behind; the cosine's ends at 0."""
    base = float(state["rate"])
    if name == "cosine":
        return base * (1 + math.cos(math.pi * done)) / 2
    if name == "multistep":
        return base * FACTOR ** sum(done >= share for share in MILESTONES)
    return base


def after(name: str, state: Mapping[str, Any], loss: float) -> State:
    """The state after an epoch whose loss was that; only the plateau's changes."""
    found = dict(state)
    if name != "plateau":
        return found
    if found["best"] is None or loss < found["best"] * (1 - THRESHOLD):
        return {**found, "best": loss, "bad": 0}
    found["bad"] += 1
    if found["bad"] > PATIENCE:
        lower = found["rate"] * FACTOR
        found |= {"rate": lower if found["rate"] - lower > LEAST else found["rate"], "bad": 0}
    return found
