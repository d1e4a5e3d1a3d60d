"""The Paddle process of a pair; the mirror of ``worker_torch``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import paddle

from paddle_impl.checkpoint import to_tensor
from parity.comparison.nil import LARGEST, REACH
from parity.pair.matching import kinds
from parity.pair.sides import nests, worker
from parity.pair.sides.build import BuildError, build
from parity.pair.sides.side import Run
from parity.pair.sides.watch import Watch, numbered
from parity.workers.launch import serve
from parity.workers.worker import saver
from parity.workers.worker_paddle import set_switches, switches, to_array

DTYPES = {"tf32": "float32"}  # a precision that is no dtype
NATIVE: Run = {"precision": None, "rounded": None}  # every tensor in its own dtype


class Side:
    """See ``side.Side``."""

    framework = "paddle"

    def __init__(self, job: Mapping[str, Any]) -> None:
        paddle.seed(job["seed"])
        paddle.device.set_device(job["device"])
        self.job = job
        self.model = build(job["make"], job["path"], paddle.nn.Layer, "paddle.nn.Layer")
        self.model.eval()
        self.keep()

    def keep(self) -> None:
        """Take the tensors as they are for those that every run starts from."""
        self.saved = {key: tensor.detach().clone() for key, tensor in self.tensors()}

    # -- tensors and modules

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, paddle.Tensor)

    def to_array(self, tensor: paddle.Tensor) -> np.ndarray:
        return to_array(tensor)

    def tensor(self, array: np.ndarray, run: Run) -> paddle.Tensor:
        """On the device; floating-point values in the run's precision."""
        return self._cast(to_tensor(np.ascontiguousarray(array)), run)

    def _cast(self, tensor: paddle.Tensor, run: Run) -> paddle.Tensor:
        if run["precision"] is None or not paddle.is_floating_point(tensor):
            return tensor
        if run["rounded"]:
            tensor = tensor.astype(_dtype(run["rounded"]))
        return tensor.astype(_dtype(run["precision"]))

    def modules(self) -> Iterator[tuple[str, Any]]:
        """(path, module), each once."""
        every = dict(self.model.named_sublayers(include_self=True))
        for path, module in every.items():
            yield kinds.path_of(path, module, self.framework, len(every) == 1), module

    def own_tensors(self, module: Any) -> Iterator[tuple[str, Any]]:
        """(role, tensor) of a module, without those of the modules inside."""
        yield from module.named_parameters(include_sublayers=False)
        yield from module.named_buffers(include_sublayers=False)

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """(key, tensor) of all parameters and buffers that hold something, each once."""
        every = itertools.chain(self.model.named_parameters(), self.model.named_buffers())
        # A recurrent layer has a buffer for dropout, which is empty until it is trained.
        yield from ((key, tensor) for key, tensor in every if tensor._is_initialized())

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Load a file's tensors. Raises BuildError for those that don't fit."""
        state = {key: to_tensor(np.array(array)) for key, array in tensors.items()}
        own = self.model.state_dict()
        for key in own.keys() & state.keys():  # set_state_dict would pass other shapes by
            if own[key].shape != state[key].shape:
                raise BuildError(
                    f"{self.job['weights']}: {key}: shape {state[key].shape}, not {own[key].shape}"
                )
        missing, unexpected = self.model.set_state_dict(state)
        if missing or unexpected:
            raise BuildError(
                f"{self.job['weights']}: not this network's: missing {_listed(missing)}; "
                f"unexpected {_listed(unexpected)}"
            )
        self.keep()

    def put(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set tensors by their keys."""
        own = dict(self.tensors())
        for key, array in tensors.items():
            own[key].set_value(to_tensor(np.array(array)).astype(own[key].dtype))
        self.keep()

    def before(self, module: Any, hook: Callable[..., Any]) -> Any:
        return module.register_forward_pre_hook(hook, with_kwargs=True)

    def after(self, module: Any, hook: Callable[..., None]) -> Any:
        return module.register_forward_post_hook(hook, with_kwargs=True)

    # -- runs

    def begin(self, run: Run) -> None:
        """Put the model into the run's precision and mode, with the tensors it was given."""
        set_switches(run)
        self.model.clear_gradients()
        # Not Layer.to: it casts indices as well.
        self.model._to_impl(dtype=_dtype(run["precision"]), floating_only=True)
        for key, tensor in self.tensors():
            tensor.set_value(self._cast(self.saved[key], run).clone())
        self.model.train() if run["mode"] == "train" else self.model.eval()
        worker.no_dropout(self)
        self.hooks: list[Any] = []

    def end(self) -> None:
        """Leave the model without hooks."""
        for hook in self.hooks:
            hook.remove()

    def evaluate(self, look: Callable[[Any], None]) -> Any:
        """The model's output in evaluation, everything in its own dtype; ``look`` at the inputs."""
        inputs = worker.arguments(self, self.job, NATIVE)[1]
        look(inputs)
        with paddle.no_grad():
            return self.model(*inputs)

    def outputs(self, output: Any) -> list[paddle.Tensor]:
        """The tensors of the model's output, in order."""
        return [leaf for _, leaf in nests.leaves(output, self.is_tensor)]

    def forward(self, run: Run) -> None:
        """Save the outputs and, as they are computed, those of every matched call."""
        self.begin(run)
        self.hooks += Watch(self, run).hooks()
        with paddle.no_grad():
            output = self.model(*worker.arguments(self, self.job, run)[1])
        save = saver(run["out"])
        for number, tensor in enumerate(self.outputs(output)):
            save(numbered("output", number), to_array(tensor))

    def loss(self, arguments: list[Any]) -> paddle.Tensor:
        """The mean squared distance of every floating-point output from values that are drawn."""
        losses = []
        for number, output in enumerate(self.outputs(self.model(*arguments))):
            if paddle.is_floating_point(output):
                drawn = worker.target(tuple(output.shape), self.job["seed"], number)
                goal = to_tensor(drawn).astype(output.dtype)
                losses.append(((output - goal) ** 2).mean())
        return paddle.stack(losses).sum()

    def gradients(self, run: Run) -> None:
        """Save the loss and its gradients by the inputs and by every matched parameter."""
        self.begin(run)
        save = saver(run["out"])
        flat, arguments = worker.arguments(self, self.job, run)
        inputs = {name: tensor for name, tensor in flat.items() if paddle.is_floating_point(tensor)}
        for tensor in inputs.values():
            tensor.stop_gradient = False
        loss = self.loss(arguments)
        loss.backward()
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
            optimizer.set_lr(rate)
            loss = self.loss(worker.arguments(self, self.job, run)[1])
            optimizer.clear_grad()
            loss.backward()
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
        there = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()
        gpu = paddle.device.cuda.get_device_name() if there else None
        return {"version": paddle.__version__, "gpu": gpu, "switches": switches()}


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return shown or "nothing"


def _dtype(precision: str) -> str:
    return DTYPES.get(precision, precision)


def _sgd(parameters: Any, run: Run) -> Any:
    decay = run["weight_decay"]
    return paddle.optimizer.Momentum(0.0, run["momentum"], parameters, weight_decay=decay)


def _adam(parameters: Any, run: Run) -> Any:
    decay, betas = run["weight_decay"], run["betas"]
    return paddle.optimizer.Adam(0.0, *betas, run["epsilon"], parameters, weight_decay=decay)


def _adamw(parameters: Any, run: Run) -> Any:
    decay, betas = run["weight_decay"], run["betas"]
    return paddle.optimizer.AdamW(0.0, *betas, run["epsilon"], parameters, weight_decay=decay)


OPTIMIZERS = {"sgd": _sgd, "adam": _adam, "adamw": _adamw}


def work_on(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the job asks, see ``worker.work_on``."""
    return worker.work_on(job, Side)


if __name__ == "__main__":
    serve(work_on)
