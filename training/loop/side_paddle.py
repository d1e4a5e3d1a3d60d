"""The Paddle process of a training; the mirror of ``side_torch``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddle.distributed as dist
import paddle.nn.functional as F
from paddle.distributed import fleet
from paddle.utils import unique_name

import paddle_impl
from paddle_impl.checkpoint import to_tensor
from training.errors import CheckpointError
from training.loop import tasks
from training.loop.side import How, Tensors, cast, check_gpu, check_shapes, keyed, named, sizes
from weight_port import WeightPortError, read

DIALECT = "paddle_impl"
_BUFFER = "_velocity_0"  # paddle.optimizer.Momentum's name of it, after the parameter's


class PaddleSide:
    """See ``side.Side``."""

    def __init__(self, settings: dict[str, Any], how: How) -> None:
        paddle.base.core.set_num_threads(how.threads)
        paddle.device.set_device(_device(how))
        self.name = settings["model"]
        self.settings = settings
        self.how = how
        self.rank, self.workers = 0, how.workers
        if how.workers > 1:
            fleet.init(is_collective=True, log_level="ERROR")
            self.rank = fleet.worker_index()
        self.model = paddle_impl.MODELS[self.name](**sizes(settings))
        self.network = self.model  # what is trained: the model, or DataParallel around it
        self.optimizer = self._optimizer()

    def _optimizer(self) -> Any:
        return paddle.optimizer.Momentum(
            self.settings["rate"], self.settings["momentum"], self.model.parameters(),
            weight_decay=self.settings["weight_decay"],
        )  # fmt: skip

    def put(self, weights: Tensors, momentum: Tensors) -> None:
        """See ``side.Side``."""
        paddle_impl.load_weights(self.model, cast(weights, self.how.dtype))
        self.optimizer = self._optimizer()
        self.optimizer.set_state_dict(self._state(momentum))
        # A worker's statistics are its own until ``average_statistics``.
        if self.workers > 1 and self.network is self.model:
            self.network = fleet.distributed_model(self.model)

    def _state(self, momentum: Tensors) -> dict[str, Any]:
        """The optimizer's state dict; before the first step its only buffers are the given ones."""
        buffers = keyed(DIALECT, self.name, cast(momentum, self.how.dtype))
        names = {key: parameter.name for key, parameter in self.model.named_parameters()}
        return {f"{names[key]}{_BUFFER}": to_tensor(array) for key, array in buffers.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """See ``side.Side``."""
        state = {key: value.numpy() for key, value in self.model.state_dict().items()}
        return named(DIALECT, self.name, state)

    def momentum(self) -> dict[str, np.ndarray]:
        """See ``side.Side``."""
        state = self.optimizer.state_dict()
        buffers = {
            key: state[f"{parameter.name}{_BUFFER}"].numpy()
            for key, parameter in self.model.named_parameters()
            if f"{parameter.name}{_BUFFER}" in state
        }
        return named(DIALECT, self.name, buffers)

    def step(
        self, images: np.ndarray, labels: np.ndarray, rate: float, whole: int
    ) -> tuple[float, int]:
        """See ``side.Side``."""
        self.model.train()
        self.optimizer.clear_grad()  # first: the forward pass can take the gradients' memory
        truth = paddle.to_tensor(labels)
        logits = self._forward(self.network, images)
        loss = F.cross_entropy(logits, truth)
        self.optimizer.set_lr(rate)
        # DataParallel takes the mean over workers: with this weight it is the mean over images.
        (loss * (self.workers * len(labels) / whole)).backward()
        with unique_name.guard():  # the first step names the buffers: always as _BUFFER has it
            self.optimizer.step()
        right = int((logits.argmax(1) == truth).sum())
        mean, total = self.summed([loss.item() * (len(labels) / whole), right])
        return mean, int(total)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See ``side.Side``."""
        self.model.eval()
        with paddle.no_grad():
            logits: np.ndarray = self._forward(self.model, images).numpy()
        return logits

    def _forward(self, network: Any, images: np.ndarray) -> Any:
        return network(paddle.to_tensor(images.astype(self.how.dtype, copy=False)))

    def summed(self, values: list[float]) -> list[float]:
        """See ``side.Side``."""
        if self.workers == 1:
            return values
        total = paddle.to_tensor(values, dtype="float64")
        dist.all_reduce(total)
        sums: list[float] = total.tolist()
        return sums

    def save(self, folder: Path, weights: Tensors, momentum: Tensors) -> None:
        """See ``side.Side``."""
        self.put(weights, momentum)
        paddle.save(self.model.state_dict(), str(folder / "training.pdparams"))
        paddle.save(self._state(momentum), str(folder / "training.pdopt"))

    def saved(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """See ``side.Side``."""
        try:
            paddle_impl.load_weights(self.model, read(path))
            state = read(path.with_suffix(".pdopt"))
        except (OSError, WeightPortError) as error:
            raise CheckpointError(
                f"{path}: no .pdparams with a .pdopt beside it, of {self.name} ({error})"
            ) from None
        parameters = {k: p for k, p in self.model.named_parameters() if not p.stop_gradient}
        buffers = {
            key: np.asarray(state[f"{parameter.name}{_BUFFER}"])
            for key, parameter in parameters.items()
            if f"{parameter.name}{_BUFFER}" in state
        }
        if state and not buffers:
            raise CheckpointError(
                f"{path.with_suffix('.pdopt')}: no Momentum's state of {self.name}"
            )
        check_shapes(path.with_suffix(".pdopt"), buffers, parameters)
        return self.weights(), named(DIALECT, self.name, buffers)

    def average_statistics(self) -> None:
        """See ``side.Side``."""
        if self.workers > 1:
            for key, tensor in self.model.state_dict().items():
                if key.endswith(("._mean", "._variance")):  # to Paddle they are parameters
                    dist.all_reduce(tensor)
                    tensor.set_value(tensor / self.workers)


def _device(how: How) -> str:
    """Where this worker computes. Raises TrainingError where it has no GPU."""
    if how.device == "cpu":
        return "cpu"
    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    number = dist.ParallelEnv().device_id if gpus else 0  # builds for CPUs have none
    check_gpu(number, gpus, "Paddle")
    paddle.set_flags({"FLAGS_cudnn_deterministic": True})  # so that --resume gives the same
    return f"gpu:{number}"


if __name__ == "__main__":
    raise SystemExit(tasks.main(PaddleSide))
