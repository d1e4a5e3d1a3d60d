"""Calls of a module of either framework, or of a function: NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from parity.comparison.precision import PRECISIONS

Arrays = dict[str, np.ndarray]
OUTPUT = "output"
INPUT = "'s input"  # after a module's name


def framework_of(module: Any) -> str:
    """torch or paddle for one of its modules, "" for any other callable."""
    roots = [kind.__module__.partition(".")[0] for kind in type(module).__mro__]
    return next((root for root in roots if root in ("torch", "paddle")), "")


def to_array(value: Any, name: str) -> np.ndarray:
    """A tensor of either framework, or an array, in NumPy.

    Raises TypeError: for several tensors at once too, of which a function is to pick one.
    """
    if isinstance(value, np.ndarray):
        return value
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if hasattr(value, step) else value
    if "bfloat16" in str(getattr(value, "dtype", "")):
        bits = PRECISIONS["bfloat16"].numpy
        wide: np.ndarray = (
            value.float() if hasattr(value, "float") else value.astype("float32")
        ).numpy()
        return wide.astype(bits)
    if not hasattr(value, "numpy"):
        raise TypeError(
            f"{name}: a {type(value).__name__} is neither a tensor nor an array; where a module "
            "gives several, pass a function of the inputs that returns one tensor on each side"
        )
    return np.asarray(value.numpy())


def _tensor(framework: str, array: np.ndarray) -> Any:
    """The array as the framework's tensor."""
    if framework == "torch":
        from pytorch_impl.checkpoint import to_tensor as to_torch

        return to_torch(array)
    from paddle_impl.checkpoint import to_tensor as to_paddle

    return to_paddle(array)


@contextlib.contextmanager
def _watched(module: Any, framework: str, names: Sequence[str]) -> Iterator[Arrays]:
    """The named submodules' inputs and outputs, as they are computed. Raises ValueError."""
    walk, hook = {
        "torch": ("named_modules", "register_forward_hook"),
        "paddle": ("named_sublayers", "register_forward_post_hook"),
    }[framework]
    inner = dict(getattr(module, walk)())
    if unknown := [name for name in names if name not in inner]:
        raise ValueError(f"no module {unknown[0]!r} in the {framework} one: {', '.join(inner)}")
    outputs: Arrays = {}

    def keep(name: str) -> Callable[..., None]:
        # A copy: an operation in place may change the tensor next.
        return lambda _module, _inputs, output: outputs.update(
            {name: to_array(output, name).copy()}
        )

    def keep_input(name: str) -> Callable[..., None]:
        def look(_module: Any, given: Any) -> None:
            if given and hasattr(given[0], "detach"):
                outputs[name + INPUT] = to_array(given[0], name).copy()

        return look

    hooks = [inner[name].register_forward_pre_hook(keep_input(name)) for name in names]
    hooks += [getattr(inner[name], hook)(keep(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in hooks:
            handle.remove()


def call(side: Any, names: Sequence[str], inputs: Sequence[np.ndarray]) -> Arrays:
    """The output of a module or function, and those of a module's named submodules."""
    framework = framework_of(side)
    if not framework:
        if names:
            raise ValueError("names= goes with two modules: a function has none")
        return {OUTPUT: to_array(side(*inputs), OUTPUT)}
    with _watched(side, framework, names) as outputs:
        result = side(*(_tensor(framework, array) for array in inputs))
    return {**outputs, OUTPUT: to_array(result, OUTPUT)}


def widened(side: Any) -> Any:
    """A module's copy in float64; a function itself, which computes in its inputs' dtype."""
    framework = framework_of(side)
    if not framework:
        return side
    wide = copy.deepcopy(side)
    return wide.double() if framework == "torch" else wide.to(dtype="float64")


def to_float64(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    precisions = {row.numpy for row in PRECISIONS.values()}
    return [array.astype(np.float64) if array.dtype in precisions else array for array in inputs]


def precision_of(inputs: Sequence[np.ndarray]) -> str:
    """The precision of the first floating-point input. Raises ValueError."""
    dtypes = [array.dtype.name for array in inputs]
    for dtype in dtypes:
        if dtype in PRECISIONS:
            return dtype
    raise ValueError(f"inputs of {', '.join(dtypes)}: one of {', '.join(PRECISIONS)} is needed")
