"""``weight-port`` with a larger table: ``python -m benchmarks.experiments.port.larger_table 2 …``.

Before the command runs, every network is added once more (with 1: not at all) under another name:
wider, or a block deeper, in each of its dialects. What that costs ``inspect`` is what a new row
costs it. Two runs of this module are compared, so that its own import is on both sides.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from weight_port import arch
from weight_port.dialects.rows import DIALECTS


def grow(times: int) -> None:
    """Have every network ``times`` in the tables, in place."""
    resnets, classics = list(arch.RESNETS.values()), list(arch.CLASSICS.values())
    for copy in range(1, times):
        arch.RESNETS.update({_named(row.name, copy): _resnet(row, copy) for row in resnets})
        arch.CLASSICS.update({_named(row.name, copy): _classic(row, copy) for row in classics})
    arch.ARCHITECTURES.update({**arch.RESNETS, **arch.CLASSICS})
    for name, dialect in DIALECTS.items():
        more = [_named(held, copy) for copy in range(1, times) for held in dialect.holds]
        DIALECTS[name] = replace(dialect, holds=(*dialect.holds, *more))


def _named(name: str, copy: int) -> str:
    return f"{name}_copy{copy}"


def _resnet(row: arch.Architecture, copy: int) -> arch.Architecture:
    """Some with wider blocks, the others with more of them in the last stage; twins alike."""
    name = _named(row.name, copy)
    if row.bottleneck and sum(row.blocks) % 2 == 0:
        return replace(row, name=name, width_per_group=(2 + copy) * row.width_per_group)
    return replace(row, name=name, blocks=(*row.blocks[:-1], row.blocks[-1] + 3 * copy))


def _classic(row: arch.Classic, copy: int) -> arch.Classic:
    """With more channels in its first step, a convolution."""
    first, *rest = row.steps
    steps = (replace(first, out=(1 + copy) * first.out), *rest)
    return replace(row, name=_named(row.name, copy), steps=steps)


if __name__ == "__main__":
    from weight_port.cli import main

    times, *sys.argv[1:] = sys.argv[1:]
    grow(int(times))
    raise SystemExit(main())
