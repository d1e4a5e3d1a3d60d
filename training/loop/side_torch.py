"""The PyTorch process of a training; the mirror of ``side_paddle``."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

import pytorch_impl
from pytorch_impl.checkpoint import to_tensor
from training.errors import CheckpointError
from training.loop import tasks
from training.loop.side import How, Tensors, cast, check_gpu, check_shapes, keyed, named, sizes

DIALECT = "pytorch_impl"
BACKENDS = {"cpu": "gloo", "gpu": "nccl"}
# What torch.load and load_state_dict raise for a file that is another.
_UNREADABLE = (
    AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError,
    UnpicklingError,
)  # fmt: skip


class TorchSide:
    """See ``side.Side``."""

    def __init__(self, settings: dict[str, Any], how: How) -> None:
        torch.set_num_threads(how.threads)
        self.name = settings["model"]
        self.how = how
        self.rank, self.workers = 0, how.workers
        self.device = _device(how)
        if how.workers > 1:
            dist.init_process_group(BACKENDS[how.device])
            atexit.register(dist.destroy_process_group)
            self.rank = dist.get_rank()
        with self.device:
            self.model = pytorch_impl.MODELS[self.name](**sizes(settings))
        self.layout = torch.channels_last if how.channels_last else torch.contiguous_format
        self.mixed = how.precision == "bfloat16"
        self.network: torch.nn.Module = self.model  # what is trained: the model, or DDP around it
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), settings["rate"], settings["momentum"],
            weight_decay=settings["weight_decay"],
        )  # fmt: skip

    def put(self, weights: Tensors, momentum: Tensors) -> None:
        """See ``side.Side``."""
        pytorch_impl.load_weights(self.model, cast(weights, self.how.dtype))
        self.model.to(memory_format=self.layout)
        buffers = keyed(DIALECT, self.name, cast(momentum, self.how.dtype))
        self.optimizer.state.clear()
        for key, parameter in self.model.named_parameters():
            if key in buffers:
                buffer = torch.empty_like(parameter, requires_grad=False)  # in its layout
                self.optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(
                    to_tensor(buffers[key])
                )
        # A worker's statistics are its own until ``average_statistics``.
        if self.workers > 1 and self.network is self.model:
            self.network = DistributedDataParallel(self.model, broadcast_buffers=False)

    def weights(self) -> dict[str, np.ndarray]:
        """See ``side.Side``."""
        state = {key: value.numpy(force=True) for key, value in self.model.state_dict().items()}
        return named(DIALECT, self.name, state)

    def momentum(self) -> dict[str, np.ndarray]:
        """See ``side.Side``."""
        state = self.optimizer.state
        buffers = {
            key: state[parameter]["momentum_buffer"].numpy(force=True)
            for key, parameter in self.model.named_parameters()
            if state[parameter].get("momentum_buffer") is not None
        }
        return named(DIALECT, self.name, buffers)

    def step(
        self, images: np.ndarray, labels: np.ndarray, rate: float, whole: int
    ) -> tuple[float, int]:
        """See ``side.Side``."""
        self.model.train()
        self.optimizer.zero_grad()  # first: the forward pass can take the gradients' memory
        truth = torch.from_numpy(labels).to(self.device)
        logits = self._forward(self.network, images)
        loss = F.cross_entropy(logits, truth)
        self.optimizer.param_groups[0]["lr"] = rate
        # DDP takes the mean over workers: with this weight it is the mean over images.
        torch.autograd.backward(loss * (self.workers * len(labels) / whole))
        self.optimizer.step()
        right = int((logits.argmax(1) == truth).sum())
        mean, total = self.summed([loss.item() * (len(labels) / whole), right])
        return mean, int(total)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See ``side.Side``."""
        self.model.eval()
        with torch.inference_mode():
            logits: np.ndarray = self._forward(self.model, images).numpy(force=True)
        return logits

    def _forward(self, network: torch.nn.Module, images: np.ndarray) -> torch.Tensor:
        batch = torch.from_numpy(images.astype(self.how.dtype, copy=False)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits: torch.Tensor = network(batch.contiguous(memory_format=self.layout))
        return logits.float() if self.mixed else logits

    def summed(self, values: list[float]) -> list[float]:
        """See ``side.Side``."""
        if self.workers == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def save(self, folder: Path, weights: Tensors, momentum: Tensors) -> None:
        """See ``side.Side``."""
        self.put(weights, momentum)
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, folder / "training.pt")

    def saved(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """See ``side.Side``."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except _UNREADABLE as error:
            raise CheckpointError(
                f"{path}: no {{model, optimizer}} of {self.name} ({error!r})"
            ) from None
        for group in self.optimizer.param_groups:
            if group["nesterov"] or group["dampening"]:
                raise CheckpointError(f"{path}: SGD with dampening or Nesterov's momentum")
        buffers = {
            key: self.optimizer.state[parameter]["momentum_buffer"]
            for key, parameter in self.model.named_parameters()
            if self.optimizer.state[parameter].get("momentum_buffer") is not None
        }
        check_shapes(path, buffers, dict(self.model.named_parameters()))
        return self.weights(), self.momentum()

    def average_statistics(self) -> None:
        """See ``side.Side``."""
        if self.workers > 1:
            for tensor in self.model.buffers():
                if tensor.is_floating_point():
                    dist.all_reduce(tensor)
                    tensor /= self.workers


def _device(how: How) -> torch.device:
    """Where this worker computes. Raises TrainingError where it has no GPU."""
    if how.device == "cpu":
        return torch.device("cpu")
    number = int(os.environ.get("LOCAL_RANK", 0))
    check_gpu(number, torch.cuda.device_count(), "torch")
    torch.cuda.set_device(number)
    torch.backends.cudnn.deterministic = True  # so that --resume gives the same
    return torch.device("cuda", number)


if __name__ == "__main__":
    raise SystemExit(tasks.main(TorchSide))
