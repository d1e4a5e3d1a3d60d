"""Rows of the table of causes that fit numbers, and those of a lower precision."""

from __future__ import annotations

from parity.diagnosis.causes import fitted, inputs, norm, rounding, weights
from parity.diagnosis.causes.hypothesis import (
    CONV,
    END,
    FC,
    FEW_FITTED,
    FITTED_PER_CHANNEL,
    IMAGES,
    INNER,
    NORM,
    ROUNDED,
    Hypothesis,
)

ROWS = (
    Hypothesis(
        "wrong_epsilon", NORM, norm.wrong_epsilon,
        "{layer}: the port's batch norm has epsilon {detail}: set the reference's",
        FEW_FITTED,
    ),
    Hypothesis(
        "variance_scaled", NORM, norm.variance_scaled,
        "{layer}: the port's batch norm has {detail}: convert the statistics",
        FEW_FITTED,
        of_weights=True,
    ),
    Hypothesis(
        "weights_scaled", (*CONV, *END), fitted.scaled,
        "{layer}: the port's output is {detail} times the right one: look for a scale that is left "
        "in the weights or applied twice",
        FEW_FITTED,
        of_weights=True,
    ),
    Hypothesis(
        "image_colours", IMAGES, inputs.affine,
        "{layer}: the port's images are the reference's recoloured: {detail}: normalise them as "
        "the reference's are",
        FEW_FITTED,
    ),
    Hypothesis(
        "statistics_channels_permuted", NORM, norm.channels_permuted,
        "{layer}: the port's statistics have their channels in another order ({detail}): keep them "
        "in the order of the convolution before",
        FITTED_PER_CHANNEL,
        of_weights=True,
        covers=("checkpoint_differs", "statistics_differ"),
    ),
    Hypothesis(
        "checkpoint_differs", (*CONV, *NORM, *FC), weights.as_in_the_checkpoint,
        "{layer}: the port computes what its own checkpoint holds, and that is not the "
        "reference's: {detail}: port these tensors again",
        FITTED_PER_CHANNEL,
        covers=("bias", "channels_scaled", "statistics_differ"),
    ),
    Hypothesis(
        "bias", CONV, fitted.biased,
        "{layer}: the port adds a bias to every channel, {detail}: leave it out, or fold it into "
        "the batch norm's mean",
        FITTED_PER_CHANNEL,
        covers=("channels_scaled",),
    ),
    Hypothesis(
        "channels_scaled", CONV, fitted.channels_scaled,
        "{layer}: the port's channels are scaled and shifted, {detail}: look for a batch norm "
        "folded into the weights",
        FITTED_PER_CHANNEL,
    ),
    Hypothesis(
        "statistics_differ", NORM, norm.other_statistics,
        "{layer}: the port runs a batch norm, but with other values in {detail}: load the "
        "reference's statistics",
        FITTED_PER_CHANNEL,
    ),
    Hypothesis(
        "lower_precision", INNER, rounding.output_kept,
        "{layer}: the port works in a lower precision: {detail}: run it in the one asked for",
        ROUNDED,
    ),
    Hypothesis(
        "lower_precision", (*CONV, *FC), rounding.factors_rounded,
        "{layer}: the port works in a lower precision: {detail}: switch that off (for TF32, "
        "allow_tf32 and its like)",
        ROUNDED,
    ),
)  # fmt: skip
