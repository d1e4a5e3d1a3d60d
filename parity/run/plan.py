"""The plan of a parity run, as data: the runs of each framework's worker, and what is compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from parity.comparison.known_differences import BN_MOMENTUM, as_float32, paddle_epsilon
from weight_port import arch

KINDS = ("forward", "isolated", "gradients", "training")
MODES = ("eval", "train")
REFERENCE = "float64"


# A rate at which a few steps of a network nobody trained stay near its start: what is compared is
# the update, not how fast two roundings part.
MOMENTUM, WEIGHT_DECAY, RATE = as_float32(0.9), as_float32(1e-4), 0.001


@dataclass(frozen=True)
class Options:
    """What the user asked a run to do."""

    precisions: tuple[str, ...] = ("float64", "float32")
    modes: tuple[str, ...] = ("eval",)
    isolate: bool = False
    backward: bool = False
    steps: int = 0  # of training


@dataclass(frozen=True)
class Output:
    """One tensor that both frameworks compute: where it lies in a run's folder, and its bound."""

    name: str
    what: str  # a bound of precision.Precision: logits, layer, gradient, step
    folder: str = ""  # within the run's
    layer: str = ""  # the scheme's layer that it belongs to
    role: str = ""  # a parameter's
    step: int = 0
    ends_block: bool = True  # nothing before the last block that ended is needed for what follows


@dataclass(frozen=True)
class Section:
    """Outputs that are compared with one another: of one kind, mode and precision."""

    kind: str
    mode: str
    precision: str
    run: str  # the folder, of either framework's
    reference: str  # of Paddle's
    outputs: tuple[Output, ...]

    @property
    def title(self) -> str:
        """ "forward, eval mode, float32" """
        return f"{self.kind}, {self.mode} mode, {self.precision}"


def rates(steps: int) -> list[float]:
    """The learning rate of every step: from RATE down to nothing, by a cosine."""
    return [as_float32(RATE * (1 + math.cos(math.pi * k / steps)) / 2) for k in range(steps)]


def _outputs(kind: str, mode: str, model: str, steps: int) -> Iterator[Output]:
    """A section's outputs in the order of execution: the first that differs is where it began.

    The gradient of a convolution's bias is left out in training mode where a batch norm follows: it
    subtracts the batch's mean, and so the bias, and what is left is rounding about zero. An
    auxiliary classifier is there in training mode alone.
    """
    layers = [layer for layer in arch.layers(model) if mode == "train" or not layer.head]
    normed = arch.architecture(model).normed
    tensors = [(layer.name, parameter) for layer in layers for parameter in layer.parameters]
    if kind in ("forward", "isolated"):
        for row in layers:
            ends = row.kind in ("block", "max_pool", "concat")
            yield Output(row.name, "layer", layer=row.name, ends_block=ends)
    if kind == "forward":
        yield Output("logits", "logits", layer=layers[-1].name)
    if kind == "gradients":
        yield Output("loss", "gradient")
        for layer, parameter in reversed(tensors):
            nil = parameter.role == "bias" and mode == "train" and normed
            if parameter.role not in ("mean", "variance") and not nil:
                yield Output(parameter.name, "gradient", layer=layer, role=parameter.role)
        yield Output("images", "gradient")
    if kind == "training":
        for step in range(1, steps + 1):
            where = f"step{step}"
            yield Output("loss", "step", where, step=step)
            for layer, parameter in tensors:
                yield Output(parameter.name, "step", where, layer, parameter.role, step)


def groups(options: Options) -> Iterator[tuple[str, str]]:
    """(kind, mode) of every group of sections."""
    for mode in options.modes:
        yield "forward", mode
        if options.isolate:
            yield "isolated", mode
        if options.backward:
            yield "gradients", mode
    if options.steps:
        yield "training", "train"


