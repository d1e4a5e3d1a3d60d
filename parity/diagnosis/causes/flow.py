"""Guesses about what happens between the layers: ReLUs, strides, pools, shortcuts, the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity.diagnosis import kernels
from parity.diagnosis.view import Array, Guess, View, before, layers
from parity.diagnosis.wiring import compute, convolve
from weight_port import arch


def _again(view: View, *inputs: Array) -> Array:
    """The layer's output for other inputs."""
    return compute(view.step, inputs)


def _adds(view: View) -> bool:
    """Whether the layer is a block with a shortcut; a plain network's have none."""
    return view.layer.kind == "block" and len(view.inputs) == 2


def relu_missing(view: View) -> Iterator[Guess]:
    """No ReLU between the layer before and this one; in a block, none after the sum."""
    if view.layer.kind == "block":
        if _adds(view):
            yield Guess("ReLU after the sum", view.inputs[0] + view.inputs[1])
        elif len(view.inputs) == 1:
            yield Guess("ReLU at the block's end", view.inputs[0])
    elif view.feed.activation:
        what = {"relu": "ReLU"}.get(view.feed.activation, view.feed.activation)
        yield Guess(f"{what} after {view.feed.sources[0]}", _again(view, *view.raw))


def relu_added(view: View) -> Iterator[Guess]:
    """A ReLU where there is none: after the layer, or on what a block adds up."""
    if _adds(view):
        branch, shortcut = view.inputs
        inner, outer = kernels.relu(branch), kernels.relu(shortcut)
        yield Guess("on the branch before the sum", _again(view, inner, shortcut))
        yield Guess("on the shortcut before the sum", _again(view, branch, outer))
        yield Guess("on the branch before the sum, and none after it", inner + shortcut)
        yield Guess("on branch and shortcut before the sum", inner + outer)
    elif view.layer.kind != "block":
        yield Guess(f"after {view.layer.name}", kernels.relu(view.expected))
        if not view.feed.activation and view.layer.kind == "conv":
            yield Guess(f"before {view.layer.name}", _again(view, kernels.relu(view.x)))


def stride(view: View) -> Iterator[Guess]:
    """Another stride of a convolution."""
    layer, block = view.layer, view.layer.block
    strides = {1, 2, block.stride if block else layer.stride} - {layer.stride}
    for other in sorted(strides):
        output = convolve(view.step, view.x, stride=other)
        detail = f"{other} instead of {layer.stride}"
        row = arch.architecture(view.case.architecture)
        if block and row.bottleneck and block.stride == 2 and layer.branch in _MOVES:
            theirs = "3x3 (branch2b)" if row.stride_in_1x1 else "1x1 (branch2a)"
            detail += f": the port's bottleneck strides in its {theirs}"
        yield Guess(detail, output)


_MOVES = ("branch2a", "branch2b")


