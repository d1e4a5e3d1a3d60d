"""Records of small parity runs, as ``report.as_json`` gives them, for the tests of the page."""

from __future__ import annotations

from typing import Any

EDGES = [2.0**power for power in range(-3, 13)]
LAYERS = {"conv1": "stem", "bn_conv1": "stem", "res2a": "stage 2", "res3a": "stage 3", "fc": "fc"}


def output(name: str, stage: str, size: int, precision: str = "float32", **other: Any) -> Any:
    """An output whose figures all go with ``size``, its relative L2 in epsilons."""
    epsilon = 2.0**-52 if precision == "float64" else 2.0**-23
    counts = [10, *(0 for _ in EDGES), size]
    made = {
        "what": "layer",
        "layer": name,
        "type": "batch_norm" if name.startswith("bn") else "conv",
        "stage": stage,
        "name": name,
        "shape": [4, 8, size, size],
        "precision": precision,
        "passed": True,
        "problem": "",
        "allowed": 64 * epsilon,
        "relative_l2": size * epsilon,
        "torch_error": 2 * size * epsilon,
        "paddle_error": size * epsilon,
        "torch_ulps": 2.0 * size,
        "paddle_ulps": 1.0 * size,
        "max_abs": size * 1e-6,
        "max_rel": size * 1e-5,
        "max_ulps": 4.0 * size,
        "cosine": 1 - size * 1e-12,
        "bit_equal": False,
        "step": 0,
        "explained": "",
        "unexplained_l2": None,
        "quantiles": {"0.5": 0.5 * size, "0.9": 1.0 * size, "0.99": 2.0 * size},
        "histogram": {"between": counts, "torch": counts, "paddle": counts},
        "nearer": "paddle",
    }
    return {**made, **other}


def not_measured(name: str, stage: str, problem: str) -> Any:
    """An output that could not be compared: everything that would be a number is null."""
    made = output(name, stage, 1, passed=False, problem=problem, quantiles={}, histogram={})
    numbers = [key for key, value in made.items() if isinstance(value, float)]
    return {**made, **dict.fromkeys(numbers), "nearer": ""}


def section(kind: str, outputs: list[Any], precision: str = "float32", **other: Any) -> Any:
    wrong = [one["name"] for one in outputs if not one["passed"]]
    mode = "train" if kind == "training" else "eval"
    made = {
        "title": f"{kind}, {mode} mode, {precision}",
        "kind": kind,
        "mode": mode,
        "precision": precision,
        "passed": bool(outputs) and not wrong,
        "error": None,
        "ranking": {"images": 4, "top1": 4, "top5": 1.0} if kind == "forward" else None,
        "first": wrong[0] if wrong else None,
        "failed": len(wrong),
        "outputs": outputs,
    }
    return {**made, **other}


def layers(precision: str = "float32") -> list[Any]:
    """Sizes 5, 10 … in execution order; as text they sort in another order."""
    rows = enumerate(LAYERS.items(), 1)
    return [output(name, stage, 5 * n, precision) for n, (name, stage) in rows]


def record(verdict: str, sections: list[Any], **other: Any) -> dict[str, Any]:
    side = {"version": "9.8.7", "gpu": None, "switches": {"allow_tf32": False}}
    made = {
        "schema": 2,
        "kind": "parity",
        "context": {
            "date": "2025-01-02T03:04:05+00:00",
            "commit": {"id": "0123456789abcdef", "dirty": False},
            "system": {"os": "Linux", "cores": 2, "affinity": [0, 1]},
            "environment": {"OMP_NUM_THREADS": "2"},
        },
        "verdict": verdict,
        "model": "resnet50",
        "images": [4, 3, 224, 224],
        "images_sha256": "ab" * 32,
        "weights": {"torch": "folder/resnet50.pth", "paddle": "folder/resnet50.pdparams"},
        "device": "cpu",
        "frameworks": {"torch": side, "paddle": side},
        "threads": 2,
        "options": {"precisions": ["float32"], "isolate": True},
        "bn_epsilon": 9.999999747378752e-06,
        "own_epsilon_effect": 1.2e-11,
        "metrics": {"factor": 8.0, "sample": 16384, "quantiles": [0.5], "edges": EDGES},
        "sections": sections,
        "diagnosis": None,
    }
    return {**made, **other}


def equal() -> dict[str, Any]:
    steps = [{**one, "step": step} for step in (1, 2) for one in layers()]
    sections = [
        section("forward", layers("float64"), "float64"),
        section("forward", layers()),
        section("isolated", layers()),
        section("training", steps),
    ]
    return record("EQUAL", sections)


def different() -> dict[str, Any]:
    outputs = layers()
    outputs[2:3] = [output("res2a", "stage 2", 900, passed=False, problem="relative L2 too large")]
    outputs[3:4] = [not_measured("res3a", "stage 3", "no output from paddle")]
    failed = section("training", [], error="paddle: out of memory\nway out: fewer images")
    cause = {"cause": "bn_swapped", "sentence": "The statistics are swapped.", "layer": "res2a"}
    sections = [section("forward", layers("float64"), "float64"), section("forward", outputs)]
    return record("DIFFERENT", [*sections, failed], diagnosis=cause)
