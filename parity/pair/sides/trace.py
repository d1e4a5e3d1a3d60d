"""The trace of an execution: which modules ran, in which order, on what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.pair.matching import kinds
from parity.pair.sides import nests
from parity.pair.sides.side import Side

_MAKER = "_parity_maker"  # the attribute of a tensor with the number of the call that made it
GIVEN = -1  # in its place for an input of the network


class Trace:
    """The calls of modules in a forward pass, in the order in which they ended.

    A call that had none inside is a leaf. What runs inside a kind that is compared as a whole, such
    as attention, is left out. Every tensor carries the number of the call that made it, so that
    ``from`` says where a call's inputs come from: GIVEN for the network's own, None for what a
    function made between the layers.
    """

    def __init__(self, side: Side) -> None:
        self.calls: list[dict[str, Any]] = []
        self._side = side
        self._open: list[dict[str, Any]] = []
        self._counts: dict[str, int] = {}

    def hooks(self) -> list[Any]:
        """Hooks on every module, to be removed after the pass."""
        handles = []
        for path, module in self._side.modules():
            if path:
                handles.append(self._side.before(module, self._before(path, module)))
                handles.append(self._side.after(module, self._after))
        return handles

    def _before(self, path: str, module: Any) -> Callable[..., None]:
        def hook(_module: Any, args: Any, kwargs: Any) -> None:
            number = self._counts[path] = self._counts.get(path, -1) + 1
            call = {**_module_facts(self._side, path, module), "number": number, "leaf": True}
            call["inputs"] = [shape for _, shape, _ in self._shapes((args, kwargs))]
            call["from"] = self.makers((args, kwargs))
            call["began"] = len(self.calls)
            if self._open:
                self._open[-1]["leaf"] = False
            self._open.append(call)

        return hook

    def _after(self, _module: Any, _args: Any, _kwargs: Any, output: Any) -> None:
        call = self._open.pop()
        call["outputs"] = self._shapes(output)
        if any(outer["whole"] for outer in self._open):
            return
        if call["whole"]:
            call["leaf"] = True
        call["call"] = call_name(call["path"], call["number"])
        self.mark(output, len(self.calls), again=call["leaf"])
        call["made"] = self.makers(output)
        self.calls.append(call)

    def mark(self, nest: Any, number: int, again: bool = True) -> None:
        """Have a call's tensors carry its number; a container's keep that of the layer inside."""
        for _, tensor in nests.leaves(nest, self._side.is_tensor):
            if again or getattr(tensor, _MAKER, None) is None:
                setattr(tensor, _MAKER, number)

    def makers(self, nest: Any) -> list[int | None]:
        """The numbers that the tensors of a nest carry."""
        leaves = nests.leaves(nest, self._side.is_tensor)
        return [getattr(tensor, _MAKER, None) for _, tensor in leaves]

    def _shapes(self, nest: Any) -> list[tuple[str, list[int], str]]:
        is_tensor = self._side.is_tensor
        return [
            (path, list(leaf.shape), str(leaf.dtype).rpartition(".")[2])
            for path, leaf in nests.leaves(nest, is_tensor)
        ]


def call_name(path: str, number: int) -> str:
    """A call's name in its side: the module's path, with a number from its second call on."""
    return f"{path}#{number + 1}" if number else path


def _module_facts(side: Side, path: str, module: Any) -> dict[str, Any]:
    kind = kinds.kind_of(module, side.framework)
    return {
        "path": path,
        "kind": kind.name if kind else kinds.OTHER,
        "class": type(module).__name__,
        "whole": bool(kind and kind.whole),
        "settings": kinds.settings_of(module, kind, side.framework) if kind else {},
    }


def _owned(side: Side) -> list[dict[str, Any]]:
    """The tensors of each module, in the modules' order; a shared one with its first module."""
    keys = {id(tensor): key for key, tensor in side.tensors()}
    rows = []
    for path, module in side.modules():
        for role, tensor in side.own_tensors(module):
            if (key := keys.pop(id(tensor), None)) is not None:
                array = side.to_array(tensor)
                if array.dtype.kind in "iub":  # a counter or an index
                    continue
                row = {"key": key, "role": role, "shape": list(tensor.shape), "sum": bit_sum(array)}
                rows.append({**row, **_module_facts(side, path, module)})
    return rows


def bit_sum(array: np.ndarray) -> int:
    """The sum of the bit patterns of an array's values, modulo 2^64.

    It is exact, and the same for a transpose and for a tensor that is cut into parts.
    """
    bits = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    return int(bits.sum(dtype=np.uint64))


def traced(side: Side) -> dict[str, Any]:
    """The side as plain data: its calls in one pass, its outputs and its tensors."""
    trace = Trace(side)
    handles = trace.hooks()
    try:
        output = side.evaluate(lambda inputs: trace.mark(inputs, GIVEN))
    finally:
        for handle in handles:
            handle.remove()
    leaves = nests.leaves(output, side.is_tensor)
    outputs = [(path, list(leaf.shape), str(leaf.dtype).rpartition(".")[2])
               for path, leaf in leaves]  # fmt: skip
    made = trace.makers(output)
    return {"calls": trace.calls, "outputs": outputs, "made": made, "tensors": _owned(side)}
