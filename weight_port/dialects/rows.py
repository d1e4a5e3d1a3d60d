"""The dialects as data: one row of templates per library, and what its models compute.

Templates are filled with a block's position: ``{unit}`` 4b22 (letters as the library writes
them), ``{stage}`` 2 to 5, ``{group}`` 1 to 4, ``{group0}`` 0 to 3, ``{index}`` and ``{index1}``
within the stage, ``{position}`` within the network, ``{branch}`` branch2a, ``{number}`` 1 to 3 and
``{number0}``; the shortcut's number is 0. A pair names the modules of a convolution and of its
batch norm; a triple has scale and offset in a third. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weight_port.arch import ARCHITECTURES, RESNETS, Architecture
from weight_port.dialects import classic_names

PADDLE1 = {
    "weight": "_weights",
    "bias": "_offset",
    "scale": "_scale",
    "offset": "_offset",
    "mean": "_mean",
    "variance": "_variance",
    "linear_weight": ".w_0",
    "linear_bias": ".b_0",
}
PADDLE = {
    "weight": ".weight",
    "bias": ".bias",
    "scale": ".weight",
    "offset": ".bias",
    "mean": "._mean",
    "variance": "._variance",
    "linear_weight": ".weight",
    "linear_bias": ".bias",
}
COUNTER = ".num_batches_tracked"
TORCH = {**PADDLE, "mean": ".running_mean", "variance": ".running_var", "counter": COUNTER}
# The paths of Keras 3's variables; a Keras 2 .h5 file has the same after the layer's group.
KERAS = {
    "weight": "/kernel",
    "bias": "/bias",
    "scale": "/gamma",
    "offset": "/beta",
    "mean": "/moving_mean",
    "variance": "/moving_variance",
    "linear_weight": "/kernel",
    "linear_bias": "/bias",
}
# A layer's blobs by number, as Caffe's own HDF5 snapshots name them (Net::ToHDF5 in net.cpp).
CAFFE = {
    "weight": "/0",
    "bias": "/1",
    "mean": "/0",
    "variance": "/1",
    "factor": "/2",
    "scale": "/0",
    "offset": "/1",
    "linear_weight": "/0",
    "linear_bias": "/1",
}

# Axes of the scheme's layout in the order of the file's, where it is another.
OUT_IN = {"linear_weight": (1, 0)}  # [out, in]
HWIO = {"weight": (2, 3, 1, 0)}  # [kh, kw, in, out]

Module = tuple[str, ...]


@dataclass(frozen=True)
class Vd:
    """The names that only a vd network needs: three convolutions of the stem, two shortcuts."""

    stem: tuple[Module, Module, Module]
    first: Module  # in the first block, where nothing is halved
    pooled: Module  # after the average pool


@dataclass(frozen=True)
class Dialect:
    """How one library names and lays out the tensors, and what its models make of them."""

    name: str
    suffixes: Mapping[str, str]  # a tensor's role -> what follows its module's name
    stem: Module
    branch2: Module
    branch1: Module
    linear: str | None  # None: its models end at the feature map
    holds: tuple[str, ...]  # architectures; of those with the same tensors the usual one first
    vd: Vd | None = None
    orders: Mapping[str, tuple[int, ...]] | None = None
    numbered: tuple[int, ...] = (4,)  # stages whose blocks are a, b1, b2, … at depth 101 and 152
    biased: str = ""  # glob of architecture/layer: convolutions that have a bias
    classic: classic_names.Names = classic_names.ours  # its names in the networks before ResNets
    # Networks whose dropout leaves training as it is and scales what it lets through in evaluation:
    # Paddle's downscale_in_infer, and the papers' way.
    scaled: tuple[str, ...] = ()
    writes_counters: bool = True  # False: read where there, but not written
    # Not visible in a state dict; "" where the library leaves it to the weights.
    epsilon: float = 1e-5  # of every batch norm
    channels: str = ""
    normalisation: str = ""
    softmax: bool = False  # the published model ends in one

    @property
    def torch(self) -> bool:
        """Torch's conventions: linear weights [out, in], and a counter in every batch norm."""
        return "counter" in self.suffixes

    @property
    def common(self) -> bool:
        """Whether networks of other libraries' making are saved under its names too.

        So it is with PyTorch's and Paddle's modules; Keras's and Caffe's names are of one release.
        """
        return self.suffixes not in (KERAS, CAFFE)


