"""Records of passes made up: what the tests of records, comparisons and merges share."""

from __future__ import annotations


def make_process(turn, milliseconds, error=None):
    times = [round(ms * 1e6) for ms in milliseconds]
    return {
        "round": turn,
        "first_call_ns": 90_000_000,
        "parity": {"max_abs": 2e-6, "relative_l2": 1.5e-6, "error": error},
        "samples": None if error else {"device_ns": times, "wall_ns": times, "enqueue_ns": times},
        "stopped": None if error else "noise",
        "memory": {"max_rss_bytes": 1 << 30},
        "libraries": ["libgomp.so.1"],
    }


def make_cell(implementation, medians, error=None, batch=1):
    """A cell whose processes' samples lie within 1 % of a median each, in milliseconds."""
    return {
        "model": "resnet50",
        "batch": batch,
        "implementation": implementation,
        "size": 224,
        "rung": "matched",
        "mode": "eager",
        "precision": "fp32",
        "layout": "NCHW",
        "threads": 2,
        "allocator": "default",
        "error": error,
        "processes": [
            make_process(turn, [ms * 0.99, ms, ms * 1.01, ms, ms], error)
            for turn, ms in enumerate(medians)
        ],
    }


FAILED = "parity: relative L2 3.2e-01 from the reference is over 1e-04"


def make_record(rounds=2):
    """A run in which paddle.vision failed parity; one product of 10 GFLOP/s."""
    switches = {
        "versions": {"torch": "2.14.1"},
        "build": [],
        "switches": {"threads": 2},
        "gpu": None,
    }
    system = {"os": "Linux", "python": "3.11", "cpu": "A CPU", "cores": 2, "affinity": [0, 1]}
    system["scheduling"] = "other, nice 0"
    return {
        "schema": 2,
        "context": {
            "date": "2026-01-02T03:04:05+00:00",
            "commit": None,
            "system": {**system, "load": [0.0, 0.0, 0.0]},
            "gpu": None,
            "frameworks": {"torch": switches},
            "environment": {"OMP_NUM_THREADS": "2"},
        },
        "settings": {
            "device": "cpu",
            "threads": 2,
            "rounds": rounds,
            "seed": 0,
            "plan": {},
            "reference": "pytorch_impl",
        },
        "peaks": [
            {
                "framework": "torch",
                "round": 0,
                "precision": "fp32",
                "products": [{"n": 100, "device_ns": [400_000, 200_000]}],
                "error": None,
            }
        ],
        "cells": [
            make_cell("pytorch_impl", [100.0] * rounds),
            make_cell("torchvision", [101.0] * rounds),
            make_cell("paddle_impl", [150.0] * rounds),
            make_cell("paddle.vision", [150.0], error=FAILED),
        ],
    }
