"""``weight-port convert``: one file, or many in parallel processes."""

from __future__ import annotations

import argparse
import glob
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weight_port.errors import WeightPortError, one_line
from weight_port.formats.table import FORMATS, holds_metadata
from weight_port.storage import digest
from weight_port.storage.disk import check_apart
from weight_port.terminal import progress, say, say_error, say_json

if TYPE_CHECKING:
    from concurrent.futures import Future

    from weight_port.conversion.convert_file import Ported
    from weight_port.storage.digest import Digest


@dataclass(frozen=True)
class Task:
    """One conversion; plain data, for a process of its own."""

    source: Path
    destination: Path
    to: str | None
    dialect: str | None
    architecture: str | None
    include_top: bool
    force: bool
    linear_layout: str | None
    fold: bool
    allow_mismatch: bool
    key: str | None
    prefix: str | None
    drop: tuple[str, ...]
    rest: str | None
    to_prefix: str | None
    into: Path | None
    rules: Path | None = None
    reverse: bool = False

    def run(self) -> dict[str, Any]:
        """Convert; returns what was done. Raises WeightPortError and OSError."""
        # While NumPy is being imported.
        sha256 = digest.start(self.source) if holds_metadata(self.destination.name) else None
        if self.rules is not None:
            return _by_rules(self, self.rules, sha256)
        assert self.to is not None
        from weight_port.conversion.convert_file import convert_file

        names = [field.name for field in fields(self) if field.name not in ("rules", "reverse")]
        options = {name: getattr(self, name) for name in names}
        return _report(self, convert_file(**options, sha256=sha256))


def _report(task: Task, done: Ported) -> dict[str, Any]:
    detection = done.source
    return {
        "source": str(task.source),
        "destination": str(task.destination),
        "to": task.to,
        "architecture": detection.architecture if detection else None,
        "dialect": detection.dialect if detection else None,
        "reason": detection.reason if detection else None,
        "tensors": done.tensors,
        "counters_made": done.counters_made,
        "left_out": list(done.dropped),
        "notes": list(done.notes),
        "undecided": list(done.undecided),
        "prefix": done.prefix,
        "others": dict(done.others),
    }


def _by_rules(task: Task, rules: Path, sha256: Digest | None) -> dict[str, Any]:
    from weight_port.rules.convert_file import convert_file

    done = convert_file(
        task.source,
        task.destination,
        rules,
        reverse=task.reverse,
        force=task.force,
        sha256=sha256,
    )
    made = (f"made by the rules: {len(done.made)} tensors",) if done.made else ()
    return {
        "source": str(task.source),
        "destination": str(task.destination),
        "to": None,
        "rules": str(rules),
        "reverse": task.reverse,
        "architecture": None,
        "dialect": None,
        "reason": None,
        "tensors": len(done.tensors),
        "counters_made": 0,
        "left_out": list(done.dropped),
        "notes": list(made),
        "undecided": [],
        "prefix": "",
        "others": {},
    }


def run(args: argparse.Namespace) -> int:
    """Convert one file or many; returns the exit status. Raises WeightPortError for one."""
    tasks = _tasks(args)
    if args.out_dir is None:
        done = tasks[0].run()
        if args.json:
            say_json({"done": [done], "failed": []})
        else:
            _print(done)
        return 0
    for task in tasks:
        check_apart(task.source, task.destination)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    return _run_all(tasks, args)


# -- what to convert


def _check_target(args: argparse.Namespace) -> None:
    """Leave by ``wrong_usage`` where what to convert to is said twice, or not at all."""
    if (args.to is None) == (args.rules is None):
        args.wrong_usage("one of --to DIALECT and --rules FILE")
    if args.rules is None:
        if args.reverse:
            args.wrong_usage("--reverse goes with --rules")
        return
    others = {
        "--from": args.dialect,
        "--architecture": args.architecture,
        "--no-top": args.no_top,
        "--fold": args.fold,
        "--allow-mismatch": args.allow_mismatch,
        "--linear-layout": args.linear_layout,
        "--key": args.key,
        "--prefix": args.prefix,
        "--drop": args.drop,
        "--rest": args.rest,
        "--to-prefix": args.to_prefix,
        "--into": args.into,
    }
    if given := ", ".join(name for name, value in others.items() if value):
        args.wrong_usage(f"--rules says all that is done: no {given}")


def _tasks(args: argparse.Namespace) -> list[Task]:
    _check_target(args)
    if args.to == "raw" and (args.dialect or args.architecture or args.no_top):
        args.wrong_usage("--to raw changes nothing: no --from, --architecture or --no-top")
    if args.to == "raw" and args.prefix is not None:
        args.wrong_usage("--to raw writes every tensor as it is: no --prefix")
    if args.to != "raw" and args.linear_layout:
        args.wrong_usage("--linear-layout goes with --to raw; a dialect has its own layout")
    if args.out_dir is None:
        if len(args.paths) != 2:
            args.wrong_usage("SRC and DST, or several SRC with --out-dir DIR --format FORMAT")
        if args.format is not None:
            args.wrong_usage("--format goes with --out-dir; the suffix of DST is its format")
        return [_task(args, Path(args.paths[0]), Path(args.paths[1]))]
    if args.format is None:
        args.wrong_usage("--out-dir needs --format")
    if args.into is not None or args.rest not in (None, "drop", "keep"):
        args.wrong_usage("--into and --rest FILE are for one SRC; with --out-dir: drop or keep")
    suffix = next(iter(FORMATS[args.format].suffixes), "")
    tasks = [
        _task(args, source, args.out_dir / f"{_stem(source)}{suffix}")
        for source in _expand(args.paths)
    ]
    _check_distinct(tasks, args)
    return tasks


