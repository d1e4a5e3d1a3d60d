"""Image files to the batch that a ResNet takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# ImageNet's channel statistics, RGB, as torchvision and PaddleClas normalise.
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


class ImageError(Exception):
    """An image can't be found or read."""


def find(paths: Sequence[Path]) -> list[Path]:
    """The image files among ``paths`` and in the folders among them, sorted within a folder.

    Raises ImageError for a path that does not exist, or a folder without images.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise ImageError(f"{path}: no images in it ({', '.join(SUFFIXES)}){_way_out(path)}")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise ImageError(f"{path}: no such file or folder")
    return files


def _way_out(folder: Path) -> str:
    """Which folders in a folder hold images, for one that holds none itself."""
    within = (p for p in sorted(folder.iterdir()) if p.is_dir())
    holders = [p.name for p in within if any(q.suffix.lower() in SUFFIXES for q in p.iterdir())]
    if not holders:
        return ""
    named = ", ".join(holders[:3]) + (", …" if len(holders) > 3 else "")
    return f", but in {len(holders)} folders in it: {named}; name those: {folder}/*"


def load(path: Path, size: int = 224) -> np.ndarray:
    """One image as float32 (3, size, size): short side to 8/7 of size, centre crop, normalised.

    Raises ImageError where the file is no image that Pillow reads.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        if path.suffix.lower() in (".npy", ".npz"):
            raise ImageError(
                f"{path}: an array, not an image; save images as .png, which are normalised alike "
                "for both sides, or compare on arrays of your own with parity.pytest.assert_parity"
            ) from None
        raise ImageError(f"{path}: not a readable image ({error})") from None
    scale = size * 8 / 7 / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    pixels = np.asarray(image.crop((left, top, left + size, top + size)), dtype=np.float64) / 255
    normalised: np.ndarray = (pixels - MEAN) / STD
    return normalised.transpose(2, 0, 1).astype(np.float32)


def batch(paths: Sequence[Path], size: int = 224) -> np.ndarray:
    """All images as float32 (N, 3, size, size). Raises ImageError."""
    return np.stack([load(path, size) for path in find(paths)])


def synthetic(count: int, channels: int, size: int, seed: int) -> np.ndarray:
    """A stand-in for photographs: float32 (count, channels, size, size), equal for equal seeds.

    Soft shapes with a little noise, normalised like images: neighbours are alike, as in
    photographs, and no two images are.
    """
    random = np.random.default_rng(seed)
    coarse = random.standard_normal((count, channels, 9, 9))
    at = np.linspace(0, 8, size)
    low = np.minimum(at.astype(int), 7)
    part = at - low
    for axis in (2, 3):  # linear between the points, along one axis and then the other
        weight = part.reshape(-1, 1) if axis == 2 else part
        coarse = (1 - weight) * coarse.take(low, axis) + weight * coarse.take(low + 1, axis)
    noise = 0.1 * random.standard_normal(coarse.shape)
    return (coarse + noise).astype(np.float32)
