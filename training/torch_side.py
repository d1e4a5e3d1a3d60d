"""The PyTorch process of a training; the mirror of ``paddle_side.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import pytorch_impl
from pytorch_impl.checkpoint import to_tensor
from training import loop
from training.sides import Tensors, keyed, named

DIALECT = "pytorch_impl"


class TorchSide:
    """See ``sides.Side``."""

    def __init__(self, settings: dict[str, Any], threads: int) -> None:
        torch.set_num_threads(threads)
        self.name = settings["model"]
        self.model = pytorch_impl.MODELS[self.name]()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), settings["rate"], settings["momentum"],
            weight_decay=settings["weight_decay"],
        )  # fmt: skip

    def put(self, weights: Tensors, momentum: Tensors) -> None:
        """See ``sides.Side``."""
        pytorch_impl.load_weights(self.model, weights)
        buffers = keyed(DIALECT, self.name, momentum)
        self.optimizer.state.clear()
        for key, parameter in self.model.named_parameters():
            if key in buffers:
                self.optimizer.state[parameter]["momentum_buffer"] = to_tensor(buffers[key])

    def weights(self) -> dict[str, np.ndarray]:
        """See ``sides.Side``."""
        state = {key: value.numpy() for key, value in self.model.state_dict().items()}
        return named(DIALECT, self.name, state)

    def momentum(self) -> dict[str, np.ndarray]:
        """See ``sides.Side``."""
        state = self.optimizer.state
        buffers = {
            key: state[parameter]["momentum_buffer"].numpy()
            for key, parameter in self.model.named_parameters()
            if state[parameter].get("momentum_buffer") is not None
        }
        return named(DIALECT, self.name, buffers)

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float) -> tuple[float, int]:
        """See ``sides.Side``."""
        self.model.train()
        truth = torch.from_numpy(labels)
        logits = self.model(torch.from_numpy(images))
        loss = F.cross_entropy(logits, truth)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.item(), int((logits.argmax(1) == truth).sum())

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See ``sides.Side``."""
        self.model.eval()
        with torch.inference_mode():
            found: np.ndarray = self.model(torch.from_numpy(images)).numpy()
        return found


if __name__ == "__main__":
    raise SystemExit(loop.main(TorchSide))
