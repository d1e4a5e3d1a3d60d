"""What the rows of ``classic_rows`` are made of: a network's steps, and what it was made for.

A step takes the output of the one before it, or of those that it names. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

# Krizhevsky et al. (2012), section 3.3, has 1e-4 of a sum over 5 channels; both frameworks take a
# mean. The nearest float32: Paddle keeps it so, in float64 too.
LOCAL_SIZE, LOCAL_ALPHA, LOCAL_BETA = 5, 0.0005000000237487257, 0.75
CLASSES = -1  # in place of a number of channels: as many as there are classes
HIDDEN = -2  # the width of the classifier's hidden layers


@dataclass(frozen=True)
class Step:
    """One layer of a row; a convolution's batch norm is none of them."""

    name: str
    kind: str  # a kind of layer.Layer, but for batch_norm and block
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
    bottleneck = cifar = stride_in_1x1 = first_projection = projected = pooled = vd = False
    deep: tuple[int, ...] = ()
    squeeze = 0
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
        return _counts(self.steps)

    @property
    def top_counts(self) -> tuple[int, int]:
        """The same of what ``include_top=False`` leaves out."""
        return _counts(step for step in self.steps if step.top)

    @property
    def top_layers(self) -> frozenset[str]:
        """The layers that ``include_top=False`` leaves out."""
        return self._layers(step for step in self.steps if step.top)

    @property
    def class_layers(self) -> frozenset[str]:
        """The layers whose size is the number of classes."""
        return self._layers(step for step in self.steps if step.out == CLASSES)

    def _layers(self, steps: Iterable[Step]) -> frozenset[str]:
        """The names of the steps, and of their batch norms."""
        forms = ("{}", "{}_bn")
        return frozenset(
            form.format(step.name)
            for step in steps
            for form in forms[: 1 + (self.normed and step.kind == "conv")]
        )

    @cached_property
    def tensors(self) -> tuple[object, ...]:
        """What settles the names and shapes: equal for two rows that no state dict tells apart."""
        shaped = tuple((s.name, s.out, s.kernel) for s in self.steps if s.kind in _SHAPED)
        return (self.in_channels, self.classes, self.normed, *shaped)


def _counts(steps: Iterable[Step]) -> tuple[int, int]:
    """How many convolutions and linear layers there are."""
    kinds = [step.kind for step in steps]
    return kinds.count("conv"), kinds.count("linear")


_SHAPED = ("conv", "linear")
_BESIDE = ("_1x1", "_5x5_reduce", "_5x5", "_pool_proj")  # the shorter branches, and one as long


def conv(name: str, out: int, kernel: int = 1, stride: int = 1, padding: int = 0) -> Step:
    """A convolution, with its activation."""
    return Step(name, "conv", out, kernel, stride, padding)


def max_pool(name: str, kernel: int = 3, stride: int = 2, ceil: bool = False) -> Step:
    """A max-pool."""
    return Step(name, "max_pool", kernel=kernel, stride=stride, ceil=ceil)


def linear(name: str, out: int, dropout: float = 0.0) -> Step:
    """A linear layer of the classifier; all but the last have an activation."""
    return Step(name, "linear", out, active=out != CLASSES, dropout=dropout, top=True)
