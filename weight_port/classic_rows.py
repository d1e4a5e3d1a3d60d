"""The networks before the ResNets as data: LeNet, AlexNet, NIN, VGG and GoogLeNet.

A row lists a network's steps; a step takes the output of the one before it, or of those that it
names. Layer names are the papers' or, where they have none, those of the authors' Caffe files.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

# Krizhevsky et al. (2012), section 3.3, has 1e-4 of a sum over 5 channels; both frameworks take a
# mean. The nearest float32: Paddle keeps it so, in float64 too.
LOCAL_SIZE, LOCAL_ALPHA, LOCAL_BETA = 5, 0.0005000000237487257, 0.75
CLASSES = -1  # in place of a number of channels: as many as there are classes
HIDDEN = -2  # the width of the classifier's hidden layers


@dataclass(frozen=True)
class Step:
    """One layer of a row; a convolution's batch norm is none of them."""

    name: str
    kind: str  # a kind of arch_layers.Layer, but for batch_norm and block
    out: int = 0  # channels; 0: as many as come in
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    ceil: bool = False
    after: tuple[str, ...] = ()  # the steps whose output it takes, if not the one before
    active: bool = True  # a convolution's or linear layer's activation follows
    dropout: float = 0.0  # after it, in training
    top: bool = False  # of the classifier
    head: str = ""  # of an auxiliary classifier

    @property
    def path(self) -> str:
        """Of its module: a branch of an inception block stands in the block's."""
        parts = self.name.split("_", 2)
        if parts[0] == "inception" and len(parts) == 3:
            return f"{parts[0]}_{parts[1]}.{parts[2]}"
        return self.name.replace("_", ".", 1) if self.head else self.name


def on_longest(name: str) -> bool:
    """Whether a layer stands on the longest way through the network."""
    return not name.endswith(_BESIDE)


@dataclass(frozen=True)
class Classic:
    """One row: a network as its steps, and what it was made for."""

    name: str
    family: str  # whose file in pytorch_impl and paddle_impl holds it
    year: int  # of the paper
    steps: tuple[Step, ...]
    initial: str  # a key of arch.INITIAL
    size: int = 224  # height and width of the images that it was made for
    fixed: bool = False  # it takes no other
    classes: int = 1000
    in_channels: int = 3
    activation: str = "relu"
    normed: bool = False  # a batch norm follows every convolution
    epsilon: float = 1e-5  # of the batch norms
    local_bias: float = 2.0  # the constant of local response normalisation, k
    hidden: int = 0  # channels of the classifier's hidden layers; 0: it has none

    # What a ResNet's row says, for those who ask any row.
    bottleneck = vd = cifar = stride_in_1x1 = first_projection = projected = False
    blocks: tuple[int, ...] = ()
    numbered_stages: tuple[int, ...] = ()
    pool1 = shortcuts = ""

    @property
    def biased(self) -> bool:
        """Convolutions have a bias; torchvision's VGG even beside a batch norm."""
        return not self.normed or self.hidden > 0

    @property
    def weighted_layers(self) -> int:
        """Convolutions and linear layers; of an inception block those of its longest branch."""
        return sum(
            step.kind in _SHAPED and not step.head and on_longest(step.name) for step in self.steps
        )

    @property
    def counts(self) -> tuple[int, int]:
        """How many convolutions and linear layers there are, auxiliary ones too."""
        kinds = [step.kind for step in self.steps]
        return kinds.count("conv"), kinds.count("linear")

    @property
    def tensors(self) -> tuple[object, ...]:
        """What settles the names and shapes: equal for two rows that no state dict tells apart."""
        shaped = tuple((s.name, s.out, s.kernel) for s in self.steps if s.kind in _SHAPED)
        return (self.in_channels, self.classes, self.normed, *shaped)


_SHAPED = ("conv", "linear")
_BESIDE = ("_1x1", "_5x5_reduce", "_5x5", "_pool_proj")  # the shorter branches, and one as long


def _conv(name: str, out: int, kernel: int = 1, stride: int = 1, padding: int = 0) -> Step:
    return Step(name, "conv", out, kernel, stride, padding)


