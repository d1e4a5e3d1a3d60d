"""The table of causes: the layers that each is about, how it is tried, what the user is told.

Rows of a lower ``tier`` are tried first, and those of a higher one only if none of them
reproduces the port's output: a hypothesis with fitted numbers does not compete with one without.
Within a tier the order of the table decides which is named first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from parity.diagnosis.causes import classic, fitted, flow, inputs, norm, order, rounding, weights
from parity.diagnosis.view import Guess, View

NOTHING_FITTED, FEW_FITTED, FITTED_PER_CHANNEL, ROUNDED = range(4)


@dataclass(frozen=True)
class Hypothesis:
    """One cause: its key, the kinds of layer that it is about, and how to try it."""

    cause: str
    kinds: tuple[str, ...]
    guesses: Callable[[View], Iterator[Guess]]
    sentence: str  # filled with the layer's name and the guess's detail
    tier: int = NOTHING_FITTED
    of_weights: bool = False  # the port's checkpoint can tell where the mistake was made
    covers: tuple[str, ...] = ()  # causes that are this one, less precisely


_IMAGES, _CONV, _NORM, _FC = ("images", "conv"), ("conv",), ("batch_norm",), ("linear",)
_END = ("linear", "logits")
_CLASSIC = ("mean_pool", "adaptive_pool", "local_norm", "concat")
_ALL = ("images", "conv", "batch_norm", "max_pool", "block", "avg_pool", *_CLASSIC, *_END)
_INNER = tuple(kind for kind in _ALL if kind != "images")

HYPOTHESES = (
    Hypothesis(
        "layout", _ALL, flow.layout,
        "{layer}: the port's output is {detail}: transpose it, or build the port for NCHW",
    ),
    Hypothesis(
        "shape", _ALL, flow.shape,
        "{layer}: the values are right, but their shape is {detail}: reshape the port's output",
    ),
    Hypothesis(
        "channel_order", _IMAGES, inputs.channel_order,
        "{layer}: the port's images have their channels as {detail}: feed both sides the same "
        "order",
    ),
    Hypothesis(
        "image_normalisation", _IMAGES, inputs.normalisation,
        "{layer}: the port's images are {detail}: normalise them as the reference's are",
    ),
    Hypothesis(
        "image_orientation", _IMAGES, inputs.placed,
        "{layer}: the port's images are {detail}: load them as the reference's are",
    ),
    Hypothesis(
        "image_order", ("images",), inputs.batch_order,
        "{layer}: the port's images are the reference's in another order ({detail}): sort both "
        "batches alike",
    ),
    Hypothesis(
        "weights_swapped", _CONV, weights.swapped,
        "{layer}: the port computes with {detail}, and that layer with this one's weights: "
        "exchange the two in the port",
        of_weights=True,
        covers=("weights_of_another_layer",),
    ),
    Hypothesis(
        "weights_of_another_layer", _CONV, weights.another_layers,
        "{layer}: the port computes with {detail}: correct that name in the port's conversion",
        of_weights=True,
    ),
    Hypothesis(
        "kernel_turned", _CONV, weights.turned,
        "{layer}: the port's kernel is {detail}: keep the axes kh, kw in their order",
        of_weights=True,
    ),
    Hypothesis(
        "weights_layout", _CONV, weights.misread,
        "{layer}: the port's weights are memory in another layout, {detail}: transpose them to "
        "[out, in, kh, kw], don't reshape them",
        of_weights=True,
    ),
    Hypothesis(
        "fc_untransposed", _FC, weights.untransposed,
        "{layer}: the port's weight is {detail}: Paddle's is [in, out], torch's [out, in]; "
        "transpose it by the layer's type, whatever its shape",
        of_weights=True,
    ),
    Hypothesis(
        "fc_bias_missing", _FC, weights.bias_missing,
        "{layer}: the port adds no bias: load the classifier's bias",
        of_weights=True,
    ),
    Hypothesis(
        "conv_bias_missing", _CONV, weights.bias_missing,
        "{layer}: the port adds no bias{detail}: load the convolution's bias",
        of_weights=True,
    ),
    Hypothesis(
        "output_channels_permuted", (*_CONV, *_END), order.outputs_permuted,
        "{layer}: the port's output channels are the right ones in another order ({detail}): keep "
        "the first axis of the weights (for fc, the classes) in order",
        of_weights=True,
    ),
    Hypothesis(
        "input_channels_permuted", (*_CONV, *_FC), order.inputs_permuted,
        "{layer}: the port's weights have their input channels in another order ({detail}): keep "
        "them in the order of the layer before",
        of_weights=True,
    ),
    Hypothesis(
        "batch_norm_folded", _CONV, weights.folded,
        "{layer}: the port's output is that of {detail} already: its batch norm is folded "
        "into the convolution; compare at the batch norm, or don't fold",
    ),
    Hypothesis(
        "statistics_permuted", _NORM, norm.permuted,
        "{layer}: in the port, {detail}: correct these names in the port's conversion",
        of_weights=True,
    ),
    Hypothesis(
        "layer_skipped", (*_NORM, "max_pool"), norm.skipped,
        "{layer}: the port's output is the layer's input: it doesn't run the layer",
        covers=("another_output",),
    ),
    Hypothesis(
        "statistics_missing", _NORM, norm.missing,
        "{layer}: the port's batch norm has {detail}, as before anything is loaded: load them",
        of_weights=True,
    ),
    Hypothesis(
        "statistics_of_another_layer", _NORM, norm.another_layers,
        "{layer}: the port computes with {detail}: correct that name in the port's conversion",
        of_weights=True,
    ),
    Hypothesis(
        "batch_statistics", _NORM, norm.batch_statistics,
        "{layer}: the port normalises with mean and variance of the batch itself ({detail}): it is "
        "in training mode; call eval() on it",
    ),
    Hypothesis(
        "variance_form", _NORM, norm.variance_form,
        "{layer}: the port's variance is {detail}: convert it",
        of_weights=True,
    ),
    Hypothesis(
        "weights_rounded", (*_CONV, *_NORM, *_FC), rounding.tensors_kept,
        "{layer}: the port's tensors are rounded to {detail}: port them from a checkpoint in the "
        "reference's precision",
        of_weights=True,
    ),
    Hypothesis(
        "relu_missing", (*_CONV, *_CLASSIC, *_FC, "max_pool", "block"), flow.relu_missing,
        "{layer}: the port computes without the {detail}: put it there",
    ),
    Hypothesis(
        "relu_added", (*_CONV, *_NORM, *_CLASSIC, "max_pool", "block", "avg_pool", *_END),
        flow.relu_added,
        "{layer}: the port has a ReLU {detail}, where the reference has none: take it out; or, if "
        "it works in place, record the output before it",
    ),
    Hypothesis(
        "stride", _CONV, flow.stride,
        "{layer}: the port's stride is {detail}: build the port with the reference's strides",
    ),
    Hypothesis(
        "padding", _CONV, flow.padding,
        "{layer}: the port pads differently: {detail}: pad by half the kernel on every side",
    ),
    Hypothesis(
        "shortcut_pool", _CONV, flow.shortcut_pool,
        "{layer}: the port's shortcut {detail}: build the reference's form of the network",
    ),
    Hypothesis(
        "pool_padding", ("max_pool",), flow.pool_padding,
        "{layer}: the port's windows lie elsewhere: {detail}: give its pool the reference's "
        "padding and ceil mode",
    ),
    Hypothesis(
        "pool_average", ("max_pool",), flow.pool_average,
        "{layer}: the port takes the mean of a window ({detail}), not its largest value: use a "
        "max-pool",
    ),
    Hypothesis(
        "pool_window", ("max_pool",), flow.pool_kernel,
        "{layer}: the port's pool has {detail}: give it the reference's window and stride",
    ),
    Hypothesis(
        "pool_maximum", ("avg_pool",), flow.pool_maximum,
        "{layer}: the port takes {detail} of a channel, not its mean: use a global average pool",
    ),
    Hypothesis(
        "local_norm", ("local_norm",), classic.local_norm,
        "{layer}: the port's local response normalisation {detail}: give it the reference's "
        "constants",
    ),
    Hypothesis(
        "branch_order", ("concat",), classic.joined_otherwise,
        "{layer}: the port joins the block's branches as {detail}: join them in the reference's "
        "order",
    ),
    Hypothesis(
        "dropout_scale", _FC, classic.dropout_scales,
        "{layer}: the port's dropout {detail} in evaluation, the reference's does not: port the "
        "weights with --fold, or switch the dropout's mode",
    ),
    Hypothesis(
        "mean_pool_maximum", ("mean_pool",), classic.mean_for_maximum,
        "{layer}: the port takes the largest value of a window, not its mean: use an average pool",
    ),
    Hypothesis(
        "shortcut_missing", ("block",), flow.shortcut_missing,
        "{layer}: the port doesn't add the shortcut to the branch{detail}: add it before the ReLU",
    ),
    Hypothesis(
        "shortcut_added", ("block",), flow.shortcut_added,
        "{layer}: the port adds the block's input to the branch{detail}, the reference nothing: it "
        "is a plain network, or has no shortcut here; take the sum out",
    ),
    Hypothesis(
        "branch_missing", ("block",), flow.branch_missing,
        "{layer}: the port's output is the shortcut alone{detail}: add the branch to it",
        covers=("another_output",),
    ),
    Hypothesis(
        "shortcut_without_projection", ("block",), flow.shortcut_without_projection,
        "{layer}: the port's shortcut is not projected by branch1, but {detail}: use the "
        "projection",
    ),
    Hypothesis(
        "shortcut_without_batch_norm", ("block",), flow.shortcut_without_batch_norm,
        "{layer}: the port adds the projection without its batch norm{detail}: run the batch norm",
    ),
    Hypothesis(
        "softmax", _END, flow.softmax,
        "{layer}: the port ends in {detail}, the reference in logits: compare before it, or apply "
        "it to both",
    ),
    Hypothesis(
        "another_output", _INNER, flow.another_output,
        "{layer}: the port's output of this name is that of {detail}: record the right "
        "layer",
    ),
    Hypothesis(
        "wrong_epsilon", _NORM, norm.wrong_epsilon,
        "{layer}: the port's batch norm has epsilon {detail}: set the reference's",
        FEW_FITTED,
    ),
    Hypothesis(
        "variance_scaled", _NORM, norm.variance_scaled,
        "{layer}: the port's batch norm has {detail}: convert the statistics",
        FEW_FITTED,
        of_weights=True,
    ),
    Hypothesis(
        "weights_scaled", (*_CONV, *_END), fitted.scaled,
        "{layer}: the port's output is {detail} times the right one: look for a scale that is left "
        "in the weights or applied twice",
        FEW_FITTED,
        of_weights=True,
    ),
    Hypothesis(
        "image_colours", _IMAGES, inputs.affine,
        "{layer}: the port's images are the reference's recoloured: {detail}: normalise them as "
        "the reference's are",
        FEW_FITTED,
    ),
    Hypothesis(
        "statistics_channels_permuted", _NORM, norm.channels_permuted,
        "{layer}: the port's statistics have their channels in another order ({detail}): keep them "
        "in the order of the convolution before",
        FITTED_PER_CHANNEL,
        of_weights=True,
        covers=("checkpoint_differs", "statistics_differ"),
    ),
    Hypothesis(
        "checkpoint_differs", (*_CONV, *_NORM, *_FC), weights.as_in_the_checkpoint,
        "{layer}: the port computes what its own checkpoint holds, and that is not the "
        "reference's: {detail}: port these tensors again",
        FITTED_PER_CHANNEL,
        covers=("bias", "channels_scaled", "statistics_differ"),
    ),
    Hypothesis(
        "bias", _CONV, fitted.biased,
        "{layer}: the port adds a bias to every channel, {detail}: leave it out, or fold it into "
        "the batch norm's mean",
        FITTED_PER_CHANNEL,
        covers=("channels_scaled",),
    ),
    Hypothesis(
        "channels_scaled", _CONV, fitted.channels_scaled,
        "{layer}: the port's channels are scaled and shifted, {detail}: look for a batch norm "
        "folded into the weights",
        FITTED_PER_CHANNEL,
    ),
    Hypothesis(
        "statistics_differ", _NORM, norm.other_statistics,
        "{layer}: the port runs a batch norm, but with other values in {detail}: load the "
        "reference's statistics",
        FITTED_PER_CHANNEL,
    ),
    Hypothesis(
        "lower_precision", _INNER, rounding.output_kept,
        "{layer}: the port works in a lower precision: {detail}: run it in the one asked for",
        ROUNDED,
    ),
    Hypothesis(
        "lower_precision", (*_CONV, *_FC), rounding.factors_rounded,
        "{layer}: the port works in a lower precision: {detail}: switch that off (for TF32, "
        "allow_tf32 and its like)",
        ROUNDED,
    ),
)  # fmt: skip
