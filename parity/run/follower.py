"""Compares outputs as the workers write them, so that few are kept at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parity.comparison import known_differences
from parity.comparison import known_differences as comparison_known_differences
from parity.comparison.compare import Comparison, compare
from parity.run import cause
from parity.run.plan import Output, Section
from parity.run.results import FRAMEWORKS, Found, Ranking
from parity.workers.outputs import done, load_output, path_of

_PAUSE = 0.005  # seconds between two looks
Alive = Callable[[], None]  # raises where no more outputs will come


@dataclass
class Follower:
    """Where the outputs are, and what is needed to judge them.

    ``roots`` are each framework's folders, with a folder per run in them. ``check`` is asked while
    an output is waited for. ``weights()`` gives each framework's tensors in the dialect paddle1.
    ``keep`` leaves the files where they are.
    """

    roots: Mapping[str, Path]
    weights: cause.Weights
    images: np.ndarray
    check: Alive = lambda: None
    keep: bool = True
    counts: dict[str, int] = field(default_factory=dict)  # values of a channel, by batch norm

    def _wait(self, folder: Path, run: Path, name: str) -> np.ndarray | None:
        """An output once it is there; None where the run ended without it."""
        while True:
            ended = done(run)  # before the look: what is there when it has ended is all there is
            output = load_output(folder, name)
            if output is not None or ended is not None:
                return output
            self.check()
            time.sleep(_PAUSE)

    def _error(self, section: Section) -> str:
        """Why a run of a section could not be done, "" where all could; waits for their end."""
        runs = [(side, self.roots[side] / section.run) for side in FRAMEWORKS]
        runs.append(("paddle", self.roots["paddle"] / section.reference))
        for side, run in dict.fromkeys(runs):
            while (ended := done(run)) is None:
                self.check()
                time.sleep(_PAUSE)
            if ended["error"]:
                return f"{side} could not run it: {ended['error']}"
        return ""

    def _arrays(self, section: Section, output: Output) -> list[np.ndarray | None]:
        """torch's, Paddle's, the reference."""
        found = []
        for side, run in (
            ("torch", section.run),
            ("paddle", section.run),
            ("paddle", section.reference),
        ):
            root = self.roots[side] / run
            found.append(self._wait(root / output.folder, root, output.name))
        if section.run == section.reference:
            found[2] = found[1]  # the same view: see metrics
        return found

    def compare(self, section: Section, output: Output) -> Comparison:
        """One output, once both frameworks have computed it."""
        torch, paddle, reference = self._arrays(section, output)

        def judge(paddle: np.ndarray | None, reference: np.ndarray | None) -> Comparison:
            precision = section.precision
            return compare(
                output.name, torch, paddle, reference, precision, output.what, output.step
            )

        found = judge(paddle, reference)
        if output.what == "layer" and len(found.shape) == 4:
            self.counts[output.layer] = found.shape[0] * found.shape[2] * found.shape[3]
        count = self.counts.get(output.layer, 0)
        if output.role != "variance" or paddle is None or reference is None or count < 2:
            return found
        start = self.weights()["paddle"][output.name]
        unbiased = partial(
            known_differences.unbiased,
            start=start,
            count=count,
            step=output.step,
            momentum=comparison_known_differences.BN_MOMENTUM,
        )
        expected = unbiased(paddle)
        modelled = judge(expected, expected if paddle is reference else unbiased(reference))
        said = f"PyTorch's variance is n/(n-1) times Paddle's, n = {count}"
        return replace(modelled, explained=said, unexplained_l2=found.relative_l2)

    def section(self, model: str, section: Section, last: bool) -> Found:
        """Every output of a section; ``last``: of those with its reference."""
        found: list[Comparison] = []
        ranking, equal = None, True
        window: list[list[Output]] = [[], []]  # the last block's outputs, and those since
        with ThreadPoolExecutor(2) as pool:  # NumPy lets go of the interpreter's lock
            compared = pool.map(partial(self.compare, section), section.outputs)
            for output, comparison in zip(section.outputs, compared, strict=True):
                found.append(comparison)
                window[1].append(output)
                if output.what == "logits":
                    ranking = self._ranking(section, output)
                # What comes into a layer that differs is wanted for its diagnosis.
                equal = equal and comparison.passed
                if equal and output.ends_block:
                    self._drop(section, window.pop(0), last)
                    window.append([])
        if error := self._error(section):
            return Found(section, error=error)
        wrong = [comparison.name for comparison in found if not comparison.passed]
        why = self._cause(model, section, wrong[0]) if wrong else None
        self._drop(section, [output for part in window for output in part], last)
        return Found(section, tuple(found), ranking=ranking, cause=why)

    def _cause(self, model: str, section: Section, first: str) -> dict[str, Any] | None:
        """The first cause that is found is the run's."""
        folders = {side: self.roots[side] / section.run for side in FRAMEWORKS}
        outputs = {side: partial(load_output, folder) for side, folder in folders.items()}
        return cause.find(model, section, first, outputs, self.weights, self.images)

    def _ranking(self, section: Section, output: Output) -> Ranking | None:
        torch, paddle, _ = self._arrays(section, output)
        if torch is None or paddle is None or torch.shape != paddle.shape or torch.ndim != 2:
            return None
        return rank(torch, paddle)

    def _drop(self, section: Section, outputs: list[Output], last: bool) -> None:
        """Remove what has been compared and is not needed again; the logits are small."""
        runs = [("torch", section.run)]
        if section.run != section.reference or last:
            runs.append(("paddle", section.run))
        if last or section.kind == "isolated":
            runs.append(("paddle", section.reference))
        for output in () if self.keep else outputs:
            for side, run in runs if output.what != "logits" else ():
                path_of(self.roots[side] / run / output.folder, output.name).unlink(missing_ok=True)


def rank(torch: np.ndarray, paddle: np.ndarray) -> Ranking:
    """Compare the classes that two sets of logits (N, classes) put first."""
    count = min(5, torch.shape[1])
    tops = [np.argsort(-side, axis=1, kind="stable")[:, :count] for side in (torch, paddle)]
    shared = sum(len(set(a) & set(b)) for a, b in zip(*tops, strict=True))
    same = int((tops[0][:, 0] == tops[1][:, 0]).sum())
    return Ranking(len(torch), same, shared / (count * len(torch)))
