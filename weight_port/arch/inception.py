"""GoogLeNet's steps: inception blocks, and the auxiliary classifiers beside two of them.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from weight_port.arch.classic_steps import CLASSES, Step, conv, linear, max_pool

# Szegedy et al., "Going Deeper with Convolutions" (2014), table 1: channels of an inception block.
_INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
BRANCHES = ("1x1", "3x3", "5x5", "pool_proj")  # whose outputs an inception block joins


def _inception(block: str, before: str, large: int) -> Iterator[Step]:
    """A block; ``large`` is the kernel of its 5x5."""
    one, reduce3, three, reduce5, five, pooled = _INCEPTION[block]
    name = f"inception_{block}"
    yield replace(conv(f"{name}_1x1", one), after=(before,))
    yield replace(conv(f"{name}_3x3_reduce", reduce3), after=(before,))
    yield conv(f"{name}_3x3", three, 3, padding=1)
    yield replace(conv(f"{name}_5x5_reduce", reduce5), after=(before,))
    yield conv(f"{name}_5x5", five, large, padding=large // 2)
    pool = replace(max_pool(f"{name}_pool", 3, 1), padding=1)
    yield replace(pool, after=(before,))
    yield conv(f"{name}_pool_proj", pooled)
    yield Step(name, "concat", after=tuple(f"{name}_{branch}" for branch in BRANCHES))


def _auxiliary(head: str, before: str, pool: Step) -> Iterator[Step]:
    """The classifier beside a block: section 5 of the paper."""
    steps = (
        replace(pool, after=(before,)),
        conv("conv", 128),
        linear("fc1", 1024, 0.7),
        linear("fc2", CLASSES),
    )
    for step in steps:
        yield replace(step, name=f"{head}_{step.name}", head=head, top=True)


def googlenet(
    *, local_norm: bool, large: int, last_pool: int, pool: Step, dropout: float
) -> Iterator[Step]:
    """The steps; ``pool`` begins an auxiliary head, ``last_pool`` is the kernel of pool4."""
    norms = [Step(f"norm{n}", "local_norm") for n in (1, 2)] if local_norm else []
    yield from (conv("conv1", 64, 7, 2, 3), max_pool("pool1", ceil=True), *norms[:1])
    yield from (conv("conv2_reduce", 64), conv("conv2", 192, 3, padding=1), *norms[1:])
    yield max_pool("pool2", ceil=True)
    before = "pool2"
    for block in _INCEPTION:
        yield from _inception(block, before, large)
        before = f"inception_{block}"
        if block in ("4a", "4d"):
            yield from _auxiliary("aux1" if block == "4a" else "aux2", before, pool)
        if block in ("3b", "4e"):
            number, kernel = (3, 3) if block == "3b" else (4, last_pool)
            yield replace(max_pool(f"pool{number}", kernel, ceil=True), after=(before,))
            before = f"pool{number}"
    yield Step("pool5", "avg_pool", after=(before,), top=True, dropout=dropout)
    yield linear("fc", CLASSES)
