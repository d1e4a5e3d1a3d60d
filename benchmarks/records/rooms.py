"""Which code a record measured: the digest of its rooms, and whether they have changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_CLOCK = ("benchmarks/devices", "benchmarks/harness", "parity/workers/launch.py")
_NETWORKS = ("pytorch_impl", "paddle_impl", "weight_port/arch", "benchmarks/workers", *_CLOCK)

# A kind of record -> the folders and files whose code its figures depend on: what is timed and what
# times it. What computes and prints tables from a record is not in them, nor is a test.
ROOMS: dict[str, tuple[str, ...]] = {
    "forward": (*_NETWORKS, "benchmarks/experiments/forward/worker.py", "benchmarks/roofline"),
    "layers": (*_NETWORKS, "benchmarks/experiments/layers", "benchmarks/roofline"),
    "latency": (*_NETWORKS, "benchmarks/experiments/latency"),
    "throughput": (*_NETWORKS, "benchmarks/experiments/throughput"),
    "train": (*_NETWORKS, "benchmarks/experiments/train", "training/loop", "training/data"),
    "port": ("weight_port", "benchmarks/experiments/port", *_CLOCK),
    "parity-cost": ("parity", "weight_port", *_NETWORKS, "benchmarks/experiments/parity_cost"),
    "selftest": (*_CLOCK, "benchmarks/experiments/selftest", "benchmarks/stats.py"),
}
_SHOWING = ("rows.py", "table.py", "unsound.py")  # of an experiment: they measure nothing


def _sources(rooms: tuple[str, ...]) -> Iterator[Path]:
    for room in rooms:
        place = ROOT / room
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


@cache
def digest(kind: str) -> str:
    """SHA-256 of the names and the bytes of a kind's sources, in their order."""
    state = hashlib.sha256()
    for path in sorted({p for p in _sources(ROOMS[kind]) if p.name not in _SHOWING}):
        state.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def digests() -> dict[str, str]:
    """Of every kind, for a record's context: it says then what it was taken with."""
    return {kind: digest(kind) for kind in ROOMS}


def is_stale(record: Mapping[str, Any]) -> bool:
    """Whether a record was taken with other code than there is; True where it does not say."""
    kind = record.get("kind", "forward")
    return bool(record["context"].get("rooms", {}).get(kind) != digest(kind))


def mark(record: Mapping[str, Any]) -> str:
    """What stands beside a stale record's figures; "" for another's."""
    if not is_stale(record):
        return ""
    commit = record["context"]["commit"]
    of = f"commit {commit['id'][:12]}" if commit else "an unknown commit"
    changed = " and changes to it" if commit and commit["dirty"] else ""
    return f"Taken with code of {of}{changed}; the code has changed since."