def titles(options: Options) -> Iterator[tuple[str, str, str]]:
    """(kind, mode, precision) of every section, without its outputs."""
    for kind, mode in groups(options):
        for precision in options.precisions:
            yield kind, mode, precision


def folder(kind: str, mode: str, precision: str) -> str:
    """The name of a run's folder."""
    return f"{kind}-{mode}-{precision}"


def _reference(kind: str, mode: str, precision: str) -> str:
    """The folder of Paddle's float64 outputs: of the same inputs, also where they are rounded."""
    rounded = kind == "isolated" and precision != REFERENCE
    return folder(f"{kind}-from", mode, precision) if rounded else folder(kind, mode, REFERENCE)


def sections(model: str, options: Options) -> tuple[Section, ...]:
    """Everything that is compared of a network, in the order in which it is computed."""
    return sections_of(options, lambda kind, mode: _outputs(kind, mode, model, options.steps))


def sections_of(
    options: Options, outputs: Callable[[str, str], Iterable[Output]]
) -> tuple[Section, ...]:
    """The sections of ``options``; ``outputs(kind, mode)`` are one's, in order."""
    return tuple(
        Section(
            kind,
            mode,
            precision,
            folder(kind, mode, precision),
            _reference(kind, mode, precision),
            tuple(outputs(kind, mode)),
        )
        for kind, mode in groups(options)
        for precision in options.precisions
    )


def _run(kind: str, mode: str, precision: str, out: str, **more: Any) -> dict[str, Any]:
    """One run of a worker; folders are relative until ``run.job`` places them."""
    tasks = {"forward": "forward", "isolated": "forward", "gradients": "gradients"}
    return {
        "task": tasks.get(kind, "train"),
        "mode": mode,
        "precision": precision,
        "out": out,
        "epsilon": None,  # of the batch norms
        "bn_momentum": BN_MOMENTUM,
        "layers": True,
        "images": None,  # how many, where not all
        "inputs": None,  # where every layer's input goes
        "feed": None,  # where every layer's input comes from
        "rounded": None,  # the precision whose values a float64 run starts from
        "after": None,  # the run that must have ended
        **more,
    }


def of_kind(framework: str, kind: str, mode: str, options: Options) -> Iterator[dict[str, Any]]:
    """The runs of a framework for one group of sections."""
    precisions = list(options.precisions)
    if framework == "paddle":  # whose float64 outputs are the reference; the weights are Paddle's
        precisions = list(dict.fromkeys((REFERENCE, *precisions)))
    for precision in precisions:
        more: dict[str, Any] = {}
        if kind == "forward" and framework == "paddle" and precision == REFERENCE:
            more["inputs"] = f"inputs-{mode}" if options.isolate else None
        if kind == "isolated":
            more["feed"] = f"inputs-{mode}"
            more["after"] = folder("forward", mode, REFERENCE)
            reference = _reference(kind, mode, precision)
            if framework == "paddle" and precision != REFERENCE:
                start = "float32" if precision == "tf32" else precision
                yield _run(kind, mode, REFERENCE, reference, rounded=start, **more)
        if kind == "training":
            more["rates"] = rates(options.steps)
            more |= {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        yield _run(kind, mode, precision, folder(kind, mode, precision), **more)


OWN_EPSILON = "own-epsilon"


def runs(framework: str, model: str, options: Options) -> list[dict[str, Any]]:
    """The runs of a framework's worker, in order."""
    row = arch.architecture(model)
    planned = [
        {**run, "epsilon": paddle_epsilon(model)}
        for kind, mode in groups(options)
        for run in of_kind(framework, kind, mode, options)
    ]
    exact = REFERENCE in options.precisions and "eval" in options.modes and row.normed
    if framework == "torch" and exact:
        own = _run("forward", "eval", REFERENCE, OWN_EPSILON, epsilon=row.epsilon, layers=False)
        own["images"] = 1  # enough to show an effect of 1e-11
        planned.append(own)
    return planned
