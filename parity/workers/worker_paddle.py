"""The Paddle process of a parity run; the mirror of ``worker_torch``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import paddle
import paddle.nn.functional as F

import paddle_impl
from paddle_impl.checkpoint import to_tensor
from parity.workers import worker
from parity.workers.launch import serve

Run = dict[str, Any]
DTYPES = {"tf32": "float32"}  # a precision that is no dtype


def to_array(tensor: paddle.Tensor) -> np.ndarray:
    """The tensor in NumPy, bfloat16 as ml_dtypes'."""
    array: np.ndarray = tensor.detach().numpy()
    return array.view(ml_dtypes.bfloat16) if tensor.dtype == paddle.bfloat16 else array


class Session:
    """See ``worker.Session``."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        paddle.device.set_device(job["device"])
        self.model = paddle_impl.load(job["weights"], architecture=job["architecture"])
        self.images, self.labels = worker.inputs(job)
        self.names = worker.paths(self.model.architecture)
        # Copies: training changes the tensors in their place.
        self.state = {key: value.clone() for key, value in self.model.state_dict().items()}

    def begin(self, run: Run) -> None:
        """Put the model into the run's precision and mode, with the file's weights."""
        set_switches(run)
        self.model.to(dtype=next(iter(self.state.values())).dtype).set_state_dict(self.state)
        if run["rounded"] is not None:
            self.model.to(dtype=_dtype(run["rounded"]))
        self.model.to(dtype=_dtype(run["precision"]))
        self.model.train() if run["mode"] == "train" else self.model.eval()
        self.model.clear_gradients()
        for module in self.model.sublayers():
            if isinstance(module, paddle.nn.BatchNorm2D):
                module._epsilon = run["epsilon"]
                module._momentum = run["bn_momentum"]
            if isinstance(module, paddle.nn.Dropout):
                module.p = 0.0  # what it drops is drawn: no two frameworks drop the same
        self.hooks: list[Any] = []

    def end(self) -> None:
        """Leave the model as it was built."""
        for hook in self.hooks:
            hook.remove()

    def tensor(self, array: np.ndarray, run: Run) -> paddle.Tensor:
        """On the device, in the run's precision."""
        return to_tensor(array).astype(_dtype(run["precision"]))

    def loss(self, run: Run, images: paddle.Tensor) -> paddle.Tensor:
        """The mean cross-entropy of a batch, with that of auxiliary classifiers."""
        labels = paddle.to_tensor(self.labels)
        outputs = self.model(images)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = [F.cross_entropy(logits, labels) for logits in heads]
        return losses[0] + worker.AUXILIARY * sum(losses[1:])

    def scheme(self, tensors: dict[str, paddle.Tensor]) -> Any:
        """(name, array) in the scheme's names and layout."""
        arrays = {key: to_array(tensor) for key, tensor in tensors.items()}
        return worker.scheme("paddle_impl", self.model.architecture, arrays)

    # -- tasks

    def forward(self, run: Run) -> None:
        """Save the logits and, as they are computed, every named layer's output."""
        self.begin(run)
        if run["layers"]:
            modules = self.model.named_sublayers()
            self.hooks += worker.watch(self, run, modules, _register_after, to_array)
        with paddle.no_grad():
            outputs = self.model(self.tensor(self.images[: run["images"]], run))
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        worker.saver(run["out"])("logits", to_array(logits))

    def gradients(self, run: Run) -> None:
        """Save the loss and its gradients by the images and by every parameter."""
        self.begin(run)
        save = worker.saver(run["out"])
        images = self.tensor(self.images, run)
        images.stop_gradient = False
        loss = self.loss(run, images)
        loss.backward()
        save("loss", to_array(loss))
        save("images", to_array(images.grad))
        parameters = self.model.named_parameters()
        gradients = {key: p.grad for key, p in parameters if p.grad is not None}
        for name, array in self.scheme(gradients):
            save(name, array)

    def train(self, run: Run) -> None:
        """Steps of SGD; after each, save the loss, the parameters and the statistics."""
        self.begin(run)
        optimizer = paddle.optimizer.Momentum(
            0.0, run["momentum"], self.model.parameters(), weight_decay=run["weight_decay"]
        )
        for step, rate in enumerate(run["rates"]):
            optimizer.set_lr(rate)
            loss = self.loss(run, self.tensor(worker.batch(self.images, step), run))
            optimizer.clear_grad()
            loss.backward()
            optimizer.step()
            save = worker.saver(f"{run['out']}/step{step + 1}")
            for name, array in self.scheme(self.model.state_dict()):
                save(name, array)
            save("loss", to_array(loss))


def _register_after(module: Any, hook: Callable[..., None]) -> Any:
    return module.register_forward_post_hook(hook)


def _dtype(precision: str) -> str:
    return DTYPES.get(precision, precision)


def set_switches(run: Run) -> None:
    """float32 is float32 unless tf32 is asked for; no search among cuDNN's algorithms."""
    tf32 = run["precision"] == "tf32"
    flags = {"FLAGS_cublas_allow_tf32": tf32, "FLAGS_cudnn_allow_tf32": tf32}
    flags["FLAGS_cudnn_exhaustive_search"] = False
    if paddle.is_compiled_with_cuda():  # elsewhere the flags don't exist
        paddle.set_flags(flags)


def switches() -> dict[str, Any]:
    """The settings that decide what float32 means and which kernels run, as they stand."""
    gpu = ("FLAGS_cublas_allow_tf32", "FLAGS_cudnn_allow_tf32", "FLAGS_cudnn_exhaustive_search")
    names = ("FLAGS_use_mkldnn", *(gpu if paddle.is_compiled_with_cuda() else ()))
    return {**paddle.get_flags(list(names)), "threads": os.environ.get("OMP_NUM_THREADS")}


def calibrate(job: Mapping[str, Any]) -> None:
    """Set the batch norms' statistics to those of the job's images and save a state dict."""
    session = Session({**job, "device": "cpu"})
    norms = [m for m in session.model.sublayers() if isinstance(m, paddle.nn.BatchNorm2D)]
    for module in norms:
        module._momentum = 0.0  # new statistics = the batch's
    session.model.train()
    with paddle.no_grad():
        if norms:
            session.model(to_tensor(session.images))
    paddle.save(session.model.state_dict(), job["out"])


def work_on(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the job asks, see ``worker.work_on``; returns what this framework is and has."""
    worker.work_on(job, Session, calibrate)
    there = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()
    gpu = paddle.device.cuda.get_device_name() if there else None
    return {"version": paddle.__version__, "gpu": gpu, "switches": switches()}


if __name__ == "__main__":
    serve(work_on)
