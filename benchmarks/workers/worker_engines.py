"""The process of ONNX Runtime or OpenVINO: what the frameworks' best rows are held against.

Neither is a framework of this project: they run ``pytorch_impl``'s network, exported as ONNX, on
the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.devices import device_cpu
from benchmarks.experiments.forward import worker as forward_worker
from benchmarks.harness import worker
from parity.workers.launch import serve

Array = np.ndarray[Any, Any]


def onnxruntime_step(job: dict[str, Any], images: Array) -> Callable[[], Array]:
    """One pass in ONNX Runtime's CPU provider. Raises ValueError for a precision it lacks."""
    import onnxruntime

    if job["precision"] != "fp32":
        raise ValueError("ONNX Runtime's CPU provider has no bf16 convolution: ask for fp32")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"images": images})[0]


def openvino_step(job: dict[str, Any], images: Array) -> Callable[[], Array]:
    """One pass in OpenVINO's CPU plugin. Raises RuntimeError where it takes another precision."""
    import openvino

    asked = {"fp32": "f32", "bf16": "bf16"}[job["precision"]]
    hints = {
        "INFERENCE_PRECISION_HINT": asked,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job["threads"],
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(job["onnx"]), "CPU", hints)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != asked:
        raise RuntimeError(f"OpenVINO took {taken} where {asked} was asked: this CPU has no such")
    request = compiled.create_infer_request()
    return lambda: request.infer({0: images}, share_inputs=True)[0]


STEPS = {"onnxruntime": onnxruntime_step, "openvino": openvino_step}


def describe(_job: dict[str, Any]) -> dict[str, Any]:
    """Versions; they run on the CPU alone."""
    versions = worker.versions("onnxruntime", "openvino", "onnx", "numpy")
    return {"versions": versions, "build": [], "switches": {}, "gpu": None}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, then the time of one cell's forward passes."""
    images = worker.load_images(job)
    return forward_worker.time_forward(
        lambda: STEPS[job["implementation"]](job, images), np.asarray, device_cpu, job
    )


TASKS = {"describe": describe, "measure": measure}


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job's task."""
    return TASKS[job["task"]](job)


if __name__ == "__main__":
    worker.end_with_parent()
    serve(work)
