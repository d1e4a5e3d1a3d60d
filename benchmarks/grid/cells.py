"""The grid as data: what is timed, in which framework's process, and in which order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from weight_port import arch
from weight_port.dialects import classic_names

# A row of the table -> the framework whose process runs it; its worker's BUILD makes the model.
IMPLEMENTATIONS = {
    "pytorch_impl": "torch",
    "torchvision": "torch",
    "timm": "torch",
    "paddle_impl": "paddle",
    "paddle.vision": "paddle",
    "onnxruntime": "engines",
    "openvino": "engines",
}
WORKERS = {
    "torch": "benchmarks.workers.worker_torch",
    "paddle": "benchmarks.workers.worker_paddle",
    "engines": "benchmarks.workers.worker_engines",
}

MODELS = tuple(arch.ARCHITECTURES)
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")  # that all have

_SAME = {name: name for name in RESNETS}
_WIDE = {name: name for name in ("wide_resnet50_2", "wide_resnet101_2")}
_NEXT = {name: name for name in ("resnext50_32x4d", "resnext101_64x4d")}
_NEXT_PADDLE = {
    name: name
    for name in ("resnext50_64x4d", "resnext101_32x4d", "resnext152_32x4d", "resnext152_64x4d")
}
_NEXT_32X8D = {"resnext101_32x8d": "resnext101_32x8d"}
_VGG = {name: name for name in classic_names.VGG}
_VGG_BN = {name: name.removesuffix("_bn") for name in classic_names.VGG}  # it has an argument
_ALEXNET = {"alexnet_owt": "alexnet"}
# Our name of a network -> a library's. Ours and the engines have all.
LIBRARIES: dict[str, dict[str, str]] = {
    "torchvision": {
        **_SAME, **_NEXT, **_NEXT_32X8D, **_WIDE, **_VGG, **_ALEXNET, "googlenet_bn": "googlenet"
    },
    "timm": {
        **_SAME, **_NEXT, **_NEXT_32X8D, **_WIDE,
        "resnet18_vd": "resnet18d", "resnet34_vd": "resnet34d", "resnet50_vd": "resnet50d",
        "resnet101_vd": "resnet101d", "resnet152_vd": "resnet152d",
        "resnext50_vd_32x4d": "resnext50d_32x4d",
        "resnet50_vc": "resnet50c", "resnet101_vc": "resnet101c",
        **{name: name for name in ("resnext101_32x4d", "resnext101_32x16d", "resnext101_32x32d")},
    },
    "paddle.vision": {**_SAME, **_NEXT, **_NEXT_PADDLE, **_WIDE, **_VGG_BN, **_ALEXNET},
}  # fmt: skip


def has(implementation: str, model: str) -> bool:
    """Whether an implementation has a network."""
    return model in LIBRARIES.get(implementation, (model,))


PRECISIONS = ("fp32", "tf32", "amp-fp16", "amp-bf16", "fp16", "bf16")
LAYOUTS = ("NCHW", "NHWC")

# The rungs; a ratio is never taken across two of them. "defaults" is what a user meets who sets
# nothing (Paddle: one thread); "matched" has on both sides the same layout, precision, threads and
# switches, eager against eager; "best effort" is whatever a framework can do.
DEFAULTS, MATCHED, BEST = "defaults", "matched", "best effort"
RUNGS = (DEFAULTS, MATCHED, BEST)


@dataclass(frozen=True)
class Mode:
    """How a forward pass runs, and where that makes sense."""

    rung: str
    layouts: tuple[str, ...] = LAYOUTS
    precisions: tuple[str, ...] = PRECISIONS
    devices: tuple[str, ...] = ("cpu", "gpu")


_PLAIN = {"layouts": ("NCHW",), "precisions": ("fp32",)}
_SERVED: dict[str, Any] = {"layouts": ("NCHW",), "precisions": ("fp32", "bf16")}
_GPU: dict[str, Any] = {"devices": ("gpu",)}
_CPU: dict[str, Any] = {"devices": ("cpu",)}

# Each name is a function in the table MODES of the framework's harness/modes_*.py.
MODES: dict[str, dict[str, Mode]] = {
    "torch": {
        "defaults": Mode(DEFAULTS, **_PLAIN),
        "eager": Mode(MATCHED),
        "inference_mode": Mode(MATCHED),
        "folded": Mode(BEST),
        "compile": Mode(BEST),
        "inductor": Mode(BEST, ("NHWC",), ("fp32", "bf16")),
        "openvino": Mode(BEST, **_SERVED, **_CPU),
        "max-autotune": Mode(BEST, **_GPU),
        "cuda-graph": Mode(BEST, **_GPU),
    },
    "paddle": {
        "defaults": Mode(DEFAULTS, **_PLAIN),
        "eager": Mode(MATCHED),
        "to_static": Mode(BEST),
        "cinn": Mode(BEST),
        "plain": Mode(BEST, ("NCHW",), ("fp32",)),
        "onednn": Mode(BEST, **_SERVED, **_CPU),
        "openvino": Mode(BEST, **_SERVED, **_CPU),
        "tensorrt": Mode(BEST, **_SERVED, **_GPU),
        "cuda-graph": Mode(BEST, **_GPU),
    },
    "engines": {"engine": Mode(BEST, **_SERVED, **_CPU)},
}
ALL_MODES = tuple(dict.fromkeys(name for modes in MODES.values() for name in modes))

# Pairs that are quoted within the matched rung, as numerator and denominator; in the best-effort
# rung it is each framework's best row that is held against the engines' best and the other's.
PAIRS = (
    ("pytorch_impl", "torchvision"),
    ("pytorch_impl", "timm"),
    ("paddle_impl", "paddle.vision"),
    ("paddle_impl", "pytorch_impl"),
)


def switches(precision: str) -> dict[str, str | None]:
    """What the environment sets for a cell, the same on both sides; None takes a variable out.

    Paddle reads its switches from there; torch's are set in its worker. No search among cuDNN's
    algorithms, and TF32 where it is the label alone.
    """
    tf32 = precision == "tf32"
    return {
        "FLAGS_cudnn_allow_tf32": str(int(tf32)),
        "FLAGS_cublas_allow_tf32": str(int(tf32)),
        "FLAGS_cudnn_exhaustive_search": "0",
        **({"NVIDIA_TF32_OVERRIDE": None} if tf32 else {}),
    }


SWITCHES = switches("fp32")


@dataclass(frozen=True)
class Cell:
    """One row of the table. Every process of a cell runs exactly this."""

    model: str
    batch: int
    implementation: str
    size: int  # height and width of the images
    threads: int  # 0: the framework's own choice
    rung: str = MATCHED
    mode: str = "eager"
    precision: str = "fp32"
    layout: str = "NCHW"
    allocator: str = "default"

    @property
    def framework(self) -> str:
        """The framework whose process runs this cell."""
        return IMPLEMENTATIONS[self.implementation]


# What tells one cell from another: the columns that lead a table, and what `compare` pairs by.
LABELS = tuple(field.name for field in fields(Cell))


def choices(
    implementation: str, modes: Sequence[str], precisions: Sequence[str], layouts: Sequence[str]
) -> Iterator[dict[str, str]]:
    """The wanted combinations that the implementation has; an engine has one mode of its own."""
    table = MODES[IMPLEMENTATIONS[implementation]]
    names = [*modes, "engine"]
    for name, precision, layout in itertools.product(table, precisions, layouts):
        mode = table[name]
        if name in names and precision in mode.precisions and layout in mode.layouts:
            yield {"rung": mode.rung, "mode": name, "precision": precision, "layout": layout}


def grid(
    models: Sequence[str],
    batches: Sequence[int],
    implementations: Sequence[str],
    size: int | None,
    threads: Sequence[int],
    modes: Sequence[str] = ("eager",),
    precisions: Sequence[str] = ("fp32",),
    layouts: Sequence[str] = ("NCHW",),
    allocators: Sequence[str] = ("default",),
) -> list[Cell]:
    """Every combination that exists; what will be compared is side by side, so close in time.

    Images have the network's own size where none is given, or where it takes no other.
    """
    rows = {model: arch.architecture(model) for model in models}
    sizes = {name: row.size if row.fixed or not size else size for name, row in rows.items()}
    cells = [
        Cell(
            model, batch, name, sizes[model], 0 if how["rung"] == DEFAULTS else n, **how,
            allocator=kept,
        )
        for model, batch, n, kept in itertools.product(models, batches, threads, allocators)
        for name in implementations
        if has(name, model)
        for how in choices(name, modes, precisions, layouts)
    ]  # fmt: skip
    return list(dict.fromkeys(cells))


def runs_on(cell: Mapping[str, Any] | Cell, device: str) -> bool:
    """Whether the cell's mode and precision exist on that device, cpu or gpu."""
    values = cell if isinstance(cell, Mapping) else vars(cell)
    mode = MODES[IMPLEMENTATIONS[values["implementation"]]][values["mode"]]
    return device in mode.devices and (values["precision"] != "tf32" or device == "gpu")


def abba(count: int, rounds: int) -> Iterator[tuple[int, int]]:
    """(round, index of a cell) in running order: forward, then backward, then forward, …

    A machine that slows down or speeds up steadily then does the same to every cell.
    """
    for turn in range(rounds):
        order = range(count)
        yield from ((turn, index) for index in (order if turn % 2 == 0 else reversed(order)))


def describe_cell(cell: Cell) -> str:
    """A cell in a line of progress."""
    usual = {"eager", "engine", "fp32", "NCHW", "default"}
    labels = (cell.implementation, cell.mode, cell.precision, cell.layout, cell.allocator)
    rest = " ".join(label for label in labels if label not in usual)
    return f"{cell.model} batch {cell.batch} {rest}"