def _max(name: str, kernel: int = 3, stride: int = 2, ceil: bool = False) -> Step:
    return Step(name, "max_pool", kernel=kernel, stride=stride, ceil=ceil)


def _linear(name: str, out: int, dropout: float = 0.0) -> Step:
    return Step(name, "linear", out, active=out != CLASSES, dropout=dropout, top=True)


# LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998), figure 2, with the
# 28x28 digit padded to the 32x32 that the paper centres it in. Its trained subsampling, sparse
# second convolution and radial output are plain max-pools, a convolution and a linear layer here.
_LENET = (
    _conv("conv1", 6, 5, padding=2),
    _max("pool1", 2),
    _conv("conv2", 16, 5),
    _max("pool2", 2),
    _linear("fc3", 120),
    _linear("fc4", 84),
    _linear("fc5", CLASSES),
)


def _alexnet(widths: tuple[int, ...], *, local_norm: bool, resized: bool) -> Iterator[Step]:
    """Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012).

    In one tower: the paper's two halves on two GPUs meet in conv3 and the classifier alone.
    ``local_norm``: section 3.3; ``resized``: the map is averaged to 6x6 pixels, whatever its size.
    """
    first, second, third, fourth, fifth = widths
    norms = [Step(f"norm{n}", "local_norm") for n in (1, 2)] if local_norm else []
    yield from (_conv("conv1", first, 11, 4, 2), *norms[:1], _max("pool1"))
    yield from (_conv("conv2", second, 5, padding=2), *norms[1:], _max("pool2"))
    yield _conv("conv3", third, 3, padding=1)
    yield _conv("conv4", fourth, 3, padding=1)
    yield from (_conv("conv5", fifth, 3, padding=1), _max("pool5"))
    if resized:
        yield Step("pool6", "adaptive_pool", kernel=6, top=True)
    # Dropout stands before fc6 and fc7: after what they take.
    yield from (_linear("fc6", HIDDEN), _linear("fc7", HIDDEN), _linear("fc8", CLASSES))


def _dropped(steps: Iterator[Step], **shares: float) -> tuple[Step, ...]:
    """The steps with dropout after those that are named."""
    return tuple(replace(step, dropout=shares.get(step.name, 0.0)) for step in steps)


_ALEXNET, _ONE_TOWER = (96, 256, 384, 384, 256), (64, 192, 384, 256, 256)


def _mlpconv(number: int, conv: Step, *widths: int) -> tuple[Step, ...]:
    """A convolution and the 1x1 convolutions ("cccp") after it, numbered through the network."""
    return (conv, *(_conv(f"cccp{number + n}", out) for n, out in enumerate(widths)))


# Lin, Chen and Yan, "Network In Network" (2013); widths and pools of the authors' Caffe files,
# gist.github.com/mavenlin d802a5849de39225bcc6, e56253735ef32c3c296d: a pool's last window is cut.
_GLOBAL = Step("pool4", "avg_pool", top=True)
_NIN = (
    *_mlpconv(1, _conv("conv1", 96, 11, 4), 96, 96), _max("pool1", ceil=True),
    *_mlpconv(3, _conv("conv2", 256, 5, padding=2), 256, 256), _max("pool2", ceil=True),
    *_mlpconv(5, _conv("conv3", 384, 3, padding=1), 384, 384),
    replace(_max("pool3", ceil=True), dropout=0.5),
    *_mlpconv(7, _conv("conv4", 1024, 3, padding=1), 1024),
    replace(_conv("cccp8", CLASSES), top=True), _GLOBAL,
)  # fmt: skip
_NIN_CIFAR = (
    *_mlpconv(1, _conv("conv1", 192, 5, padding=2), 160, 96),
    replace(_max("pool1", ceil=True), dropout=0.5),
    *_mlpconv(3, _conv("conv2", 192, 5, padding=2), 192, 192),
    Step("pool2", "mean_pool", kernel=3, stride=2, ceil=True, dropout=0.5),
    *_mlpconv(5, _conv("conv3", 192, 3, padding=1), 192),
    replace(_conv("cccp6", CLASSES), top=True), replace(_GLOBAL, name="pool3"),
)  # fmt: skip

