"""Records of forward passes that nobody measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

# Implementation -> its modes with their factors of speed.
MODES = {
    "pytorch_impl": {"eager": 1.0, "compile": 1.5, "channels_last": 1.2},
    "torchvision": {"eager": 0.97},
    "timm": {"eager": 0.99},
    "paddle_impl": {"eager": 0.8, "to_static": 0.9},
    "paddle.vision": {"eager": 0.78},
    "paddle.inference": {"inference": 1.55},
    "onnxruntime": {"inference": 1.9},
    "openvino": {"inference": 1.85},
}
# Precision -> its factor of speed, and the error of its rounding.
PRECISIONS = {"fp32": (1.0, 1e-6), "bf16": (4.0, 7e-3), "amp-bf16": (3.0, 4e-3)}
BASE_MS = {"resnet50": 60.0, "resnet152": 160.0}
FAILED = "worker: stopped\nparity: relative L2 3.2e-01 from the reference is over 1e-02"
REASON = FAILED.splitlines()[-1]


def process(
    turn: int, milliseconds: Any, relative_l2: float = 1e-6, error: str | None = None
) -> dict[str, Any]:
    """A process of the round ``turn``; one with an error was compared and not timed."""
    times = [round(ms * 1e6) for ms in milliseconds]
    later = [ns + turn for ns in times]  # no two processes agree in every nanosecond
    return {
        "round": turn,
        "first_call_ns": round(times[0] * 1.5),
        "parity": {"max_abs": 2 * relative_l2, "relative_l2": relative_l2, "error": error},
        "samples": None if error else {"device_ns": times, "wall_ns": later, "enqueue_ns": times},
        "stopped": None if error else "noise",
        "memory": {"max_rss_bytes": 1 << 30},
        "libraries": ["libgomp.so.1"],
    }


def cell(implementation: str, processes: list[dict[str, Any]], **other: Any) -> dict[str, Any]:
    """A cell of an eager ResNet-50 in float32, or what ``other`` says."""
    made = {
        "model": "resnet50",
        "batch": 1,
        "implementation": implementation,
        "size": 224,
        "threads": 2,
        "rung": "matched",
        "mode": "eager",
        "precision": "fp32",
        "layout": "NCHW",
        "allocator": "default",
        "error": None,
        "processes": processes,
    }
    return {**made, **other}


def steady_cell(implementation: str, medians: Iterable[float], **other: Any) -> dict[str, Any]:
    """A cell whose processes' samples lie within 1 % of a median each, in milliseconds."""
    processes = [
        process(turn, [ms * 0.99, ms, ms * 1.01, ms, ms]) for turn, ms in enumerate(medians)
    ]
    return cell(implementation, processes, **other)


def failed(implementation: str, error: str = FAILED, **other: Any) -> dict[str, Any]:
    """A cell whose process was compared, found wrong and not timed."""
    wrong = process(0, [1.0], 0.32, error)
    return cell(implementation, [wrong], error=error, **other)


def record(cells: list[dict[str, Any]], **other: Any) -> dict[str, Any]:
    """A run of five rounds; one product for every precision, 500 GFLOP/s in float32."""
    side = {"versions": {"torch": "9.8.7"}, "build": [], "switches": {"threads": 2}, "gpu": None}
    precisions = dict.fromkeys(one["precision"] for one in cells)
    made = {
        "schema": 2,
        "context": {
            "date": "2026-01-02T03:04:05+00:00",
            "commit": {"id": "0123456789abcdef", "dirty": False},
            "system": {
                "os": "Linux",
                "python": "3.11",
                "cpu": "A CPU",
                "cores": 2,
                "affinity": [0, 1],
                "scheduling": "other, nice 0",
                "load": [0.1, 0.0, 0.0],
            },
            "gpu": None,
            "frameworks": {"torch": side},
            "environment": {"OMP_NUM_THREADS": "2"},
        },
        "settings": {
            "device": "cpu",
            "threads": 2,
            "rounds": 5,
            "seed": 0,
            "plan": {"warmup": 3},
            "reference": "pytorch_impl",
        },
        "peaks": [
            peak([{"n": 1000, "device_ns": [round(4e6 / PRECISIONS[precision][0])]}], precision)
            for precision in precisions
            if precision in PRECISIONS
        ],
        "cells": cells,
    }
    return {**made, **other}


def peak(products: list[dict[str, Any]], precision: str = "fp32") -> dict[str, Any]:
    """What torch's process found of the machine in the first round."""
    found = {"framework": "torch", "round": 0, "precision": precision}
    return {**found, "products": products, "error": None}


def small_record(rounds: int = 2) -> dict[str, Any]:
    """A run in which paddle.vision failed parity; one product of 10 GFLOP/s."""
    cells = [
        steady_cell("pytorch_impl", [100.0] * rounds),
        steady_cell("torchvision", [101.0] * rounds),
        steady_cell("paddle_impl", [150.0] * rounds),
        failed("paddle.vision"),
    ]
    made = record(cells, peaks=[peak([{"n": 100, "device_ns": [400_000, 200_000]}])])
    made["settings"]["rounds"] = rounds
    return made


def _timed(model: str, batch: int, implementation: str, mode: str, precision: str, n: int) -> Any:
    """A cell of the large record: 5 processes that differ, their samples skewed to the right."""
    random = np.random.default_rng(n)
    faster, error = PRECISIONS[precision]
    middle = BASE_MS[model] * batch**0.9 / MODES[implementation][mode] / faster
    processes = [
        process(
            turn,
            middle * random.uniform(0.95, 1.05) * (1 + random.gamma(2, 0.01, 60)),
            error * random.uniform(0.5, 2),
        )
        for turn in range(5)
    ]
    rung = "matched" if mode == "eager" else "best effort"
    labels = {"model": model, "batch": batch, "mode": mode, "precision": precision, "rung": rung}
    layout = "NHWC" if mode == "channels_last" else "NCHW"
    return cell(implementation, processes, layout=layout, **labels)


def many() -> dict[str, Any]:
    """About 80 cells of many modes and precisions, two of them failed."""
    kinds = [(one, mode) for one, modes in MODES.items() for mode in modes]
    grid = itertools.product(BASE_MS, (1, 8, 32), kinds, PRECISIONS)
    wanted = [
        (model, batch, one, mode, precision)
        for model, batch, (one, mode), precision in grid
        if precision == "fp32" or (mode != "eager" and batch != 8)
    ]
    cells = [_timed(*labels, n) for n, labels in enumerate(wanted)]
    labels = {"model": "resnet50", "mode": "cuda_graph", "rung": "best effort"}
    return record([*cells, failed("paddle_impl", **labels), failed("timm", batch=8, **labels)])
