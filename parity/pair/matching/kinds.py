"""The table of kinds of layer: what either framework calls them, their tensors and settings.

Shapes and names are those of torch 2.6 and Paddle 3.0 and later. It imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

OTHER = "other"  # a layer of the user's own, known by its class's name alone
CONTAINER = "container"
ROOT = "network"


@dataclass(frozen=True)
class Kind:
    """A kind of layer. Names of tensors and settings are pairs, torch's and Paddle's."""

    name: str
    torch: tuple[str, ...]  # classes
    paddle: tuple[str, ...]
    family: str = ""  # kinds of one family may be each other's port, by mistake
    tensors: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by role
    transposed: tuple[str, ...] = ()  # roles that are [out, in] in torch and [in, out] in Paddle
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    whole: bool = False  # compared as one, whatever modules run inside it


_AFFINE = {"weight": ("weight", "weight"), "bias": ("bias", "bias")}
_EPSILON = {"epsilon": ("eps", "_epsilon")}
_CONV = {
    "stride": ("stride", "_stride"),
    "padding": ("padding", "_padding"),
    "dilation": ("dilation", "_dilation"),
    "groups": ("groups", "_groups"),
    "padding_mode": ("padding_mode", "_padding_mode"),
}
_WINDOW = {
    "kernel": ("kernel_size", "ksize kernel_size"),  # the latter in one dimension
    "stride": ("stride", "stride"),
    "padding": ("padding", "padding"),
    "ceil_mode": ("ceil_mode", "ceil_mode"),
}
_RECURRENT = {
    "layers": ("num_layers", "num_layers"),
    "hidden": ("hidden_size", "hidden_size"),
}


def _dimensions(torch: str, paddle: str | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of a kind in 1 to 3 dimensions: Conv1d to Conv3d, Conv1D to Conv3D."""
    names = tuple(f"{torch}{n}d" for n in (1, 2, 3))
    return names, tuple(f"{paddle or torch}{n}D" for n in (1, 2, 3))


def _activation(
    name: str, torch: str, paddle: str | None = None, **settings: tuple[str, str]
) -> Kind:
    return Kind(name, (torch,), (paddle or torch,), "activation", settings=settings)


