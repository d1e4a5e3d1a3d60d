"""The dialects of PyTorch's libraries. Standard library only."""

from __future__ import annotations

from weight_port.arch import RESNETS
from weight_port.dialects import classic_names, groups
from weight_port.dialects.dialect import (
    DOWN,
    DOWN_POOLED,
    LAYERS,
    OUT_IN,
    TORCH,
    UNIT,
    Deep,
    Dialect,
)
from weight_port.dialects.dialect import module as _module
from weight_port.dialects.dialect import prefixed as _prefixed
from weight_port.dialects.dialect import stem as _stem

_SHORTCUT = ("layer{group}.{index}.shortcut.0", "layer{group}.{index}.shortcut.1")
_TIMM_STEM = (("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1"))
_HF = ("convolution", "normalization")
_HF_LAYER = "encoder.stages.{group0}.layers.{index}"
_HF_CONV = _module(_HF_LAYER + ".layer.{number0}", *_HF)
_HF_SHORT, _HF_POOLED = (_module(f"{_HF_LAYER}.shortcut{pool}", *_HF) for pool in ("", ".1"))
_HF_FULL, _HF_FULL_SHORT = _prefixed("resnet.", _HF_CONV, _HF_SHORT)
_NORM = ("conv", "norm")
_PRES = "res_layers.{group0}.blocks.{index}."
_PRES_SHORT, _PRES_POOLED = (_module(f"{_PRES}short{pool}", *_NORM) for pool in ("", ".conv"))
_MM_LAYERS, _MM_DOWN, _MM_POOLED = _prefixed("backbone.", LAYERS, DOWN, DOWN_POOLED)
_D2 = ("res{stage}.{index}.conv{number}", "res{stage}.{index}.conv{number}.norm")
_D2_SHORT = ("res{stage}.{index}.shortcut", "res{stage}.{index}.shortcut.norm")
_CHILD = ("{child}.{index}.conv{number}", "{child}.{index}.bn{number}")
_CHILD_DOWN = ("{child}.{index}.downsample.0", "{child}.{index}.downsample.1")

# PaddleClas's 18 and 34 project in the first block, where torchvision and timm add the input.
_PROJECTION = (
    "model.layer1[0].downsample = nn.Sequential({}nn.Conv2d(64, 64, 1, bias=False), "
    "nn.BatchNorm2d(64))"
)
_PROJECTED = {
    name: _PROJECTION.format("nn.Identity(), " if RESNETS[name].pooled else "")
    for name in groups.PROJECTED
}

