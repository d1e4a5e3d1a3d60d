"""The PyTorch process of a pair; the mirror of ``worker_paddle``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from parity.comparison.known_differences import HARDSIGMOID, window_gradients
from parity.comparison.nil import LARGEST, REACH
from parity.pair.matching import kinds
from parity.pair.sides import nests, worker
from parity.pair.sides.build import BuildError, build
from parity.pair.sides.side import Run
from parity.pair.sides.watch import Watch, numbered
from parity.workers.launch import serve
from parity.workers.worker import saver
from parity.workers.worker_torch import set_switches, switches, to_array
from pytorch_impl.checkpoint import to_tensor

DTYPES = {"tf32": torch.float32}  # a precision that is no dtype
NATIVE: Run = {"precision": None, "rounded": None}  # every tensor in its own dtype


class Side:
    """See ``side.Side``."""

    framework = "torch"

    def __init__(self, job: Mapping[str, Any]) -> None:
        torch.manual_seed(job["seed"])
        torch.backends.mha.set_fastpath_enabled(False)  # it passes the modules inside by
        self.job = job
        self.device = torch.device("cuda" if job["device"] == "gpu" else "cpu")
        self.model = build(job["make"], job["path"], torch.nn.Module, "torch.nn.Module")
        self.model.to(self.device).eval()
        worker.same_norms(self)
        self.keep()

    def keep(self) -> None:
        """Take the tensors as they are for those that every run starts from."""
        self.saved = {key: tensor.detach().clone() for key, tensor in self.tensors()}

    # -- tensors and modules

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def to_array(self, tensor: torch.Tensor) -> np.ndarray:
        return to_array(tensor)

    def tensor(self, array: np.ndarray, run: Run) -> torch.Tensor:
        """On the device; floating-point values in the run's precision."""
        tensor: torch.Tensor = to_tensor(np.ascontiguousarray(array)).to(self.device)
        return self._cast(tensor, run)

    def _cast(self, tensor: torch.Tensor, run: Run) -> torch.Tensor:
        if run["precision"] is None or not tensor.is_floating_point():
            return tensor
        if run["rounded"]:
            tensor = tensor.to(_dtype(run["rounded"]))
        return tensor.to(_dtype(run["precision"]))

    def modules(self) -> Iterator[tuple[str, Any]]:
        """(path, module), each once."""
        every = dict(self.model.named_modules())
        for path, module in every.items():
            yield kinds.path_of(path, module, self.framework, len(every) == 1), module

    def own_tensors(self, module: Any) -> Iterator[tuple[str, Any]]:
        """(role, tensor) of a module, without those of the modules inside."""
        yield from module.named_parameters(recurse=False)
        yield from module.named_buffers(recurse=False)

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """(key, tensor) of all parameters and buffers, each once."""
        yield from self.model.named_parameters()
        yield from self.model.named_buffers()

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Load a file's tensors. Raises BuildError for those that don't fit."""
        state = {key: to_tensor(np.array(array)) for key, array in tensors.items()}
        try:
            missing, unexpected = self.model.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise BuildError(f"{self.job['weights']}: {error}") from None
        missing = [key for key in missing if not key.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise BuildError(
                f"{self.job['weights']}: not this network's: missing {_listed(missing)}; "
                f"unexpected {_listed(unexpected)}"
            )
        self.keep()

    def put(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set tensors by their keys."""
        own = dict(self.tensors())
        with torch.no_grad():
            for key, array in tensors.items():
                own[key].copy_(to_tensor(np.array(array)))
        self.keep()

    def before(self, module: Any, hook: Callable[..., Any]) -> Any:
        return module.register_forward_pre_hook(hook, with_kwargs=True)

    def after(self, module: Any, hook: Callable[..., None]) -> Any:
        return module.register_forward_hook(hook, with_kwargs=True)

    # -- runs

    def begin(self, run: Run) -> None:
        """Put the model into the run's precision and mode, with the tensors it was given."""
        set_switches(run)
        for key, tensor in self.tensors():
            tensor.grad = None
            tensor.data = self._cast(self.saved[key], run).clone()
        self.model.train(run["mode"] == "train")
        worker.no_dropout(self)
        self.hooks = self._like_paddle(run)

    def _like_paddle(self, run: Run) -> list[Any]:
        """Hooks for what is known to be otherwise in Paddle: see ``known_differences``."""
        modules, hooks = dict(self.modules()), []
        for path in run["alike"]["hardsigmoid"]:
            modules[path].inplace = False
            hooks.append(modules[path].register_forward_hook(_hardsigmoid))
        exact = run["precision"] == "float64" and self.device.type == "cpu"
        if exact and run["task"] != "forward":
            for kind in ("avg_pool", "adaptive_avg_pool"):
                hooks += [h for path in run["alike"][kind] for h in _pool_hooks(modules[path])]
        return hooks

    def end(self) -> None:
        """Leave the model without hooks."""
        for hook in self.hooks:
            hook.remove()

    def evaluate(self, look: Callable[[Any], None]) -> Any:
        """The model's output in evaluation, everything in its own dtype; ``look`` at the inputs."""
        inputs = worker.arguments(self, self.job, NATIVE)[1]
        look(inputs)
        with torch.no_grad():
            return self.model(*inputs)

    def outputs(self, output: Any) -> list[torch.Tensor]:
        """The tensors of the model's output, in order."""
        return [leaf for _, leaf in nests.leaves(output, self.is_tensor)]

    def forward(self, run: Run) -> None:
        """Save the outputs and, as they are computed, those of every matched call."""
        self.begin(run)
        self.hooks += Watch(self, run).hooks()
        with torch.no_grad():
            output = self.model(*worker.arguments(self, self.job, run)[1])
        save = saver(run["out"])
        for number, tensor in enumerate(self.outputs(output)):
            save(numbered("output", number), to_array(tensor))

    def loss(self, arguments: list[Any]) -> torch.Tensor:
        """The mean squared distance of every floating-point output from values that are drawn."""
        losses = []
        for number, output in enumerate(self.outputs(self.model(*arguments))):
            if output.is_floating_point():
                drawn = worker.target(tuple(output.shape), self.job["seed"], number)
                goal = to_tensor(drawn).to(output.device, output.dtype)
                losses.append(((output - goal) ** 2).mean())
        return torch.stack(losses).sum()

    def gradients(self, run: Run) -> None:
        """Save the loss and its gradients by the inputs and by every matched parameter."""
        self.begin(run)
        save = saver(run["out"])
        flat, arguments = worker.arguments(self, self.job, run)
        inputs = {name: tensor for name, tensor in flat.items() if tensor.is_floating_point()}
        for tensor in inputs.values():
            tensor.requires_grad_()
        loss = self.loss(arguments)
        torch.autograd.backward(loss)
        save("loss", to_array(loss))
        found = self._gradients(run)
        save(LARGEST, np.array(max(worker.gradients_size(found).values(), default=0.0)))
        found |= {f"input {n}": to_array(t.grad) for n, t in inputs.items() if t.grad is not None}
        for name, array in found.items():
            save(name, array)

    def _gradients(self, run: Run) -> worker.Arrays:
        """Of the matched parameters, under their names."""
        gradients = {key: tensor.grad for key, tensor in self.tensors() if tensor.grad is not None}
        return worker.canonical(run, gradients, to_array)

    def train(self, run: Run) -> None:
        """Steps of an optimizer; after each, save the loss, the parameters and the statistics."""
        self.begin(run)
        optimizer = OPTIMIZERS[run["optimizer"]](self.model.parameters(), run)
        reach: dict[str, float] = {}
        for step, rate in enumerate(run["rates"]):
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = self.loss(worker.arguments(self, self.job, run)[1])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            reach = worker.reaches(run, self._gradients(run), reach, rate)
            save = saver(f"{run['out']}/step{step + 1}")
            for name, far in reach.items():
                save(f"{REACH}{name}", np.array(far))
            for name, array in worker.canonical(run, dict(self.tensors()), to_array).items():
                save(name, array)
            save("loss", to_array(loss))

    def describe(self) -> dict[str, Any]:
        """What this framework is and has."""
        gpu = torch.cuda.get_device_name() if torch.cuda.device_count() else None
        return {"version": torch.__version__, "gpu": gpu, "switches": switches()}


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return shown or "nothing"


