"""The dialects of Paddle's libraries. Standard library only."""

from __future__ import annotations

from weight_port.dialects import classic_names, groups
from weight_port.dialects.dialect import DOWN, LAYERS, PADDLE, UNIT, Deep, Dialect
from weight_port.dialects.dialect import module as _module
from weight_port.dialects.dialect import stem as _stem

_CLAS2 = ("_conv", "_batch_norm")
_CLAS2_SHORT = _module("bb_{group0}_{index}.short", *_CLAS2)
_WSL = ("_conv", "_bn")
_NORM = ("conv", "norm")
_DET = "res{stage}.res{unit}."
_DET_SHORT, _DET_POOLED = (_module(f"{_DET}short{pool}", *_NORM) for pool in ("", ".conv"))
_NEXT4, _NEXT4_VD = groups.width(groups.NEXT, 4), groups.width(groups.NEXT_VD, 4)

ROWS = (
    # paddle/vision/models/resnet.py, and those that classic_names names
    Dialect(
        "paddle.vision", PADDLE, ("conv1", "bn1"), LAYERS, DOWN, "fc",
        (*groups.STANDARD, *_NEXT4, *groups.width(groups.NEXT, 8), *groups.WIDE,
         *classic_names.PADDLE_VISION),
        classic=classic_names.paddle_vision, scaled=("alexnet_owt",),
        channels="RGB", normalisation=UNIT,
        verified="paddlepaddle 3.3.1: keys of all, ten networks bit for bit",
    ),
    # PaddleClas release/2.0: ppcls/modeling/architectures/resnet.py
    Dialect(
        "paddleclas-2.0", PADDLE, _module("conv", *_CLAS2),
        _module("res{unit}.conv{number0}", *_CLAS2), _module("res{unit}.short", *_CLAS2), "out",
        groups.CLAS, channels="RGB", normalisation=UNIT,
        verified="its resnet.py (release/2.0), run: keys and outputs of 18, 50, 101, bit for bit",
    ),
    # and, with other names for the blocks, resnet_vd.py, resnet_vc.py, resnext.py, resnext_vd.py,
    # se_resnet_vd.py, se_resnext.py, se_resnext_vd.py, which 2.6 has still (model_zoo/)
    Dialect(
        "paddleclas-2.0-vd", PADDLE, _module("conv", *_CLAS2),
        _module("bb_{group0}_{index}.conv{number0}", *_CLAS2), _CLAS2_SHORT, "out",
        (*groups.VD_CLAS, "resnet200_vd", *groups.VC_BOTTLENECKS, *_NEXT4, *_NEXT4_VD,
         *groups.SE),
        Deep(_stem("", conv="_conv", norm="_batch_norm"), _CLAS2_SHORT, _CLAS2_SHORT),
        gate=("bb_{group0}_{index}.scale.squeeze", "bb_{group0}_{index}.scale.excitation"),
        channels="RGB", normalisation=UNIT,
        verified="its files (release/2.0 and 2.6.0), run: keys and outputs of 13 bit for bit, of 7 "
        "with gates within 2e-6",
    ),
    # PaddleClas from 2.2: ppcls/arch/backbone/legendary_models/resnet.py
    Dialect(
        "paddleclas", PADDLE, _module("stem.0"), _module("blocks.{position}.conv{number0}"),
        _module("blocks.{position}.short"), "fc",
        (*groups.CLAS, *groups.VD_CLAS, "resnet200_vd"),
        Deep(_stem("stem.", "0 1 2"), *2 * (_module("blocks.{position}.short"),)),
        channels="RGB", normalisation=UNIT,
        verified="PaddleClas 2.6.0's resnet.py, run: keys of six, outputs of five bit for bit",
    ),
    # ppcls/arch/backbone/model_zoo/resnext101_wsl.py
    Dialect(
        "paddleclas-wsl", PADDLE, _module("_conv_stem", *_WSL),
        _module("_conv{group}_{index}._conv{number0}", *_WSL),
        _module("_conv{group}_{index}._short._conv", *_WSL), "_out",
        tuple(name for name in groups.NEXT if name not in _NEXT4),
        channels="RGB", normalisation=UNIT,
        verified="its file in 2.6.0, run: keys and outputs of 32x8d and 32x16d, bit for bit",
    ),
    # PaddleDetection 2.x: ppdet/modeling/backbones/resnet.py, senet.py; variant "a" is our v1, "b"
    # the usual, "c" vc, "d" vd
    Dialect(
        "paddledetection", PADDLE, _module("conv1.conv1", *_NORM),
        _module(_DET + "{branch}", *_NORM), _DET_SHORT, None,
        (*groups.CLAS, *groups.VD_CLAS, *groups.V1, *groups.VC_BOTTLENECKS, *groups.NEXT,
         *groups.NEXT_VD, *groups.SE),
        Deep(_stem("conv1.", norm="norm"), _DET_SHORT, _DET_POOLED),
        grouped_stem=_module("conv1.res_conv1", *_NORM),
        gate=(_DET + "se.squeeze", _DET + "se.extract"),
        channels="RGB", normalisation=UNIT,
        verified="its resnet.py and senet.py, run: keys and outputs of nine bit for bit, of five "
        "with gates within 9e-6",
    ),
)  # fmt: skip
