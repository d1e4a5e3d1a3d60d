"""The ResNets as data: one table.

He et al., "Deep Residual Learning for Image Recognition" (2015), table 1 and, for CIFAR, section
4.2, with the stride on the 3x3 convolution of a bottleneck ("v1.5") unless the row says otherwise.
Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial


@dataclass(frozen=True)
class Architecture:
    """One row of the table: what tells this network from the others."""

    name: str
    bottleneck: bool  # 1x1-3x3-1x1 blocks instead of 3x3-3x3
    blocks: tuple[int, ...]  # per stage, 2 to 5 or 2 to 4
    numbered_stages: tuple[int, ...] = ()  # blocks named a, b1, b2, … instead of a, b, c, …
    first_projection: bool = False  # a 1x1 shortcut in res2a although nothing changes there
    groups: int = 1  # of a bottleneck's 3x3 convolution
    width_per_group: int = 64  # its channels in stage 2, over groups, where the stem has 64
    deep: tuple[int, ...] = ()  # channels of three 3x3 convolutions for a stem; (): one 7x7
    pooled: bool = False  # strided shortcuts pool, then project
    squeeze: int = 0  # of squeeze-and-excitation: a block's channels over its hidden ones; 0: none
    stride_in_1x1: bool = False  # a bottleneck strides in branch2a instead of branch2b
    pool1: str = "padded"  # a key of POOLS
    cifar: bool = False  # for 32x32 images of 10 classes: a 3x3 stem with stride 1, and no pool1
    channels: int = 64  # of the stem; those of the stages double from there
    shortcuts: str = "projected"  # a key of SHORTCUTS
    biased: bool = False  # convolutions have a bias, although a batch norm follows
    year: int = 2015  # of the paper

    # What a classic network's row says, for those who ask any row.
    in_channels, hidden, fixed, normed, epsilon = 3, 0, False, True, 1e-5
    activation = "relu"
    class_layers = frozenset({"fc"})  # whose size is the number of classes
    top_layers = frozenset({"pool5", "fc"})  # what include_top=False leaves out
    top_counts = (0, 1)  # of their convolutions and linear layers

    @property
    def classes(self) -> int:
        """Of the data set that the network was made for."""
        return 10 if self.cifar else 1000

    @property
    def size(self) -> int:
        """Height and width of the images that it was made for."""
        return 32 if self.cifar else 224

    @property
    def vd(self) -> bool:
        """Whether it is Paddle's "vd": a deep stem, and shortcuts that pool."""
        return bool(self.deep) and self.pooled

    @property
    def stem_channels(self) -> int:
        """What the stem gives to the first block."""
        return self.deep[-1] if self.deep else self.channels

    @property
    def convolutions(self) -> int:
        """How many there are, projections too."""
        in_first = self.bottleneck or self.first_projection
        projections = len(self.blocks) - (not in_first) if self.projected else 0
        main = sum(self.blocks) * (3 if self.bottleneck else 2)
        return main + projections + (len(self.deep) or 1)

    @property
    def projected(self) -> bool:
        """Whether shortcuts are projected where channels or size change."""
        return self.shortcuts == "projected"

    @property
    def weighted_layers(self) -> int:
        """What the number in a name counts: convolutions but for projections, and the classifier.

        He et al. (2015), table 1: "18-layer" is 1 + 16 + 1. A deep stem counts as one, and a
        gate's layers not at all.
        """
        return sum(self.blocks) * (3 if self.bottleneck else 2) + 2

    @property
    def counts(self) -> tuple[int, int]:
        """How many convolutions and linear layers there are."""
        return self.convolutions, 1 + (2 * sum(self.blocks) if self.squeeze else 0)

    @cached_property
    def tensors(self) -> tuple[object, ...]:
        """What settles the names and shapes in the scheme: equal for rows that it can't tell."""
        shape = (self.groups, self.width_per_group, self.channels, self.deep, self.cifar)
        form = (self.first_projection, self.projected, self.biased, self.squeeze)
        return (self.bottleneck, self.blocks, *form, *shape)


# What a block adds to its branch where channels or size change, and elsewhere.
SHORTCUTS = {
    "projected": "its input through a 1x1 convolution ('option B'), else its input",
    "padded": "its input thinned out, with channels of zeros ('option A'), else its input",
    "identity": "nothing, else its input",
    "none": "nothing, ever: no residual network",
}