def _form(row: Architecture) -> tuple[object, ...]:
    """What the ResNets that every library has are alike in."""
    inner = (row.groups, row.width_per_group, row.pool1, row.cifar)
    return (*inner, row.shortcuts, row.biased)


def _rows(*, vd: bool = False, projection: bool = False, v1: bool = False) -> tuple[str, ...]:
    """ResNet-18 to 152 in the form asked for; the unlike ResNets are listed by name."""
    usual = (1, 64, "padded", False, "projected", False)
    return tuple(
        row.name
        for row in RESNETS.values()
        if _form(row) == usual and row.vd == vd
        if row.stride_in_1x1 == v1 and (row.bottleneck or row.first_projection == projection)
    )


_ALL = tuple(ARCHITECTURES)
_STANDARD, _V1 = _rows(), _rows(v1=True)
_VD, _VD_CLAS = _rows(vd=True), _rows(vd=True, projection=True)
_CLAS = (*_rows(projection=True), *_VD_CLAS)
_NEXT = ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")
_WIDE = ("wide_resnet50_2", "wide_resnet101_2")
_CAFFE = ("resnet50_caffe", "resnet101_caffe", "resnet152_caffe")
# Neither library has the plain networks.
_CIFAR = tuple(row.name for row in RESNETS.values() if row.cifar and row.shortcuts != "none")
# Of three stages, and projected: the one form that is known under these names. Networks of four
# stages have them with a max-pool after the 3x3 stem (github.com/huyvnphan/PyTorch_CIFAR10) and
# without it (timm's, with an Identity), which no tensor shows.
_CIFAR_FC = tuple(row.name for row in RESNETS.values() if len(row.blocks) == 3 and row.projected)

_RES = ("res{unit}_{branch}", "bn{unit}_{branch}")
_RES_VD = Vd((("conv1_1", "bnv1_1"), ("conv1_2", "bnv1_2"), ("conv1_3", "bnv1_3")), _RES, _RES)


def _module(template: str, conv: str = "conv", norm: str = "bn") -> Module:
    """A module that holds a convolution and its batch norm."""
    return (f"{template}.{conv}", f"{template}.{norm}")


def _stem(
    template: str, names: str = "conv1_1 conv1_2 conv1_3", conv: str = "conv", norm: str = "bn"
) -> tuple[Module, Module, Module]:
    """The three modules of a vd network's stem."""
    first, second, third = (_module(template + name, conv, norm) for name in names.split())
    return first, second, third


_OURS = _module("res{unit}.{branch}")
_OURS_VD = Vd(_stem(""), _OURS, _OURS)
_LAYERS = ("layer{group}.{index}.conv{number}", "layer{group}.{index}.bn{number}")
_DOWN = ("layer{group}.{index}.downsample.0", "layer{group}.{index}.downsample.1")
_DOWN_POOLED = ("layer{group}.{index}.downsample.1", "layer{group}.{index}.downsample.2")
_SHORTCUT = ("layer{group}.{index}.shortcut.0", "layer{group}.{index}.shortcut.1")
_TIMM_STEM = (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))
_CLAS2 = ("_conv", "_batch_norm")
_CLAS2_SHORT = _module("bb_{group0}_{index}.short", *_CLAS2)
_DET = ("conv", "norm")
_DET_SHORT = _module("res{stage}.res{unit}.short", *_DET)
_DET_POOLED = _module("res{stage}.res{unit}.short.conv", *_DET)
_HF = ("convolution", "normalization")
_HF_LAYER = "resnet.encoder.stages.{group0}.layers.{index}"
_D2 = ("res{stage}.{index}.conv{number}", "res{stage}.{index}.conv{number}.norm")
_D2_SHORT = ("res{stage}.{index}.shortcut", "res{stage}.{index}.shortcut.norm")


