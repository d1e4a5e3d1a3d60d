"""A view of one layer: its inputs and weights, the port's output, and what it should have been.

A layer is recomputed from the port's own inputs where the port gave them. They are equal to the
reference's within the comparator's tolerance, but the layer's own error then stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from parity.diagnosis import kernels, wiring
from parity.diagnosis.wiring import Feed, Step
from weight_port import arch

Array = np.ndarray
Outputs = Callable[[str], "Array | None"] | Mapping[str, "Array | None"]

# The largest relative L2 that one layer's rounding leaves between the port's output and the right
# one computed in float64 from the same inputs. Float64: a whole ResNet-152 in two frameworks
# differs by 2.1e-14; 1e-12 leaves room for inputs that are the reference's. Float32: one
# convolution over 4608 products rounds by about 1e-6 and a whole ResNet-50 by 2e-6; 1e-5 is a
# tenth of what the comparator lets pass. The others round every product's factors, or the output,
# by half a unit in the last place: 2^-11 (TF32, float16) and 2^-8 or 2^-9 (bfloat16), times 2.
ROUNDING = {"float64": 1e-12, "float32": 1e-5, "tf32": 1e-3, "float16": 1e-3, "bfloat16": 8e-3}
# A checkpoint keeps float32; a tensor computed from another, such as a root or a multiple, is
# rounded by 6e-8 there. Where that is the hypothesis, 1e-6 may be left, and a thousandth of the
# difference.
_KEPT, _KEPT_PART = 1e-6, 1000
_IMAGES = 2  # recomputed: those that differ most; batch statistics take the whole batch
_SAMPLE = 64  # output positions at which a candidate is tried first
_WORTH_A_LOOK = 0.05  # relative L2 at those positions, above which it isn't tried on the rest


@dataclass(frozen=True)
class Case:
    """A comparison that failed, to be diagnosed.

    ``reference`` and ``port`` give each side's output by the name of a layer, "images" (the
    network's input; the port's may be None, unknown) or "logits". ``weights`` are the
    reference's, ``port_weights`` those of the port's checkpoint if known, both in the dialect
    paddle1. ``first`` names the first output over tolerance in execution order. ``precision`` is
    a key of ``ROUNDING``: what the port computed in.
    """

    architecture: str
    reference: Outputs
    port: Outputs
    weights: Mapping[str, Array]
    first: str
    port_weights: Mapping[str, Array] | None = None
    epsilon: float = arch.BN_EPS
    precision: str = "float64"


def look_up(outputs: Outputs, name: str) -> Array | None:
    """One side's output, None where there is none."""
    return outputs(name) if callable(outputs) else outputs.get(name)


def relative(array: Array, reference: Array) -> float:
    """||array - reference|| / ||reference||: infinite where shapes differ or it is not finite."""
    if array.shape != reference.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        difference = float(np.linalg.norm((array - reference).reshape(-1)))
        norm = float(np.linalg.norm(reference.reshape(-1)))
        ratio = difference / norm if norm else (0.0 if difference == 0 else np.inf)
    return float(ratio) if np.isfinite(ratio) else float("inf")


def layers(architecture: str) -> dict[str, arch.Layer]:
    """Every layer by name, in execution order, "images" first and "logits" last."""
    images = arch.Layer("images", "images", "", 3, 3)
    every = (images, *arch.layers(architecture), wiring.LOGITS)
    return {layer.name: layer for layer in every}


class Guess(NamedTuple):
    """One hypothesis carried out: what the layer's output would be."""

    detail: str  # for the sentence: which weights, which value
    output: Array  # of the same images as View.given
    within: float | None = None  # largest residual, where it isn't View.rounding


