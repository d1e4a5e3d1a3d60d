"""The PyTorch process of a parity run; the mirror of ``worker_paddle``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import torch
import torch.nn.functional as F

import pytorch_impl
from parity.comparison.known_differences import AVERAGES, pool_gradients
from parity.workers import worker
from parity.workers.launch import serve
from pytorch_impl.checkpoint import to_tensor
from weight_port import arch

Run = dict[str, Any]
DTYPES = {"tf32": torch.float32}  # a precision that is no dtype


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """The tensor in NumPy, bfloat16 as ml_dtypes'; a view where it can be."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


class Session:
    """See ``worker.Session``."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.device = torch.device("cuda" if job["device"] == "gpu" else "cpu")
        self.model = pytorch_impl.load(job["weights"], architecture=job["architecture"])
        self.images, self.labels = worker.inputs(job)
        self.names = worker.paths(self.model.architecture)
        # Copies: training changes the tensors in their place.
        self.state = {key: value.clone() for key, value in self.model.state_dict().items()}

    def begin(self, run: Run) -> None:
        """Put the model into the run's precision and mode, with the file's weights."""
        set_switches(run)
        self.model.to(next(iter(self.state.values())).dtype).load_state_dict(self.state)
        if run["rounded"] is not None:
            self.model.to(_dtype(run["rounded"]))
        self.model.to(self.device, _dtype(run["precision"])).train(run["mode"] == "train")
        self.model.zero_grad()
        for module in self.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = run["epsilon"]
                module.momentum = 1 - run["bn_momentum"]
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # what it drops is drawn: no two frameworks drop the same
        self.hooks = _like_paddle(self.model, self.images) if self._scaled(run) else []

    def _scaled(self, run: Run) -> bool:
        """Whether gradients are to be those of Paddle's average pool: measured on CPUs alone."""
        exact = run["precision"] == "float64" and self.device.type == "cpu"
        return exact and run["task"] != "forward"

    def end(self) -> None:
        """Leave the model as it was built."""
        for hook in self.hooks:
            hook.remove()

    def tensor(self, array: np.ndarray, run: Run) -> torch.Tensor:
        """On the device, in the run's precision."""
        tensor: torch.Tensor = to_tensor(array).to(self.device, _dtype(run["precision"]))
        return tensor

    def loss(self, run: Run, images: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of a batch, with that of auxiliary classifiers."""
        labels = torch.from_numpy(self.labels.copy()).to(self.device)
        outputs = self.model(images)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = [F.cross_entropy(logits, labels) for logits in heads]
        return losses[0] + worker.AUXILIARY * sum(losses[1:])

    def scheme(self, tensors: dict[str, torch.Tensor]) -> Any:
        """(name, array) in the scheme's names and layout."""
        arrays = {key: to_array(tensor) for key, tensor in tensors.items()}
        return worker.scheme("pytorch_impl", self.model.architecture, arrays)

    # -- tasks

    def forward(self, run: Run) -> None:
        """Save the logits and, as they are computed, every named layer's output."""
        self.begin(run)
        if run["layers"]:
            modules = self.model.named_modules()
            self.hooks += worker.watch(self, run, modules, _register_after, to_array)
        with torch.inference_mode():
            outputs = self.model(self.tensor(self.images[: run["images"]], run))
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        worker.saver(run["out"])("logits", to_array(logits))

    def gradients(self, run: Run) -> None:
        """Save the loss and its gradients by the images and by every parameter."""
        self.begin(run)
        save = worker.saver(run["out"])
        images = self.tensor(self.images, run).requires_grad_()
        loss = self.loss(run, images)
        torch.autograd.backward(loss)
        save("loss", to_array(loss))
        assert images.grad is not None
        save("images", to_array(images.grad))
        parameters = self.model.named_parameters()
        gradients = {key: p.grad for key, p in parameters if p.grad is not None}
        for name, array in self.scheme(gradients):
            save(name, array)

    def train(self, run: Run) -> None:
        """Steps of SGD; after each, save the loss, the parameters and the statistics."""
        self.begin(run)
        optimizer = torch.optim.SGD(
            self.model.parameters(), 0.0, run["momentum"], weight_decay=run["weight_decay"]
        )
        for step, rate in enumerate(run["rates"]):
            optimizer.param_groups[0]["lr"] = rate
            loss = self.loss(run, self.tensor(worker.batch(self.images, step), run))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            save = worker.saver(f"{run['out']}/step{step + 1}")
            for name, array in self.scheme(self.model.state_dict()):
                save(name, array)
            save("loss", to_array(loss))


def _like_paddle(model: Any, images: np.ndarray) -> list[Any]:
    """Hooks that scale what goes back through an average pool as Paddle does."""
    sides, modules = arch.sides(model.architecture, images.shape[2]), dict(model.named_modules())
    hooks = []
    for layer in arch.layers(model.architecture):
        if layer.kind in AVERAGES:
            factors = torch.from_numpy(pool_gradients(layer, sides[layer.name][0]))
            hook = _local_hooks if layer.kind == "local_norm" else _pool_hooks
            hooks += hook(modules[layer.path], factors)
    return hooks


def _pool_hooks(pool: torch.nn.Module, factors: torch.Tensor) -> list[Any]:
    def before(_module: Any, given: Any) -> tuple[torch.Tensor]:
        return (given[0] * factors,)

    return [pool.register_full_backward_pre_hook(before)]


def _local_hooks(norm: Any, factor: torch.Tensor) -> list[Any]:
    """The gradient of ``x * d`` is a sum, for ``x`` and for ``d``: the pool is in the second."""
    held: list[torch.Tensor] = []

    def before(_module: Any, given: tuple[torch.Tensor, ...]) -> None:
        held[:] = [given[0].detach()]

    def after(_module: Any, sent: Any, given: Any) -> tuple[torch.Tensor]:
        x = held.pop()
        mean = F.avg_pool3d(F.pad(x.square()[:, None], (0, 0, 0, 0, 2, 2)), (norm.size, 1, 1), 1)
        first = given[0] * (norm.k + norm.alpha * mean[:, 0]) ** -norm.beta
        return (first + factor * (sent[0] - first),)

    return [norm.register_forward_pre_hook(before), norm.register_full_backward_hook(after)]


def _register_after(module: Any, hook: Callable[..., None]) -> Any:
    return module.register_forward_hook(hook)


def _dtype(precision: str) -> torch.dtype:
    return DTYPES.get(precision) or getattr(torch, precision)


def set_switches(run: Run) -> None:
    """float32 is float32 unless tf32 is asked for; no search among cuDNN's algorithms."""
    torch.backends.cuda.matmul.allow_tf32 = run["precision"] == "tf32"
    torch.backends.cudnn.allow_tf32 = run["precision"] == "tf32"
    torch.backends.cudnn.benchmark = False


def switches() -> dict[str, Any]:
    """The settings that decide what float32 means and which kernels run, as they stand."""
    return {
        "matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "mkldnn": torch.backends.mkldnn.enabled,
        "threads": torch.get_num_threads(),
    }


def calibrate(job: Mapping[str, Any]) -> None:
    """Set the batch norms' statistics to those of the job's images and save a state dict."""
    session = Session({**job, "device": "cpu"})
    norms = [m for m in session.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for module in norms:
        module.momentum = 1.0  # new statistics = the batch's
    session.model.train()
    with torch.no_grad():
        if norms:
            session.model(to_tensor(session.images))
    torch.save(session.model.state_dict(), job["out"])


def work_on(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the job asks, see ``worker.work_on``; returns what this framework is and has."""
    worker.work_on(job, Session, calibrate)
    gpu = torch.cuda.get_device_name() if torch.cuda.device_count() else None
    return {"version": torch.__version__, "gpu": gpu, "switches": switches()}


if __name__ == "__main__":
    serve(work_on)
