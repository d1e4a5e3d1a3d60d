"""The names that each library gives to the same tensors: one row of templates per dialect.

Templates are filled with a block's position: ``{block}`` res4b22, ``{bn}`` bn4b22, ``{stage}`` 2
to 5, ``{group}`` 1 to 4, ``{index}`` within its stage from 0, and ``{branch}`` branch2a,
``{number}`` 1 to 3. Sources: PaddleClas
``release/static:ppcls/modeling/architectures/resnet.py``; ``paddle/vision/models/resnet.py``;
``torchvision/models/resnet.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from weight_port import arch

PADDLE1 = {
    "weight": "_weights",
    "scale": "_scale",
    "offset": "_offset",
    "mean": "_mean",
    "variance": "_variance",
    "linear_weight": ".w_0",
    "linear_bias": ".b_0",
}
PADDLE = {
    "weight": ".weight",
    "scale": ".weight",
    "offset": ".bias",
    "mean": "._mean",
    "variance": "._variance",
    "linear_weight": ".weight",
    "linear_bias": ".bias",
}
TORCH = {**PADDLE, "mean": ".running_mean", "variance": ".running_var"}
COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Dialect:
    """How one library names and lays out the tensors."""

    name: str
    suffixes: Mapping[str, str]  # a parameter's role -> what follows its module's name
    stem: tuple[str, str]  # convolution, batch norm
    branch2: tuple[str, str]
    branch1: tuple[str, str]
    linear: str
    # Whether there is a model of PaddleClas's ResNet-18/34, with its projection in res2a.
    first_projection: bool = True

    @property
    def torch(self) -> bool:
        """Torch's conventions: linear weights [out, in], and a counter in every batch norm."""
        return self.suffixes is TORCH


# Where the templates of a convolution and of its batch norm stand together.
_PADDLE1 = ("{block}_{branch}", "{bn}_{branch}")
_OURS = ("{block}.{branch}.conv", "{block}.{branch}.bn")
_OURS_STEM = ("conv1.conv", "conv1.bn")
_LAYERS = ("layer{group}.{index}.conv{number}", "layer{group}.{index}.bn{number}")
_LAYERS_STEM = ("conv1", "bn1")
_SHORTCUT = ("layer{group}.{index}.downsample.0", "layer{group}.{index}.downsample.1")

DIALECTS = {
    row.name: row
    for row in (
        #       name             suffixes  stem                   branch2    branch1      linear
        Dialect("paddle1",       PADDLE1, ("conv1", "bn_conv1"), _PADDLE1, _PADDLE1, "fc_0"),
        Dialect("pytorch_impl",  TORCH,   _OURS_STEM,            _OURS,    _OURS,       "fc"),
        Dialect("paddle_impl",   PADDLE,  _OURS_STEM,            _OURS,    _OURS,       "fc"),
        Dialect("torchvision",   TORCH,   _LAYERS_STEM,          _LAYERS,  _SHORTCUT, "fc", False),
        Dialect("paddle.vision", PADDLE,  _LAYERS_STEM,          _LAYERS,  _SHORTCUT, "fc", False),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """What a key of a file stands for: a parameter of the scheme, or torch's counter."""

    layer: str
    parameter: arch.Parameter | None  # None: num_batches_tracked, an int64 scalar
    transposed: bool  # [out, in] in the file, [in, out] in the scheme

    @property
    def name(self) -> str:
        """The scheme's name, or a description of the counter."""
        return self.parameter.name if self.parameter else f"{self.layer} (batch counter)"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        shape = self.parameter.shape if self.parameter else ()
        return shape[::-1] if self.transposed else shape


def _module(dialect: Dialect, layer: arch.Layer) -> str:
    """The dialect's name of the module that holds a layer's parameters."""
    if layer.kind == "linear":
        return dialect.linear
    norm = layer.kind == "batch_norm"
    if layer.block is None:
        return dialect.stem[norm]
    templates = dialect.branch1 if layer.branch == "branch1" else dialect.branch2
    block = layer.block
    return templates[norm].format(
        block=block.name,
        bn=arch.batch_norm_name(block.name),
        stage=block.stage,
        group=block.stage - 1,
        index=block.index,
        branch=layer.branch,
        number="abc".index(layer.branch[-1]) + 1 if layer.branch != "branch1" else 0,
    )


@lru_cache(maxsize=256)  # detection looks at every dialect of every architecture, twice
def keys(
    dialect: str, name: str, num_classes: int = 1000, in_channels: int = 3, include_top: bool = True
) -> dict[str, Key]:
    """Every key of an architecture in a dialect, in the order of ``arch.layers``."""
    row = DIALECTS[dialect]
    found: dict[str, Key] = {}
    for layer in arch.layers(name, num_classes, in_channels, include_top):
        if not layer.parameters:
            continue
        module = _module(row, layer)
        for parameter in layer.parameters:
            transposed = row.torch and parameter.role == "linear_weight"
            key = module + row.suffixes[parameter.role]
            found[key] = Key(layer.name, parameter, transposed)
        if row.torch and layer.kind == "batch_norm":
            found[module + COUNTER] = Key(layer.name, None, False)
    return found
