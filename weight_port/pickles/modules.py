"""A pickled ``torch.nn.Module``, or a TorchScript one, as its state dict: read, never built.

A module's state has ``_parameters``, ``_buffers`` and ``_modules``
(``torch/nn/modules/module.py``); TorchScript's has its tensors and modules under their own
names (``torch/csrc/jit/serialization``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weight_port.errors import shown
from weight_port.pickles.values import Placeholder

_TABLES = ("_parameters", "_buffers", "_modules")
_SCRIPT = "__torch__."
_MAX_NESTING = 64


def is_module(value: Any) -> bool:
    """Whether a placeholder stands for a module with its tensors."""
    if not isinstance(value, Placeholder) or not isinstance(value.state, dict):
        return False
    return value.name.startswith(_SCRIPT) or all(table in value.state for table in _TABLES)


def state_dict(module: Placeholder) -> dict[str, Any]:
    """What stands in a module and its children, by ``child.parameter``; raises ValueError."""
    entries: dict[str, Any] = {}
    for name, value in _walk(module, "", 0, set()):
        if name in entries:
            raise ValueError(f"two tensors of a module are called {shown(name)}")
        entries[name] = value
    return entries


def _walk(module: Placeholder, prefix: str, depth: int, seen: set[int]) -> Iterator[Any]:
    if depth > _MAX_NESTING:
        raise RecursionError("modules nested too deep")
    if id(module) in seen:  # a module in each place of a module in each place …
        return
    seen.add(id(module))
    for name, value in _members(module.state):
        if is_module(value):
            yield from _walk(value, f"{prefix}{name}.", depth + 1, seen)
        elif value is not None:
            yield f"{prefix}{name}", value


def _members(state: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The tensors and modules of a state, in the order of ``Module.state_dict``."""
    if "_modules" not in state:  # TorchScript's, where numbers and flags stand among them
        plain = (bool, int, float, str, type(None), list, tuple, dict)
        yield from ((name, value) for name, value in state.items() if not isinstance(value, plain))
        return
    for table in _TABLES:
        entries = state[table]
        if not isinstance(entries, dict):
            raise TypeError(f"a module's {table} that is no dict")
        yield from entries.items()


def opened(value: Any) -> tuple[Any, tuple[str, ...]]:
    """A module, or the modules among a dict's values, as state dicts; and a note on each."""
    if is_module(value):
        return state_dict(value), (f"a whole {value.name} was pickled: the tensors in it",)
    if not isinstance(value, dict):
        return value, ()
    notes = tuple(
        f"under {shown(key)} a whole {item.name} was pickled: the tensors in it"
        for key, item in value.items()
        if is_module(item)
    )
    plain = {key: state_dict(item) if is_module(item) else item for key, item in value.items()}
    return (plain if notes else value), notes
