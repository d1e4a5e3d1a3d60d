"""``python -m parity resnet50 --weights FILE --images DIR``: are the two frameworks equal?

Exit status: 0 equal, 1 different, 2 not runnable.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import weight_port
from parity import images, report
from parity.compare import TOLERANCES
from parity.launch import WorkerError
from parity.run import run
from weight_port import arch, disk


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity",
        description="Run one network with the same weights in PyTorch and in Paddle and compare "
        "the logits and every named layer. Exit status: 0 equal, 1 different, 2 not runnable.",
    )
    parser.add_argument("model", choices=list(arch.ARCHITECTURES))
    parser.add_argument(
        "--weights", type=Path, required=True, metavar="FILE", help="checkpoint for both frameworks"
    )
    parser.add_argument(
        "--torch-weights",
        type=Path,
        metavar="FILE",
        help="your port: PyTorch loads this one, Paddle the other",
    )
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, metavar="PATH", help="files or folders"
    )
    parser.add_argument(
        "--precision",
        default=",".join(TOLERANCES),
        help=f"comma-separated, of {', '.join(TOLERANCES)} (default: all)",
    )
    parser.add_argument("--size", type=int, default=224, help="side of the images (default: 224)")
    parser.add_argument("--layers", action="store_true", help="print every layer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the report; replaces FILE")
    return parser


class _UsageError(Exception):
    """The command's words are wrong."""


def _check_weights(path: Path, model: str) -> None:
    """Refuse, before anything runs, a checkpoint that is not the named model's."""
    tensors = weight_port.read(path)
    found = weight_port.detect(tensors)
    if model != found.architecture and model not in found.twins:
        raise _UsageError(f"{path}: holds {found.architecture}, not {model}")
    weight_port.check(tensors, found)
    if found.in_channels != 3:
        raise _UsageError(f"{path}: takes {found.in_channels} channels; photographs have 3")


def _precisions(given: str) -> list[str]:
    wanted = given.split(",")
    if unknown := [name for name in wanted if name not in TOLERANCES]:
        raise _UsageError(f"--precision {','.join(unknown)}: one of {', '.join(TOLERANCES)}")
    return wanted


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    weights = {"torch": options.torch_weights or options.weights, "paddle": options.weights}
    try:
        for path in dict.fromkeys(weights.values()):
            _check_weights(path, options.model)
        precisions = _precisions(options.precision)
        batch = images.batch(options.images, options.size)
        found = run(options.model, batch, weights, precisions, lambda s: print(s, file=sys.stderr))
    except (_UsageError, images.ImageError, weight_port.WeightPortError, WorkerError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2
    print(report.text(found, options.layers))
    if options.json:
        with disk.new_file(options.json, force=True) as stream:
            stream.write(json.dumps(report.as_json(found), indent=1).encode())
    return 0 if found.passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