ROWS = (
    # torchvision/models/resnet.py, and those that classic_names names. Its ResNet takes any groups
    # and widths: github.com/facebookresearch/WSL-Images hubconf.py, the wsl networks.
    Dialect(
        "torchvision", TORCH, ("conv1", "bn1"), LAYERS, DOWN, "fc",
        (*groups.STANDARD, *groups.NEXT, *groups.WIDE, *classic_names.TORCHVISION,
         *(name for name in groups.PROJECTED if not RESNETS[name].deep)),
        orders=OUT_IN, classic=classic_names.torchvision, changed=_PROJECTED,
        channels="RGB", normalisation=UNIT,
        verified="torchvision 0.29.1: keys of all, ten bit for bit; 18 and a projection",
    ),
    # timm/models/resnet.py: torchvision's names, and the c and d families = vc and vd
    Dialect(
        "timm", TORCH, ("conv1", "bn1"), LAYERS, DOWN, "fc",
        (*groups.STANDARD, *groups.NEXT, *groups.WIDE, *groups.VD, *groups.NEXT_VD, *groups.VC,
         *groups.PROJECTED),
        Deep(_TIMM_STEM, DOWN_POOLED, DOWN_POOLED), OUT_IN, changed=_PROJECTED,
        channels="RGB", normalisation=UNIT,
        verified="timm 1.0.31: keys of all, thirteen bit for bit",
    ),
    # transformers/models/resnet/modeling_resnet.py; downsample_in_bottleneck is our v1
    Dialect(
        "transformers", TORCH, _module("resnet.embedder.embedder", *_HF), _HF_FULL, _HF_FULL_SHORT,
        "classifier.1", (*groups.STANDARD, *groups.V1), orders=OUT_IN,
        channels="RGB", normalisation=UNIT,
        verified="transformers 5.23.0: keys of all, five networks bit for bit",
    ),
    # The same without the classifier's wrapper: ResNetModel and ResNetBackbone; and
    # transformers/models/rt_detr/modeling_rt_detr_resnet.py, which is vd alone
    Dialect(
        "transformers-backbone", TORCH, _module("embedder.embedder", *_HF),
        _HF_CONV, _HF_SHORT, None,
        (*groups.STANDARD, *groups.VD_CLAS, *groups.V1),
        Deep(_stem("embedder.embedder.", "0 1 2", *_HF), _HF_SHORT, _HF_POOLED), OUT_IN,
        channels="RGB", normalisation=UNIT,
        verified="transformers 5.23.0, ResNetModel and RTDetrResNetBackbone: keys of all, four "
        "networks bit for bit",
    ),
    # github.com/lyuwenyu/RT-DETR rtdetr_pytorch/src/nn/backbone/presnet.py, and the same in
    # rtdetrv2_pytorch; variants a, b, c and d. Its batch norms are frozen unless asked otherwise.
    Dialect(
        "presnet", TORCH, _module("conv1.conv1_1", *_NORM), _module(_PRES + "{branch}", *_NORM),
        _PRES_SHORT, None,
        groups.up_to((*groups.VD_CLAS, *groups.CLAS, *groups.V1, *groups.VC_BOTTLENECKS), 101),
        Deep(_stem("conv1.", norm="norm"), _PRES_SHORT, _PRES_POOLED), OUT_IN,
        writes_counters=False, channels="RGB",
        verified="RT-DETR's presnet.py, run: keys and outputs of eight, resnet50_vd bit for bit, "
        "the others, frozen, within 3e-7",
    ),
    # mmpretrain/models/backbones/resnet.py, resnext.py; style "caffe" is our v1
    Dialect(
        "mmpretrain", TORCH, ("backbone.conv1", "backbone.bn1"), _MM_LAYERS, _MM_DOWN,
        "head.fc", (*groups.STANDARD, *groups.NEXT, *groups.VD, *groups.VC, *groups.V1),
        Deep(_stem("backbone.stem.", "0 1 2"), _MM_DOWN, _MM_POOLED), OUT_IN,
        channels="RGB", normalisation=UNIT,
        verified="its resnet.py and resnext.py, run: keys and outputs of eight, bit for bit",
    ),
    # mmseg/models/backbones/resnet.py, mmdet's of the same name: ResNetV1c and ResNetV1d, whose
    # first block has a pool of one pixel. With a plain stem the names are torchvision's.
    Dialect(
        "mmseg", TORCH, ("conv1", "bn1"), LAYERS, DOWN, None, (*groups.VC, *groups.VD),
        Deep((("stem.0", "stem.1"), ("stem.3", "stem.4"), ("stem.6", "stem.7")), DOWN_POOLED,
             DOWN_POOLED), OUT_IN,
        channels="RGB", normalisation=UNIT,
        verified="its resnet.py (0.16), run: keys and outputs of five, bit for bit",
    ),
    # detectron2/modeling/backbone/resnet.py; RESNETS.STRIDE_IN_1X1 is on unless switched off.
    # A FrozenBatchNorm2d refuses the counter, and BatchNorm2d does without.
    Dialect(
        "detectron2", TORCH, ("stem.conv1", "stem.conv1.norm"), _D2, _D2_SHORT, "linear",
        (*groups.V1, *groups.STANDARD, *groups.NEXT, *groups.WIDE), orders=OUT_IN,
        writes_counters=False,
        channels="BGR", normalisation="in [0, 255], less (103.53, 116.28, 123.675)",
        verified="its resnet.py, run: keys and outputs of four, bit for bit",
    ),
    # github.com/kuangliu/pytorch-cifar models/resnet.py, and akamaster/pytorch_resnet_cifar10
    # resnet.py, which normalise by other means
    Dialect(
        "cifar", TORCH, ("conv1", "bn1"), LAYERS, _SHORTCUT, "linear", groups.CIFAR,
        orders=OUT_IN, channels="RGB",
        verified="both published forms, written out in the tests: 18, 34, 50, 20, 32, float64",
    ),
    # torchvision's names on CIFAR's stem: github.com/chenyaofo/pytorch-cifar-models
    # pytorch_cifar_models/resnet.py of three stages; torchvision's own four with conv1 replaced and
    # maxpool an Identity, as SimCLR's, MoCo's and SupContrast's ports have it.
    Dialect(
        "cifar-fc", TORCH, ("conv1", "bn1"), LAYERS, DOWN, "fc", groups.CIFAR_PROJECTED,
        orders=OUT_IN, channels="RGB",
        verified="torchvision 0.29.1 with that stem: keys of 18 to 152, two bit for bit; the "
        "published form of 20 and 32, written out in the tests",
    ),
    # fastai/vision/learner.py create_body: a torchvision model's children in a Sequential, which
    # many cut off so by hand
    Dialect(
        "fastai", TORCH, ("0", "1"), _CHILD, _CHILD_DOWN, None,
        (*groups.STANDARD, *groups.NEXT, *groups.WIDE), orders=OUT_IN,
        channels="RGB", normalisation=UNIT,
        verified="its line of code on torchvision 0.29.1's models: keys of all",
    ),
)  # fmt: skip
