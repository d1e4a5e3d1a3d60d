"""A pair in this process: both sides built, traced, matched and run in float64, without workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.comparison.compare import compare
from parity.pair import inputs, plan
from parity.pair.causes import judge
from parity.pair.causes.second_look import Look
from parity.pair.matching import weights
from parity.pair.matching.match import match
from parity.pair.plan import Layout
from parity.pair.sides import worker_paddle, worker_torch
from parity.pair.sides.trace import traced
from parity.pair.sides.worker import same_norms, spread, write_tensors
from parity.run.plan import Options
from tests import ROOT

OPTIONS = Options(("float64",))
SIDES = {"torch": worker_torch, "paddle": worker_paddle}


@dataclass(frozen=True)
class Pair:
    """Both sides with equal weights, and what is matched in them."""

    sides: Mapping[str, Any]
    layout: Layout
    arrays: Mapping[str, np.ndarray]

    def forward(self, folder: Path) -> dict[str, Look]:
        """Run both in float64; what every matched layer took and gave."""
        looks, names = {}, tuple(self.layout.names().values())
        for side, network in self.sides.items():
            (run,) = plan.runs(side, self.layout, OPTIONS, "sgd")
            where = folder / side
            run |= {"out": str(where / "outputs"), "inputs": str(where / "inputs")}
            network.forward(run)
            network.end()
            looks[side] = Look(where, names)
        return looks

    def first(self, looks: Mapping[str, Look]) -> str | None:
        """The first output that differs, None for equal sides."""
        (section,) = plan.sections(self.layout, OPTIONS, [])
        for output in section.outputs:
            torch, paddle = (looks[side].output(output.name) for side in ("torch", "paddle"))
            if not compare(output.name, torch, paddle, paddle, "float64").passed:
                return output.name
        return None

    def held(self) -> dict[str, dict[str, np.ndarray]]:
        """Both sides' tensors under Paddle's names."""
        states = {
            side: {key: network.to_array(tensor) for key, tensor in network.saved.items()}
            for side, network in self.sides.items()
        }
        theirs = {e.target: states["paddle"][e.target] for e in self.layout.entries}
        mine = weights.to_paddle(self.layout.entries, states["torch"])
        return {"torch": mine, "paddle": theirs}

    def cause(self, folder: Path) -> dict[str, Any] | None:
        """What the judge says of the first output that differs."""
        looks = self.forward(folder)
        first = self.first(looks)
        if first is None:
            return None
        return judge.judge(self.layout, first, looks, self.held(), self.arrays)


def build(
    name: str,
    forms: Mapping[str, str],
    folder: Path,
    code: Callable[[Any], Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> Pair:
    """The pair of that name in the helpers; ``code`` is done to torch's module first."""
    arrays = inputs.arrays(forms, folder, 0)
    write_tensors(folder / "inputs.safetensors", arrays)
    job = {"path": str(ROOT), "inputs": str(folder / "inputs.safetensors"), "device": "cpu",
           "arguments": list(arrays), "seed": 0, "weights": None}  # fmt: skip
    sides = {side: module.Side({**job, "make": f"tests.helpers.pair_{side}:{name}"})
             for side, module in SIDES.items()}  # fmt: skip
    if code is not None:
        code(sides["torch"].model)
        sides["torch"].model.eval()
        same_norms(sides["torch"])  # as what builds a side does
        sides["torch"].keep()
    state = {key: sides["torch"].to_array(x) for key, x in sides["torch"].tensors()}
    sides["torch"].put(spread(state, 0))
    traces = {side: traced(network) for side, network in sides.items()}
    matching = match(traces["torch"], traces["paddle"], names or {})
    entries = weights.weight_map(traces["torch"], traces["paddle"], matching, {})
    pair = Pair(sides, Layout(traces["torch"], traces["paddle"], matching, entries), arrays)
    sides["paddle"].put(pair.held()["torch"])
    return pair
