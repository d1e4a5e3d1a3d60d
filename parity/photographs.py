"""Real photographs from scikit-image's wheel, as files: ``python -m parity.photographs DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def save(folder: Path) -> list[Path]:
    """Write the four photographs as PNG into ``folder``, made if absent; returns their paths."""
    import skimage.data
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        Image.fromarray(getattr(skimage.data, name)()).save(path)
    return paths


def main() -> int:
    """Run the command; returns its exit status."""
    if len(sys.argv) != 2:
        print("usage: python -m parity.photographs DIR", file=sys.stderr)
        return 2
    for path in save(Path(sys.argv[1])):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
