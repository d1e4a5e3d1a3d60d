"""A process that times a training's steps in PyTorch; mirror of ``worker_paddle``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import pytorch_impl
from benchmarks.experiments.train import worker
from parity.workers.launch import serve
from training.loop.side import How
from training.loop.side_torch import TorchSide


def bare(settings: dict[str, Any], how: How, arrays: worker.Batches) -> Callable[[], float]:
    """What anyone would write: the same network and SGD on tensors that are there already.

    A call does an epoch, and says the mean loss.
    """
    layout = torch.channels_last if how.channels_last else torch.contiguous_format
    model = pytorch_impl.MODELS[settings["model"]]().to(memory_format=layout)
    pytorch_impl.load_weights(model, worker.weights(settings))
    optimizer = torch.optim.SGD(
        model.parameters(), settings["rate"], settings["momentum"],
        weight_decay=settings["weight_decay"],
    )  # fmt: skip
    batches = [(_images(images, layout), torch.from_numpy(labels)) for images, labels in arrays]
    mixed = how.precision == "bfloat16"

    def epoch() -> float:
        model.train()
        losses = []
        for images, labels in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels)
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    return epoch


def _images(images: np.ndarray, layout: torch.memory_format) -> torch.Tensor:
    return torch.from_numpy(images).contiguous(memory_format=layout)


if __name__ == "__main__":
    serve(lambda job: worker.measure(TorchSide, bare, job))