def padding(view: View) -> Iterator[Guess]:
    """Another padding of a convolution: none, TensorFlow's, or all at one end."""
    layer, half = view.layer, view.layer.pad
    if layer.kernel == 1:
        return
    forms = {"no padding": (0, 0), "half the kernel": (layer.kernel // 2, layer.kernel // 2)}
    if half:
        forms[f"all {2 * half} pixels first"] = (2 * half, 0)
        forms[f"all {2 * half} pixels last"] = (0, 2 * half)
    if view.x.shape[2] == view.x.shape[3]:
        same = kernels.same_padding(view.x.shape[2], layer.kernel, layer.stride)
        forms[f"TensorFlow's SAME, {same[0]} pixels before and {same[1]} after"] = same
    for detail, ends in forms.items():
        if ends != (half, half):
            yield Guess(detail, convolve(view.step, view.x, stride=layer.stride, padding=ends))


def pool_padding(view: View) -> Iterator[Guess]:
    """Another form of a max-pool."""
    layer = view.layer
    forms = {
        f"{name} ({what})": ((size, size), ceil) for name, (size, ceil, what) in arch.POOLS.items()
    }
    forms["padding 1 and ceil mode"] = ((1, 1), True)
    same = kernels.same_padding(view.x.shape[2], layer.kernel, layer.stride)
    if view.x.shape[2] == view.x.shape[3]:
        forms[f"TensorFlow's SAME, {same[0]} pixels before and {same[1]} after"] = (same, False)
    for detail, (ends, ceil) in forms.items():
        if (*ends, ceil) != (layer.pad, layer.pad, layer.ceil):
            output = kernels.max_pool(view.x, layer.kernel, layer.stride, ends, ceil)
            yield Guess(detail, output)


def pool_average(view: View) -> Iterator[Guess]:
    """The mean instead of the largest value."""
    layer, size = view.layer, view.layer.pad
    for detail, counted in (("padding counted", True), ("padding not counted", False)):
        if size or not counted:
            windows = (layer.kernel, layer.stride, (size, size), layer.ceil)
            yield Guess(detail, kernels.average_pool(view.x, *windows, counted))


def pool_kernel(view: View) -> Iterator[Guess]:
    """Another window of a max-pool, or no pool at all."""
    kernel, ends = view.layer.kernel, (view.layer.pad, view.layer.pad)
    for other in {2, 3} - {kernel}:
        detail = f"a window of {other}x{other}, not {kernel}x{kernel}"
        padding = ends if other == 3 else (0, 0)
        yield Guess(detail, kernels.max_pool(view.x, other, 2, padding))
    if view.layer.stride == 2:
        yield Guess("a stride of 1, not 2", kernels.max_pool(view.x, kernel, 1, ends))
    yield Guess("no pool", view.x)


def pool_maximum(view: View) -> Iterator[Guess]:
    """pool5: the largest value, or the sum, instead of the mean."""
    yield Guess("the largest value", view.x.max(axis=(2, 3), keepdims=True))
    yield Guess("the sum", view.x.sum(axis=(2, 3), keepdims=True))


def shortcut_missing(view: View) -> Iterator[Guess]:
    """The branch alone."""
    if _adds(view):
        yield Guess("", kernels.relu(view.inputs[0]))
        yield Guess(" (and no ReLU follows)", view.inputs[0])


def shortcut_added(view: View) -> Iterator[Guess]:
    """The block's input on top, where the reference's block has no shortcut."""
    entry = _entry(view)
    if not _adds(view) and entry is not None and entry.shape == view.x.shape:
        yield Guess("", kernels.relu(view.x + entry))


def branch_missing(view: View) -> Iterator[Guess]:
    """The shortcut alone."""
    if _adds(view):
        yield Guess("", kernels.relu(view.inputs[1]))


def _entry(view: View) -> Array | None:
    """The input of the block that a layer belongs to."""
    block = view.layer.block
    if block is None:
        return None
    blocks = arch.blocks(view.case.architecture)
    name = blocks[block.position - 1].name if block.position else "pool1"
    return before(view.case, name, view.at)


def shortcut_without_projection(view: View) -> Iterator[Guess]:
    """The block's input itself, thinned out and with channels of zeros, in place of branch1."""
    block, entry = view.layer.block, _entry(view)
    if block is None or entry is None or not block.projection:
        return
    thin = entry[:, :, :: block.stride, :: block.stride]
    added = block.out_channels - block.in_channels
    forms = {"the block's input": (0, 0)}
    if added:  # He et al. (2015), option A
        forms = {
            "the block's input and zeros in the added channels": (0, added),
            "the block's input between zeros": (added // 2, added - added // 2),
        }
    for detail, ends in forms.items():
        shortcut = np.pad(thin, ((0, 0), ends, (0, 0), (0, 0)))
        if shortcut.shape == view.inputs[0].shape:
            yield Guess(detail, _again(view, view.inputs[0], shortcut))


def shortcut_without_batch_norm(view: View) -> Iterator[Guess]:
    """The projection as the convolution left it."""
    block = view.layer.block
    if block is not None and block.projection:
        conv = before(view.case, f"{block.name}_branch1", view.at)
        if conv is not None and conv.shape == view.inputs[0].shape:
            yield Guess("", _again(view, view.inputs[0], conv))


def shortcut_pool(view: View) -> Iterator[Guess]:
    """A strided projection where a vd network pools, or the other way round."""
    block = view.layer.block
    if block is None or view.layer.branch != "branch1" or block.stride == 1:
        return
    if block.pooled:
        thin = view.raw[0][:, :, ::2, ::2]
        yield Guess("strides, and doesn't pool as a vd network", _again(view, thin))
    else:
        pooled = kernels.average_pool(view.raw[0], 2, 2, ceil_mode=True)
        output = convolve(view.step, pooled)
        yield Guess("pools as a vd network, and doesn't stride", output)


def softmax(view: View) -> Iterator[Guess]:
    """Probabilities, or their logarithms, instead of logits."""
    if view.expected.ndim == 2:
        logarithms = kernels.log_softmax(view.expected)
        yield Guess("a softmax", np.exp(logarithms))
        yield Guess("a logarithm of a softmax", logarithms)
        with np.errstate(over="ignore"):
            yield Guess("a sigmoid", 1 / (1 + np.exp(-view.expected)))


_AXES = {"NHWC": (0, 2, 3, 1), "NCWH": (0, 1, 3, 2), "NWHC": (0, 3, 2, 1)}


def layout(view: View) -> Iterator[Guess]:
    """The right numbers with the axes in another order."""
    if view.expected.ndim == 4:
        for name, axes in _AXES.items():
            moved = view.expected.transpose(axes)
            yield Guess(f"{name} instead of NCHW", moved)
            if moved.shape != view.expected.shape:
                taken = moved.reshape(view.expected.shape)
                yield Guess(f"{name} memory taken for NCHW", taken)


def shape(view: View) -> Iterator[Guess]:
    """The right numbers in the right order, in another shape."""
    if view.given.shape != view.expected.shape and view.given.size == view.expected.size:
        sizes = f"{list(view.given.shape)} instead of {list(view.expected.shape)}"
        yield Guess(sizes, view.expected.reshape(view.given.shape))


def another_output(view: View) -> Iterator[Guess]:
    """The output of an earlier layer."""
    sizes = (view.layer.out_channels, view.layer.reduction)
    for name, other in layers(view.case.architecture).items():
        if name == view.layer.name:
            return
        if (other.out_channels, other.reduction) == sizes:
            output = before(view.case, name, view.at)
            if output is not None and output.shape == view.given.shape:
                yield Guess(name, output)


def rerun(view: View, inputs: tuple[Array, ...], parameters: dict[str, Array]) -> Array:
    """The layer with inputs and parameters both changed."""
    return compute(replace(view.step, parameters=parameters), inputs)
