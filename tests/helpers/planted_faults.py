"""Planted faults and what the diagnosis has to say about each: the table of ``test_diagnose``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import torch
import torch.nn.functional as F

from parity import images
from parity.diagnosis import kernels, wiring
from tests.helpers import small_network as faulty
from tests.helpers.small_network import Array, Instead, Weights
from weight_port import arch
from weight_port.arch.classic_steps import LOCAL_ALPHA

RANDOM = np.random.default_rng(8)
NEXT = ("resnext50_32x4d", 100, "res2c")
CLASSES = 512  # a square fc in a ResNet-18


# --- mistakes in the weights ---------------------------------------------------------------------


def setting(**values: Callable[[Weights], Array]) -> Callable[[Weights], Weights]:
    """New tensors from the right ones; ``__`` in a name stands for a dot."""
    return lambda w: {name.replace("__", "."): make(w) for name, make in values.items()}


def copies(**names: str) -> Callable[[Weights], Weights]:
    return lambda w: {name: w[source] for name, source in names.items()}


def changed(name: str, change: Callable[[Array], Array]) -> Callable[[Weights], Weights]:
    return lambda w: {name: np.ascontiguousarray(change(w[name]))}


def exchanged(one: str, other: str) -> Callable[[Weights], Weights]:
    return copies(**{one: other, other: one})


def statistics(layer: str, source: str) -> Callable[[Weights], Weights]:
    roles = ("scale", "offset", "mean", "variance")
    return copies(**{f"{layer}_{role}": f"{source}_{role}" for role in roles})


def shuffled(axis: int) -> Callable[[Array], Array]:
    return lambda w: np.take(w, np.random.default_rng(1).permutation(w.shape[axis]), axis)


def all_channels(layer: str, change: Callable[[Array], Array]) -> Callable[[Weights], Weights]:
    names = [f"{layer}_{role}" for role in ("scale", "offset", "mean", "variance")]
    return lambda w: {name: change(w[name]) for name in names}


def poke(name: str, at: tuple[int, ...], by: float) -> Callable[[Weights], Weights]:
    def change(w: Array) -> Array:
        w = w.copy()
        w[at] += by
        return w

    return changed(name, change)


# --- mistakes in the code: written with torch, so that nothing checks itself ----------------------


def by_torch(function: Callable[..., torch.Tensor]) -> Instead:
    """``function(x, weight)``, or ``(x, y)`` for a block, in torch."""

    def run(step, inputs, _) -> Array:
        arrays = [*inputs, *(v for role, v in step.parameters.items() if role == "weight")]
        return function(*map(torch.from_numpy, map(np.ascontiguousarray, arrays))).numpy()

    return run


def after(change: Callable[[Array], Array]) -> Instead:
    """The right output, then changed."""
    return lambda step, inputs, _: change(wiring.compute(step, inputs))


def on_raw(source: str) -> Instead:
    """The right layer on another output than its own input."""
    return lambda step, _, outputs: wiring.compute(step, (outputs[source],))


def conv(stride: int, padding: int | tuple[int, ...], groups: int = 1) -> Instead:
    if isinstance(padding, tuple):
        return by_torch(lambda x, w: F.conv2d(F.pad(x, padding), w, None, stride, 0, 1, groups))
    return by_torch(lambda x, w: F.conv2d(x, w, None, stride, padding, 1, groups))


def add_bias(output: Array) -> Array:
    return output + np.linspace(-1, 1, output.shape[1], dtype=output.dtype)[:, None, None]


def rounded(dtype: type) -> Callable[[Array], Array]:
    return lambda x: x.astype(dtype).astype(np.float32)


def tensor_cores(x: Array) -> Array:
    """TF32: float32 with 10 bits of mantissa, ties away from zero."""
    scale = 2.0 ** (np.floor(np.log2(np.abs(np.where(x == 0, 1, x)))) - 10)
    return np.trunc(x / scale + 0.5 * np.sign(x)) * scale


def factors(change: Callable[[Array], Array]) -> Instead:
    def run(step, inputs, _) -> Array:
        weight, x = (change(np.float64(a)) for a in (step.parameters["weight"], inputs[0]))
        return kernels.conv(x, weight, step.layer.stride, groups=step.layer.groups)

    return run


def folded(step, inputs, _) -> Array:
    """res2a_branch2a with its batch norm in its weights, which float32 keeps."""
    w, _ = faulty.network("resnet18", CLASSES, "logits")
    scale, offset, mean, variance = (
        w[f"bn2a_branch2a_{role}"] for role in ("scale", "offset", "mean", "variance")
    )
    slope = scale / np.sqrt(variance + np.float32(1e-5))
    weight = np.float32(step.parameters["weight"]) * slope[:, None, None, None]
    return kernels.conv(inputs[0], weight) + (offset - slope * mean)[:, None, None]


@dataclass(frozen=True)
class Fault:
    """A planted mistake and what the diagnosis has to say about it."""

    cause: str
    first: str
    words: str = ""  # somewhere in the sentence
    weights: Callable[[Weights], Weights] = field(default=lambda _: {})
    instead: Mapping[str, Instead] = field(default_factory=dict)
    epsilon: float = arch.BN_EPS
    fed: Callable[[Array], Array] = field(default=lambda x: x)
    known: bool = True  # the port's images are
    network: tuple[str, int, str] = ("resnet18", CLASSES, "logits")  # and how far it is run
    precisions: tuple[str, ...] = ("float64", "float32")
    then: str = ""  # how far the port runs past the first difference


def pixels(x: Array) -> Array:
    return x * images.STD[:, None, None] + images.MEAN[:, None, None]


def renormalised(x: Array) -> Array:
    return (x - images.MEAN[:, None, None]) / images.STD[:, None, None]


CAFFE = np.array([103.939, 116.779, 123.68])[:, None, None]

FAULTS = {
    "weights swapped": Fault(
        "weights_swapped", "res4b_branch2a", "computes with res4b_branch2b_weights",
        exchanged("res4b_branch2a_weights", "res4b_branch2b_weights"), then="res4b",
    ),
    "another layer's weights": Fault(
        "weights_of_another_layer", "res4b_branch2a", "res4b_branch2b_weights",
        copies(res4b_branch2a_weights="res4b_branch2b_weights"), then="res4b",
    ),
    "output channels permuted": Fault(
        "output_channels_permuted", "res3a_branch2b", "of 128",
        changed("res3a_branch2b_weights", shuffled(0)),
    ),
    "two output channels": Fault(
        "output_channels_permuted", "res3a_branch1", "(3 and 5 exchanged)",
        changed("res3a_branch1_weights", lambda w: w[[0, 1, 2, 5, 4, 3, *range(6, 128)]]),
    ),
    "input channels permuted": Fault(
        "input_channels_permuted", "res2b_branch2a", "of 64",
        changed("res2b_branch2a_weights", shuffled(1)),
    ),
    "kernel transposed": Fault(
        "kernel_turned", "res2a_branch2a", "kh and kw exchanged",
        changed("res2a_branch2a_weights", lambda w: w.swapaxes(2, 3)),
    ),
    "kernel flipped": Fault(
        "kernel_turned", "conv1", "180 degrees",
        changed("conv1_weights", lambda w: w[..., ::-1, ::-1]),
    ),
    "HWIO reshaped": Fault(
        "weights_layout", "res3b_branch2a", "HWIO taken for OIHW",
        changed("res3b_branch2a_weights", lambda w: w.transpose(2, 3, 1, 0).reshape(w.shape)),
    ),
    "fc untransposed, square": Fault(
        "fc_untransposed", "fc", "", changed("fc_0.w_0", lambda w: w.T)
    ),
    "fc untransposed, reshaped": Fault(
        "fc_untransposed", "fc", "[in, out] taken for [out, in]",
        changed("fc_0.w_0", lambda w: w.reshape(w.T.shape).T),
        network=("resnet18", 100, "logits"),
    ),
    "fc without bias": Fault("fc_bias_missing", "fc", "", changed("fc_0.b_0", np.zeros_like)),
    "classes permuted": Fault(
        "output_channels_permuted", "fc", "in reverse",
        setting(fc_0__w_0=lambda w: w["fc_0.w_0"][:, ::-1],
                fc_0__b_0=lambda w: w["fc_0.b_0"][::-1]),
    ),
    "scale and variance swapped": Fault(
        "statistics_permuted", "bn2a_branch2a", "scale holds the variance",
        exchanged("bn2a_branch2a_scale", "bn2a_branch2a_variance"),
    ),
    "mean and offset swapped": Fault(
        "statistics_permuted", "bn_conv1", "offset holds the mean",
        exchanged("bn_conv1_offset", "bn_conv1_mean"),
    ),
    "three statistics": Fault(
        "statistics_permuted", "bn5a_branch1", "offset holds the scale, mean holds the offset",
        copies(bn5a_branch1_offset="bn5a_branch1_scale", bn5a_branch1_mean="bn5a_branch1_offset",
               bn5a_branch1_scale="bn5a_branch1_mean"),
    ),
    "variance missing": Fault(
        "statistics_missing", "bn5b_branch2a", "variance 1, as",
        changed("bn5b_branch2a_variance", np.ones_like),
    ),
    "running statistics missing": Fault(
        "statistics_missing", "bn3a_branch1", "mean 0, variance 1",
        setting(bn3a_branch1_mean=lambda w: np.zeros_like(w["bn3a_branch1_mean"]),
                bn3a_branch1_variance=lambda w: np.ones_like(w["bn3a_branch1_mean"])),
    ),
    "scale missing": Fault(
        "statistics_missing", "bn4a_branch2b", "scale 1",
        changed("bn4a_branch2b_scale", np.ones_like),
    ),
    "another batch norm": Fault(
        "statistics_of_another_layer", "bn3b_branch2a", "all four statistics of bn3b_branch2b",
        statistics("bn3b_branch2a", "bn3b_branch2b"),
    ),
    "another batch norm's mean": Fault(
        "statistics_of_another_layer", "bn2b_branch2a", "mean of bn2a_branch2b",
        copies(bn2b_branch2a_mean="bn2a_branch2b_mean"),
    ),
    "statistics permuted by channel": Fault(
        "statistics_channels_permuted", "bn2b_branch2b", "of 64",
        all_channels("bn2b_branch2b", shuffled(0)),
    ),
    "unbiased variance": Fault(
        "variance_scaled", "bn5a_branch2a", "n/(n-1) for n = 16",
        changed("bn5a_branch2a_variance", lambda v: (v * 16 / 15).astype(np.float32)),
        precisions=("float64",),
    ),
    "Caffe's factor": Fault(
        "variance_scaled", "bn2a_branch2a", "mean and variance times 999.98",
        setting(bn2a_branch2a_mean=lambda w: w["bn2a_branch2a_mean"] * np.float32(999.98),
                bn2a_branch2a_variance=lambda w: w["bn2a_branch2a_variance"] * np.float32(999.98)),
    ),
    "standard deviation": Fault(
        "variance_form", "bn3a_branch2a", "replaced by a standard deviation",
        changed("bn3a_branch2a_variance", np.sqrt),
    ),
    "one statistic off": Fault(
        "statistics_differ", "bn3a_branch2a", "1 of 128 channels (7)",
        poke("bn3a_branch2a_mean", (7,), 0.3),
    ),
    "training mode": Fault(
        "batch_statistics", "bn_conv1", "call eval()",
        instead={"batch_norm": faulty.training_mode},
    ),
    "epsilon 1e-3": Fault("wrong_epsilon", "bn_conv1", "epsilon 0.001", epsilon=1e-3),
    "Keras' epsilon": Fault(
        "wrong_epsilon", "bn_conv1", "epsilon 1.001e-05", epsilon=1.001e-5, precisions=("float64",)
    ),
    "an epsilon that none uses": Fault(
        "wrong_epsilon", "bn_conv1", "epsilon 0.00234", epsilon=2.34e-3
    ),
    "stride on the 1x1": Fault(
        "stride", "res3a_branch2a", "the port's bottleneck strides in its 1x1 (branch2a)",
        instead={"res3a_branch2a": conv(2, 0)}, network=("resnet50", 100, "res3a"),
    ),
    "stride on the 3x3": Fault(
        "stride", "res4a_branch2a", "the port's bottleneck strides in its 3x3 (branch2b)",
        instead={"res4a_branch2a": conv(1, 0)}, network=("resnet50_v1", 100, "res4a"),
    ),
    "shortcut strides": Fault(
        "shortcut_pool", "res3a_branch1", "doesn't pool as a vd",
        instead={"res3a_branch1": lambda step, _, outputs: kernels.conv(
            outputs["res2b"], step.parameters["weight"], 2)},
        network=("resnet18_vd", 100, "res3a"),
    ),
    "TensorFlow's padding": Fault(
        "padding", "conv1", "TensorFlow's SAME", instead={"conv1": conv(2, (2, 3, 2, 3))}
    ),
    "pool1 without padding": Fault(
        "pool_padding", "pool1", "valid",
        instead={"pool1": by_torch(lambda x: F.max_pool2d(x, 3, 2))},
    ),
    "pool1 in ceil mode": Fault(
        "pool_padding", "pool1", "ceil",
        instead={"pool1": by_torch(lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True))},
    ),
    "pool1 takes the mean": Fault(
        "pool_average", "pool1", "padding counted",
        instead={"pool1": by_torch(lambda x: F.avg_pool2d(x, 3, 2, 1))},
    ),
    "pool1 of 2x2": Fault(
        "pool_window", "pool1", "2x2", instead={"pool1": by_torch(lambda x: F.max_pool2d(x, 2, 2))}
    ),
    "pool5 takes the largest": Fault(
        "pool_maximum", "pool5", "largest", instead={"pool5": by_torch(
            lambda x: F.adaptive_max_pool2d(x, 1))},
    ),
    "no ReLU after the stem": Fault(
        "relu_missing", "pool1", "without the ReLU after bn_conv1",
        instead={"pool1": on_raw("bn_conv1")},
    ),
    "no ReLU within a block": Fault(
        "relu_missing", "res3b_branch2b", "without the ReLU after bn3b_branch2a",
        instead={"res3b_branch2b": on_raw("bn3b_branch2a")},
    ),
    "no ReLU after the sum": Fault(
        "relu_missing", "res2a", "after the sum", instead={"res2a": by_torch(torch.add)}
    ),
    "ReLU in place": Fault(
        "relu_added", "bn_conv1", "after bn_conv1", instead={"bn_conv1": after(kernels.relu)}
    ),
    "ReLU before the sum": Fault(
        "relu_added", "res4a", "on the branch before the sum",
        instead={"res4a": by_torch(lambda x, y: torch.relu(torch.relu(x) + y))},
    ),
    "no shortcut": Fault(
        "shortcut_missing", "res3b", "", instead={"res3b": by_torch(lambda x, _: torch.relu(x))}
    ),
    "a shortcut too many": Fault(
        "shortcut_added", "res3b", "is a plain network",
        instead={"res3b": lambda _, xs, outputs: kernels.relu(xs[0] + outputs["res3a"])},
        network=("plain18", 100, "res3b"),
    ),
    "no ReLU at the end of a plain block": Fault(
        "relu_missing", "res3b", "at the block's end", instead={"res3b": by_torch(lambda x: x)},
        network=("plain18", 100, "res3b"),
    ),
    "no ReLU in NIN": Fault(
        "relu_missing", "cccp1", "without the ReLU after conv1",
        instead={"cccp1": on_raw("conv1")}, network=("nin_cifar", 10, "cccp1"),
    ),
    "the largest of a window": Fault(
        "mean_pool_maximum", "pool2", "not its mean",
        instead={"pool2": by_torch(lambda x: F.max_pool2d(x, 3, 2, 0, ceil_mode=True))},
        network=("nin_cifar", 10, "pool2"),
    ),
    "alpha of the paper taken for a mean's": Fault(
        "local_norm", "norm1", "alpha for the factor of the window's mean",
        instead={"norm1": by_torch(
            lambda x: F.local_response_norm(x, 5, LOCAL_ALPHA / 5, 0.75, 1.0))},
        network=("googlenet", 10, "norm1"), precisions=("float64",),
    ),
    "AlexNet's constant in GoogLeNet": Fault(
        "local_norm", "norm1", "adds 2, not 1",
        instead={"norm1": by_torch(lambda x: F.local_response_norm(x, 5, LOCAL_ALPHA, 0.75, 2.0))},
        network=("googlenet", 10, "norm1"),
    ),
    "branches joined in another order": Fault(
        "branch_order", "inception_3a", "1x1, 5x5, 3x3, pool_proj",
        instead={"inception_3a": by_torch(lambda a, b, c, d: torch.cat((a, c, b, d), 1))},
        network=("googlenet", 10, "inception_3a"),
    ),
    "dropout that scales in evaluation": Fault(
        "dropout_scale", "fc", "dropout multiplies by 0.8",
        instead={"fc": lambda step, xs, _: wiring.compute(step, (xs[0] * xs[0].dtype.type(0.8),))},
        network=("googlenet_bn", 10, "fc"),
    ),
    "no bias": Fault(
        "conv_bias_missing", "res2b_branch2a", "load the convolution's bias",
        instead={"res2b_branch2a": lambda step, xs, _: kernels.conv(
            xs[0], step.parameters["weight"])},
        network=("resnet18_text", 100, "res2b"),
    ),
    "another convolution's weights beside a bias": Fault(
        "weights_of_another_layer", "res2b_branch2a", "res2a_branch2b_weights",
        copies(res2b_branch2a_weights="res2a_branch2b_weights"),
        network=("resnet18_text", 100, "res2b"),
    ),
    "padding beside a bias": Fault(
        "padding", "res2b_branch2a", "all 2 pixels first",
        instead={"res2b_branch2a": lambda step, xs, _: kernels.conv(
            xs[0], step.parameters["weight"], padding=(2, 0))
            + step.parameters["bias"][:, None, None]},
        network=("resnet18_text", 100, "res2b"),
    ),
    "no branch": Fault(
        "branch_missing", "res3a", "", instead={"res3a": by_torch(lambda _, y: torch.relu(y))}
    ),
    "shortcut not normalised": Fault(
        "shortcut_without_batch_norm", "res4a", "",
        instead={"res4a": lambda _, xs, outputs: kernels.relu(xs[0] + outputs["res4a_branch1"])},
    ),
    "shortcut not projected": Fault(
        "shortcut_without_projection", "res3a", "zeros in the added channels",
        instead={"res3a": lambda _, xs, outputs: kernels.relu(
            xs[0] + np.pad(outputs["res2b"][:, :, ::2, ::2], ((0, 0), (0, 64), (0, 0), (0, 0))))},
    ),
    "BGR": Fault("channel_order", "images", "BGR instead of RGB", fed=lambda x: x[:, ::-1]),
    "BGR, images unknown": Fault(
        "channel_order", "conv1", "BGR instead of RGB", fed=lambda x: x[:, ::-1], known=False
    ),
    "BGR before the normalisation, images unknown": Fault(
        "channel_order", "conv1", "then normalised with RGB's",
        fed=lambda x: renormalised(pixels(x)[:, ::-1]), known=False,
    ),
    "not normalised": Fault("image_normalisation", "images", "in [0, 1], not", fed=pixels),
    "not normalised, images unknown": Fault(
        "image_normalisation", "conv1", "in [0, 1], not", fed=pixels, known=False
    ),
    "Caffe's images, images unknown": Fault(
        "image_normalisation", "conv1", "as Caffe and Keras; channels BGR",
        fed=lambda x: 255 * pixels(x)[:, ::-1] - CAFFE, known=False,
    ),
    "recoloured, images unknown": Fault(
        "image_colours", "conv1", "channel 0 = 0.5·R + 0.1",
        fed=lambda x: x * np.array([0.5, 1, 2])[:, None, None] + 0.1, known=False,
    ),
    "recoloured": Fault(
        "image_colours", "images", "channel 1 = 3·G + -1", fed=lambda x: 3 * x - 1
    ),
    "mirrored": Fault("image_orientation", "images", "left to right", fed=lambda x: x[..., ::-1]),
    "another order of the images": Fault(
        "image_order", "images", "of 4", fed=lambda x: x[[1, 2, 3, 0]]
    ),
    "softmax": Fault(
        "softmax", "logits", "ends in a softmax",
        instead={"logits": by_torch(lambda x: F.softmax(x, dim=1))},
    ),
    "log-softmax": Fault(
        "softmax", "logits", "a logarithm",
        instead={"logits": by_torch(lambda x: F.log_softmax(x, dim=1))},
    ),
    "NHWC": Fault(
        "layout", "conv1", "NHWC instead of NCHW",
        instead={"conv1": after(lambda y: y.transpose(0, 2, 3, 1))},
    ),
    "pool5 flattened": Fault(
        "shape", "pool5", "[2, 512] instead of [2, 512, 1, 1]",
        instead={"pool5": after(lambda y: y.reshape(len(y), -1))},
    ),
    "bias": Fault("bias", "res2a_branch2b", "", instead={"res2a_branch2b": after(add_bias)}),
    "scaled": Fault(
        "weights_scaled", "res4a_branch2a", "is 0.25 times", changed(
            "res4a_branch2a_weights", lambda w: w / 4),
    ),
    "batch norm folded": Fault(
        "batch_norm_folded", "res2a_branch2a", "bn2a_branch2a", instead={"res2a_branch2a": folded}
    ),
    "a batch norm skipped": Fault(
        "layer_skipped", "bn2a_branch2a", "", instead={"bn2a_branch2a": lambda _, xs, __: xs[0]}
    ),
    "another output recorded": Fault(
        "another_output", "res2b", "bn2b_branch2a",
        instead={"res2b": lambda _, __, outputs: outputs["bn2b_branch2a"]},
    ),
    "TF32": Fault(
        "lower_precision", "conv1", "rounded to TF32",
        instead={"conv": factors(tensor_cores)}, precisions=("float32",),
    ),
    "bfloat16": Fault(
        "lower_precision", "conv1", "outputs are bfloat16's",
        instead={"conv": after(rounded(ml_dtypes.bfloat16))}, precisions=("float32",),
    ),
    "float16's factors": Fault(
        "lower_precision", "conv1", "rounded to float16",
        instead={"conv": factors(lambda x: np.float64(np.float16(x)))}, precisions=("float32",),
    ),
    "grouped convolution's neighbour": Fault(
        "weights_of_another_layer", "res2b_branch2b", "res2c_branch2b_weights",
        copies(res2b_branch2b_weights="res2c_branch2b_weights"), network=NEXT,
        precisions=("float64",),
    ),
    "grouped kernel transposed": Fault(
        "kernel_turned", "res2a_branch2b", "kh and kw",
        changed("res2a_branch2b_weights", lambda w: w.swapaxes(2, 3)), network=NEXT,
        precisions=("float64",),
    ),
    "a checkpoint in half precision": Fault(
        "weights_rounded", "bn_conv1", "rounded to float16", weights=lambda w: {
            name: np.float32(np.float16(x)) for name, x in w.items() if "conv1_weights" not in name}
    ),
    "a bfloat16 weight": Fault(
        "weights_rounded", "res2b_branch2a", "rounded to bfloat16",
        changed("res2b_branch2a_weights", rounded(ml_dtypes.bfloat16)),
    ),
    # What is in no table has no name.
    "one weight off": Fault(
        "unknown", "res3a_branch2a", "unknown", poke("res3a_branch2a_weights", (0, 0, 1, 1), 0.5)
    ),
    "one channel's weights at random": Fault(
        "unknown", "res2b_branch2a", "unknown",
        changed("res2b_branch2a_weights",
                lambda w: np.concatenate([RANDOM.standard_normal((1, *w.shape[1:])), w[1:]])),
    ),
    "leaky ReLU": Fault(
        "unknown", "res2a", "unknown",
        instead={"res2a": by_torch(lambda x, y: F.leaky_relu(x + y, 0.01))},
    ),
    "dropout before fc": Fault(
        "unknown", "fc", "unknown",
        instead={"fc": lambda step, xs, _: kernels.linear(
            xs[0] * (np.arange(512)[:, None, None] % 2) * 2, *step.parameters.values())},
    ),
    "instance norm": Fault(
        "unknown", "bn2a_branch2a", "unknown",
        instead={"bn2a_branch2a": lambda _, xs, __: F.instance_norm(
            torch.from_numpy(xs[0])).numpy()},
    ),
    "dilation": Fault(
        "unknown", "res3b_branch2a", "unknown",
        instead={"res3b_branch2a": by_torch(lambda x, w: F.conv2d(x, w, None, 1, 2, 2))},
    ),
    "noise on the images": Fault(
        "unknown", "images", "unknown",
        fed=lambda x: x + 0.1 * np.random.default_rng(4).standard_normal(x.shape),
    ),
    "cropped otherwise, images unknown": Fault(
        "unknown", "conv1", "unknown", fed=lambda x: np.roll(x, 3, axis=3), known=False
    ),
    "two mistakes in one layer": Fault(
        "unknown", "res2b_branch2b", "unknown",
        changed("res2b_branch2b_weights", lambda w: w.swapaxes(2, 3)),
        instead={"res2b_branch2b": conv(1, (2, 0, 2, 0))},
    ),
}  # fmt: skip
