"""Learning rates as functions of plain data, so that both frameworks have them bit for bit."""

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
    """The state of a schedule, which it keeps between epochs."""
    return {"rate": rate, "best": None, "bad": 0}


def rate(name: str, state: Mapping[str, Any], done: float) -> float:
    """The rate after the share ``done``, 0 to 1, of the training; the cosine's ends at 0."""
    base = float(state["rate"])
    if name == "cosine":
        return base * (1 + math.cos(math.pi * done)) / 2
    if name == "multistep":
        return base * FACTOR ** sum(done >= share for share in MILESTONES)
    return base


def after(name: str, state: Mapping[str, Any], loss: float) -> State:
    """The state after an epoch of a training loss; only the plateau's changes."""
    new = dict(state)
    if name != "plateau":
        return new
    if new["best"] is None or loss < new["best"] * (1 - THRESHOLD):
        return {**new, "best": loss, "bad": 0}
    new["bad"] += 1
    if new["bad"] > PATIENCE:
        lower = new["rate"] * FACTOR
        new |= {"rate": lower if new["rate"] - lower > LEAST else new["rate"], "bad": 0}
    return new