def _prefixed(prefix: str, *modules: Module) -> tuple[Module, ...]:
    return tuple(tuple(prefix + template for template in module) for module in modules)


_MM_LAYERS, _MM_DOWN, _MM_POOLED = _prefixed("backbone.", _LAYERS, _DOWN, _DOWN_POOLED)
_MM_VD = Vd(_stem("backbone.stem.", "0 1 2"), _MM_DOWN, _MM_POOLED)
_KERAS = ("conv{stage}_block{index1}_{number}_conv", "conv{stage}_block{index1}_{number}_bn")
_CAFFE_BLOCK = (*_RES, "scale{unit}_{branch}")

_UNIT = "in [0, 1], less (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)"
_MEAN = "in [0, 255], less (103.939, 116.779, 123.68)"

DIALECTS = {
    row.name: row
    for row in (
        # PaddleClas release/static:ppcls/modeling/architectures/resnet.py, _vd.py: the scheme
        Dialect(
            "paddle1", PADDLE1, ("conv1", "bn_conv1"), _RES, _RES, "fc_0", _ALL, _RES_VD,
            channels="RGB", normalisation=_UNIT, softmax=True,
        ),
        Dialect(
            "pytorch_impl", TORCH, _module("conv1"), _OURS, _OURS, "fc", _ALL, _OURS_VD, OUT_IN
        ),
        Dialect("paddle_impl", PADDLE, _module("conv1"), _OURS, _OURS, "fc", _ALL, _OURS_VD),
        # torchvision/models/resnet.py, and those that classic_names names
        Dialect(
            "torchvision", TORCH, ("conv1", "bn1"), _LAYERS, _DOWN, "fc",
            (*_STANDARD, *_NEXT, *_WIDE, *classic_names.TORCHVISION), orders=OUT_IN,
            classic=classic_names.torchvision, channels="RGB", normalisation=_UNIT,
        ),
        # paddle/vision/models/resnet.py, and those that classic_names names
        Dialect(
            "paddle.vision", PADDLE, ("conv1", "bn1"), _LAYERS, _DOWN, "fc",
            (*_STANDARD, *_NEXT, *_WIDE, *classic_names.PADDLE_VISION),
            classic=classic_names.paddle_vision, scaled=("alexnet_owt",),
            channels="RGB", normalisation=_UNIT,
        ),
        # PaddleClas release/2.0: ppcls/modeling/architectures/resnet.py and, with other names for
        # the blocks, resnet_vd.py
        Dialect(
            "paddleclas-2.0", PADDLE, _module("conv", *_CLAS2),
            _module("res{unit}.conv{number0}", *_CLAS2), _module("res{unit}.short", *_CLAS2), "out",
            _rows(projection=True), channels="RGB", normalisation=_UNIT,
        ),
        Dialect(
            "paddleclas-2.0-vd", PADDLE, _module("conv", *_CLAS2),
            _module("bb_{group0}_{index}.conv{number0}", *_CLAS2), _CLAS2_SHORT, "out",
            _VD_CLAS, Vd(_stem("", conv="_conv", norm="_batch_norm"), _CLAS2_SHORT, _CLAS2_SHORT),
            channels="RGB", normalisation=_UNIT,
        ),
        # PaddleClas from 2.2: ppcls/arch/backbone/legendary_models/resnet.py
        Dialect(
            "paddleclas", PADDLE, _module("stem.0"), _module("blocks.{position}.conv{number0}"),
            _module("blocks.{position}.short"), "fc", _CLAS,
            Vd(_stem("stem.", "0 1 2"), *2 * (_module("blocks.{position}.short"),)),
            channels="RGB", normalisation=_UNIT,
        ),
        # PaddleDetection 2.x: ppdet/modeling/backbones/resnet.py; variant "a" is our v1
        Dialect(
            "paddledetection", PADDLE, _module("conv1.conv1", *_DET),
            _module("res{stage}.res{unit}.{branch}", *_DET), _DET_SHORT, None,
            (*_CLAS, *_V1), Vd(_stem("conv1.", norm="norm"), _DET_SHORT, _DET_POOLED),
            channels="RGB", normalisation=_UNIT,
        ),
        # timm/models/resnet.py: torchvision's names, and the d family = vd
        Dialect(
            "timm", TORCH, ("conv1", "bn1"), _LAYERS, _DOWN, "fc",
            (*_STANDARD, *_NEXT, *_WIDE, *_VD), Vd(_TIMM_STEM, _DOWN_POOLED, _DOWN_POOLED), OUT_IN,
            channels="RGB", normalisation=_UNIT,
        ),
        # transformers/models/resnet/modeling_resnet.py; downsample_in_bottleneck is our v1
        Dialect(
            "transformers", TORCH, _module("resnet.embedder.embedder", *_HF),
            _module(_HF_LAYER + ".layer.{number0}", *_HF), _module(_HF_LAYER + ".shortcut", *_HF),
            "classifier.1", (*_STANDARD, *_V1), orders=OUT_IN,
            channels="RGB", normalisation=_UNIT,
        ),
        # mmpretrain/models/backbones/resnet.py, resnext.py; style "caffe" is our v1
        Dialect(
            "mmpretrain", TORCH, ("backbone.conv1", "backbone.bn1"), _MM_LAYERS, _MM_DOWN,
            "head.fc", (*_STANDARD, *_NEXT, *_VD, *_V1), _MM_VD, OUT_IN,
            channels="RGB", normalisation=_UNIT,
        ),
        # detectron2/modeling/backbone/resnet.py; RESNETS.STRIDE_IN_1X1 is on unless switched off.
        # A FrozenBatchNorm2d refuses the counter, and BatchNorm2d does without.
        Dialect(
            "detectron2", TORCH, ("stem.conv1", "stem.conv1.norm"), _D2, _D2_SHORT, "linear",
            (*_V1, *_STANDARD, *_NEXT, *_WIDE), orders=OUT_IN, writes_counters=False,
            channels="BGR", normalisation="in [0, 255], less (103.53, 116.28, 123.675)",
        ),
        # github.com/fchollet/deep-learning-models resnet50.py; Keras' own epsilon of 1e-3
        Dialect(
            "keras-first", KERAS, ("conv1", "bn_conv1"), _RES, _RES, "fc1000",
            ("resnet50_keras",), orders=HWIO, biased="*", epsilon=1e-3,
            channels="BGR", normalisation=_MEAN, softmax=True,
        ),
        # keras/src/applications/resnet.py
        Dialect(
            "keras", KERAS, ("conv1_conv", "conv1_bn"), _KERAS, _KERAS, "predictions",
            _V1, orders=HWIO, biased="*", epsilon=1.001e-5,
            channels="BGR", normalisation=_MEAN, softmax=True,
        ),
        # github.com/KaimingHe/deep-residual-networks prototxt/; conv1 of depth 50 alone has a bias
        Dialect(
            "caffe", CAFFE, ("conv1", "bn_conv1", "scale_conv1"), _CAFFE_BLOCK, _CAFFE_BLOCK,
            "fc1000", _CAFFE, orders=OUT_IN, numbered=(3, 4), biased="resnet50*/conv1",
            channels="BGR", normalisation="in [0, 255], less the mean image", softmax=True,
        ),
        # github.com/kuangliu/pytorch-cifar models/resnet.py, and akamaster/pytorch_resnet_cifar10
        # resnet.py, which normalise by other means
        Dialect(
            "cifar", TORCH, ("conv1", "bn1"), _LAYERS, _SHORTCUT, "linear", _CIFAR, orders=OUT_IN,
            channels="RGB",
        ),
        # github.com/chenyaofo/pytorch-cifar-models pytorch_cifar_models/resnet.py: torchvision's
        # names
        Dialect(
            "cifar-fc", TORCH, ("conv1", "bn1"), _LAYERS, _DOWN, "fc", _CIFAR_FC, orders=OUT_IN,
            channels="RGB",
        ),
    )
}  # fmt: skip
