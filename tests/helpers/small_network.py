"""A small network run in NumPy, rightly or with a mistake in it: what the diagnosis is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np
import torch

import pytorch_impl
from parity import images, seeded
from parity.comparison.precision import PRECISIONS
from parity.diagnosis import wiring
from parity.diagnosis.kernels import batch_norm
from parity.diagnosis.view import layers, relative
from weight_port import arch

Array = np.ndarray
Weights = dict[str, Array]
SIDE, COUNT = 64, 4
# A mistake in the code: from a layer's step, its prepared inputs and all outputs before it, the
# output.
Instead = Callable[[wiring.Step, tuple[Array, ...], Mapping[str, Array]], Array]


@cache
def batch(seed: int) -> Array:
    """Normalised "photographs": smooth, coloured, float32."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0.1, 0.9, (COUNT, 3, 8, 8))
    pixels = np.kron(coarse, np.ones((SIDE // 8, SIDE // 8)))
    pixels += 0.05 * random.uniform(-1, 1, pixels.shape)
    mean, std = images.MEAN[:, None, None], images.STD[:, None, None]
    return ((pixels - mean) / std).astype(np.float32)


def run(
    name: str,
    weights: Mapping[str, Array],
    fed: Array,
    *,
    dtype: str = "float64",
    epsilon: float = arch.BN_EPS,
    instead: Mapping[str, Instead] | None = None,
    right: tuple[Weights, Mapping[str, Array]] | None = None,
) -> Iterator[tuple[str, Array]]:
    """Every output in execution order; with weights and outputs that are ``right``, what they
    settle already is taken from there. A change is looked for by layer, then by kind of layer."""
    changes = instead or {}
    outputs = {"images": fed.astype(dtype)}
    settled = {"images"} if right and np.array_equal(fed, right[1]["images"]) else set()
    yield "images", outputs["images"]
    for layer in list(layers(name).values())[1:]:
        feed = wiring.feeds(name)[layer.name]
        raw = [outputs[source] for source in feed.sources]
        change = changes.get(layer.name) or changes.get(layer.kind)
        same = right and all(weights[p.name] is right[0][p.name] for p in layer.parameters)
        if same and not change and epsilon == arch.BN_EPS and settled.issuperset(feed.sources):
            settled.add(layer.name)
        if layer.name in settled:
            outputs[layer.name] = right[1][layer.name].astype(dtype)
        else:
            inputs = wiring.prepare(feed, raw)
            parameters = {p.role: weights[p.name].astype(dtype) for p in layer.parameters}
            bias = getattr(arch.architecture(name), "local_bias", 2.0)
            step = wiring.Step(layer, parameters, epsilon, bias)
            output = change(step, inputs, outputs) if change else wiring.compute(step, inputs)
            outputs[layer.name] = output.astype(dtype)
        yield layer.name, outputs[layer.name]


def _calibrate(weights: Weights) -> Instead:
    """Batch statistics, kept."""

    def normalise(step: wiring.Step, inputs: tuple[Array, ...], outputs: object) -> Array:
        x, name = inputs[0], step.layer.name
        weights[f"{name}_mean"] = x.mean(axis=(0, 2, 3)).astype(np.float32)
        weights[f"{name}_variance"] = x.var(axis=(0, 2, 3)).astype(np.float32)
        return training_mode(step, inputs, outputs)

    return normalise


@cache
def network(name: str, num_classes: int, last: str) -> tuple[Weights, dict[str, Array]]:
    """Seeded weights, calibrated on other images, and the right outputs in float64."""
    weights = seeded.draw(name, 3, num_classes)
    calibration = {"batch_norm": _calibrate(weights)}
    up_to(run(name, weights, batch(0), instead=calibration), last)
    return weights, up_to(run(name, weights, batch(1)), last)


def up_to(outputs: Iterator[tuple[str, Array]], last: str) -> dict[str, Array]:
    """The outputs as far as ``last``."""
    found: dict[str, Array] = {}
    for name, output in outputs:
        found[name] = output
        if name == last:
            return found
    raise AssertionError(f"there is no {last}")


def until_different(
    outputs: Iterator[tuple[str, Array]], reference: Mapping[str, Array], precision: str
) -> tuple[dict[str, Array], str]:
    """The port's outputs up to the first over tolerance, and its name, as the comparator says."""
    port: dict[str, Array] = {}
    for name, output in outputs:
        port[name] = output
        apart = relative(output.astype(np.float64), reference[name])
        if not apart <= PRECISIONS[precision].layer:
            return port, name
    raise AssertionError("the port is equal to the reference")


def training_mode(step: wiring.Step, inputs: tuple[Array, ...], _: object) -> Array:
    """A batch norm with the batch's own statistics."""
    x, own = inputs[0], step.parameters
    mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    return batch_norm(x, own["scale"], own["offset"], mean, variance, step.epsilon)


def torch_outputs(model: torch.nn.Module, name: str, fed: Array) -> dict[str, Array]:
    """Every named output of our PyTorch model, as its hooks see it."""
    names = {layer.path: layer.name for layer in arch.layers(name)}
    outputs = {"images": fed}
    for path, module in model.named_modules():
        if path in names:
            module.register_forward_hook(
                lambda _m, _i, out, layer=names[path]: outputs.update(
                    {layer: out.detach().numpy().copy()}
                )
            )
    with torch.no_grad():
        outputs["logits"] = model(torch.from_numpy(fed)).numpy()
    return outputs


def in_torch(name: str, weights: Weights, classes: int, dtype: torch.dtype) -> torch.nn.Module:
    model = pytorch_impl.MODELS[name](classes)
    pytorch_impl.load_weights(model, weights)
    return model.eval().to(dtype)
