"""One of several torch processes that run forward passes at once; mirror of ``ranks_paddle``.

``torchrun`` starts them, each with a GPU of its own or on the CPU:
``-m benchmarks.experiments.throughput.ranks_torch JOB``.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.experiments.throughput import ranks
from benchmarks.harness import models_torch, worker
from pytorch_impl.checkpoint import to_tensor


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Parity, a barrier, then the job's passes; the clock's readings at both ends."""
    gpu = job["device"] == "gpu"
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if gpu else "gloo")
    device, place = models_torch.set_up(job), models_torch.PLACES[job["device"]]
    model = models_torch.build_ours(job["weights"], job["model"]).to(place)
    images = to_tensor(worker.load_images(job)).to(place)
    result = ranks.passes(
        lambda: model(images), lambda y: y.float().cpu().numpy(), device, dist.barrier, job
    )
    dist.destroy_process_group()
    return result


if __name__ == "__main__":
    ranks.serve(work, int(os.environ["RANK"]))
