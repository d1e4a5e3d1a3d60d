"""Every network of the table once, in float64: what the README's table of networks is made of.

``python -m parity.survey --out networks.json``: forward pass and gradients on made images of at
most 64 pixels, from seeded weights, both frameworks with the epsilon that Paddle keeps. At the
networks' own size the largest would take minutes each; ``python -m parity NAME`` does that.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import weight_port
from parity import machine, records
from parity.run.inputs import Given, subject
from parity.run.plan import Options
from parity.run.results import Report
from parity.run.run import run
from parity.workers.launch import WorkerError
from weight_port import arch
from weight_port.conversion import guard

SCHEMA = 1
SIZE = 64  # pixels; CIFAR's networks take their own 32
# The largest relative L2 with which a network counts as the same in both frameworks.
LOGITS, GRADIENTS = 1e-13, 1e-11
_OPTIONS = Options(precisions=("float64",), backward=True)
Row = dict[str, Any]
Record = dict[str, Any]


def described(name: str) -> Row:
    """What the table says of a network."""
    row = arch.architecture(name)
    return {
        "name": name,
        "year": row.year,
        "parameters": arch.count_trainable(arch.parameters(name)),
        "multiply_adds": arch.multiply_adds(name),
        "weighted_layers": row.weighted_layers,
        "size": row.size,
        "dialects": list(guard.holders(name)),
    }


def measured(report: Report) -> Row:
    """What a run says: the logits' relative L2 and the largest of a gradient; None if not run."""
    values: dict[str, list[float]] = {"logits": [], "gradient": []}
    for found in report.found:
        for output, seen in zip(found.section.outputs, found.outputs, strict=False):
            if output.what in values:
                values[output.what].append(seen.relative_l2)
    logits, gradients = (max(some, default=None) for some in values.values())
    # Not so for NaN either, and not where a run could not be done.
    within = logits is not None and logits <= LOGITS
    within = within and gradients is not None and gradients <= GRADIENTS
    return {"logits": logits, "gradients": gradients, "equal": report.passed and within}


class RecordError(Exception):
    """A record that rows can't be added to; the message says why."""


# What rows of one record have in common.
_COMMON = ("schema", "kind", "frameworks", "precision", "size", "bounds")
_MACHINE = ("os", "python", "cpu", "cores")  # of its context; a load is never twice the same


def check_alike(old: Record, new: Record) -> None:
    """Raises RecordError where rows of the two can't be in one record.

    ``new`` may be without what only a run says: the frameworks and the rows.
    """
    unlike = [key for key in _COMMON if key in new and old.get(key) != new[key]]
    machines = [record.get("context", {}).get("system", {}) for record in (old, new)]
    unlike += [key for key in _MACHINE if machines[0].get(key) != machines[1].get(key)]
    if unlike:
        raise RecordError(f"its {', '.join(unlike)} are not those of now: run all, without --add")


def added(old: Record, new: Record) -> Record:
    """The new record with the old one's other rows, each with the commit that it was run at.

    Raises RecordError where the two were not run alike.
    """
    check_alike(old, new)
    known = set(arch.ARCHITECTURES)
    rows = {row["name"]: row for row in _dated(old) if row["name"] in known}
    rows |= {row["name"]: row for row in _dated(new)}
    ordered = [rows[name] for name in arch.ARCHITECTURES if name in rows]
    return {**new, "networks": ordered}


def _dated(record: Record) -> list[Row]:
    return [{"commit": record["context"]["commit"], **row} for row in record["networks"]]


def survey(names: Sequence[str], out: Path, old: Record | None = None) -> list[Row]:
    """Run them in turn and write the record, with the rows of an ``old`` one that are not run.

    Returns what was run. Raises RecordError, parity.workers.launch.WorkerError and others.
    """
    record: Record = {
        "schema": SCHEMA,
        "kind": "networks",
        "context": machine.made(),
        "precision": "float64",
        "size": SIZE,
        "bounds": {"logits": LOGITS, "gradients": GRADIENTS},
    }
    if old is not None:  # now, not after the runs
        check_alike(old, record)
    rows: list[Row] = []
    said: dict[str, Any] = {}
    for name in names:
        row = arch.architecture(name)
        given = Given(size=row.size if row.fixed else min(SIZE, row.size))
        with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
            one = subject(name, given, Path(folder), _say)
            found = run(one, _OPTIONS, say=_say)
        said = {side: dict(words) for side, words in found.said.items()}
        rows.append({**described(name), **measured(found)})
    record |= {"frameworks": said, "networks": rows}
    record = record if old is None else added(old, record)
    out.parent.mkdir(parents=True, exist_ok=True)
    records.write(out, record, force=True)
    return rows


def _say(words: str) -> None:
    print(words, file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit status 0 where all are equal, 1 where one is not, 2 for an error."""
    parser = argparse.ArgumentParser(prog="python -m parity.survey", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all that there are, if none")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    kept = "keep FILE's rows of networks that are not run"
    parser.add_argument("--add", action="store_true", help=kept)
    words = parser.parse_args(arguments)
    unknown = [name for name in words.models if name not in arch.ARCHITECTURES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; python -m parity --list lists the networks")
    try:
        old = json.loads(words.out.read_text()) if words.add else None
        rows = survey(words.models or list(arch.ARCHITECTURES), words.out, old)
    except RecordError as error:
        print(f"parity.survey: {words.out}: {error}", file=sys.stderr)
        return 2
    except (weight_port.WeightPortError, WorkerError, OSError, ValueError) as error:
        print(f"parity.survey: {error}", file=sys.stderr)
        return 2
    wrong = [row["name"] for row in rows if not row["equal"]]
    print(f"{words.out}: {len(rows)} networks, {len(rows) - len(wrong)} equal in both frameworks")
    if wrong:
        print(f"not equal: {', '.join(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