# The forms of the 3x3 max-pool with stride 2: (padding, ceil mode, what it does to 112 pixels).
POOLS = {
    "padded": (1, False, "56: windows start one pixel outside"),
    "ceil": (0, True, "56: windows start at the edge, the last is cut"),  # He's Caffe release
    "valid": (0, False, "55: windows start at the edge, none is cut"),  # the first Keras release
}


_18, _34, _50 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 6, 3)
_101, _152 = (3, 4, 23, 3), (3, 8, 36, 3)
_next = partial(Architecture, bottleneck=True, year=2017)
_vc = partial(Architecture, deep=(32, 32, 64), year=2019)
_vd = partial(_vc, pooled=True)
_next_vd = partial(_vd, bottleneck=True)
_se = partial(Architecture, squeeze=16, year=2018)
_cifar = partial(Architecture, cifar=True)
_6n2 = partial(Architecture, bottleneck=False, cifar=True, channels=16)  # of depth 6n + 2

RESNETS = {
    row.name: row
    for row in (
        Architecture("resnet18", False, _18),
        Architecture("resnet34", False, _34),
        Architecture("resnet50", True, _50),
        Architecture("resnet101", True, _101, (4,)),
        Architecture("resnet152", True, _152, (4,)),
        # He et al. (2015), figure 3, middle: the same layers without shortcuts.
        Architecture("plain18", False, _18, shortcuts="none"),
        Architecture("plain34", False, _34, shortcuts="none"),
        # ResNet-18 as one builds it who has read the text alone: convolutions with biases, and
        # nothing added where a block strides, since the text speaks of identity shortcuts. It has
        # 11,519,592 parameters: 173,824 fewer than resnet18 (no projections), 3,904 more (biases).
        Architecture("resnet18_text", False, _18, shortcuts="identity", biased=True),
        # PaddleClas projects in the very first basic block too: another network, with 4,224
        # trainable parameters more than torchvision's.
        Architecture("resnet18_paddleclas", False, _18, first_projection=True),
        Architecture("resnet34_paddleclas", False, _34, first_projection=True),
        # Xie et al., "Aggregated Residual Transformations for Deep Neural Networks" (2017).
        _next("resnext50_32x4d", blocks=_50, groups=32, width_per_group=4),
        _next("resnext101_32x8d", blocks=_101, numbered_stages=(4,), groups=32, width_per_group=8),
        _next("resnext101_64x4d", blocks=_101, numbered_stages=(4,), groups=64, width_per_group=4),
        _next("resnext50_64x4d", blocks=_50, groups=64, width_per_group=4),
        _next("resnext101_32x4d", blocks=_101, numbered_stages=(4,), groups=32, width_per_group=4),
        _next("resnext152_32x4d", blocks=_152, numbered_stages=(4,), groups=32, width_per_group=4),
        _next("resnext152_64x4d", blocks=_152, numbered_stages=(4,), groups=64, width_per_group=4),
        # Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining" (2018): the wsl
        # networks, of which the first is resnext101_32x8d.
        *(
            _next(
                f"resnext101_32x{width}d", blocks=_101, numbered_stages=(4,), groups=32,
                width_per_group=width, year=2018,
            )
            for width in (16, 32, 48)
        ),
        # Zagoruyko and Komodakis, "Wide Residual Networks" (2016).
        Architecture("wide_resnet50_2", True, _50, width_per_group=128, year=2016),
        Architecture("wide_resnet101_2", True, _101, (4,), width_per_group=128, year=2016),
        # He, T. et al., "Bag of Tricks for Image Classification" (2019): ResNet-D, Paddle's "vd".
        _vd("resnet18_vd", False, _18),
        _vd("resnet34_vd", False, _34),
        _vd("resnet50_vd", True, _50),
        _vd("resnet101_vd", True, _101, (4,)),
        _vd("resnet152_vd", True, _152, (4,)),
        _vd("resnet18_vd_paddleclas", False, _18, first_projection=True),
        _vd("resnet34_vd_paddleclas", False, _34, first_projection=True),
        # PaddleClas's: blocks 3, 12, 48, 3, where timm's resnet200d and Flax's have 3, 24, 36, 3.
        _vd("resnet200_vd", True, (3, 12, 48, 3), (4,)),
        # The paper's ResNet-C: the stem alone; MMSegmentation's ResNetV1c, PaddleClas's vc.
        _vc("resnet18_vc", False, _18),
        _vc("resnet50_vc", True, _50),
        _vc("resnet101_vc", True, _101, (4,)),
        # PaddleClas's resnext_vd.py: ResNet-D's stem and shortcuts in a ResNeXt.
        *(
            _next_vd(
                f"resnext{depth}_vd_{groups}x4d", blocks=blocks, numbered_stages=numbered,
                groups=groups, width_per_group=4,
            )
            for depth, blocks, numbered in ((50, _50, ()), (101, _101, (4,)), (152, _152, (4,)))
            for groups in (32, 64)
        ),
        # Hu et al., "Squeeze-and-Excitation Networks" (2018), as PaddleClas builds them: the gate
        # has biases; se_resnet18_vd and 34 project in the first block; the last two have a wider
        # stem, and senet154_vd its name from the paper's SENet-154, to which it is near.
        _se("se_resnet18_vd", False, _18, first_projection=True, deep=(32, 32, 64), pooled=True),
        _se("se_resnet34_vd", False, _34, first_projection=True, deep=(32, 32, 64), pooled=True),
        _se("se_resnet50_vd", True, _50, deep=(32, 32, 64), pooled=True),
        _se("se_resnext50_32x4d", True, _50, groups=32, width_per_group=4),
        _se("se_resnext101_32x4d", True, _101, (4,), groups=32, width_per_group=4),
        _se(
            "se_resnext50_vd_32x4d", True, _50, groups=32, width_per_group=4,
            deep=(64, 64, 128), pooled=True,
        ),
        _se(
            "senet154_vd", True, _152, (4,), groups=64, width_per_group=4, deep=(64, 64, 128),
            pooled=True,
        ),
        # The stride where the paper had it, in the first 1x1: keras.applications, Detectron2's
        # STRIDE_IN_1X1, MMPretrain's style "caffe".
        Architecture("resnet50_v1", True, _50, stride_in_1x1=True),
        Architecture("resnet101_v1", True, _101, (4,), stride_in_1x1=True),
        Architecture("resnet152_v1", True, _152, (4,), stride_in_1x1=True),
        # He's own release: github.com/KaimingHe/deep-residual-networks, prototxt/.
        Architecture("resnet50_caffe", True, _50, stride_in_1x1=True, pool1="ceil"),
        Architecture("resnet101_caffe", True, _101, (4,), stride_in_1x1=True, pool1="ceil"),
        Architecture("resnet152_caffe", True, _152, (4,), stride_in_1x1=True, pool1="ceil"),
        # Keras' first: github.com/fchollet/deep-learning-models, resnet50.py.
        Architecture("resnet50_keras", True, _50, stride_in_1x1=True, pool1="valid"),
        # The same stages on CIFAR's images: github.com/kuangliu/pytorch-cifar, models/resnet.py.
        _cifar("cifar_resnet18", False, _18),
        _cifar("cifar_resnet34", False, _34),
        _cifar("cifar_resnet50", True, _50),
        _cifar("cifar_resnet101", True, _101, (4,)),
        _cifar("cifar_resnet152", True, _152, (4,)),
        # He et al. (2015), section 4.2: 3 stages of n blocks. The shortcuts are the paper's,
        # without parameters (github.com/akamaster/pytorch_resnet_cifar10, resnet.py)
        _6n2("resnet20", blocks=(3, 3, 3), shortcuts="padded"),
        _6n2("resnet32", blocks=(5, 5, 5), shortcuts="padded"),
        _6n2("resnet44", blocks=(7, 7, 7), shortcuts="padded"),
        _6n2("resnet56", blocks=(9, 9, 9), shortcuts="padded"),
        _6n2("resnet110", blocks=(18, 18, 18), shortcuts="padded"),
        # or, as that file's option B, projections.
        _6n2("resnet20_b", blocks=(3, 3, 3)),
        _6n2("resnet32_b", blocks=(5, 5, 5)),
        _6n2("resnet44_b", blocks=(7, 7, 7)),
        _6n2("resnet56_b", blocks=(9, 9, 9)),
        _6n2("resnet110_b", blocks=(18, 18, 18)),
        # The same layers without shortcuts: the degradation of figure 6, left. Option A has no
        # parameters, so that each has the tensors of a ResNet above.
        _6n2("plain20", blocks=(3, 3, 3), shortcuts="none"),
        _6n2("plain32", blocks=(5, 5, 5), shortcuts="none"),
        _6n2("plain44", blocks=(7, 7, 7), shortcuts="none"),
        _6n2("plain56", blocks=(9, 9, 9), shortcuts="none"),
        _6n2("plain110", blocks=(18, 18, 18), shortcuts="none"),
    )
}  # fmt: skip
