"""A run that lasts: its steps, the record that grows with each of them, and how it goes on.

A step is the most that can be lost: one process of one row, as a rule. After each of them the
record is written anew, whole or not at all, so whatever ends the run (Ctrl-C, SIGKILL, a crash, a
lost connection) costs the step under way alone. The steps of a run are always the same, in the same
order; a record that is not complete says how many of them are done, and a run goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.records import marks
from benchmarks.records.record import Record, RecordError
from parity import machine
from weight_port.storage import disk

Say = Callable[[str], None]

SILENCE = 4.0  # seconds after which a step that still runs says so
SECONDS = 10.0  # of a step that nobody timed: mostly the import of a framework
# Of a row's entry, what its processes gave, and all that came of it; the rest tells it from others.
_PROCESSES = ("processes", "runs", "wall_ns")
_OUTCOME = ("error", *_PROCESSES, "accuracies", "ran_batch")
# Of a record's settings and context, what two halves of one run need not have in common.
_FREE = ("wall_ns", "date", "commit", "load")


@dataclass(frozen=True)
class Step:
    """What is done without a break; ``work`` keeps what it gave and says it in a few words."""

    what: str  # is running, in a line of progress; the same for all processes of a row
    work: Callable[[], str]
    seconds: float = SECONDS  # that it may take, for as long as none like it has run


class Restored(Protocol):
    """A row of a run that goes on from a record."""

    def restore(self, entry: Mapping[str, Any]) -> None:
        """Take over what came of it so far, from its entry in the record."""


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "6 min", "2 h 5 min"."""
    minutes = round(seconds / 60)
    if seconds < 99:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextlib.contextmanager
def heartbeat(say: Say, what: str) -> Iterator[None]:
    """While the block runs, say so whenever ``SILENCE`` has passed."""
    ended, begin = threading.Event(), time.monotonic()

    def beat() -> None:
        while not ended.wait(SILENCE):
            say(f"{what}: running, {duration(time.monotonic() - begin)}")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Clock:
    """How long steps took, and so how long those that are left may take."""

    def __init__(self) -> None:
        self._took: dict[str, float] = {}
        self._spent = self._expected = 0.0

    def add(self, step: Step, seconds: float) -> None:
        """A step has taken so long."""
        self._took[step.what] = seconds
        self._spent, self._expected = self._spent + seconds, self._expected + step.seconds

    def expected(self, step: Step) -> float:
        """As long as the last one of its row, or what was expected, as well as that was right."""
        scale = self._spent / self._expected if self._expected else 1.0
        return self._took.get(step.what, step.seconds * scale)

    def left(self, steps: Sequence[Step]) -> float:
        """Seconds that these may take."""
        return sum(map(self.expected, steps))


