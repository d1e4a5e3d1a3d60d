"""The ``weight-port`` command. Exit status: 0 done, 1 refused or failed, 2 wrong usage."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from weight_port.dialects import DIALECTS
from weight_port.errors import DialectError, WeightPortError

if TYPE_CHECKING:
    import numpy as np

    from weight_port.conversion import Detection


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weight-port",
        description="Carry ResNet weights between Paddle and PyTorch, without either installed.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    inspect = commands.add_parser("inspect", help="say what a checkpoint is")
    inspect.add_argument("source", type=Path, metavar="SRC", help="file, or Paddle 1.x folder")
    inspect.set_defaults(run=_inspect)
    convert = commands.add_parser(
        "convert",
        help="write a checkpoint in another dialect",
        description="The suffix of DST is its format: .pdparams, .safetensors, .pth, .pt; "
        "without a suffix, a folder of Paddle 1.x variable files.",
    )
    convert.add_argument("source", type=Path, metavar="SRC", help="file, or Paddle 1.x folder")
    convert.add_argument("destination", type=Path, metavar="DST")
    convert.add_argument(
        "--to",
        required=True,
        metavar="DIALECT",
        choices=list(DIALECTS),
        help=f"one of {', '.join(DIALECTS)}",
    )
    convert.add_argument(
        "--from",
        dest="dialect",
        metavar="DIALECT",
        choices=list(DIALECTS),
        help="instead of detecting it",
    )
    convert.add_argument("--no-top", action="store_true", help="leave the classifier out")
    convert.add_argument("--force", action="store_true", help="replace DST if it exists")
    convert.set_defaults(run=_convert)
    return parser


def _plain(text: str) -> str:
    """``text`` with escapes for what a file's names must not send to a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"


def _inspect(options: argparse.Namespace) -> int:
    from weight_port.conversion import check, detect
    from weight_port.files import format_of, read

    source: Path = options.source
    tensors = read(source)
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    print(_plain(f"file          {source}"))
    print(f"format        {format_of(source).name}")
    print(f"size          {_size(sum(file.stat().st_size for file in files))}")
    print(f"tensors       {len(tensors)}")
    dtypes = Counter(str(array.dtype) for array in tensors.values())
    print(f"dtypes        {', '.join(f'{dtype} ({n})' for dtype, n in dtypes.items())}")
    try:
        found = detect(tensors)
    except DialectError as error:
        print(f"values        {sum(array.size for array in tensors.values()):,}")
        print(_plain(f"dialect       none: {error}"))
        return 0
    _print_architecture(found, tensors)
    check(tensors, found, include_top=found.include_top)
    return 0


def _print_architecture(found: Detection, tensors: dict[str, np.ndarray]) -> None:
    roles = {key: entry.parameter.role for key, entry in found.keys().items() if entry.parameter}
    sizes: Counter[bool] = Counter()
    for key, array in tensors.items():
        if key in roles:
            sizes[roles[key] in ("mean", "variance")] += array.size
    classes = f"{found.num_classes} classes" if found.include_top else "no classifier"
    print(f"dialect       {found.dialect}: {found.reason}")
    print(f"architecture  {found.architecture}, {found.in_channels} input channels, {classes}")
    print(f"parameters    {sizes[False]:,} trainable, {sizes[True]:,} statistics")


def _convert(options: argparse.Namespace) -> int:
    from weight_port.files import convert_file

    done = convert_file(
        options.source,
        options.destination,
        options.to,
        dialect=options.dialect,
        include_top=not options.no_top,
        force=options.force,
    )
    found = done.source
    print(_plain(f"{options.source}: {found.architecture} in {found.dialect} ({found.reason})"))
    print(_plain(f"{options.destination}: {done.tensors} tensors in {options.to}"))
    if done.counters_made:
        print(f"  made: {done.counters_made} × num_batches_tracked = 0, which Paddle has not")
    if done.dropped:
        some = ", ".join(done.dropped[:3]) + (" …" if len(done.dropped) > 3 else "")
        print(f"  left out: {len(done.dropped)}, which {options.to} has not: {some}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except (WeightPortError, OSError) as error:
        print(_plain(f"weight-port: {error}"), file=sys.stderr)
        return 1
