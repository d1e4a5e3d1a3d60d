"""A network layer by layer, as text: what ``summary`` of either framework returns."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from weight_port import arch, extras, terminal
from weight_port.arch.classic_steps import on_longest

_HEADINGS = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field")


class Ran(NamedTuple):
    """What a framework says of a module: the shape of its output, and its own trainable values."""

    shape: tuple[int, ...]
    parameters: int


def _multiply_adds(layer: arch.Layer, module: Ran) -> int:
    """Of one image; 0 for what is neither a convolution nor the classifier."""
    if layer.kind not in ("conv", "linear"):
        return 0
    biased = any(parameter.role in ("bias", "linear_bias") for parameter in layer.parameters)
    weights = module.parameters - (module.shape[1] if biased else 0)
    return weights * math.prod(module.shape[2:])


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _weighted(layers: list[arch.Layer], row: arch.Row) -> str:
    """How many layers have weights, as the number in a network's name counts them."""
    if isinstance(row, arch.Classic):
        return _weighted_classic(layers)
    projections = sum(layer.kind == "conv" and layer.branch == "branch1" for layer in layers)
    convolutions = sum(layer.kind == "conv" for layer in layers) - projections
    linear = sum(layer.kind == "linear" and not layer.block for layer in layers)
    gates = sum(layer.kind == "linear" for layer in layers) - linear
    text = f"{convolutions + linear} weighted layers: {convolutions} convolutions"
    text += " and the classifier" if linear else ""
    text += f"; {projections} projections of shortcuts are not counted" if projections else ""
    text += f"; {gates} linear layers of gates are not counted" if gates else ""
    return text + _stem(row)


def _stem(row: arch.Architecture) -> str:
    """How a name counts a deep stem; SENet-154's counts each of the three."""
    as_one = row.deep and str(row.weighted_layers) in row.name
    return "; the name counts the stem's three as one" if as_one else ""


def _weighted_classic(layers: list[arch.Layer]) -> str:
    shaped = [layer for layer in layers if layer.kind in ("conv", "linear")]
    counted = [layer for layer in shaped if on_longest(layer.name)]
    convolutions = sum(layer.kind == "conv" for layer in counted)
    text = f"{len(counted)} weighted layers: {convolutions} convolutions"
    linear = len(counted) - convolutions
    text += f" and {linear} linear" if linear else ""
    beside = len(shaped) - len(counted)
    return text + (f"; {beside} beside the longest way are not counted" if beside else "")


def _training_alone(name: str, layers: list[arch.Layer]) -> str:
    """A sentence on the auxiliary classifiers, "" where there are none."""
    heads = [layer for layer in arch.layers(name) if layer.head]
    if not heads or layers[-1].kind != "linear":
        return ""
    more = arch.count_trainable(tuple(p for layer in heads for p in layer.parameters))
    return f"\n{more:,} more in the auxiliary classifiers, which training alone runs"


def parse(package: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of ``python -m PACKAGE summary``: model, size (None: its own) and no_top."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}")
    terminal.add_version(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    about = "a network layer by layer: parameters, multiply-adds, receptive fields"
    shown = commands.add_parser("summary", help=about, description=about)
    known = "a name that weight-port architectures lists"
    shown.add_argument("model", choices=list(arch.ARCHITECTURES), metavar="MODEL", help=known)
    size = terminal.whole(32)
    shown.add_argument("--size", type=size, help="height and width of the image in pixels")
    shown.add_argument("--no-top", action="store_true", help="without the classifier")
    return parser.parse_args(arguments)


def text(name: str, modules: Mapping[str, Ran], tool: str) -> str:
    """The table of an architecture, and its sums.

    ``modules`` are those that ran, by path in the model; ``tool`` says who counted. The receptive
    field is a side in pixels; "image" stands for all of it.
    """
    extras.require(__name__, "torch,paddle", "tabulate")
    from tabulate import tabulate  # not needed, and not there, for anything else of this package

    layers = [layer for layer in arch.layers(name) if layer.path in modules]
    fields = arch.receptive_fields(name)
    lines, parameters, work = [], 0, 0
    for layer in layers:
        module = modules[layer.path]
        own = 0 if layer.kind in ("block", "concat") else module.parameters
        adds = _multiply_adds(layer, module)
        parameters, work = parameters + own, work + adds
        shape = " × ".join(str(side) for side in module.shape)
        field = str(fields.get(layer.name, "image"))
        lines.append([layer.name, layer.kind, shape, _number(own), _number(adds), field])
    right = ("left", "left", "left", "right", "right", "right")
    table = tabulate(lines, _HEADINGS, "simple", colalign=right, disable_numparse=True)
    return (
        f"{table}\n\n{name}: {_weighted(layers, arch.architecture(name))}\n"
        f"{parameters:,} trainable parameters, {work / 1e9:.3g} GMACs per image ({tool})"
        f"{_training_alone(name, layers)}"
    )
