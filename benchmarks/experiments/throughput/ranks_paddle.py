"""One of several Paddle processes that run forward passes at once; mirror of ``ranks_torch``.

``paddle.distributed.launch`` starts them, each with a GPU of its own or on the CPU:
``-m benchmarks.experiments.throughput.ranks_paddle JOB``.
"""

from __future__ import annotations

import os
from typing import Any

import paddle.distributed as dist

from benchmarks.experiments.throughput import ranks
from benchmarks.harness import models_paddle, worker
from paddle_impl.checkpoint import to_tensor


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, a barrier, then the job's passes; the clock's readings at both ends."""
    # The launcher has set the device and PADDLE_DISTRI_BACKEND (nccl or gloo).
    device = models_paddle.set_up(job)
    dist.init_parallel_env()
    model = models_paddle.build_ours(job["weights"], job["model"])
    images = to_tensor(worker.load_images(job))
    # Paddle makes no group of one process, and its barrier wants a group.
    barrier = dist.barrier if dist.get_world_size() > 1 else lambda: None
    return ranks.passes(
        lambda: model(images), lambda y: y.astype("float32").numpy(), device, barrier, job
    )


if __name__ == "__main__":
    ranks.serve(work, int(os.environ["PADDLE_TRAINER_ID"]))
