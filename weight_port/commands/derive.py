"""``weight-port derive``: the rules of a port out of two checkpoints, or what leaves them open."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from weight_port.errors import DestinationError, MismatchError, one_line
from weight_port.formats.files import Checkpoint, open_checkpoint
from weight_port.rules import reader, writer
from weight_port.rules.apply import Tensors, claims
from weight_port.rules.check import check
from weight_port.rules.derive import Derivation, Open, accept, derive
from weight_port.rules.model import Rules
from weight_port.storage.disk import check_destination, write_text
from weight_port.storage.maps import guarded
from weight_port.terminal import say, say_json

UNDECIDED = 3  # exit status: the evidence leaves something open, and nothing is written
_FRAMEWORKS = {
    "pth": "torch",
    "pdparams": "paddle",
    "pdiparams": "paddle",
    "paddle1-folder": "paddle",
}
_SHOWN = 6  # names of an open group


@guarded()
def run(args: argparse.Namespace) -> int:
    """Derive and write; returns 0, or 3 where something stays open and nothing is written."""
    if args.out.suffix != ".toml":
        raise DestinationError(f"{args.out}: a rules file is TOML; name one with .toml")
    check_destination(args.out, args.force)
    sides = [open_checkpoint(path) for path in (args.first, args.second)]
    source, target = (checkpoint.contents.tensors for checkpoint in sides)
    given = reader.read(args.given) if args.given else Rules("", "", ())
    derivation = _derive(sides, given, source, target)
    if args.accept:
        derivation = accept(derivation)
    if not derivation.open:
        _check(_merged(derivation, given), source, target)
        write_text(args.out, _text(args, derivation, given), args.force)
    if args.json:
        say_json(_report(derivation, given))
    else:
        _print(args.out, derivation)
    return UNDECIDED if derivation.open else 0


def _derive(sides: list[Checkpoint], given: Rules, source: Tensors, target: Tensors) -> Derivation:
    """Derive what the given rules don't speak of."""
    used, made = claims(given, source, target) if given.rules or given.dropped else (set(), set())
    frameworks = [_FRAMEWORKS.get(side.format.name, "") for side in sides]
    return derive(
        {name: array for name, array in source.items() if name not in used},
        {name: array for name, array in target.items() if name not in made},
        (frameworks[0], frameworks[1]),
    )


def _check(rules: Rules, source: Tensors, target: Tensors) -> None:
    """Raises MismatchError where the rules don't make the target's tensors of the source's."""
    verdict = check(rules, source, target)
    if not verdict.ok:
        some = "\n  ".join(verdict.problems[:_SHOWN])
        raise MismatchError(f"the rules don't give the target, and are not written:\n  {some}")


def _merged(derivation: Derivation, given: Rules) -> Rules:
    rules = derivation.rules()
    return replace(
        rules,
        rules=(*given.rules, *rules.rules),
        made=(*given.made, *rules.made),
        dropped=(*given.dropped, *rules.dropped),
    )


def _text(args: argparse.Namespace, derivation: Derivation, given: Rules) -> str:
    remarks = [
        f"derived from {args.first.name} and {args.second.name}, by:",
        *(f"  {count} tensors: {kind}" for kind, count in derivation.evidence.items()),
    ]
    return writer.text(_merged(derivation, given), [one_line(line) for line in remarks])


def _report(derivation: Derivation, given: Rules) -> dict[str, Any]:
    return {
        "decided": not derivation.open,
        "given": len(given.rules),
        "frameworks": [derivation.source.framework, derivation.target.framework],
        "pairs": [
            {"source": pair.source, "target": pair.target, "evidence": pair.evidence}
            for pair in derivation.pairs
        ],
        "made": [name for name, _ in derivation.made],
        "dropped": [name for name, _ in derivation.dropped],
        "open": [
            {"sources": list(item.sources), "targets": list(item.targets), "why": item.why}
            for item in derivation.open
        ],
    }


def _print(out: Path, derivation: Derivation) -> None:
    for kind, count in derivation.evidence.items():
        say(f"{count} tensors decided by: {kind}")
    for title, constants in (("made", derivation.made), ("dropped", derivation.dropped)):
        if constants:
            say(f"{title}: {len(constants)}, {one_line(_some([name for name, _ in constants]))}")
    for item in derivation.open:
        say(one_line(_line(item)))
    if derivation.open:
        say(
            f"nothing is written: {len(derivation.open)} groups are open; decide them in a rules "
            "file of your own (--with FILE), or take the guess (--accept) and check it"
        )
    else:
        say(one_line(f"{out}: {len(derivation.pairs)} tensors"))


def _line(item: Open) -> str:
    left, right = _some(item.sources) or "nothing", _some(item.targets) or "nothing"
    return f"open: {left} -> {right}: {item.why}"


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" … ({len(names)})" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
