"""The plan of a pair's run: the names of what is compared, the sections, and each side's runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.comparison.known_differences import as_float32
from parity.pair.matching.match import Matching
from parity.pair.matching.weights import Entry
from parity.pair.sides.watch import INTO, numbered
from parity.run import plan
from parity.run.follower import Batch
from parity.run.plan import Options, Output, Section

Trace = Mapping[str, Any]
OPTIMIZERS = ("sgd", "adam", "adamw")
_ADAM = {"betas": [as_float32(0.9), as_float32(0.999)], "epsilon": as_float32(1e-8)}
_STATISTICS = ("mean", "variance")
_LONGEST = 200  # characters of a name, which is a file's as well


@dataclass(frozen=True)
class Layout:
    """Both sides' traces, what is matched in them, and the map of weights."""

    torch: Trace
    paddle: Trace
    matching: Matching
    entries: Sequence[Entry]

    def names(self) -> dict[tuple[int, int], str]:
        """The name of every match, by the calls' numbers."""
        return {
            (match.torch, match.paddle): _name(
                self.torch["calls"][match.torch]["call"], self.paddle["calls"][match.paddle]["call"]
            )
            for match in self.matching.matches
        }

    def between(self) -> dict[int, list[int]]:
        """Which inputs of Paddle's calls a function made, between the layers, on either side.

        Of matched leaves, by the inputs' numbers: those that are not one matched layer's output as
        it is, or the network's own input. A function is seen there: a sum, a ReLU, a reshape.
        """
        partner = {match.torch: match.paddle for match in self.matching.matches} | {-1: -1}
        between = {}
        for match in self.matching.matches:
            a, b = self.torch["calls"][match.torch], self.paddle["calls"][match.paddle]
            if b["leaf"] and len(a["inputs"]) == len(b["inputs"]):
                pairs = enumerate(zip(a["from"], b["from"], strict=True))
                made = [n for n, (x, y) in pairs if None in (x, y) or partner.get(x) != y]
                between[match.paddle] = made
        return between


def _name(torch: str, paddle: str) -> str:
    """Both calls' names, or the one that both have; it may be a file's."""
    name = (torch if torch == paddle else f"{torch} = {paddle}").replace("/", "_")
    return name if len(name) <= _LONGEST else f"{torch[: _LONGEST // 2]}… = {paddle[-90:]}"


def batches(layout: Layout) -> dict[str, Batch]:
    """What each batch norm of Paddle's takes its statistics from."""
    found = {}
    for call in layout.paddle["calls"]:
        if call["kind"] == "batch_norm" and call["inputs"]:
            shape = call["inputs"][0]
            count = shape[0] * math.prod(shape[2:])
            found[call["call"]] = Batch(count, as_float32(call["settings"]["momentum"]))
    return found


# -- what is compared


def sections(layout: Layout, options: Options, inputs: Iterable[str]) -> tuple[Section, ...]:
    """Everything that is compared; ``inputs`` are the names of floating-point ones."""
    inputs = list(inputs)

    def outputs(kind: str, mode: str) -> Iterator[Output]:
        if kind in ("forward", "isolated"):
            yield from _layers(layout, kind == "forward")
        if kind == "forward":
            counts = (len(trace["outputs"]) for trace in (layout.torch, layout.paddle))
            for number in range(max(counts)):
                yield Output(numbered("output", number), "layer")
        if kind == "gradients":
            yield from _gradients(layout, mode, inputs)
        if kind == "training":
            for step in range(1, options.steps + 1):
                yield from _step(layout, step)

    return plan.sections_of(options, outputs)


def _layers(layout: Layout, inputs: bool) -> Iterator[Output]:
    names, between = layout.names(), layout.between()
    for match in layout.matching.matches:
        name = names[match.torch, match.paddle]
        for number in between.get(match.paddle, ()) if inputs else ():
            yield Output(numbered(f"{INTO}{name}", number), "layer", layer=name)
        sides = layout.torch["calls"][match.torch], layout.paddle["calls"][match.paddle]
        for number in range(min(len(side["outputs"]) for side in sides)):
            yield Output(numbered(name, number), "layer", layer=name)


