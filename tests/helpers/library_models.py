"""Networks that torchvision and timm have a class for, and not always a function: by their row."""

from __future__ import annotations

import torch

from weight_port import arch


def torchvision(name: str, num_classes: int) -> torch.nn.Module:
    """By torchvision's class, with the projection that PaddleClas's 18 and 34 have more."""
    from torchvision.models import resnet

    row = arch.RESNETS[name]
    block = resnet.Bottleneck if row.bottleneck else resnet.BasicBlock
    sizes = {"groups": row.groups, "width_per_group": row.width_per_group}
    model = resnet.ResNet(block, list(row.blocks), num_classes, **sizes)
    return _changed("torchvision", row, model)


def timm(name: str, num_classes: int) -> torch.nn.Module:
    """By timm's class, with the projection that PaddleClas's 18 and 34 have more."""
    from timm.models import resnet

    row = arch.RESNETS[name]
    block = resnet.Bottleneck if row.bottleneck else resnet.BasicBlock
    stem = {"stem_width": row.deep[0], "stem_type": "deep"} if row.deep else {}
    sizes = {"cardinality": row.groups, "base_width": row.width_per_group}
    model = resnet.ResNet(block, row.blocks, num_classes, avg_down=row.pooled, **sizes, **stem)
    return _changed("timm", row, model)


def _changed(dialect: str, row: arch.Architecture, model: torch.nn.Module) -> torch.nn.Module:
    from weight_port.dialects.keys import DIALECTS

    exec(DIALECTS[dialect].changed.get(row.name, ""), {"nn": torch.nn, "model": model})  # noqa: S102 (our table's)
    return model
