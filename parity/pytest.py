"""A pytest plugin: check in your own tests that two modules or functions give equal outputs.

::

    from parity.pytest import assert_parity

    def test_my_port(images):  # float32 (N, 3, 224, 224)
        assert_parity(torch_model, paddle_layer, images, names={"layer1.0.conv1": "res2a.conv0"})

``pytest_plugins = ["parity.pytest"]`` in a conftest.py brings the same as the fixture ``parity``.
On a CPU both frameworks may live in one process; GPU builds of the two clash there.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from tabulate import tabulate

from parity.comparison.compare import Comparison, apart, compare
from parity.comparison.precision import PRECISIONS

Arrays = dict[str, np.ndarray]
Side = Callable[[Sequence[np.ndarray]], Arrays]
OUTPUT = "output"
_INPUT = "'s input"  # after a module's name
_MOVED = 1e-3  # relative L2 of running means: of a centred batch they are rounding's


def _framework(module: Any) -> str:
    """torch or paddle for one of its modules, "" for any other callable."""
    roots = [kind.__module__.partition(".")[0] for kind in type(module).__mro__]
    return next((root for root in roots if root in ("torch", "paddle")), "")


def _array(value: Any, name: str) -> np.ndarray:
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
        return lambda _module, _inputs, output: outputs.update({name: _array(output, name).copy()})

    def keep_input(name: str) -> Callable[..., None]:
        def look(_module: Any, given: Any) -> None:
            if given and hasattr(given[0], "detach"):
                outputs[name + _INPUT] = _array(given[0], name).copy()

        return look

    hooks = [inner[name].register_forward_pre_hook(keep_input(name)) for name in names]
    hooks += [getattr(inner[name], hook)(keep(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in hooks:
            handle.remove()


def _call(side: Any, names: Sequence[str], inputs: Sequence[np.ndarray]) -> Arrays:
    """The output of a module or function, and those of a module's named submodules."""
    framework = _framework(side)
    if not framework:
        if names:
            raise ValueError("names= goes with two modules: a function has none")
        return {OUTPUT: _array(side(*inputs), OUTPUT)}
    with _watched(side, framework, names) as outputs:
        result = side(*(_tensor(framework, array) for array in inputs))
    return {**outputs, OUTPUT: _array(result, OUTPUT)}


def _wide(side: Any) -> Any:
    """A module's copy in float64; a function itself, which computes in its inputs' dtype."""
    framework = _framework(side)
    if not framework:
        return side
    wide = copy.deepcopy(side)
    return wide.double() if framework == "torch" else wide.to(dtype="float64")


