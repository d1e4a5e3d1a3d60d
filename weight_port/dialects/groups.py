"""Groups of networks that several libraries hold. Standard library only."""

from __future__ import annotations

from weight_port.arch import ARCHITECTURES, RESNETS, Architecture

_DEPTHS = ((2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3))  # of ResNet-18 to 152


def _usual(row: Architecture) -> bool:
    """Whether it is one of the ResNets that every library has, in some form."""
    inner = (row.groups, row.width_per_group, row.pool1, row.cifar, row.squeeze)
    shortcuts = (row.shortcuts, row.biased)
    usual = (1, 64, "padded", False, 0), ("projected", False)
    return (inner, shortcuts) == usual and row.blocks in _DEPTHS


def _rows(*, vd: bool = False, projection: bool = False, v1: bool = False) -> tuple[str, ...]:
    """ResNet-18 to 152 in the form asked for; the unlike ResNets are listed by name."""
    return tuple(
        row.name
        for row in RESNETS.values()
        if _usual(row) and (bool(row.deep), row.pooled) == (vd, vd)
        if row.stride_in_1x1 == v1 and (row.bottleneck or row.first_projection == projection)
    )


def _next(*, vd: bool) -> tuple[str, ...]:
    return tuple(r.name for r in RESNETS.values() if r.groups > 1 and not r.squeeze and r.vd == vd)


ALL = tuple(ARCHITECTURES)
STANDARD, V1 = _rows(), _rows(v1=True)
CLAS = _rows(projection=True)  # with a projection in the first block of 18 and 34
VD, VD_CLAS = _rows(vd=True), _rows(vd=True, projection=True)
VC = tuple(row.name for row in RESNETS.values() if row.deep and not row.pooled)
VC_BOTTLENECKS = tuple(name for name in VC if RESNETS[name].bottleneck)
NEXT, NEXT_VD = _next(vd=False), _next(vd=True)
WIDE = ("wide_resnet50_2", "wide_resnet101_2")
SE = tuple(row.name for row in RESNETS.values() if row.squeeze)
PROJECTED = tuple(name for name in (*CLAS, *VD_CLAS) if RESNETS[name].first_projection)
CAFFE = tuple(row.name for row in RESNETS.values() if row.pool1 == "ceil")
# Neither kuangliu's nor akamaster's files have the plain networks.
CIFAR = tuple(row.name for row in RESNETS.values() if row.cifar and row.shortcuts != "none")
CIFAR_PROJECTED = tuple(name for name in CIFAR if RESNETS[name].projected)


def width(names: tuple[str, ...], per_group: int) -> tuple[str, ...]:
    """Those of so many channels in a group."""
    return tuple(name for name in names if RESNETS[name].width_per_group == per_group)


def up_to(names: tuple[str, ...], layers: int) -> tuple[str, ...]:
    """Those of at most so many layers."""
    return tuple(name for name in names if RESNETS[name].weighted_layers <= layers)