# Simonyan and Zisserman, "Very Deep Convolutional Networks" (2014), table 1, configurations A, B,
# D and E: how many 3x3 convolutions stand before each of the five pools.
_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


def _vgg(depth: int) -> Iterator[Step]:
    for stage, (count, width) in enumerate(zip(_VGG[depth], _WIDTHS, strict=True), start=1):
        for index in range(1, count + 1):
            yield _conv(f"conv{stage}_{index}", width, 3, padding=1)
        yield _max(f"pool{stage}", 2)
    yield Step("pool6", "adaptive_pool", kernel=7, top=True)  # nothing at 224 pixels
    yield _linear("fc6", HIDDEN, 0.5)
    yield _linear("fc7", HIDDEN, 0.5)
    yield _linear("fc8", CLASSES)


# Szegedy et al., "Going Deeper with Convolutions" (2014), table 1: channels of an inception block.
_INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
BRANCHES = ("1x1", "3x3", "5x5", "pool_proj")  # whose outputs an inception block joins


def _inception(block: str, before: str, large: int) -> Iterator[Step]:
    """A block; ``large`` is the kernel of its 5x5."""
    one, reduce3, three, reduce5, five, pooled = _INCEPTION[block]
    name = f"inception_{block}"
    yield replace(_conv(f"{name}_1x1", one), after=(before,))
    yield replace(_conv(f"{name}_3x3_reduce", reduce3), after=(before,))
    yield _conv(f"{name}_3x3", three, 3, padding=1)
    yield replace(_conv(f"{name}_5x5_reduce", reduce5), after=(before,))
    yield _conv(f"{name}_5x5", five, large, padding=large // 2)
    pool = replace(_max(f"{name}_pool", 3, 1), padding=1)
    yield replace(pool, after=(before,))
    yield _conv(f"{name}_pool_proj", pooled)
    yield Step(name, "concat", after=tuple(f"{name}_{branch}" for branch in BRANCHES))


def _auxiliary(head: str, before: str, pool: Step) -> Iterator[Step]:
    """The classifier beside a block: section 5 of the paper."""
    steps = (
        replace(pool, after=(before,)),
        _conv("conv", 128),
        _linear("fc1", 1024, 0.7),
        _linear("fc2", CLASSES),
    )
    for step in steps:
        yield replace(step, name=f"{head}_{step.name}", head=head, top=True)


def _googlenet(
    *, local_norm: bool, large: int, last_pool: int, pool: Step, dropout: float
) -> Iterator[Step]:
    """``pool`` begins the auxiliary heads, ``last_pool`` is the kernel of the pool before 5a."""
    norms = [Step(f"norm{n}", "local_norm") for n in (1, 2)] if local_norm else []
    yield from (_conv("conv1", 64, 7, 2, 3), _max("pool1", ceil=True), *norms[:1])
    yield from (_conv("conv2_reduce", 64), _conv("conv2", 192, 3, padding=1), *norms[1:])
    yield _max("pool2", ceil=True)
    before = "pool2"
    for block in _INCEPTION:
        yield from _inception(block, before, large)
        before = f"inception_{block}"
        if block in ("4a", "4d"):
            yield from _auxiliary("aux1" if block == "4a" else "aux2", before, pool)
        if block in ("3b", "4e"):
            number, kernel = (3, 3) if block == "3b" else (4, last_pool)
            yield replace(_max(f"pool{number}", kernel, ceil=True), after=(before,))
            before = f"pool{number}"
    yield Step("pool5", "avg_pool", after=(before,), top=True, dropout=dropout)
    yield _linear("fc", CLASSES)


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
            tuple(_googlenet(local_norm=True, large=5, last_pool=3, pool=_AUX_POOL, dropout=0.4)),
            "caffe", local_bias=1.0,
        ),
        # torchvision's: batch norms, no local ones, 3x3 in place of 5x5
        # (github.com/pytorch/vision issue 906), another pool before 5a and in the heads.
        Classic(
            "googlenet_bn", "googlenet", 2014,
            tuple(_googlenet(
                local_norm=False, large=3, last_pool=2, pool=_VISION_POOL, dropout=0.2
            )),
            "truncated", normed=True, epsilon=1e-3,
        ),
    )
}  # fmt: skip
