"""``weight-port rules``: a rules file held against two checkpoints."""

from __future__ import annotations

import argparse

from weight_port.errors import one_line
from weight_port.formats.files import open_checkpoint
from weight_port.rules import reader
from weight_port.rules.check import check
from weight_port.storage.maps import guarded
from weight_port.terminal import say, say_json


@guarded()
def run(args: argparse.Namespace) -> int:
    """Check the file; returns 0 where it makes the target's tensors of the source's, else 1."""
    rules = reader.read(args.file)
    source, target = (open_checkpoint(path).contents.tensors for path in (args.first, args.second))
    verdict = check(rules, source, target)
    if args.json:
        say_json(
            {
                "fits": verdict.ok,
                "problems": list(verdict.problems),
                "reversible": not verdict.one_way,
                "tensors": len(target),
            }
        )
        return 0 if verdict.ok else 1
    for problem in verdict.problems:
        say(problem)
    if verdict.ok:
        say(one_line(f"{args.file}: makes all {len(target)} tensors of {args.second}"))
    say(verdict.one_way or "it can be reversed to the bit")
    return 0 if verdict.ok else 1
