"""Rows of the table of causes: images, weights and statistics that are not the reference's."""

from __future__ import annotations

from parity.diagnosis.causes import flow, inputs, norm, order, rounding, weights
from parity.diagnosis.causes.hypothesis import ALL, CONV, END, FC, IMAGES, NORM, Hypothesis

ROWS = (
    Hypothesis(
        "layout", ALL, flow.layout,
        "{layer}: the port's output is {detail}: transpose it, or build the port for NCHW",
    ),
    Hypothesis(
        "shape", ALL, flow.shape,
        "{layer}: the values are right, but their shape is {detail}: reshape the port's output",
    ),
    Hypothesis(
        "channel_order", IMAGES, inputs.channel_order,
        "{layer}: the port's images have their channels as {detail}: feed both sides the same "
        "order",
    ),
    Hypothesis(
        "image_normalisation", IMAGES, inputs.normalisation,
        "{layer}: the port's images are {detail}: normalise them as the reference's are",
    ),
    Hypothesis(
        "image_orientation", IMAGES, inputs.placed,
        "{layer}: the port's images are {detail}: load them as the reference's are",
    ),
    Hypothesis(
        "image_order", ("images",), inputs.batch_order,
        "{layer}: the port's images are the reference's in another order ({detail}): sort both "
        "batches alike",
    ),
    Hypothesis(
        "weights_swapped", CONV, weights.swapped,
        "{layer}: the port computes with {detail}, and that layer with this one's weights: "
        "exchange the two in the port",
        of_weights=True,
        covers=("weights_of_another_layer",),
    ),
    Hypothesis(
        "weights_of_another_layer", CONV, weights.another_layers,
        "{layer}: the port computes with {detail}: correct that name in the port's conversion",
        of_weights=True,
    ),
    Hypothesis(
        "kernel_turned", CONV, weights.turned,
        "{layer}: the port's kernel is {detail}: keep the axes kh, kw in their order",
        of_weights=True,
    ),
    Hypothesis(
        "weights_layout", CONV, weights.misread,
        "{layer}: the port's weights are memory in another layout, {detail}: transpose them to "
        "[out, in, kh, kw], don't reshape them",
        of_weights=True,
    ),
    Hypothesis(
        "fc_untransposed", FC, weights.untransposed,
        "{layer}: the port's weight is {detail}: Paddle's is [in, out], torch's [out, in]; "
        "transpose it by the layer's type, whatever its shape",
        of_weights=True,
    ),
    Hypothesis(
        "fc_bias_missing", FC, weights.bias_missing,
        "{layer}: the port adds no bias: load the classifier's bias",
        of_weights=True,
    ),
    Hypothesis(
        "conv_bias_missing", CONV, weights.bias_missing,
        "{layer}: the port adds no bias{detail}: load the convolution's bias",
        of_weights=True,
    ),
    Hypothesis(
        "output_channels_permuted", (*CONV, *END), order.outputs_permuted,
        "{layer}: the port's output channels are the right ones in another order ({detail}): keep "
        "the first axis of the weights (for fc, the classes) in order",
        of_weights=True,
    ),
    Hypothesis(
        "input_channels_permuted", (*CONV, *FC), order.inputs_permuted,
        "{layer}: the port's weights have their input channels in another order ({detail}): keep "
        "them in the order of the layer before",
        of_weights=True,
    ),
    Hypothesis(
        "batch_norm_folded", CONV, weights.folded,
        "{layer}: the port's output is that of {detail} already: its batch norm is folded "
        "into the convolution; compare at the batch norm, or don't fold",
    ),
    Hypothesis(
        "statistics_permuted", NORM, norm.permuted,
        "{layer}: in the port, {detail}: correct these names in the port's conversion",
        of_weights=True,
    ),
    Hypothesis(
        "layer_skipped", (*NORM, "max_pool"), norm.skipped,
        "{layer}: the port's output is the layer's input: it doesn't run the layer",
        covers=("another_output",),
    ),
    Hypothesis(
        "statistics_missing", NORM, norm.missing,
        "{layer}: the port's batch norm has {detail}, as before anything is loaded: load them",
        of_weights=True,
    ),
    Hypothesis(
        "statistics_of_another_layer", NORM, norm.another_layers,
        "{layer}: the port computes with {detail}: correct that name in the port's conversion",
        of_weights=True,
    ),
    Hypothesis(
        "batch_statistics", NORM, norm.batch_statistics,
        "{layer}: the port normalises with mean and variance of the batch itself ({detail}): it is "
        "in training mode; call eval() on it",
    ),
    Hypothesis(
        "variance_form", NORM, norm.variance_form,
        "{layer}: the port's variance is {detail}: convert it",
        of_weights=True,
    ),
    Hypothesis(
        "weights_rounded", (*CONV, *NORM, *FC), rounding.tensors_kept,
        "{layer}: the port's tensors are rounded to {detail}: port them from a checkpoint in the "
        "reference's precision",
        of_weights=True,
    ),
)  # fmt: skip
