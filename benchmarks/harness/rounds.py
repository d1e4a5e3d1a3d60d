"""The rounds of a run: which process starts when, what becomes of its row, and what is said of it.

In every round each row has one process, forward and backward by turns (``cells.abba``): what a row
is compared with runs close to it, and a drift of the machine falls on all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from benchmarks.grid.cells import abba
from benchmarks.records.record import reason
from parity.workers.launch import WorkerError

Say = Callable[[str], None]
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


def run(
    rows: Sequence[AnyRow],
    rounds: int,
    process: Callable[[AnyRow, int], str],
    describe: Callable[[AnyRow], str],
    say: Say,
    failures: tuple[type[Exception], ...] = (WorkerError,),
    begin: Callable[[int], None] = lambda turn: None,
) -> None:
    """Run every process, and say of each row what came of it; ``begin`` is called in each round.

    ``process`` runs one in a round, keeps in the row what it gave, and returns that in a few
    words; what it raises of ``failures`` becomes the row's error.
    """
    total = len(rows) * rounds
    for done, (turn, index) in enumerate(abba(len(rows), rounds)):
        if done % len(rows) == 0:
            begin(turn)
        row, outcome = rows[index], ""
        if not row.error:
            try:
                outcome = process(row, turn)
            except failures as error:
                row.error = str(error)
        say(f"[{done + 1}/{total}] {describe(row)}: {reason(row.error) if row.error else outcome}")
