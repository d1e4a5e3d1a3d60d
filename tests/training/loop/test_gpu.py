"""Trainings on GPUs, as far as a machine without one can tell; none was run on a real one yet.

torch's fake tensors have a device without having it: an operation on two devices fails with them
as it would there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import paddle
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from parity.workers.launch import ALLOCATORS
from training.errors import TrainingError
from training.loop import launch as process
from training.loop import side_paddle, side_torch
from training.loop.side import How
from training.settings import DEFAULTS

GPU = How(threads=1, device="gpu")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Both frameworks say that there are two; what is set by them."""
    done: list[object] = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", done.append)
    monkeypatch.setattr("paddle.is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr("paddle.device.cuda.device_count", lambda: 2)
    monkeypatch.setattr("paddle.set_flags", done.append)
    # Builds for CPUs have it without a value.
    monkeypatch.setattr("paddle.distributed.ParallelEnv.device_id", 0)
    before = torch.backends.cudnn.deterministic
    yield done
    torch.backends.cudnn.deterministic = before


def test_each_worker_has_the_gpu_of_its_number(
    two_gpus: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert side_torch._device(GPU) == torch.device("cuda", 0)
    assert side_paddle._device(GPU) == "gpu:0"
    monkeypatch.setenv("LOCAL_RANK", "1")  # torchrun's
    monkeypatch.setattr("paddle.distributed.ParallelEnv.device_id", 1)
    assert side_torch._device(GPU) == torch.device("cuda", 1)
    assert side_paddle._device(GPU) == "gpu:1"
    assert [each for each in two_gpus if isinstance(each, int)] == [0, 1]
    assert {"FLAGS_cudnn_deterministic": True} in two_gpus
    assert torch.backends.cudnn.deterministic
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr("paddle.distributed.ParallelEnv.device_id", 2)
    for side in (side_torch, side_paddle):
        with pytest.raises(TrainingError, match="sees 2 GPUs, and this worker needs GPU 2"):
            side._device(GPU)


def test_without_a_gpu_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("paddle.is_compiled_with_cuda", lambda: False)
    for make in (side_torch.TorchSide, side_paddle.PaddleSide):
        with pytest.raises(TrainingError, match=r"sees 0 GPUs.*--device cpu"):
            make(DEFAULTS, GPU)


def test_workers_meet_over_nccl(two_gpus: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    met = []

    def meet(backend: str) -> None:
        met.append(backend)
        raise TrainingError("met")

    monkeypatch.setattr("torch.distributed.init_process_group", meet)
    for device in ("cpu", "gpu"):
        with pytest.raises(TrainingError, match="met"):
            side_torch.TorchSide(DEFAULTS, How(threads=1, workers=2, device=device))
    assert met == ["gloo", "nccl"]


def test_every_process_keeps_its_memory_and_gloo_is_of_cpus_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gloo, seen = {"GLOO_SOCKET_IFNAME", "PADDLE_DISTRI_BACKEND"}, []

    class Ended:
        def __init__(self, _command: list[str], env: dict[str, str], **streams: int) -> None:
            seen.append(gloo & set(env))
            assert env.items() >= ALLOCATORS["keep"].items()

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(process.subprocess, "Popen", Ended)
    for device in ("cpu", "gpu"):
        for framework in process.MODULES:
            process.start(framework, {"how": {"threads": 1, "workers": 2, "device": device}})
    assert seen == [gloo, gloo, set(), set()]


class Backward(Exception):
    """Where fakes end: the engine asks CUDA itself."""


def no_further(loss: torch.Tensor) -> None:
    raise Backward(loss.device)


MIXED = How(1, precision="bfloat16", channels_last=True, device="gpu")


@pytest.mark.parametrize("how", [GPU, MIXED])
def test_a_step_is_on_one_device(
    two_gpus: list[object], monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    images, labels = np.zeros((4, 3, 32, 32), np.float32), np.arange(4)
    cast: list[object] = []

    def autocast(*arguments: object, enabled: bool) -> contextlib.nullcontext[None]:
        cast.append((*arguments, enabled))
        return contextlib.nullcontext()

    monkeypatch.setattr("torch.autocast", autocast)  # without CUDA it warns, and does nothing
    monkeypatch.setattr("torch.autograd.backward", no_further)
    with FakeTensorMode(allow_non_fake_inputs=True):
        side = side_torch.TorchSide(DEFAULTS, how)
        assert {tensor.device.type for tensor in side.model.state_dict().values()} == {"cuda"}
        with pytest.raises(Backward, match="cuda:0"):
            side.step(images, labels, 0.1, 4)
        assert cast == [("cuda", torch.bfloat16, how is MIXED)]
        side.device = torch.device("cpu")  # as if the images had not been sent there
        with pytest.raises(RuntimeError, match="device"):
            side.step(images, labels, 0.1, 4)


def test_paddle_is_sent_to_its_gpu(two_gpus: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(paddle.device, "set_device", sent.append)
    side_paddle.PaddleSide(DEFAULTS, GPU)
    side_paddle.PaddleSide(DEFAULTS, How(threads=1))
    assert sent == ["gpu:0", "cpu"]
