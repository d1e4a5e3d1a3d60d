"""Guesses about what happens between the layers: ReLUs, strides, pools, shortcuts, the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity.diagnosis import kernels
from parity.diagnosis.view import Array, Guess, View, before, layers
from parity.diagnosis.wiring import compute, convolve
from weight_port import arch


def _again(seen: View, *inputs: Array) -> Array:
    """The layer's output for other inputs."""
    return compute(seen.step, inputs)


def _adds(seen: View) -> bool:
    """Whether the layer is a block with a shortcut; a plain network's have none."""
    return seen.layer.kind == "block" and len(seen.inputs) == 2


def relu_missing(seen: View) -> Iterator[Guess]:
    """No ReLU between the layer before and this one; in a block, none after the sum."""
    if seen.layer.kind == "block":
        if _adds(seen):
            yield Guess("ReLU after the sum", seen.inputs[0] + seen.inputs[1])
        else:
            yield Guess("ReLU at the block's end", seen.inputs[0])
    elif seen.feed.activation:
        what = {"relu": "ReLU"}.get(seen.feed.activation, seen.feed.activation)
        yield Guess(f"{what} after {seen.feed.sources[0]}", _again(seen, *seen.raw))


def relu_added(seen: View) -> Iterator[Guess]:
    """A ReLU where there is none: after the layer, or on what a block adds up."""
    if _adds(seen):
        branch, shortcut = seen.inputs
        inner, outer = kernels.relu(branch), kernels.relu(shortcut)
        yield Guess("on the branch before the sum", _again(seen, inner, shortcut))
        yield Guess("on the shortcut before the sum", _again(seen, branch, outer))
        yield Guess("on the branch before the sum, and none after it", inner + shortcut)
        yield Guess("on branch and shortcut before the sum", inner + outer)
    elif seen.layer.kind != "block":
        yield Guess(f"after {seen.layer.name}", kernels.relu(seen.expected))
        if not seen.feed.activation and seen.layer.kind == "conv":
            yield Guess(f"before {seen.layer.name}", _again(seen, kernels.relu(seen.x)))


def stride(seen: View) -> Iterator[Guess]:
    """Another stride of a convolution."""
    layer, block = seen.layer, seen.layer.block
    strides = {1, 2, block.stride if block else layer.stride} - {layer.stride}
    for other in sorted(strides):
        output = convolve(seen.step, seen.x, stride=other)
        words = f"{other} instead of {layer.stride}"
        row = arch.architecture(seen.case.architecture)
        if block and row.bottleneck and block.stride == 2 and layer.branch in _MOVES:
            theirs = "3x3 (branch2b)" if row.stride_in_1x1 else "1x1 (branch2a)"
            words += f": the port's bottleneck strides in its {theirs}"
        yield Guess(words, output)


_MOVES = ("branch2a", "branch2b")


