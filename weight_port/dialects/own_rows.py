"""The scheme, and the names of this suite's two implementations. Standard library only."""

from __future__ import annotations

from weight_port.dialects import groups
from weight_port.dialects.dialect import OUT_IN, PADDLE, PADDLE1, TORCH, UNIT, Deep, Dialect
from weight_port.dialects.dialect import module as _module
from weight_port.dialects.dialect import stem as _stem

RES = ("res{unit}_{branch}", "bn{unit}_{branch}")
_RES_DEEP = Deep((("conv1_1", "bnv1_1"), ("conv1_2", "bnv1_2"), ("conv1_3", "bnv1_3")), RES, RES)
_OURS = _module("res{unit}.{branch}")
_OURS_DEEP = Deep(_stem(""), _OURS, _OURS)
_GATE = ("res{unit}.squeeze", "res{unit}.excitation")

ROWS = (
    # PaddleClas release/static:ppcls/modeling/architectures/resnet.py, _vd.py: the scheme
    Dialect(
        "paddle1", PADDLE1, ("conv1", "bn_conv1"), RES, RES, "fc_0", groups.ALL, _RES_DEEP,
        gate=("fc_res{unit}_sqz", "fc_res{unit}_exc"),
        channels="RGB", normalisation=UNIT, softmax=True,
        verified="names written out by an independent script; every other dialect",
    ),
    Dialect(
        "pytorch_impl", TORCH, _module("conv1"), _OURS, _OURS, "fc", groups.ALL, _OURS_DEEP,
        OUT_IN, gate=_GATE, verified="the implementation: keys and shapes of all",
    ),
    Dialect(
        "paddle_impl", PADDLE, _module("conv1"), _OURS, _OURS, "fc", groups.ALL, _OURS_DEEP,
        gate=_GATE, verified="the implementation: keys, shapes and variables' names",
    ),
)  # fmt: skip
