"""Guesses about the images that the port was fed: their normalisation, channels, orientation.

They are checked on the images themselves where the port's are known; else on the first convolution:
it is linear, so its output tells what went in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np

from parity import images
from parity.diagnosis import kernels
from parity.diagnosis.causes.order import match, moved
from parity.diagnosis.view import Array, Guess, View, look_up, patches_at, pick
from parity.diagnosis.wiring import convolve

_CAFFE = np.array([123.68, 116.779, 103.939])
_DETECTRON = np.array([123.675, 116.28, 103.53])
# OpenAI's CLIP, clip/clip.py.
_CLIP = np.array([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
_ONE, _ZERO = np.ones(3), np.zeros(3)

# What libraries make of RGB pixels in [0, 1]: factor and offset per channel.
_FORMS = {
    "in [0, 1], not normalised": (_ONE, _ZERO),
    "in [0, 255], not normalised": (255 * _ONE, _ZERO),
    "in [-1, 1]": (2 * _ONE, -_ONE),
    "less the mean, not over the deviation": (_ONE, -images.MEAN),
    "over the deviation, not less the mean": (1 / images.STD, _ZERO),
    "normalised twice": (images.STD**-2, -images.MEAN * (images.STD**-2 + 1 / images.STD)),
    "normalised without the division by 255": (255 / images.STD, -images.MEAN / images.STD),
    "in [0, 255], less (123.68, 116.779, 103.939) by RGB, as Caffe and Keras": (
        255 * _ONE,
        -_CAFFE,
    ),
    "in [0, 255], less (123.675, 116.28, 103.53) by RGB, as Detectron2": (255 * _ONE, -_DETECTRON),
    "normalised with CLIP's mean and deviation": (1 / _CLIP[1], -_CLIP[0] / _CLIP[1]),
}
_AS_HERE = (1 / images.STD, -images.MEAN / images.STD)
_REVERSED = (_AS_HERE[0][::-1], _AS_HERE[1][::-1])


def _reference(view: View) -> Array | None:
    """The reference's images, of three channels; None where the input is not in question."""
    case = view.case
    if view.layer.kind == "conv" and look_up(case.port, "images") is not None:
        return None
    x = view.expected if view.layer.kind == "images" else view.x
    stem = view.layer.kind == "images" or view.feed.sources == ("images",)
    return x if stem and x.ndim == 4 and x.shape[1] == 3 else None


def _pixels(x: Array) -> Array:
    return _form(x, (images.STD, images.MEAN))


def _form(pixels: Array, form: tuple[Array, Array]) -> Array:
    found: Array = pixels * kernels.per_channel(form[0]) + kernels.per_channel(form[1])
    return found


def _fed(view: View, detail: str, x: Array) -> Iterator[Guess]:
    """The output with other images."""
    if view.layer.kind == "images":
        yield Guess(detail, x)
    elif view.given.shape == view.expected.shape and view.promising(x):
        yield Guess(detail, convolve(view.step, x, stride=view.layer.stride))


def normalisation(view: View) -> Iterator[Guess]:
    """Another form of the same images, by RGB or by BGR."""
    if (x := _reference(view)) is None:
        return
    pixels = _pixels(x)
    detail = "normalised with mean and deviation in the order BGR"
    yield from _fed(view, detail, _form(pixels, _REVERSED))
    for detail, form in _FORMS.items():
        yield from _fed(view, detail, _form(pixels, form))
        yield from _fed(view, f"{detail}; channels BGR", _form(pixels, form)[:, ::-1])
        if not all(len(set(part)) == 1 for part in form):
            after = _form(pixels[:, ::-1], form)
            yield from _fed(view, f"{detail}, but with the channels BGR", after)


def channel_order(view: View) -> Iterator[Guess]:
    """The same normalisation, with the channels in another order."""
    if (x := _reference(view)) is None:
        return
    pixels = _pixels(x)
    for order in list(permutations(range(3)))[1:]:
        name = "".join("RGB"[channel] for channel in order)
        yield from _fed(view, f"{name} instead of RGB", x[:, order])
        after = _form(pixels[:, order], _AS_HERE)
        detail = f"{name} instead of RGB, then normalised with RGB's mean and deviation"
        yield from _fed(view, detail, after)


_PLACED: dict[str, Callable[[Array], Array]] = {
    "mirrored left to right": lambda x: x[..., ::-1],
    "upside down": lambda x: x[..., ::-1, :],
    "turned by 180 degrees": lambda x: x[..., ::-1, ::-1],
    "with height and width exchanged": lambda x: x.swapaxes(2, 3),
}


def placed(view: View) -> Iterator[Guess]:
    """The images mirrored, turned or transposed."""
    if (x := _reference(view)) is not None:
        for detail, change in _PLACED.items():
            yield from _fed(view, detail, change(x))


def batch_order(view: View) -> Iterator[Guess]:
    """The same images, in another order within the batch."""
    sides = [look_up(side, "images") for side in (view.case.reference, view.case.port)]
    reference, port = (None if x is None else np.asarray(x, np.float64) for x in sides)
    if reference is not None and port is not None and reference.shape == port.shape:
        order = match(port.reshape(len(port), -1), reference.reshape(len(port), -1))
        if order is not None:
            yield Guess(moved(order), reference[order if view.at is None else order[list(view.at)]])


def _colours(view: View, x: Array) -> tuple[Array, Array] | None:
    """Matrix (3, 3) and offset (3,) with port's channels = matrix @ reference's + offset."""
    if view.given.shape != view.expected.shape:
        return None
    shape = view.given.shape
    at = pick((shape[0], *shape[2:]), 512)
    y = view.given[at[0], :, at[1], at[2]]
    if view.layer.kind == "images":
        terms = np.column_stack([x[at[0], :, at[1], at[2]], np.ones(len(y))])
        fit = np.linalg.lstsq(terms, y, rcond=None)[0]
        return fit[:3].T, fit[3]
    weight = view.step.parameters["weight"]
    patches = patches_at(view.layer, x, at)
    ones = patches_at(view.layer, np.ones_like(x), at)
    # One column per pair (port's channel c, reference's channel a): what a adds through c's weights
    mixed = np.einsum("sakl,ockl->soca", patches, weight).reshape(y.size, 9)
    shift = np.einsum("sckl,ockl->soc", ones, weight).reshape(y.size, 3)
    fit = np.linalg.lstsq(np.column_stack([mixed, shift]), y.reshape(-1), rcond=None)[0]
    return fit[:9].reshape(3, 3), fit[9:]


def _mixture(matrix: Array, offset: Array) -> str:
    """The fit for a sentence, without the terms that are nothing."""
    small = 1e-6 * max(np.abs(matrix).max(), np.abs(offset).max())
    rows = []
    for channel, row in enumerate(matrix):
        terms = [f"{factor:.4g}·{'RGB'[a]}" for a, factor in enumerate(row) if abs(factor) > small]
        constant = [f"{offset[channel]:.4g}"] if abs(offset[channel]) > small else []
        rows.append(f"channel {channel} = {' + '.join(terms + constant) or '0'}")
    return "; ".join(rows)


def affine(view: View) -> Iterator[Guess]:
    """Every channel of the port's images as a mixture of the reference's, fitted."""
    if (x := _reference(view)) is None or (fit := _colours(view, x)) is None:
        return
    matrix, offset = fit
    fed = np.einsum("ca,nahw->nchw", matrix, x) + kernels.per_channel(offset)
    yield from _fed(view, _mixture(matrix, offset), fed)
