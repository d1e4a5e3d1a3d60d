"""Which state dict of a training's checkpoint is read, and what is left beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from weight_port.errors import FormatError, shown
from weight_port.pickles.values import kind_of

# Where training loops put weights, the usual first; of these the first that is there is taken.
KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "model_state",
    "network",
    "weight",
    "weights",
    "params",
    "module",
    "state_dict_ema",
    "model_ema",
    "ema",
    "teacher",  # DINO and mean-teacher trainings go on with the teacher
    "student",
)
_DEPTH = 2
IsTensor = Callable[[Any], bool]


class NoSuchKey(FormatError):
    """The file is sound, and has no dict of tensors under the key that was asked for."""


def _states(value: Mapping[Any, Any], is_tensor: IsTensor) -> Iterator[str]:
    """The keys of the dicts that hold tensors by name, or a dict that does."""
    for key, item in value.items():
        if isinstance(key, str) and isinstance(item, dict) and _tensors(item, is_tensor):
            yield key


def _tensors(value: Mapping[Any, Any], is_tensor: IsTensor) -> int:
    """How many tensors a dict has by a name, or else those dicts in it that usually have them."""
    count = sum(isinstance(key, str) and is_tensor(item) for key, item in value.items())
    if count:
        return count
    nested = (value[key] for key in KEYS if isinstance(value.get(key), dict))
    return sum(
        isinstance(key, str) and is_tensor(item) for state in nested for key, item in state.items()
    )


def choose(value: Any, is_tensor: IsTensor, key: str | None = None) -> tuple[Any, tuple[str, ...]]:
    """The dict of tensors itself, or the one in it that is taken; where from, and what is left.

    ``key`` names it; that of a dict in a dict is ``ema/module`` or ``ema.module``. Beside a usual
    key may stand a tensor: torch's ImageNet example saves its best accuracy. Without a usual key,
    the one dict of tensors that there is counts, where no tensor stands beside it. Raises
    FormatError for a key that is not there.
    """
    notes: list[str] = []
    if key is not None:
        path = _path(value, key, is_tensor)
        if path is None:
            raise NoSuchKey(_no_such_key(value, key, is_tensor))
        for part in path:
            left = beside(value, part, is_tensor)
            value = value[part]
            notes += [f"taken from {shown(part)}", *([left] if left else [])]
    for _ in range(_DEPTH):
        if not isinstance(value, dict):
            break
        states = list(_states(value, is_tensor))
        bare = not any(is_tensor(item) for item in value.values())
        only = states[0] if len(states) == 1 and bare else None
        key = next((key for key in KEYS if key in states), only)
        if key is None:
            break
        left = beside(value, key, is_tensor)
        value = value[key]
        notes += [f"taken from {shown(key)}", *([left] if left else [])]
    return value, tuple(notes)


def _path(value: Any, key: str, is_tensor: IsTensor) -> list[str] | None:
    """The keys that lead to a state, which may hold separators themselves; None for none."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get(key), dict) and _tensors(value[key], is_tensor):
        return [key]
    for place, character in enumerate(key):
        if character in "./" and key[:place] in value:
            rest = _path(value[key[:place]], key[place + 1 :], is_tensor)
            if rest is not None:
                return [key[:place], *rest]
    return None


def _no_such_key(value: Any, key: str, is_tensor: IsTensor) -> str:
    states = list(_states(value, is_tensor)) if isinstance(value, dict) else []
    there = f"those of tensors are {', '.join(map(shown, states[:12]))}" if states else "no key is"
    return f"--key {shown(key)} (key=…) is no key of a dict of tensors; {there}"


def beside(value: Mapping[Any, Any], key: str, is_tensor: IsTensor) -> str:
    """What is left out beside the dict of tensors that is taken, in a sentence; "" for nothing."""
    left = [_about(other, item, is_tensor) for other, item in value.items() if other != key]
    return f"left out beside {shown(key)}: {_some(left)}" if left else ""


def left_out(state: Any, is_tensor: IsTensor) -> tuple[str, ...]:
    """A note on what is no tensor in a dict of tensors."""
    if not isinstance(state, dict):
        return ()
    return no_tensors(
        [_about(key, item, is_tensor) for key, item in state.items() if not is_tensor(item)]
    )


def no_tensors(others: list[str]) -> tuple[str, ...]:
    """A note on what stands beside tensors and is none, each with its kind; none for nothing."""
    return (f"left out {len(others)} that are no tensors: {_some(others)}",) if others else ()


def _some(items: list[str]) -> str:
    """Dicts of tensors are all named, of other things the first."""
    items = sorted(items, key=lambda item: "tensors)" not in item)
    return ", ".join(items[:12]) + (f" and {len(items) - 12} more" if len(items) > 12 else "")


def _about(key: Any, item: Any, is_tensor: IsTensor) -> str:
    if isinstance(item, dict) and (count := _tensors(item, is_tensor)):
        return f"{_name(key)} ({count} tensors)"
    return f"{_name(key)} (tensor)" if is_tensor(item) else named(key, item)


def named(key: Any, item: Any) -> str:
    """What is no tensor, for a note: its key and its kind."""
    return f"{_name(key)} ({kind_of(item)})"


def _name(key: Any) -> str:
    return shown(key) if isinstance(key, str) else str(key)[:20]