def _dtype(precision: str) -> torch.dtype:
    return DTYPES.get(precision) or getattr(torch, precision)


def _hardsigmoid(_module: Any, given: Any, _output: Any) -> torch.Tensor:
    result: torch.Tensor = (given[0] * HARDSIGMOID + 0.5).clamp(0, 1)
    return result


def _pool_hooks(pool: Any) -> list[Any]:
    """Hooks that scale what goes back through an average pool of images as Paddle does."""
    factors: list[torch.Tensor] = []

    def before(_module: Any, given: Any) -> None:
        sizes = [_windows(pool, axis, given[0].shape[2 + axis]) for axis in (0, 1)]
        factors[:] = [torch.from_numpy(window_gradients(*sizes))]

    def back(_module: Any, given: Any) -> tuple[torch.Tensor]:
        return (given[0] * factors[0],)

    if not type(pool).__name__.endswith("2d"):
        return []
    return [pool.register_forward_pre_hook(before), pool.register_full_backward_pre_hook(back)]


def _windows(pool: Any, axis: int, side: int) -> list[int]:
    """How many pixels of an input each of a pool's windows covers along an axis."""

    def along(value: Any) -> Any:
        return value[axis] if isinstance(value, tuple) else value

    if hasattr(pool, "output_size"):
        count = along(pool.output_size) or side
        starts = [i * side // count for i in range(count)]
        return [-(-(i + 1) * side // count) - start for i, start in enumerate(starts)]
    kernel, stride, pad = map(along, (pool.kernel_size, pool.stride, pool.padding))
    count = (side + 2 * pad - kernel) // stride + 1
    count += pool.ceil_mode and count * stride < side + pad
    starts = [i * stride - pad for i in range(count)]
    if pool.count_include_pad:
        return [min(start + kernel, side + pad) - start for start in starts]
    return [min(start + kernel, side) - max(start, 0) for start in starts]


def _sgd(parameters: Any, run: Run) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.0, run["momentum"], weight_decay=run["weight_decay"])


def _adam(parameters: Any, run: Run) -> torch.optim.Optimizer:
    decay, betas = run["weight_decay"], tuple(run["betas"])
    return torch.optim.Adam(parameters, 0.0, betas, run["epsilon"], weight_decay=decay)


def _adamw(parameters: Any, run: Run) -> torch.optim.Optimizer:
    decay, betas = run["weight_decay"], tuple(run["betas"])
    return torch.optim.AdamW(parameters, 0.0, betas, run["epsilon"], weight_decay=decay)


OPTIMIZERS = {"sgd": _sgd, "adam": _adam, "adamw": _adamw}


def work_on(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the job asks, see ``worker.work_on``."""
    return worker.work_on(job, Side)


if __name__ == "__main__":
    serve(work_on)
