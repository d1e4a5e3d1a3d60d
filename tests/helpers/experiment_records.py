"""Records of experiments that nobody measured, of the kinds that have no committed one."""

from __future__ import annotations

from benchmarks.grid.cells import Cell
from tests.helpers.benchmark_records import small_record

GOOD = {"max_abs": 1e-6, "relative_l2": 1e-6, "error": None}


def rank(begin, end, parity=GOOD):
    return {"begin_ns": begin, "end_ns": end, "parity": parity}


def throughput_record():
    """Torch: 100 images/s alone, 150 from two; Paddle's pair fell."""
    alone = [{"round": turn, "ranks": [rank(0, 1_000_000_000)]} for turn in range(3)]
    both = [
        {"round": turn, "ranks": [rank(0, 1_000_000_000), rank(100_000_000, 1_333_333_333)]}
        for turn in range(3)
    ]
    settings = {"model": "resnet18", "workers": 2, "batch": 10, "passes": 10, "rounds": 3}
    settings |= {"size": 64, "seed": 0, "device": "cpu", "threads": 1}
    return {
        "schema": 1,
        "kind": "throughput",
        "context": small_record()["context"],
        "settings": settings,
        "rows": [
            {"framework": "torch", "workers": 1, "error": None, "runs": alone},
            {"framework": "torch", "workers": 2, "error": None, "runs": both},
            {"framework": "paddle", "workers": 1, "error": None, "runs": alone},
            {"framework": "paddle", "workers": 2, "error": "no gloo\nhere", "runs": []},
        ],
    }


def _server(turn):
    """Three queries of 10 ms each, one every 20 ms."""
    queries = {
        "scheduled_ns": [0, 20_000_000, 40_000_000],
        "started_ns": [0, 20_000_000, 40_000_000 + turn],
        "ended_ns": [10_000_000, 30_000_000, 50_000_000 + 2 * turn],
    }
    found = {"round": turn, "parity": GOOD, "alone_ns": [10_000_000], "offered_per_s": 50.0}
    return {**found, "queries": queries, "memory": {"max_rss_bytes": 1}}


def latency_record():
    """A server of torch's, and Paddle's, which died."""
    cells = [vars(Cell("resnet18", 1, name, 64, 2)) for name in ("pytorch_impl", "paddle_impl")]
    labels = {"scenario": "server", "load": 0.5, "rate": None}
    settings = {"model": "resnet18", "scenarios": ["server"], "modes": ["eager"], "batches": [1]}
    settings |= {"implementations": ["pytorch_impl", "paddle_impl"], "loads": [0.5], "rates": []}
    settings |= {"queries": 3, "rounds": 3, "size": 64, "threads": 2, "seed": 0, "device": "cpu"}
    return {
        "schema": 1,
        "kind": "latency",
        "context": small_record()["context"],
        "settings": settings,
        "rows": [
            {**labels, **cells[0], "error": None, "processes": [_server(n) for n in range(3)]},
            {**labels, **cells[1], "error": "exit status -9\nkilled", "processes": []},
        ],
    }