KINDS = (
    Kind("conv", *_dimensions("Conv"), "conv", _AFFINE, settings=_CONV),
    Kind(
        "conv_transpose",
        tuple(f"ConvTranspose{n}d" for n in (1, 2, 3)),
        tuple(f"Conv{n}DTranspose" for n in (1, 2, 3)),
        "conv",
        _AFFINE,
        settings={**_CONV, "output_padding": ("output_padding", "output_padding")},
    ),
    Kind("linear", ("Linear", "NonDynamicallyQuantizableLinear"), ("Linear",), "linear", _AFFINE,
         ("weight",)),
    Kind("embedding", ("Embedding",), ("Embedding",), tensors={"weight": ("weight", "weight")},
         settings={"padding_index": ("padding_idx", "_padding_idx")}),
    Kind(
        "batch_norm",
        (*_dimensions("BatchNorm")[0], "SyncBatchNorm"),
        (*_dimensions("BatchNorm")[1], "BatchNorm", "SyncBatchNorm"),
        "norm",
        {**_AFFINE, "mean": ("running_mean", "_mean"), "variance": ("running_var", "_variance")},
        settings={**_EPSILON, "momentum": ("momentum", "_momentum")},
    ),
    Kind("layer_norm", ("LayerNorm",), ("LayerNorm",), "norm", _AFFINE,
         settings={**_EPSILON, "shape": ("normalized_shape", "_normalized_shape")}),
    Kind("group_norm", ("GroupNorm",), ("GroupNorm",), "norm", _AFFINE,
         settings={**_EPSILON, "groups": ("num_groups", "_num_groups")}),
    Kind("instance_norm", *_dimensions("InstanceNorm"), "norm",
         {"weight": ("weight", "scale"), "bias": ("bias", "bias")}, settings=_EPSILON),
    Kind("lstm", ("LSTM",), ("LSTM",), "recurrent", settings=_RECURRENT, whole=True),
    Kind("gru", ("GRU",), ("GRU",), "recurrent", settings=_RECURRENT, whole=True),
    Kind("rnn", ("RNN",), ("SimpleRNN",), "recurrent", settings=_RECURRENT, whole=True),
    Kind("attention", ("MultiheadAttention",), ("MultiHeadAttention",), whole=True,
         settings={"heads": ("num_heads", "num_heads")}),
    _activation("relu", "ReLU"),
    _activation("relu6", "ReLU6"),
    _activation("leaky_relu", "LeakyReLU", slope=("negative_slope", "_negative_slope")),
    _activation("gelu", "GELU", approximate=("approximate", "_approximate")),
    _activation("sigmoid", "Sigmoid"),
    _activation("tanh", "Tanh"),
    _activation("hardsigmoid", "Hardsigmoid"),
    _activation("hardswish", "Hardswish"),
    _activation("elu", "ELU", alpha=("alpha", "_alpha")),
    _activation("softplus", "Softplus", beta=("beta", "_beta")),
    _activation("mish", "Mish"),
    Kind("silu", ("SiLU",), ("Silu", "Swish"), "activation"),
    Kind("prelu", ("PReLU",), ("PReLU",), "activation", {"weight": ("weight", "_weight")}),
    Kind("softmax", ("Softmax",), ("Softmax",), "softmax", settings={"axis": ("dim", "_axis")}),
    Kind("log_softmax", ("LogSoftmax",), ("LogSoftmax",), "softmax",
         settings={"axis": ("dim", "_axis")}),
    Kind("max_pool", *_dimensions("MaxPool"), "pool", settings=_WINDOW),
    Kind("avg_pool", *_dimensions("AvgPool"), "pool",
         settings={**_WINDOW, "exclusive": ("count_include_pad", "exclusive")}),
    Kind("adaptive_avg_pool", *_dimensions("AdaptiveAvgPool"), "pool",
         settings={"size": ("output_size", "_output_size")}),
    Kind("adaptive_max_pool", *_dimensions("AdaptiveMaxPool"), "pool",
         settings={"size": ("output_size", "_output_size")}),
    Kind("dropout", ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d"),
         ("Dropout", "Dropout2D", "Dropout3D"), settings={"p": ("p", "p")}),
    Kind("flatten", ("Flatten",), ("Flatten",), "shape"),
    Kind("identity", ("Identity",), ("Identity",)),
    Kind("upsample", ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"),
         ("Upsample", "UpsamplingNearest2D", "UpsamplingBilinear2D")),
    Kind("pad", ("ZeroPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d",
                 "ReflectionPad2d", "ReplicationPad2d"), ("ZeroPad2D", "Pad1D", "Pad2D", "Pad3D")),
    Kind("pixel_shuffle", ("PixelShuffle",), ("PixelShuffle",), "shape"),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
# Layers that give back what they are given, in evaluation mode: either side may do without.
IDLE = ("dropout", "identity")
# Whose epsilon, and batch norm's momentum, Paddle stores as a float32.
NORMS = tuple(kind.name for kind in KINDS if kind.family == "norm")


@cache
def _classes(framework: str) -> dict[str, Kind]:
    return {name: kind for kind in KINDS for name in getattr(kind, framework)}


def kind_of(module: object, framework: str) -> Kind | None:
    """The kind of a module by its class or the nearest class above; None for the user's own."""
    for ancestor in type(module).__mro__:
        root = ancestor.__module__.partition(".")[0]
        if root == framework and (kind := _classes(framework).get(ancestor.__name__)):
            return kind
    return None


def path_of(path: str, module: object, framework: str, alone: bool) -> str:
    """The path of a module, ROOT for a network that is one layer itself; "" for any other network.

    ``alone``: it has no modules inside.
    """
    return ROOT if not path and (alone or kind_of(module, framework)) else path


def settings_of(module: object, kind: Kind, framework: str) -> dict[str, object]:
    """A module's settings under the table's names, as plain data."""
    index = 0 if framework == "torch" else 1
    held = {}
    for name, attributes in kind.settings.items():
        values = (getattr(module, one, None) for one in attributes[index].split())
        held[name] = _plain(next((value for value in values if value is not None), None))
    return held


def _plain(value: object) -> object:
    """A number, text, flag or None, or a list of such; a list of equal ones as one of them."""
    if isinstance(value, (list, tuple)):
        plain = [_plain(item) for item in value]
        return plain[0] if plain and all(item == plain[0] for item in plain) else plain
    return value if isinstance(value, (int, float, str, type(None))) else str(value)
