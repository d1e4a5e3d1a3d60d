"""The latency scenarios as data, and how each is played."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.experiments.latency import queries
from benchmarks.experiments.latency.queries import Clock, Query, Service

Row = dict[str, Any]

WARM_UP = 3  # queries that nobody counts
CAPACITY = 20  # queries, one after the other, that a server's capacity is measured with
MIN_PASSES = 3  # of an offline run


@dataclass(frozen=True)
class Scenario:
    """One row; the batches and figures are those of Reddi et al. (2020), table 2, and MLPerf's."""

    batch: int | None  # images of a query; None: as asked
    percentile: int | None  # of the latency, which is the scenario's figure; None: images/s is
    play: Callable[[Service, Clock, Mapping[str, Any]], dict[str, Any]]


def _stream(serve: Service, clock: Clock, job: Mapping[str, Any]) -> dict[str, Any]:
    return {"queries": queries.closed_loop(serve, clock, job["queries"])}


def _offline(serve: Service, clock: Clock, job: Mapping[str, Any]) -> dict[str, Any]:
    passes = max(MIN_PASSES, math.ceil(job["queries"] / job["batch"]))
    return {"queries": queries.at_once(serve, clock, passes)}


def _server(serve: Service, clock: Clock, job: Mapping[str, Any]) -> dict[str, Any]:
    """First what it can do at most, then the asked share of that, or rate; arrivals by round."""
    alone = [query.latency for query in queries.closed_loop(serve, clock, CAPACITY)]
    offered = job["rate"] or job["load"] * 1e9 / float(np.mean(alone))
    arrivals = queries.poisson(offered, job["queries"], [job["seed"], job["round"]])
    answered = queries.open_loop(serve, clock, arrivals.tolist())
    return {"alone_ns": alone, "offered_per_s": offered, "queries": answered}


SCENARIOS = {
    "single-stream": Scenario(1, 90, _stream),
    "multi-stream": Scenario(8, 99, _stream),
    "offline": Scenario(None, None, _offline),
    "server": Scenario(1, 99, _server),
}


def play(serve: Service, clock: Clock, job: Mapping[str, Any]) -> dict[str, Any]:
    """The job's scenario, as a record holds it."""
    for _ in range(WARM_UP):
        serve()
    played = SCENARIOS[job["scenario"]].play(serve, clock, job)
    played = {"alone_ns": None, "offered_per_s": None, **played}
    return {**played, "queries": _columns(played["queries"])}


def _columns(found: list[Query]) -> dict[str, list[int]]:
    """Nanoseconds from the first query's moment on, one list per kind of moment."""
    begin = found[0].scheduled
    return {
        f"{name}_ns": [getattr(query, name) - begin for query in found]
        for name in ("scheduled", "started", "ended")
    }