def _task(args: argparse.Namespace, source: Path, destination: Path) -> Task:
    return Task(
        source,
        destination,
        args.to,
        args.dialect,
        args.architecture,
        not args.no_top,
        args.force,
        args.linear_layout,
        args.fold,
        args.allow_mismatch,
        args.key,
        args.prefix,
        tuple(args.drop),
        args.rest,
        args.to_prefix,
        args.into,
        args.rules,
        args.reverse,
    )


def _expand(paths: list[str]) -> list[Path]:
    """The sources, quoted globs expanded; a pattern that matches nothing stays, to fail."""
    found: dict[Path, None] = {}
    for path in paths:
        matches = [] if Path(path).exists() else sorted(glob.glob(path, recursive=True))
        found |= dict.fromkeys(map(Path, matches or [path]))
    return list(found)


def _stem(source: Path) -> str:
    return source.name if source.is_dir() else source.stem


def _check_distinct(tasks: list[Task], args: argparse.Namespace) -> None:
    seen: dict[Path, Path] = {}
    for task in tasks:
        if other := seen.get(task.destination):
            args.wrong_usage(f"{other} and {task.source} would both become {task.destination}")
        seen[task.destination] = task.source


# -- many


def _run_all(tasks: list[Task], args: argparse.Namespace) -> int:
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for count, (task, result) in enumerate(_results(tasks, args.jobs), start=1):
        place = f"[{count}/{len(tasks)}] {task.source}"
        if isinstance(result, dict):
            done.append(result)
            _say_progress(f"{place} -> {task.destination}: {result['tensors']} tensors", args)
        else:
            failed.append({"source": str(task.source), "error": str(result)})
            _say_progress(f"{place}: failed", args)
            if args.debug:
                traceback.print_exception(result)
    if args.json:
        say_json({"done": done, "failed": failed})
    else:
        _say_remarks(done)
    for failure in failed:
        say_error(f"weight-port: {_about(failure)}")
    if failed:
        progress(f"weight-port: {len(failed)} of {len(tasks)} failed")
    return 1 if failed else 0


def _say_remarks(done: list[dict[str, Any]]) -> None:
    """What is to be said of the files, once for all that it is said of."""
    files: dict[str, list[str]] = {}
    for result in done:
        for remark in _remarks(result):
            files.setdefault(remark, []).append(Path(result["source"]).name)
    for remark, sources in files.items():
        some = ", ".join(sources[:3]) + (" …" if len(sources) > 3 else "")
        say(one_line(f"{some}: {remark}"))


def _about(failure: dict[str, str]) -> str:
    source, error = failure["source"], failure["error"]
    return error if error.startswith(source) else f"{source}: {error}"


def _say_progress(line: str, args: argparse.Namespace) -> None:
    if args.json:
        progress(one_line(line))
    else:
        say(one_line(line))
        sys.stdout.flush()


def _results(tasks: list[Task], jobs: int) -> Iterator[tuple[Task, dict[str, Any] | Exception]]:
    """Every task with what it gave, as they end."""
    if jobs > 1:
        yield from _in_processes(tasks, jobs)
        return
    for task in tasks:
        try:
            yield task, task.run()
        except (WeightPortError, OSError) as error:
            yield task, error


def _in_processes(
    tasks: list[Task], jobs: int
) -> Iterator[tuple[Task, dict[str, Any] | Exception]]:
    """The same in ``jobs`` processes. One that dies fails what it had left."""
    import multiprocessing  # which takes time to import, and which one job has no need of
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # A new process and not a fork: forks of a process with threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        futures: dict[Future[dict[str, Any]], Task] = {pool.submit(t.run): t for t in tasks}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                yield futures[future], WeightPortError("its process died; out of memory?")
            except (WeightPortError, OSError) as error:
                yield futures[future], error


# -- one


def _print(done: dict[str, Any]) -> None:
    source, to = done["source"], done["to"]
    if "rules" in done:
        to = f"{one_line(done['rules'])}{', reversed' if done['reverse'] else ''}"
        say(f"{one_line(source)}: converted by rules")
    elif done["dialect"] is None:
        say(f"{one_line(source)}: names and bytes as they are")
    else:
        say(f"{one_line(source)}: {done['architecture']} in {done['dialect']} ({done['reason']})")
    say(f"{one_line(done['destination'])}: {done['tensors']} tensors in {to}")
    for remark in _remarks(done):
        say(f"  {one_line(remark)}")


def _remarks(done: dict[str, Any]) -> Iterator[str]:
    """What is to be said of a file beside its name and network, a line each."""
    yield from (f"note: {note}" for note in done["notes"])
    yield from (f"undecided: {line}" for line in done["undecided"])
    if made := done["counters_made"]:
        yield f"made: {made} × num_batches_tracked = 0, which Paddle has not"
    if left_out := done["left_out"]:
        some = ", ".join(left_out[:3]) + (" …" if len(left_out) > 3 else "")
        yield f"left out: {len(left_out)} tensors: {some}"
