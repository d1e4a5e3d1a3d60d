"""Networks that the suite has not and whose tensors are those of one that it has: a table.

Nothing in a state dict tells them apart, and their outputs differ. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from weight_port.arch import Architecture, Classic, Row


@dataclass(frozen=True)
class Lookalike:
    """One way in which a network can compute something else with the same names and shapes."""

    what: str
    differs: str  # by what, and who builds it so: the rest of a sentence
    of: Callable[[Row], bool]  # the rows that it is told of
    dialects: tuple[str, ...] = ()  # in whose names it is met; none: in any
    uncounted: bool = False  # its files have none of torch's batch counters

    def fits(self, dialect: str, row: Row, counted: bool) -> bool:
        """Whether a file of this network in this dialect may be such a one."""
        return (
            (not self.dialects or dialect in self.dialects)
            and self.of(row)
            and not (self.uncounted and counted)
        )


def _staged(row: Row) -> bool:
    """A ResNet of four stages for large images."""
    return isinstance(row, Architecture) and not row.cifar


def _bottlenecks(row: Row) -> bool:
    """Bottlenecks with the stride in the 3x3, and no row with the stride in the 1x1."""
    if not isinstance(row, Architecture) or not row.bottleneck or row.vd:
        return False
    return row.cifar or (row.groups, row.width_per_group) != (1, 64)


def _bottleneck(row: Row) -> bool:
    return isinstance(row, Architecture) and row.bottleneck and not row.cifar


def _vd(row: Row) -> bool:
    return isinstance(row, Architecture) and row.vd


def _padded(row: Row) -> bool:
    return isinstance(row, Architecture) and row.shortcuts == "padded"


def _small(row: Row) -> bool:
    return isinstance(row, Architecture) and row.cifar and len(row.blocks) == 4


def _lenet(row: Row) -> bool:
    return isinstance(row, Classic) and row.family == "lenet"


_OURS = ("pytorch_impl", "paddle_impl", "paddle1")
_CLAS = ("paddleclas-2.0", "paddleclas-2.0-vd", "paddleclas", "paddle1")
_VISION = ("torchvision", "timm", "mmpretrain", "paddle.vision", *_CLAS, *_OURS)
_TORCH = ("torchvision", "timm", "mmpretrain", "detectron2", "pytorch_impl")

# torchvision/models/resnet.py (replace_stride_with_dilation), timm/models/resnet.py (output_stride,
# aa_layer), ppcls/arch/backbone/legendary_models/resnet.py and resnet_vc.py,
# ppcls/arch/backbone/variant_models/resnet_variant.py, paddleseg/models/backbones/resnet_vd.py,
# ppdet/modeling/backbones/resnet.py, ppocr/modeling/backbones/rec_resnet_vd.py,
# paddlevideo/modeling/backbones/resnet_tsm.py and resnet_tweaks_tsm.py (TSM's own ops/
# temporal_shift.py wraps a module, which changes its names), github.com/facebookresearch/
# fb.resnet.torch models/resnet.lua, detr models/backbone.py, github.com/huyvnphan/PyTorch_CIFAR10
# cifar10_models/resnet.py.
LOOKALIKES = (
    Lookalike(
        "dilated",
        "stage 5, or 4 and 5, dilate instead of striding (output stride 16 or 8): torchvision's "
        "replace_stride_with_dilation, DeepLab, PSPNet; PaddleSeg's vd by default",
        _staged,
    ),
    Lookalike(
        "last stage of stride 1",
        "stage 5 keeps the size of stage 4: PaddleClas's ResNet50_last_stage_stride1, networks of "
        "person re-identification",
        _staged,
        (*_VISION, "detectron2"),
    ),
    Lookalike(
        "a text recogniser's strides",
        "a stem of stride 1, and stages that stride by 2 in height alone: PaddleOCR's rec "
        "ResNet_vd",
        _vd,
        _CLAS,
    ),
    Lookalike(
        "stride in the 1x1",
        "a bottleneck strides in branch2a (PaddleDetection's variant a, MMDetection's style caffe)",
        _bottlenecks,
    ),
    Lookalike(
        "blurred",
        "a blur stands where the network strides: timm's resnetblur50",
        _staged,
        ("torchvision", "timm", "pytorch_impl"),
    ),
    Lookalike(
        "shifted in time",
        "blocks shift channels between the frames of a video: PaddleVideo's ResNetTSM and, with "
        "leaky ReLUs besides, its ResNetTweaksTSM",
        _bottleneck,
        ("paddleclas-2.0", "paddleclas-2.0-vd"),
    ),
    Lookalike(
        "frozen batch norms",
        "the same in evaluation, but statistics stay as they are in training, and some have no "
        "epsilon: FrozenBatchNorm2d of detectors; maskrcnn-benchmark's in training",
        _staged,
        _TORCH,
        uncounted=True,
    ),
    Lookalike(
        "another option A",
        "a shortcut that strides adds its channels of zeros after its own, not on either side: "
        "fb.resnet.torch, whose average pool is of one pixel, and many after it",
        _padded,
    ),
    Lookalike(
        "a smaller map",
        "a stride or a max-pool in or after the 3x3 stem: PyTorch_CIFAR10, and networks for images "
        "of 64 pixels",
        _small,
    ),
    Lookalike(
        "another LeNet",
        "tanh, or average pools instead of max-pools",
        _lenet,
    ),
)


def of(dialect: str, row: Row, counted: bool) -> tuple[Lookalike, ...]:
    """The rows of the table that a file of ``row`` in ``dialect`` may be instead.

    ``counted``: the file has torch's ``num_batches_tracked``.
    """
    return tuple(item for item in LOOKALIKES if item.fits(dialect, row, counted))