def padding(seen: View) -> Iterator[Guess]:
    """Another padding of a convolution: none, TensorFlow's, or all at one end."""
    layer, half = seen.layer, seen.layer.pad
    if layer.kernel == 1:
        return
    forms = {"no padding": (0, 0), "half the kernel": (layer.kernel // 2, layer.kernel // 2)}
    if half:
        forms[f"all {2 * half} pixels first"] = (2 * half, 0)
        forms[f"all {2 * half} pixels last"] = (0, 2 * half)
    if seen.x.shape[2] == seen.x.shape[3]:
        same = kernels.same_padding(seen.x.shape[2], layer.kernel, layer.stride)
        forms[f"TensorFlow's SAME, {same[0]} pixels before and {same[1]} after"] = same
    for words, ends in forms.items():
        if ends != (half, half):
            yield Guess(words, convolve(seen.step, seen.x, stride=layer.stride, padding=ends))


def pool_padding(seen: View) -> Iterator[Guess]:
    """Another form of a max-pool."""
    layer = seen.layer
    forms = {
        f"{name} ({what})": ((size, size), ceil) for name, (size, ceil, what) in arch.POOLS.items()
    }
    forms["padding 1 and ceil mode"] = ((1, 1), True)
    same = kernels.same_padding(seen.x.shape[2], layer.kernel, layer.stride)
    if seen.x.shape[2] == seen.x.shape[3]:
        forms[f"TensorFlow's SAME, {same[0]} pixels before and {same[1]} after"] = (same, False)
    for words, (ends, ceil) in forms.items():
        if (*ends, ceil) != (layer.pad, layer.pad, layer.ceil):
            output = kernels.max_pool(seen.x, layer.kernel, layer.stride, ends, ceil)
            yield Guess(words, output)


def pool_average(seen: View) -> Iterator[Guess]:
    """The mean instead of the largest value."""
    layer, size = seen.layer, seen.layer.pad
    for words, counted in (("padding counted", True), ("padding not counted", False)):
        if size or not counted:
            windows = (layer.kernel, layer.stride, (size, size), layer.ceil)
            yield Guess(words, kernels.average_pool(seen.x, *windows, counted))


def pool_kernel(seen: View) -> Iterator[Guess]:
    """Another window of a max-pool, or no pool at all."""
    kernel, ends = seen.layer.kernel, (seen.layer.pad, seen.layer.pad)
    for other in {2, 3} - {kernel}:
        words = f"a window of {other}x{other}, not {kernel}x{kernel}"
        padding = ends if other == 3 else (0, 0)
        yield Guess(words, kernels.max_pool(seen.x, other, 2, padding))
    if seen.layer.stride == 2:
        yield Guess("a stride of 1, not 2", kernels.max_pool(seen.x, kernel, 1, ends))
    yield Guess("no pool", seen.x)


def pool_maximum(seen: View) -> Iterator[Guess]:
    """pool5: the largest value, or the sum, instead of the mean."""
    yield Guess("the largest value", seen.x.max(axis=(2, 3), keepdims=True))
    yield Guess("the sum", seen.x.sum(axis=(2, 3), keepdims=True))


def shortcut_missing(seen: View) -> Iterator[Guess]:
    """The branch alone."""
    if _adds(seen):
        yield Guess("", kernels.relu(seen.inputs[0]))
        yield Guess(" (and no ReLU follows)", seen.inputs[0])


def shortcut_added(seen: View) -> Iterator[Guess]:
    """The block's input on top, where the reference's block has no shortcut."""
    entry = _entry(seen)
    if not _adds(seen) and entry is not None and entry.shape == seen.x.shape:
        yield Guess("", kernels.relu(seen.x + entry))


def branch_missing(seen: View) -> Iterator[Guess]:
    """The shortcut alone."""
    if _adds(seen):
        yield Guess("", kernels.relu(seen.inputs[1]))


def _entry(seen: View) -> Array | None:
    """The input of the block that a layer belongs to."""
    block = seen.layer.block
    if block is None:
        return None
    found = arch.blocks(seen.case.architecture)
    name = found[block.position - 1].name if block.position else "pool1"
    return before(seen.case, name, seen.at)


def shortcut_without_projection(seen: View) -> Iterator[Guess]:
    """The block's input itself, thinned out and with channels of zeros, in place of branch1."""
    block, entry = seen.layer.block, _entry(seen)
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
    for words, ends in forms.items():
        shortcut = np.pad(thin, ((0, 0), ends, (0, 0), (0, 0)))
        if shortcut.shape == seen.inputs[0].shape:
            yield Guess(words, _again(seen, seen.inputs[0], shortcut))


def shortcut_without_batch_norm(seen: View) -> Iterator[Guess]:
    """The projection as the convolution left it."""
    block = seen.layer.block
    if block is not None and block.projection:
        conv = before(seen.case, f"{block.name}_branch1", seen.at)
        if conv is not None and conv.shape == seen.inputs[0].shape:
            yield Guess("", _again(seen, seen.inputs[0], conv))


def shortcut_pool(seen: View) -> Iterator[Guess]:
    """A strided projection where a vd network pools, or the other way round."""
    block = seen.layer.block
    if block is None or seen.layer.branch != "branch1" or block.stride == 1:
        return
    if block.pooled:
        thin = seen.raw[0][:, :, ::2, ::2]
        yield Guess("strides, and doesn't pool as a vd network", _again(seen, thin))
    else:
        pooled = kernels.average_pool(seen.raw[0], 2, 2, ceil_mode=True)
        output = convolve(seen.step, pooled)
        yield Guess("pools as a vd network, and doesn't stride", output)


def softmax(seen: View) -> Iterator[Guess]:
    """Probabilities, or their logarithms, instead of logits."""
    if seen.expected.ndim == 2:
        logarithms = kernels.log_softmax(seen.expected)
        yield Guess("a softmax", np.exp(logarithms))
        yield Guess("a logarithm of a softmax", logarithms)
        with np.errstate(over="ignore"):
            yield Guess("a sigmoid", 1 / (1 + np.exp(-seen.expected)))


_AXES = {"NHWC": (0, 2, 3, 1), "NCWH": (0, 1, 3, 2), "NWHC": (0, 3, 2, 1)}


def layout(seen: View) -> Iterator[Guess]:
    """The right numbers with the axes in another order."""
    if seen.expected.ndim == 4:
        for name, axes in _AXES.items():
            moved = seen.expected.transpose(axes)
            yield Guess(f"{name} instead of NCHW", moved)
            if moved.shape != seen.expected.shape:
                taken = moved.reshape(seen.expected.shape)
                yield Guess(f"{name} memory taken for NCHW", taken)


def shape(seen: View) -> Iterator[Guess]:
    """The right numbers in the right order, in another shape."""
    if seen.given.shape != seen.expected.shape and seen.given.size == seen.expected.size:
        sizes = f"{list(seen.given.shape)} instead of {list(seen.expected.shape)}"
        yield Guess(sizes, seen.expected.reshape(seen.given.shape))


def another_output(seen: View) -> Iterator[Guess]:
    """What an earlier layer gave."""
    sizes = (seen.layer.out_channels, seen.layer.reduction)
    for name, other in layers(seen.case.architecture).items():
        if name == seen.layer.name:
            return
        if (other.out_channels, other.reduction) == sizes:
            found = before(seen.case, name, seen.at)
            if found is not None and found.shape == seen.given.shape:
                yield Guess(name, found)


def rerun(seen: View, inputs: tuple[Array, ...], parameters: dict[str, Array]) -> Array:
    """The layer with inputs and parameters both changed."""
    return compute(replace(seen.step, parameters=parameters), inputs)
