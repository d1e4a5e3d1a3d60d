"""What a row of the dialects' tables holds, and the pieces that rows of many libraries share.

Templates are filled with a block's position: ``{unit}`` 4b22 (letters as the library writes
them), ``{stage}`` 2 to 5, ``{group}`` 1 to 4, ``{group0}`` 0 to 3, ``{child}`` 4 to 7, ``{index}``
and ``{index1}`` within the stage, ``{position}`` within the network, ``{kind}`` "Bottleneck" or ""
of a basic block, ``{branch}`` branch2a, ``{number}`` 1 to 3 and ``{number0}``; the shortcut's
number is 0. A pair names the modules of a convolution and of its batch norm; a triple has scale and
offset in a third. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weight_port.arch import Row
from weight_port.dialects import classic_names

# A tensor's role -> its key, around the name of its module.
PADDLE1 = {
    "weight": "{}_weights",
    "bias": "{}_offset",
    "scale": "{}_scale",
    "offset": "{}_offset",
    "mean": "{}_mean",
    "variance": "{}_variance",
    "linear_weight": "{}.w_0",
    "linear_bias": "{}.b_0",
}
PADDLE = {
    "weight": "{}.weight",
    "bias": "{}.bias",
    "scale": "{}.weight",
    "offset": "{}.bias",
    "mean": "{}._mean",
    "variance": "{}._variance",
    "linear_weight": "{}.weight",
    "linear_bias": "{}.bias",
}
COUNTER = ".num_batches_tracked"
TORCH = {
    **PADDLE,
    "mean": "{}.running_mean",
    "variance": "{}.running_var",
    "counter": "{}" + COUNTER,
}
# The paths of Keras 3's variables; a Keras 2 .h5 file has the same after the layer's group.
KERAS = {
    "weight": "{}/kernel",
    "bias": "{}/bias",
    "scale": "{}/gamma",
    "offset": "{}/beta",
    "mean": "{}/moving_mean",
    "variance": "{}/moving_variance",
    "linear_weight": "{}/kernel",
    "linear_bias": "{}/bias",
}
# The collections of a Flax model's variables, and the paths in them.
FLAX = {
    "weight": "params/{}/kernel",
    "bias": "params/{}/bias",
    "scale": "params/{}/scale",
    "offset": "params/{}/bias",
    "mean": "batch_stats/{}/mean",
    "variance": "batch_stats/{}/var",
    "linear_weight": "params/{}/kernel",
    "linear_bias": "params/{}/bias",
}
# A layer's blobs by number, as Caffe's own HDF5 snapshots name them (Net::ToHDF5 in net.cpp).
CAFFE = {
    "weight": "{}/0",
    "bias": "{}/1",
    "mean": "{}/0",
    "variance": "{}/1",
    "factor": "{}/2",
    "scale": "{}/0",
    "offset": "{}/1",
    "linear_weight": "{}/0",
    "linear_bias": "{}/1",
}

# Axes of the scheme's layout in the order of the file's, where it is another.
OUT_IN = {"linear_weight": (1, 0)}  # [out, in]
HWIO = {"weight": (2, 3, 1, 0)}  # [kh, kw, in, out]

UNIT = "in [0, 1], less (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)"

Module = tuple[str, ...]


@dataclass(frozen=True)
class Deep:
    """The names that only a network with a deep stem needs: its three convolutions, and shortcuts
    that pool."""

    stem: tuple[Module, Module, Module]
    first: Module  # a pooling network's shortcut in the first block, where nothing is halved
    pooled: Module  # after the average pool


@dataclass(frozen=True)
class Dialect:
    """How one library names and lays out the tensors, and what its models make of them."""

    name: str
    keys: Mapping[str, str]  # a tensor's role -> its key, with {} for the module's name
    stem: Module
    branch2: Module
    branch1: Module
    linear: str | None  # None: its models end at the feature map
    holds: tuple[str, ...]  # architectures; of those with the same tensors the usual one first
    deep: Deep | None = None
    orders: Mapping[str, tuple[int, ...]] | None = None
    numbered: tuple[int, ...] = (4,)  # stages whose blocks are a, b1, b2, … at depth 101 and 152
    grouped_stem: Module = ()  # of a network with groups, where it is another
    gate: Module = ()  # the two linear layers of squeeze-and-excitation
    biased: str = ""  # glob of architecture/layer: convolutions that have a bias
    classic: classic_names.Names = classic_names.ours  # its names in the networks before ResNets
    # Networks whose dropout leaves training as it is and scales what it lets through in evaluation:
    # Paddle's downscale_in_infer, and the papers' way.
    scaled: tuple[str, ...] = ()
    writes_counters: bool = True  # False: read where there, but not written
    # Networks that the library's model holds once a line of code has changed it -> that line.
    changed: Mapping[str, str] = field(default_factory=dict)
    # Not visible in a state dict; "" where the library leaves it to the weights.
    padding: str = ""  # where a 3x3 window strides, if it isn't a pixel on either side
    epsilon: float = 1e-5  # of every batch norm
    channels: str = ""
    normalisation: str = ""
    softmax: bool = False  # the published model ends in one
    verified: str = ""  # against what, and how

    @property
    def torch(self) -> bool:
        """Torch's conventions: linear weights [out, in], and a counter in every batch norm."""
        return "counter" in self.keys

    @property
    def common(self) -> bool:
        """Whether networks of other libraries' making are saved under its names too.

        So it is with PyTorch's and Paddle's modules; Keras's, Flax's and Caffe's names are of one
        release.
        """
        return self.keys not in (KERAS, FLAX, CAFFE)

    def form(self, row: Row) -> object:
        """What settles a network's keys and shapes here: equal for two that no file tells apart.

        Where the library numbers a shortcut's pool, it shows; in the scheme it doesn't.
        """
        shows = self.deep is not None and self.deep.pooled != self.branch1
        return row.tensors, row.pooled and shows


def module(template: str, conv: str = "conv", norm: str = "bn") -> Module:
    """A module that holds a convolution and its batch norm."""
    return (f"{template}.{conv}", f"{template}.{norm}")


def stem(
    template: str, names: str = "conv1_1 conv1_2 conv1_3", conv: str = "conv", norm: str = "bn"
) -> tuple[Module, Module, Module]:
    """The three modules of a deep stem."""
    first, second, third = (module(template + name, conv, norm) for name in names.split())
    return first, second, third


def prefixed(prefix: str, *modules: Module) -> tuple[Module, ...]:
    """The modules inside another."""
    return tuple(tuple(prefix + template for template in names) for names in modules)


# The names of torchvision's stages, which most have taken over.
LAYERS = ("layer{group}.{index}.conv{number}", "layer{group}.{index}.bn{number}")
DOWN = ("layer{group}.{index}.downsample.0", "layer{group}.{index}.downsample.1")
DOWN_POOLED = ("layer{group}.{index}.downsample.1", "layer{group}.{index}.downsample.2")