@dataclass
class Lasting:
    """Where a run's record grows, what it goes on from, and how long it may take.

    Without a file nothing is kept before the end.
    """

    file: Path | None = None
    force: bool = False  # replaces the file
    previous: Record | None = None  # what it goes on from
    max_seconds: float = math.inf
    steps: Sequence[Step] = ()  # all of the run's
    done: int = 0  # of them
    _key: str = ""  # of the record's rows
    _since: float = field(default_factory=time.monotonic)
    _resumed: list[dict[str, Any]] = field(default_factory=list)

    def wall_ns(self) -> int:
        """How long the run has taken so far, with all that it goes on from."""
        before = self.previous["settings"].get("wall_ns", 0) if self.previous else 0
        return int(before + (time.monotonic() - self._since) * 1e9)

    def begin(
        self, steps: Sequence[Step], fresh: Record, rows: Sequence[Restored], key: str
    ) -> Mapping[str, Any]:
        """Give the rows what the previous record, which is returned, has of them in ``key``.

        ``fresh`` is the record of this run before its first step. Raises RecordError where the
        previous one is of another run, and says what differs.
        """
        self.steps, self._key = steps, key
        if self.previous is None:
            return {}
        self.force = True  # the file is this run's own
        parts = self.previous.get(marks.INCOMPLETE, {"done": len(steps), "of": len(steps)})
        differing = differences(self.previous, fresh, key)
        if not differing and parts["of"] != len(steps):
            differing = [f"steps: {parts['of']}, now {len(steps)}"]
        if differing:
            raise RecordError(
                f"{self.file}: a record of another run, so this one can't go on from it:\n  "
                + "\n  ".join(differing)
                + "\nname another file, or pass --force instead of --resume to replace it"
            )
        self.done = parts["done"]
        self._resumed = list(self.previous.get(marks.RESUMED, ()))
        if self.is_left():
            self._resumed.append({"date": machine.date(), "done": self.done})
        for row, entry in zip(rows, self.previous[key], strict=True):
            row.restore(entry)
        return self.previous

    def is_left(self) -> bool:
        """Whether there is a step to do, after ``begin``."""
        return self.done < len(self.steps)

    def run(self, snapshot: Callable[[], Record], say: Say) -> Record:
        """Do the steps that are left, as far as there is time; returns the record.

        ``snapshot`` gives the record of what the rows hold.
        """
        try:
            self._run(snapshot, say)
        except KeyboardInterrupt:
            say(self._kept())
            raise
        if self.is_left():
            say(f"the time is over; {self._kept()}")
        return self._record(snapshot())

    def _run(self, snapshot: Callable[[], Record], say: Say) -> None:
        clock, first, total = _Clock(), self.done, len(self.steps)
        for index in range(first, total):
            step, begin = self.steps[index], time.monotonic()
            # One step at least: else a run whose steps are long would never get on.
            if index > first and begin + clock.expected(step) > self._since + self.max_seconds:
                return
            with heartbeat(say, f"[{index + 1}/{total}] {step.what}"):
                outcome = step.work()
            clock.add(step, time.monotonic() - begin)
            self.done = index + 1
            self._write(snapshot())
            left = clock.left(self.steps[index + 1 :])
            more = f"; about {duration(left)} left" if left >= 1 else ""
            say(f"[{index + 1}/{total}] {step.what}: {outcome}{more}")

    def _record(self, record: Record) -> Record:
        """With how far it is, where it is not complete, and when it went on."""
        if self._resumed:
            record = {**record, marks.RESUMED: self._resumed}
        if not self.is_left():
            return record
        rows = {self._key: [_pending(row) for row in record[self._key]]} if self._key else {}
        return {**record, **rows, marks.INCOMPLETE: {"done": self.done, "of": len(self.steps)}}

    def _write(self, record: Record) -> None:
        """Write the record as it is now."""
        if self.file is None:
            return
        # Without indents, which take thirty times as long: a record is rewritten many times.
        text = json.dumps(self._record(record), allow_nan=False)
        disk.write_text(self.file, f"{text}\n", self.force)
        self.force = True  # the file is this run's own from now on

    def _kept(self) -> str:
        steps = f"{self.done} of {len(self.steps)} steps"
        if self.file is None or not self.done:
            return f"{steps} were done, and none is kept"
        return f"{self.file}: {steps} are kept; --resume --json {self.file} does the rest"


def _pending(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row's entry, which says so where no process of it has run."""
    is_pending = row["error"] is None and not any(row.get(key) for key in _PROCESSES)
    return {**row, "error": marks.PENDING} if is_pending else row


def differences(before: Record, after: Record, key: str) -> list[str]:
    """A line for each thing in which two runs, as their records have them, were not alike.

    Settings, machine, software, the code that measures, and the rows in ``key``.
    """
    kind = str(after.get("kind", "forward"))
    now = json.loads(json.dumps(after))
    if (name := before.get("kind", "forward")) != kind:
        return [f"kind: {name}, now {kind}"]
    return list(_different(_told(before, key, kind), _told(now, key, kind), ""))


def _told(record: Mapping[str, Any], key: str, kind: str) -> dict[str, Any]:
    """What has to be the same in two halves of a run."""
    context = {**record["context"], "rooms": record["context"].get("rooms", {}).get(kind)}
    rows = [{k: v for k, v in row.items() if k not in _OUTCOME} for row in record[key]]
    return {"settings": record["settings"], "context": context, key: rows}


def _different(before: Any, after: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if key not in _FREE:
                yield from _different(before.get(key), after.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _different(*pair, f"{where}[{index}]")
    elif before != after:
        yield f"{where}: {_short(before)}, now {_short(after)}"


def _short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} of them"
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}…"
