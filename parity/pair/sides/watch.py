"""The hooks of a run: what the matched layers give is saved, and what they take is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.pair.sides import nests
from parity.pair.sides.side import Run, Side
from parity.pair.sides.trace import call_name
from parity.workers import worker
from parity.workers.outputs import load_output

INTO = "into "  # before a call's name, for an input that a function made


class Watch:
    """Hooks that save the matched calls' outputs, and save or replace their inputs.

    ``run["calls"]`` gives the names of this side's matched calls; outputs and inputs that are no
    single tensor are numbered.
    """

    def __init__(self, side: Side, run: Run) -> None:
        self._side, self._run = side, run
        self._names: Mapping[str, str] = run["calls"]
        self._counts: dict[str, int] = {}
        self._open: list[str] = []
        self._save = worker.saver(run["out"])
        self._keep = worker.saver(run["inputs"]) if run["inputs"] else None

    def hooks(self) -> list[Any]:
        """Hooks on the modules of the matched calls."""
        paths = {call.rpartition("#")[0] or call for call in self._names} | set(self._names)
        handles = []
        for path, module in self._side.modules():
            if path in paths:
                handles.append(self._side.before(module, self._before(path)))
                handles.append(self._side.after(module, self._after))
        return handles

    def _before(self, path: str) -> Callable[..., Any]:
        def hook(_module: Any, args: Any, kwargs: Any) -> Any:
            number = self._counts[path] = self._counts.get(path, -1) + 1
            name = self._names.get(call_name(path, number), "")
            self._open.append(name)
            if name and self._keep is not None:
                self._write(self._keep, name, (args, kwargs))
            if name and (numbers := self._run["into"].get(call_name(path, number))):
                self._write(self._save, f"{INTO}{name}", (args, kwargs), numbers)
            return self._fed(name, (args, kwargs)) if name and self._run["feed"] else None

        return hook

    def _after(self, _module: Any, _args: Any, _kwargs: Any, output: Any) -> None:
        if name := self._open.pop():
            self._write(self._save, name, output)

    def _write(
        self,
        save: Callable[[str, np.ndarray], None],
        name: str,
        nest: Any,
        only: Sequence[int] | None = None,
    ) -> None:
        for number, (_, leaf) in enumerate(nests.leaves(nest, self._side.is_tensor)):
            if only is None or number in only:
                save(numbered(name, number), self._side.to_array(leaf))

    def _fed(self, name: str, nest: Any) -> Any:
        """The arguments with the reference's tensors in place of those of the same shape."""
        numbers = iter(range(len(list(nests.leaves(nest, self._side.is_tensor)))))

        def change(leaf: Any) -> Any:
            array = load_output(Path(self._run["feed"]), numbered(name, next(numbers)))
            if array is None or list(array.shape) != list(leaf.shape):
                return leaf
            if array.dtype.kind != "f":  # an index or a mask, which has no rounding
                return leaf
            return self._side.tensor(worker.rounded(self._run, array), self._run)

        return nests.replace(nest, self._side.is_tensor, change)


def numbered(name: str, number: int) -> str:
    """The name of the n-th tensor of a call: the first has the call's own."""
    return f"{name} [{number}]" if number else name
