"""A second look at a pair that differs: what the layers up to the first difference took and gave.

The first run keeps few outputs. This one starts both sides again, in float64 and evaluation, and
keeps those of the layers before the difference, on disk until the judge has read them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.pair.plan import Layout
from parity.pair.sides.watch import INTO, numbered
from parity.pair.sides.worker import PLAN, TRACE, wait_for, write_json
from parity.run.results import FRAMEWORKS
from parity.workers.launch import Worker
from parity.workers.outputs import load_output

WINDOW = 40  # matched layers before the difference that are looked at
Start = Callable[[str, Path], Worker]  # a side's worker, whose folder is to be in that one


@dataclass(frozen=True)
class Look:
    """What one side's layers took and gave, by name."""

    folder: Path
    names: tuple[str, ...]  # of the layers looked at, in order

    def output(self, name: str) -> np.ndarray | None:
        """What a layer gave, or what went ``into`` it."""
        return load_output(self.folder / "outputs", name)

    def inputs(self, name: str) -> list[np.ndarray]:
        """All that a layer took."""
        found: list[np.ndarray] = []
        while (
            array := load_output(self.folder / "inputs", numbered(name, len(found)))
        ) is not None:
            found.append(array)
        return found


@contextlib.contextmanager
def look(
    layout: Layout,
    runs: Mapping[str, Mapping[str, Any]],
    carried: Mapping[str, str | None],
    last: int,
    folder: Path,
    start: Start,
) -> Iterator[dict[str, Look]]:
    """Both sides' looks at the layers up to the match of that number in the layout's order.

    ``runs`` are each side's forward run in float64, of which the folders are replaced. Raises
    WorkerError.
    """
    matches = layout.matching.matches[max(0, last - WINDOW) : last + 1]
    names = layout.names()
    kept = tuple(names[match.torch, match.paddle] for match in matches)
    with contextlib.ExitStack() as stack:
        workers = {side: stack.enter_context(start(side, folder / side)) for side in FRAMEWORKS}

        def check() -> None:
            for worker in workers.values():
                if worker.failed():
                    worker.result()

        for side in FRAMEWORKS:
            wait_for(folder / side / TRACE, check)
            run = dict(runs[side])
            run["calls"] = {call: name for call, name in run["calls"].items() if name in kept}
            run |= {"out": str(folder / side / "outputs"), "inputs": str(folder / side / "inputs")}
            write_json(folder / side / PLAN, {"carried": carried[side], "runs": [run]})
        for worker in workers.values():
            worker.result()
        yield {side: Look(folder / side, kept) for side in FRAMEWORKS}


def sources(
    look: Look, layout: Layout, upto: str, inputs: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """What a function after the layers may have been given: the network's inputs, what leaves gave.

    And what functions made for the layers before ``upto``, itself left out.
    """
    names = layout.names()
    leaves = {names[m.torch, m.paddle] for m in layout.matching.matches
              if layout.paddle["calls"][m.paddle]["leaf"]}  # fmt: skip
    found: dict[str, Any] = {name: array.astype(np.float64) for name, array in inputs.items()
                             if array.dtype.kind == "f"}  # fmt: skip
    for name in look.names:
        if name == upto:
            break
        for inner in (f"{INTO}{name}", name) if name in leaves else ():
            if (array := look.output(inner)) is not None:
                found[inner] = array
    return found