def _to_float64(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    precisions = {row.numpy for row in PRECISIONS.values()}
    return [array.astype(np.float64) if array.dtype in precisions else array for array in inputs]


def _precision(inputs: Sequence[np.ndarray]) -> str:
    """The precision of the first floating-point input. Raises ValueError."""
    dtypes = [array.dtype.name for array in inputs]
    for dtype in dtypes:
        if dtype in PRECISIONS:
            return dtype
    raise ValueError(f"inputs of {', '.join(dtypes)}: one of {', '.join(PRECISIONS)} is needed")


def compare_modules(
    first: Any,
    second: Any,
    inputs: Any,
    names: Mapping[str, str] | None = None,
) -> list[Comparison]:
    """The comparisons of the named submodules in order, and then of the output."""
    several = isinstance(inputs, (list, tuple))
    arrays = [_array(value, "inputs") for value in (inputs if several else [inputs])]
    names = names or {}
    precision = _precision(arrays)
    wide = None if precision == "float64" else _wide(second)  # before a call moves statistics
    means = _means(first), _means(second)
    first_outputs = _call(first, list(names), arrays)
    second_outputs = _call(second, list(names.values()), arrays)
    reference = second_outputs
    if wide is not None:
        reference = _call(wide, list(names.values()), _to_float64(arrays))
    # As they were computed: a leaf ends before the container that holds it.
    order = [name for name in first_outputs if name in names]
    order += [name for name in names if name not in first_outputs]
    pairs = [*((name, names[name]) for name in order), (OUTPUT, OUTPUT)]

    def judge(a: str, b: str, ending: str = "") -> Comparison:
        label = a if a == b else f"{a} / {b}"
        sides = first_outputs.get(a + ending), second_outputs.get(b + ending)
        return compare(label + ending, *sides, _checked(reference.get(b + ending), b), precision)

    comparisons = [_placed(judge(a, b), partial(judge, a, b, _INPUT)) for a, b in pairs]
    return comparisons + _statistics((first, second), means)


def _placed(output: Comparison, its_input: Callable[[], Comparison]) -> Comparison:
    """A module that differs, with a word on whether what comes into it differs already."""
    if output.passed or output.name == OUTPUT:
        return output
    given = its_input()
    if given.passed or given.problem.startswith("no output"):
        return output
    where = (
        f"{output.problem}; what comes into it differs already ({given.problem}): look at what "
        "stands before it, not at itself"
    )
    return replace(output, problem=where)


def _means(side: Any) -> Arrays:
    """A module's running means by name, in order, as they stand; float64."""
    if not _framework(side):
        return {}
    # Not buffers: Paddle keeps them as parameters.
    means = ((key, value) for key, value in side.state_dict().items() if key.endswith("_mean"))
    return {name: _array(mean, name).astype(np.float64) for name, mean in means}


def _statistics(sides: tuple[Any, Any], before: tuple[Arrays, Arrays]) -> list[Comparison]:
    """The running means that a call in training mode left; nothing where it moved none.

    Paired in the modules' order. With another momentum outputs are equal, and these are not.
    Variances are left alone: PyTorch's is n/(n-1) times Paddle's, and n is the call's.
    """
    after = _means(sides[0]), _means(sides[1])
    old_and_new = zip(before, after, strict=True)
    if not any(np.any(new[n] != old[n]) for old, new in old_and_new for n in old):
        return []
    return [
        _mean(f"{a} / {b}", x, y)
        for (a, x), (b, y) in itertools.zip_longest(
            after[0].items(), after[1].items(), fillvalue=("nothing", np.zeros(0))
        )
    ]


def _mean(name: str, first: np.ndarray, second: np.ndarray) -> Comparison:
    """One running mean of both sides, as the comparison of an output."""
    shape = tuple(first.shape)
    if first.shape != second.shape:
        problem = f"statistics after training mode: shapes {first.shape} and {second.shape}"
        return Comparison(name, shape, "float64", False, problem)
    distance = float(np.linalg.norm(first - second))
    scale = float(np.linalg.norm(second)) or 1.0
    passed = distance <= _MOVED * scale
    problem = (
        ""
        if passed
        else (
            "statistics after a call in training mode differ: relative L2 {} is over {}; compare "
            "the batch norms' momentum, of which Paddle's is 1 - PyTorch's"
        ).format(*apart(distance / scale, _MOVED))
    )
    return Comparison(
        name, shape, "float64", passed, problem, _MOVED, distance / scale,
        max_abs=float(np.abs(first - second).max(initial=0.0)),
    )  # fmt: skip


def _checked(reference: np.ndarray | None, name: str) -> np.ndarray | None:
    if reference is not None and reference.dtype != np.float64:
        raise ValueError(
            f"{name}: the second side gives {reference.dtype} for float64 inputs, so there is no "
            "reference to measure rounding by; let it compute in its inputs' dtype"
        )
    return reference


def _training(side: Any) -> list[str]:
    """The names of a module's parts that are in training mode, "itself" for the whole."""
    walk = {"torch": "named_modules", "paddle": "named_sublayers"}.get(_framework(side))
    parts = dict(getattr(side, walk)()) if walk else {}
    inner = [name for name, part in parts.items() if name and part.training]
    return (["itself"] if walk and side.training else []) + inner


def in_training(first: Any, second: Any) -> str:
    """Which side is in training mode, as a line; "" where none is."""
    lines = []
    for label, side in (("first", first), ("second", second)):
        if parts := _training(side):
            named = ", ".join(parts[:4]) + (", …" if len(parts) > 4 else "")
            lines.append(f"the {label} ({_framework(side)}) is in training mode: {named}")
    if not lines:
        return ""
    return f"\n{'; '.join(lines)}. Call eval() on both for what they compute in use"


def summary(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as a table, and the first that differs."""
    rows = [
        [
            output.name,
            "×".join(map(str, output.shape)),
            f"{output.max_abs:.1e}",
            *apart(output.relative_l2, output.allowed),
            *(f"{value:.1e}" for value in (output.torch_error, output.paddle_error)),
            "equal" if output.passed else "DIFFERENT",
        ]
        for output in comparisons
    ]
    headers = ("output", "shape", "max abs", "relative L2", "allowed", "first's error",
               "second's error", "verdict")  # fmt: skip
    wrong = [output for output in comparisons if not output.passed]
    last = f"first that differs: {wrong[0].name}: {wrong[0].problem}" if wrong else "EQUAL"
    table = tabulate(rows, headers=headers, disable_numparse=True)
    return f"{table}\nerrors: relative L2 from the second in float64\n{last}"


def assert_parity(
    first: Any,
    second: Any,
    inputs: Any,
    names: Mapping[str, str] | None = None,
) -> list[Comparison]:
    """Fail, with the table of comparisons, unless both give equal outputs; returns the comparisons.

    ``first`` and ``second`` are modules of torch or Paddle, or functions of NumPy arrays that
    return an array or tensor; ``inputs`` one array or tensor, or a list of several, whose
    precision is that of the comparison. ``names`` maps submodules of the first to those of the
    second; they are listed as they are computed, a leaf before the container that holds it.
    Modules run as they are: put them into evaluation mode yourself. The tolerance is
    ``parity.comparison.precision``'s: rounding is measured against the second in float64.

    Raises AssertionError; ValueError and TypeError for what can't be compared.
    """
    __tracebackhide__ = True
    comparisons = compare_modules(first, second, inputs, names)
    if not all(output.passed for output in comparisons):
        pytest.fail(f"{summary(comparisons)}{in_training(first, second)}", pytrace=False)
    return comparisons


@pytest.fixture
def parity() -> Callable[..., list[Comparison]]:
    """``parity(first, second, inputs, names=None)``: see ``assert_parity``."""
    return assert_parity
