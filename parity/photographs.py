"""``python -m parity.photographs DIR``: four real photographs from scikit-image's wheel, as PNG."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from weight_port import terminal

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def save(folder: Path) -> list[Path]:
    """Write the four photographs as PNG into ``folder``, made if absent; returns their paths.

    Raises ImportError without scikit-image, OSError where they can't be written.
    """
    import skimage.data
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        Image.fromarray(getattr(skimage.data, name)()).save(path)
    return paths


def _save(folder: Path) -> int:
    print("\n".join(map(str, save(folder))))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parity.photographs", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="made if absent")
    terminal.add_version(parser)
    args = parser.parse_args(arguments)
    errors = (ImportError, OSError)
    return terminal.run("parity.photographs", lambda: _save(args.folder), errors)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
