"""``python -m parity.survey --out networks.json``: every network once, in float64.

The README's table of networks is made from its record. Forward pass and gradients on synthetic
images of at most 64 pixels, from seeded weights, both frameworks with the epsilon that Paddle
stores. At the networks' own size the largest would take minutes each; ``python -m parity NAME``
does that.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import weight_port
from parity import machine, records
from parity.images import ImageError
from parity.records import Record, RecordError
from parity.run.inputs import Given, UsageError, subject
from parity.run.plan import Options
from parity.run.results import Report
from parity.run.run import run
from parity.workers.launch import WorkerError
from weight_port import arch, terminal
from weight_port.conversion import guard

SCHEMA = Path(__file__).with_name("survey.schema.json")
SIZE = 64  # pixels; CIFAR's networks take their own 32
# The largest relative L2 with which a network counts as the same in both frameworks.
LOGITS, GRADIENTS = 1e-13, 1e-11
_OPTIONS = Options(precisions=("float64",), backward=True)
_ERRORS = (
    ImageError, OSError, RecordError, UsageError, WorkerError, weight_port.WeightPortError
)  # fmt: skip
Row = dict[str, Any]


def described(name: str) -> Row:
    """What the tables of ``weight_port.arch`` say of a network."""
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
    """What a run says: the logits' relative L2, and the largest of a gradient.

    None for what was not run, or is not finite; such a network is not equal.
    """
    values: dict[str, list[float]] = {"logits": [], "gradient": []}
    for result in report.results:
        for output, comparison in zip(result.section.outputs, result.outputs, strict=False):
            if output.what in values:
                values[output.what].append(comparison.relative_l2)
    logits, gradients = map(_largest, values.values())
    within = logits is not None and logits <= LOGITS
    within = within and gradients is not None and gradients <= GRADIENTS
    return {"logits": logits, "gradients": gradients, "equal": report.passed and within}


def _largest(values: list[float]) -> float | None:
    """None for no values, or where one is NaN or infinite: JSON has neither."""
    return max(values) if values and all(map(math.isfinite, values)) else None


# -- the record


# What rows of one record have in common.
_COMMON = ("schema", "kind", "frameworks", "precision", "size", "bounds")
_MACHINE = ("os", "python", "cpu", "cores")  # of its context; a load is never twice the same


def read(path: Path) -> Record:
    """The record of a survey. Raises RecordError for any other file."""
    return records.read(path, SCHEMA, "record of a survey")


def check_alike(old: Record, new: Record, where: object) -> None:
    """Raises RecordError where rows of the two can't be in one record, which is at ``where``.

    ``new`` may be without what only a run says: the frameworks and the rows.
    """
    unlike = [key for key in _COMMON if key in new and old.get(key) != new[key]]
    old_machine, new_machine = (record["context"]["system"] for record in (old, new))
    unlike += [key for key in _MACHINE if old_machine.get(key) != new_machine.get(key)]
    if unlike:
        raise RecordError(
            f"{where}: its {', '.join(unlike)} are not those of this run; run all networks, "
            "without --add"
        )


def added(old: Record, new: Record, where: object) -> Record:
    """The new record with the old one's other rows, each with the commit that it was run at.

    Raises RecordError where the two were not run alike; ``where`` is the record's file.
    """
    check_alike(old, new, where)
    known = set(arch.ARCHITECTURES)
    rows = {row["name"]: row for row in _dated(old) if row["name"] in known}
    rows |= {row["name"]: row for row in _dated(new)}
    ordered = [rows[name] for name in arch.ARCHITECTURES if name in rows]
    return {**new, "networks": ordered}


def _dated(record: Record) -> list[Row]:
    return [{"commit": record["context"]["commit"], **row} for row in record["networks"]]


# -- the command


def survey(names: Sequence[str], out: Path, old: Record | None = None) -> list[Row]:
    """Run the networks in turn and write the record, with an ``old`` one's other rows.

    Returns what was run. Raises RecordError, parity.workers.launch.WorkerError and others.
    """
    record: Record = {
        "schema": records.version(SCHEMA),
        "kind": "networks",
        "context": machine.context(),
        "precision": "float64",
        "size": SIZE,
        "bounds": {"logits": LOGITS, "gradients": GRADIENTS},
    }
    if old is not None:  # now, not after the runs
        check_alike(old, record, out)
    rows: list[Row] = []
    for name in names:
        report = _run(name)
        record["frameworks"] = {side: dict(worker) for side, worker in report.frameworks.items()}
        rows.append({**described(name), **measured(report)})
    record["networks"] = rows
    record = record if old is None else added(old, record, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    records.check(record, SCHEMA, out, "record of a survey")
    records.write(out, record, force=True)
    return rows


def _run(name: str) -> Report:
    """A network in both frameworks, at no more than SIZE pixels."""
    row = arch.architecture(name)
    given = Given(size=row.size if row.fixed else min(SIZE, row.size))
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        network = subject(name, given, Path(folder), terminal.progress)
        return run(network, _OPTIONS, say=terminal.progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity.survey",
        description=__doc__,
        epilog="Exit status: 0 all are equal, 1 one is not, 2 wrong usage or not possible to run.",
    )
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="every network, if none is named")
    add("--out", type=Path, required=True, metavar="FILE")
    add("--add", action="store_true", help="keep FILE's rows of networks that are not run")
    terminal.add_version(parser)
    return parser


def _survey(args: argparse.Namespace) -> int:
    old = read(args.out) if args.add else None
    rows = survey(args.models or list(arch.ARCHITECTURES), args.out, old)
    different = [row["name"] for row in rows if not row["equal"]]
    equal = len(rows) - len(different)
    print(f"{args.out}: {len(rows)} networks, {equal} equal in both frameworks")
    if different:
        print(f"not equal: {', '.join(different)}")
    return int(bool(different))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = _parser()
    args = parser.parse_args(arguments)
    unknown = [name for name in args.models if name not in arch.ARCHITECTURES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; python -m parity --list lists the networks")
    return terminal.run("parity.survey", lambda: _survey(args), _ERRORS, "no record was written")


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
