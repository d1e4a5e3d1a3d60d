"""Rows of the table of causes: layers that are missing, added, wired or set up otherwise."""

from __future__ import annotations

from parity.diagnosis.causes import classic, flow
from parity.diagnosis.causes.hypothesis import CLASSIC, CONV, END, FC, INNER, NORM, Hypothesis

ROWS = (
    Hypothesis(
        "relu_missing", (*CONV, *CLASSIC, *FC, "max_pool", "block"), flow.relu_missing,
        "{layer}: the port computes without the {detail}: put it there",
    ),
    Hypothesis(
        "relu_added", (*CONV, *NORM, *CLASSIC, "max_pool", "block", "avg_pool", *END),
        flow.relu_added,
        "{layer}: the port has a ReLU {detail}, where the reference has none: take it out; or, if "
        "it works in place, record the output before it",
    ),
    Hypothesis(
        "stride", CONV, flow.stride,
        "{layer}: the port's stride is {detail}: build the port with the reference's strides",
    ),
    Hypothesis(
        "padding", CONV, flow.padding,
        "{layer}: the port pads differently: {detail}: pad by half the kernel on every side",
    ),
    Hypothesis(
        "shortcut_pool", CONV, flow.shortcut_pool,
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
        "dropout_scale", FC, classic.dropout_scales,
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
        "softmax", END, flow.softmax,
        "{layer}: the port ends in {detail}, the reference in logits: compare before it, or apply "
        "it to both",
    ),
    Hypothesis(
        "another_output", INNER, flow.another_output,
        "{layer}: the port's output of this name is that of {detail}: record the right "
        "layer",
    ),
)  # fmt: skip
