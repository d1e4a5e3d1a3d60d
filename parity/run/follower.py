"""The follower of a run: it compares outputs as the workers write them, so that few are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parity.comparison.compare import Comparison, compare
from parity.comparison.known_differences import BN_MOMENTUM, unbiased
from parity.comparison.nil import LARGEST, REACH, STEPS, nil_gradient, same_shapes
from parity.run import cause
from parity.run.plan import Output, Section
from parity.run.results import FRAMEWORKS, Ranking, SectionResult
from parity.workers.outputs import done, load_output, path_of

_PAUSE = 0.005  # seconds between two looks
Alive = Callable[[], None]  # raises where no more outputs will come
Explain = Callable[[Section, str, Mapping[str, cause.Outputs]], "dict[str, Any] | None"]


@dataclass(frozen=True)
class Batch:
    """What a batch norm takes its statistics from."""

    count: int  # values of a channel
    momentum: float = BN_MOMENTUM  # the share that a step keeps, as Paddle has it


@dataclass
class Follower:
    """Where the outputs are, and what is needed to judge them.

    ``roots`` are each framework's folders, with a folder per run in them. ``check`` is asked while
    an output is waited for. ``weights()`` gives each framework's tensors under the outputs' names.
    ``batches`` says what each batch norm takes its statistics from, by layer, and ``explain`` why
    a section's first output that differs does so. ``keep`` leaves the files where they are.
    """

    roots: Mapping[str, Path]
    weights: cause.Weights
    batches: Mapping[str, Batch]
    explain: Explain = lambda _section, _first, _outputs: None
    check: Alive = lambda: None
    keep: bool = True

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
        arrays = []
        for side, run in (
            ("torch", section.run),
            ("paddle", section.run),
            ("paddle", section.reference),
        ):
            root = self.roots[side] / run
            arrays.append(self._wait(root / output.folder, root, output.name))
        if section.run == section.reference:
            arrays[2] = arrays[1]  # the same view: see metrics
        return arrays

    def compare(self, section: Section, output: Output) -> Comparison:
        """One output, once both frameworks have computed it."""
        torch, paddle, reference = self._arrays(section, output)

        def judge(paddle: np.ndarray | None, reference: np.ndarray | None) -> Comparison:
            precision = section.precision
            return compare(
                output.name, torch, paddle, reference, precision, output.what, output.step
            )

        plain = judge(paddle, reference)
        batch = self.batches.get(output.layer, Batch(0))
        if output.role != "variance" or paddle is None or reference is None or batch.count < 2:
            arrays = (torch, paddle, reference)
            return plain if plain.passed else self._nil(section, output, plain, arrays)
        start = self.weights()["paddle"][output.name]
        model = partial(
            unbiased, start=start, count=batch.count, step=output.step, momentum=batch.momentum
        )
        expected = model(paddle)
        modelled = judge(expected, expected if paddle is reference else model(reference))
        explained = f"PyTorch's variance is n/(n-1) times Paddle's, n = {batch.count}"
        return replace(modelled, explained=explained, unexplained_l2=plain.relative_l2)

    def _nil(
        self,
        section: Section,
        output: Output,
        plain: Comparison,
        arrays: Sequence[np.ndarray | None],
    ) -> Comparison:
        """A gradient that is nothing but rounding about zero, measured by the others' size.

        So is that of a bias before a batch norm, which subtracts it again. An optimizer that
        divides by the gradient's own size makes whole steps of it, as long as the worker says.
        """
        root = self.roots["paddle"] / section.reference / output.folder
        torch, paddle, reference = arrays
        if torch is None or paddle is None or reference is None or not same_shapes(arrays):
            return plain
        if output.what not in ("gradient", "step"):
            return plain
        if output.what == "step":
            reach = load_output(root, f"{REACH}{output.name}")
            if reach is None or not plain.max_abs <= float(reach):
                return plain
            return replace(plain, passed=True, problem="", explained=STEPS)
        largest = load_output(root, LARGEST)
        return plain if largest is None else nil_gradient(plain, torch, paddle, reference, largest)

    def section(self, section: Section, last: bool) -> SectionResult:
        """Compare every output of a section; ``last``: it is the last one with its reference."""
        comparisons: list[Comparison] = []
        ranking, equal = None, True
        window: list[list[Output]] = [[], []]  # the last block's outputs, and those since
        with ThreadPoolExecutor(2) as pool:  # NumPy lets go of the interpreter's lock
            compared = pool.map(partial(self.compare, section), section.outputs)
            for output, comparison in zip(section.outputs, compared, strict=True):
                comparisons.append(comparison)
                window[1].append(output)
                if output.what == "logits":
                    ranking = self._ranking(section, output)
                # What comes into a layer that differs is wanted for its diagnosis.
                equal = equal and comparison.passed
                if equal and output.ends_block:
                    self._drop(section, window.pop(0), last)
                    window.append([])
        if error := self._error(section):
            return SectionResult(section, error=error)
        different = [comparison.name for comparison in comparisons if not comparison.passed]
        why = self._cause(section, different[0]) if different else None
        self._drop(section, [output for part in window for output in part], last)
        return SectionResult(section, tuple(comparisons), ranking=ranking, cause=why)

    def _cause(self, section: Section, first: str) -> dict[str, Any] | None:
        """Why a section's first output that differs does so."""
        folders = {side: self.roots[side] / section.run for side in FRAMEWORKS}
        outputs = {side: partial(load_output, folder) for side, folder in folders.items()}
        return self.explain(section, first, outputs)

    def _ranking(self, section: Section, output: Output) -> Ranking | None:
        torch, paddle, _ = self._arrays(section, output)
        if torch is None or paddle is None or torch.shape != paddle.shape or torch.ndim != 2:
            return None
        return rank(torch, paddle) if _ranks(torch) and _ranks(paddle) else None

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


def _ranks(logits: np.ndarray) -> bool:
    """Whether logits put some class before another: NaN, infinity and equal ones don't."""
    wide = logits.astype(np.float64)
    return bool(np.isfinite(wide).all() and (np.ptp(wide, axis=1) > 0).all())


def rank(torch: np.ndarray, paddle: np.ndarray) -> Ranking:
    """Compare the classes that two sets of logits (N, classes) put first."""
    count = min(5, torch.shape[1])
    tops = [np.argsort(-side, axis=1, kind="stable")[:, :count] for side in (torch, paddle)]
    shared = sum(len(set(a) & set(b)) for a, b in zip(*tops, strict=True))
    same = int((tops[0][:, 0] == tops[1][:, 0]).sum())
    return Ranking(len(torch), same, shared / (count * len(torch)))
