"""The networks before the ResNets as data: LeNet, AlexNet, NIN, VGG and GoogLeNet.

A row lists a network's steps. Layer names are the papers' or, where they have none, those of the
authors' Caffe files. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from weight_port.arch.classic_steps import CLASSES, HIDDEN, Classic, Step, conv, linear, max_pool
from weight_port.arch.inception import googlenet

# LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998), figure 2, with the
# 28x28 digit padded to the 32x32 that the paper centres it in. Its trained subsampling, sparse
# second convolution and radial output are plain max-pools, a convolution and a linear layer here.
_LENET = (
    conv("conv1", 6, 5, padding=2),
    max_pool("pool1", 2),
    conv("conv2", 16, 5),
    max_pool("pool2", 2),
    linear("fc3", 120),
    linear("fc4", 84),
    linear("fc5", CLASSES),
)


def _alexnet(widths: tuple[int, ...], *, local_norm: bool, resized: bool) -> Iterator[Step]:
    """Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012).

    In one tower: the paper's two halves on two GPUs meet in conv3 and the classifier alone.
    ``local_norm``: section 3.3; ``resized``: the map is averaged to 6x6 pixels, whatever its size.
    """
    first, second, third, fourth, fifth = widths
    norms = [Step(f"norm{n}", "local_norm") for n in (1, 2)] if local_norm else []
    yield from (conv("conv1", first, 11, 4, 2), *norms[:1], max_pool("pool1"))
    yield from (conv("conv2", second, 5, padding=2), *norms[1:], max_pool("pool2"))
    yield conv("conv3", third, 3, padding=1)
    yield conv("conv4", fourth, 3, padding=1)
    yield from (conv("conv5", fifth, 3, padding=1), max_pool("pool5"))
    if resized:
        yield Step("pool6", "adaptive_pool", kernel=6, top=True)
    # Dropout stands before fc6 and fc7: after what they take.
    yield from (linear("fc6", HIDDEN), linear("fc7", HIDDEN), linear("fc8", CLASSES))


def _dropped(steps: Iterator[Step], **shares: float) -> tuple[Step, ...]:
    """The steps with dropout after those that are named."""
    return tuple(replace(step, dropout=shares.get(step.name, 0.0)) for step in steps)


_ALEXNET, _ONE_TOWER = (96, 256, 384, 384, 256), (64, 192, 384, 256, 256)


def _mlpconv(number: int, first: Step, *widths: int) -> tuple[Step, ...]:
    """A convolution and the 1x1 convolutions ("cccp") after it, numbered through the network."""
    return (first, *(conv(f"cccp{number + n}", out) for n, out in enumerate(widths)))


# Lin, Chen and Yan, "Network In Network" (2013); widths and pools of the authors' Caffe files,
# gist.github.com/mavenlin d802a5849de39225bcc6, e56253735ef32c3c296d: a pool's last window is cut.
_GLOBAL = Step("pool4", "avg_pool", top=True)
_NIN = (
    *_mlpconv(1, conv("conv1", 96, 11, 4), 96, 96), max_pool("pool1", ceil=True),
    *_mlpconv(3, conv("conv2", 256, 5, padding=2), 256, 256), max_pool("pool2", ceil=True),
    *_mlpconv(5, conv("conv3", 384, 3, padding=1), 384, 384),
    replace(max_pool("pool3", ceil=True), dropout=0.5),
    *_mlpconv(7, conv("conv4", 1024, 3, padding=1), 1024),
    replace(conv("cccp8", CLASSES), top=True), _GLOBAL,
)  # fmt: skip
_NIN_CIFAR = (
    *_mlpconv(1, conv("conv1", 192, 5, padding=2), 160, 96),
    replace(max_pool("pool1", ceil=True), dropout=0.5),
    *_mlpconv(3, conv("conv2", 192, 5, padding=2), 192, 192),
    Step("pool2", "mean_pool", kernel=3, stride=2, ceil=True, dropout=0.5),
    *_mlpconv(5, conv("conv3", 192, 3, padding=1), 192),
    replace(conv("cccp6", CLASSES), top=True), replace(_GLOBAL, name="pool3"),
)  # fmt: skip

# Simonyan and Zisserman, "Very Deep Convolutional Networks" (2014), table 1, configurations A, B,
# D and E: how many 3x3 convolutions stand before each of the five pools.
_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


def _vgg(depth: int) -> Iterator[Step]:
    for stage, (count, width) in enumerate(zip(_VGG[depth], _WIDTHS, strict=True), start=1):
        for index in range(1, count + 1):
            yield conv(f"conv{stage}_{index}", width, 3, padding=1)
        yield max_pool(f"pool{stage}", 2)
    yield Step("pool6", "adaptive_pool", kernel=7, top=True)  # nothing at 224 pixels
    yield linear("fc6", HIDDEN, 0.5)
    yield linear("fc7", HIDDEN, 0.5)
    yield linear("fc8", CLASSES)


_AUX_POOL = Step("pool", "mean_pool", kernel=5, stride=3)
_VISION_POOL = Step("pool", "adaptive_pool", kernel=4)

CLASSICS = {
    row.name: row
    for row in (
        Classic("lenet5", "lenet", 1998, _LENET, "lecun", 28, True, 10, 1, "sigmoid"),
        Classic("lenet5_relu", "lenet", 1998, _LENET, "lecun", 28, True, 10, 1),
        # The widths of the paper; without and with its local response normalisation.
        *(
            Classic(
                name, "alexnet",  2012,
                _dropped(_alexnet(_ALEXNET, local_norm=norm, resized=False), pool5=0.5, fc6=0.5),
                "alexnet", fixed=True, hidden=4096,
            )
            for name, norm in (("alexnet", False), ("alexnet_lrn", True))
        ),
        # Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014):
        # the AlexNet of torchvision and paddle.vision.
        Classic(
            "alexnet_owt", "alexnet", 2014,
            _dropped(_alexnet(_ONE_TOWER, local_norm=False, resized=True), pool6=0.5, fc6=0.5),
            "alexnet", hidden=4096,
        ),
        Classic("nin", "nin", 2013, _NIN, "nin"),
        Classic("nin_cifar", "nin", 2013, _NIN_CIFAR, "nin", 32, classes=10),
        *(
            Classic(
                f"vgg{depth}{suffix}", "vgg", 2014, tuple(_vgg(depth)), "glorot",
                normed=suffix == "_bn", hidden=4096,
            )
            for depth in _VGG
            for suffix in ("", "_bn")
        ),
        # The paper's, with what the authors' Caffe file (bvlc_googlenet) adds to the text.
        Classic(
            "googlenet", "googlenet", 2014,
            tuple(googlenet(local_norm=True, large=5, last_pool=3, pool=_AUX_POOL, dropout=0.4)),
            "caffe", local_bias=1.0,
        ),
        # torchvision's: batch norms, no local ones, 3x3 in place of 5x5
        # (github.com/pytorch/vision issue 906), another pool before 5a and in the heads.
        Classic(
            "googlenet_bn", "googlenet", 2014,
            tuple(googlenet(
                local_norm=False, large=3, last_pool=2, pool=_VISION_POOL, dropout=0.2
            )),
            "truncated", normed=True, epsilon=1e-3,
        ),
    )
}  # fmt: skip
