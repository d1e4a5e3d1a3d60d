"""A process that times a training's steps in Paddle; mirror of ``worker_torch``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
import paddle.nn.functional as F

import paddle_impl
from benchmarks.experiments.train import worker
from parity.workers.launch import serve
from training.loop.side import How
from training.loop.side_paddle import PaddleSide


def bare(settings: dict[str, Any], how: How, arrays: worker.Batches) -> Callable[[], float]:
    """What anyone would write: the same network and SGD on tensors that are there already.

    A call does an epoch, and says the mean loss.
    """
    model = paddle_impl.MODELS[settings["model"]]()
    paddle_impl.load_weights(model, worker.weights(settings))
    optimizer = paddle.optimizer.Momentum(
        settings["rate"], settings["momentum"], model.parameters(),
        weight_decay=settings["weight_decay"],
    )  # fmt: skip
    batches = [(paddle.to_tensor(images), paddle.to_tensor(labels)) for images, labels in arrays]

    def epoch() -> float:
        model.train()
        losses = []
        for images, labels in batches:
            optimizer.clear_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return float(paddle.stack(losses).mean())

    return epoch


if __name__ == "__main__":
    serve(lambda job: worker.measure(PaddleSide, bare, job))