def _gradients(layout: Layout, mode: str, inputs: Sequence[str]) -> Iterator[Output]:
    yield Output("loss", "gradient")
    nil = nil_gradients(layout, mode)
    for entry in reversed(layout.entries):
        if entry.role not in _STATISTICS and entry.target not in nil:
            yield Output(entry.target, "gradient", layer=entry.layer, role=entry.role)
    for name in inputs:
        yield Output(f"input {name}", "gradient")


def _step(layout: Layout, step: int) -> Iterator[Output]:
    where, nil = f"step{step}", nil_gradients(layout, "train")
    yield Output("loss", "step", where, step=step)
    for entry in layout.entries:
        if entry.target not in nil:
            yield Output(entry.target, "step", where, entry.layer, entry.role, step)


def nil_gradients(layout: Layout, mode: str) -> set[str]:
    """Paddle's keys of parameters whose gradient is nothing but rounding about zero.

    In training mode a batch norm subtracts the mean, and so the bias, of the layer before it; a
    softmax over keys does not see what is added to all of them.
    """
    leaves = [call for call in layout.paddle["calls"] if call["leaf"]]
    nil = {entry.target for entry in layout.entries if entry.role == "k_proj.bias"}
    for before, norm in itertools.pairwise(leaves):
        biased = before["kind"] in ("conv", "conv_transpose", "linear")
        shapes = [shape for _, shape, _ in before["outputs"]]
        if mode == "train" and biased and norm["kind"] == "batch_norm" and norm["inputs"] == shapes:
            layer = before["call"]
            nil |= {e.target for e in layout.entries if e.layer == layer and e.role == "bias"}
    return nil


# -- what runs


def runs(framework: str, layout: Layout, options: Options, optimizer: str) -> list[dict[str, Any]]:
    """The runs of a side's worker, in order; folders are relative."""
    calls = layout.torch["calls"] if framework == "torch" else layout.paddle["calls"]
    watched = {calls[getattr(match, framework)]["call"]: name for match, name in
               zip(layout.matching.matches, layout.names().values(), strict=True)}  # fmt: skip
    between = layout.between()
    into = {
        calls[getattr(match, framework)]["call"]: between.get(match.paddle, [])
        for match in layout.matching.matches
    }
    common: dict[str, Any] = {"calls": watched, "tensors": _tensors(framework, layout.entries)}
    common |= {"optimizer": optimizer, **_ADAM}
    if framework == "torch":
        common["alike"] = alike(layout)
    return [
        {**run, **common, "into": into if kind == "forward" else {}}
        for kind, mode in plan.groups(options)
        for run in plan.of_kind(framework, kind, mode, options)
    ]


ALIKE = ("hardsigmoid", "avg_pool", "adaptive_avg_pool")  # kinds with a known difference


def alike(layout: Layout) -> dict[str, list[str]]:
    """By kind, torch's layers that are to compute as Paddle's of that kind are known to."""
    paths: dict[str, list[str]] = {kind: [] for kind in ALIKE}
    for match in layout.matching.matches:
        a, b = layout.torch["calls"][match.torch], layout.paddle["calls"][match.paddle]
        if a["kind"] == b["kind"] in ALIKE and a["path"] not in paths[a["kind"]]:
            paths[a["kind"]].append(a["path"])
    return paths


def _tensors(framework: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """How a side's tensors get Paddle's names and layout."""
    if framework == "paddle":
        return [{"key": e.target, "name": e.target, "order": None, "part": None} for e in entries]
    return [{"key": entry.source, "name": entry.target, "order": entry.order or None,
             "part": entry.part} for entry in entries]  # fmt: skip
