"""The rounds of a run: which process starts when, and what becomes of its row.

In every round each row has one process, forward and backward by turns (``cells.abba``): what a row
is compared with runs close to it, and a drift of the machine falls on all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from benchmarks.grid.cells import abba
from benchmarks.harness.lasting import SECONDS, Say, Step
from benchmarks.records import marks
from benchmarks.records.record import reason
from parity.workers.launch import WorkerError

__all__ = ["Fallible", "Row", "Say", "steps"]

Case = TypeVar("Case")


class Fallible(Protocol):
    """A row that may fail."""

    error: str | None


AnyRow = TypeVar("AnyRow", bound=Fallible)


@dataclass
class Row(Generic[Case]):
    """What is timed, and what came of it so far; a row with an error is not run again."""

    case: Case
    error: str | None = None
    processes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, turn: int, result: dict[str, Any]) -> None:
        """Keep what a process of a round gave; where it failed parity, so did the row."""
        self.processes.append({"round": turn, **result})
        self.error = result["parity"]["error"]

    def outcome(self, key: str = "processes") -> dict[str, Any]:
        """What came of it, for its entry in the record: there its processes are in ``key``."""
        return {"error": self.error, key: list(self.processes)}

    def restore(self, entry: Mapping[str, Any], key: str = "processes") -> None:
        """Take over what came of it so far, from its entry in a record."""
        self.error = None if entry["error"] == marks.PENDING else entry["error"]
        self.processes = list(entry[key])


def _work(
    row: AnyRow,
    turn: int,
    process: Callable[[AnyRow, int], str],
    failures: tuple[type[Exception], ...],
) -> str:
    """One process of a row that has not failed; returns what came of it in a few words."""
    outcome = ""
    if not row.error:
        try:
            outcome = process(row, turn)
        except failures as error:
            row.error = str(error)
    return reason(row.error) if row.error else outcome


def steps(
    rows: Sequence[AnyRow],
    rounds: int,
    process: Callable[[AnyRow, int], str],
    describe: Callable[[AnyRow], str],
    failures: tuple[type[Exception], ...] = (WorkerError,),
    before: Callable[[int], Sequence[Step]] = lambda turn: (),
    seconds: Callable[[AnyRow], float] = lambda row: SECONDS,
) -> list[Step]:
    """Every process of every row in its order; in each round ``before`` has steps that come first.

    ``process`` runs one in a round, keeps in the row what it gave, and returns that in a few
    words; what it raises of ``failures`` becomes the row's error. ``seconds`` is how long a process
    may take.
    """
    planned: list[Step] = []
    for count, (turn, index) in enumerate(abba(len(rows), rounds)):
        if count % len(rows) == 0:
            planned += before(turn)
        row = rows[index]
        work = partial(_work, row, turn, process, failures)
        planned.append(Step(describe(row), work, seconds(row)))
    return planned
