"""Every network of the suite, layer by layer, from tables; standard library only."""

from weight_port.arch.architectures import (
    ARCHITECTURES,
    BN_EPS,
    BN_MOMENTUM,
    Row,
    Sizes,
    architecture,
    class_layers,
    count_trainable,
    first_layers,
    layers,
    multiply_adds,
    open_layers,
    parameters,
    part,
    receptive_fields,
    sides,
    sizes_of,
    top_layers,
)
from weight_port.arch.classic_rows import CLASSICS
from weight_port.arch.classic_steps import Classic
from weight_port.arch.layer import Block, Layer, Parameter
from weight_port.arch.resnet import batch_norm_name, block_letter, blocks, stem
from weight_port.arch.resnet_rows import POOLS, RESNETS, SHORTCUTS, Architecture

__all__ = [
    "ARCHITECTURES",
    "BN_EPS",
    "BN_MOMENTUM",
    "CLASSICS",
    "POOLS",
    "RESNETS",
    "SHORTCUTS",
    "Architecture",
    "Block",
    "Classic",
    "Layer",
    "Parameter",
    "Row",
    "Sizes",
    "architecture",
    "batch_norm_name",
    "block_letter",
    "blocks",
    "class_layers",
    "count_trainable",
    "first_layers",
    "layers",
    "multiply_adds",
    "open_layers",
    "parameters",
    "part",
    "receptive_fields",
    "sides",
    "sizes_of",
    "stem",
    "top_layers",
]