@dataclass(frozen=True)
class View:
    """A layer of the port under suspicion. Arrays are float64, of the images ``at`` alone."""

    case: Case
    step: Step
    raw: tuple[Array, ...]  # the outputs that feed it, before a ReLU or pool in between
    given: Array  # the port's output
    feed: Feed
    at: Sequence[int] | None  # which images of the batch these are; None: all

    @property
    def rounding(self) -> float:
        """The largest residual of a hypothesis that reproduces the port's output.

        What rounding leaves, but never more than a tenth of the difference that is to explain.
        """
        return min(ROUNDING[self.case.precision], self.difference / 10)

    @property
    def rounded_tensors(self) -> float:
        """The largest residual for tensors that were computed before they were stored."""
        return max(self.rounding, min(_KEPT, self.difference / _KEPT_PART))

    @property
    def layer(self) -> arch.Layer:
        return self.step.layer

    @cached_property
    def inputs(self) -> tuple[Array, ...]:
        """The inputs as the layer takes them, after a ReLU or pool in between."""
        return wiring.prepare(self.feed, self.raw)

    @property
    def x(self) -> Array:
        return self.inputs[0]

    @cached_property
    def expected(self) -> Array:
        """The output with nothing changed; the input itself for "images"."""
        return wiring.compute(self.step, self.inputs) if self.feed.sources else self.raw[0]

    @cached_property
    def difference(self) -> float:
        """The layer's own difference: relative L2 between expected and given output."""
        return relative(self.expected, self.given)

    def recompute(self, **parameters: Array) -> Array:
        """The output with other parameters, by role."""
        return wiring.compute(self._with(parameters), self.inputs)

    def promising(self, x: Array | None = None, **parameters: Array) -> bool:
        """Whether other parameters may reproduce the port's output, judged at a few positions.

        ``x`` stands for another input. True where single positions can't be computed.
        """
        picked = self.picked
        if picked is None:
            return True
        given = self.given[picked[0], :, picked[1], picked[2]]
        candidate = self._at(picked, self.x if x is None else x, self._with(parameters))
        return relative(candidate, given) < _WORTH_A_LOOK

    def _with(self, parameters: Mapping[str, Array]) -> Step:
        return replace(self.step, parameters={**self.step.parameters, **parameters})

    @cached_property
    def picked(self) -> Picked | None:
        """Positions of a convolution's or batch norm's output, by a fixed seed."""
        shape = self.given.shape
        if self.layer.kind not in ("conv", "batch_norm") or shape != self.expected.shape:
            return None
        return pick((shape[0], *shape[2:]), _SAMPLE)

    def _at(self, picked: Picked, x: Array, step: Step) -> Array:
        if self.layer.kind == "conv":
            products = windows_at(self.layer, x, picked, step.parameters["weight"])
            return products + step.parameters.get("bias", 0.0)
        values = x[picked[0], :, picked[1], picked[2]]
        return wiring.compute(step, (values[:, :, None, None],))[:, :, 0, 0]


Picked = tuple[Array, Array, Array]  # image, row and column


def pick(sizes: tuple[int, ...], count: int) -> Picked:
    """``count`` random positions (image, row, column), equal for equal sizes."""
    random = np.random.default_rng(0)
    image, row, column = (random.integers(0, size, count) for size in sizes)
    return image, row, column


def patches_at(layer: arch.Layer, x: Array, picked: Picked) -> Array:
    """A convolution's windows at positions of its output: (S, in, kh, kw)."""
    ends = (layer.pad, layer.pad)
    windows = kernels.windows(kernels.pad(x, ends), layer.kernel, layer.stride)
    patches: Array = windows[picked[0], :, picked[1], picked[2]]
    return patches


def windows_at(layer: arch.Layer, x: Array, picked: Picked, weight: Array) -> Array:
    """A convolution's output at positions of it: (S, out)."""
    groups, count = layer.groups, len(picked[0])
    columns = patches_at(layer, x, picked).reshape(count, groups, -1).transpose(1, 0, 2)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    products: Array = columns @ rows.transpose(0, 2, 1)
    return products.transpose(1, 0, 2).reshape(count, -1)


def take(output: Array, at: Sequence[int] | None) -> Array:
    """The images ``at`` of an output, None being all of them, in float64."""
    batch = np.atleast_1d(output)
    return np.asarray(batch if at is None else batch[list(at)], dtype=np.float64)


def before(case: Case, name: str, at: Sequence[int] | None) -> Array | None:
    """The port's output ``name``, or else the reference's, in float64; None where there is none.

    ``at`` are images of the batch, None being all of them.
    """
    for outputs in (case.port, case.reference):
        output = look_up(outputs, name)
        if output is not None:
            return take(output, at)
    return None


def worst(case: Case) -> tuple[int, ...]:
    """The images of the batch that differ most in the first output over tolerance."""
    sides = [look_up(side, case.first) for side in (case.reference, case.port)]
    arrays = [np.atleast_1d(side) for side in sides if side is not None]
    count = min((len(array) for array in arrays), default=0)
    if len(arrays) < 2 or arrays[0].shape != arrays[1].shape:
        return tuple(range(min(count, _IMAGES)))
    with np.errstate(all="ignore"):
        pairs = zip(*arrays, strict=True)
        errors = [np.square(np.subtract(r, p, dtype=np.float64)).sum() for r, p in pairs]
    order = np.argsort(-np.nan_to_num(np.array(errors), nan=np.inf), kind="stable")
    return tuple(sorted(order[:_IMAGES].tolist()))


def view_of(case: Case, name: str, at: Sequence[int] | None) -> View | None:
    """The layer ``name`` on the images ``at`` of the batch, None being all of them.

    None where the port's output is missing, or where one of its inputs is missing on both sides.
    Raises KeyError where the weights lack one of the layer's tensors.
    """
    given = look_up(case.port, name)
    feed = wiring.feeds(case.architecture).get(name, Feed(()))
    inputs = [before(case, source, at) for source in feed.sources]
    if not feed.sources:
        images = look_up(case.reference, name)
        inputs = [None if images is None else take(images, at)]
    raw = tuple(x for x in inputs if x is not None)
    if given is None or len(raw) < len(inputs):
        return None
    layer = layers(case.architecture)[name]
    step = wiring.step(case.architecture, layer, case.weights, case.epsilon)
    return View(case, step, raw, take(given, at), feed, at)
