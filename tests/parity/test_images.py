"""Images: found, cropped, normalised, and refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parity import images


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_a_flat_image_is_its_normalised_colour(tmp_path: Path) -> None:
    colour = np.array([255, 0, 128], dtype=np.uint8)
    path = save(tmp_path / "flat.png", np.broadcast_to(colour, (300, 400, 3)))
    loaded = images.load(path, 64)
    assert loaded.shape == (3, 64, 64)
    assert loaded.dtype == np.float32
    expected = (colour / 255 - images.MEAN) / images.STD
    np.testing.assert_allclose(loaded, np.broadcast_to(expected[:, None, None], (3, 64, 64)), 1e-6)


def test_the_crop_is_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((80, 160, 3), dtype=np.uint8)
    pixels[:, 60:100] = 255  # the middle quarter of the width
    loaded = images.load(save(tmp_path / "bar.png", pixels), 70)
    assert loaded[0, 35, 35] > loaded[0, 35, 2]
    np.testing.assert_array_equal(loaded, loaded[:, :, ::-1])


def test_grey_and_alpha_images_become_rgb(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", np.full((90, 90), 128, dtype=np.uint8))
    alpha = save(tmp_path / "alpha.png", np.full((90, 90, 4), 128, dtype=np.uint8))
    assert images.batch([grey, alpha], 32).shape == (2, 3, 32, 32)


def test_folders_are_sorted_and_other_files_left_out(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert images.find([tmp_path]) == [tmp_path / "a.jpg", tmp_path / "b.png"]


def test_what_is_no_image_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "fake.png").write_text("no pixels")
    with pytest.raises(images.ImageError, match=r"fake\.png: not a readable image"):
        images.batch([tmp_path])
    with pytest.raises(images.ImageError, match="no such file"):
        images.batch([tmp_path / "absent.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(images.ImageError, match="no images in it"):
        images.batch([tmp_path / "empty"])


def test_a_folder_of_folders_and_an_array_are_refused_with_the_way_out(tmp_path: Path) -> None:
    for name in ("n01", "n02", "n03", "n04"):
        (tmp_path / "val" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "val" / name / "x.JPEG")
    with pytest.raises(images.ImageError, match=r"but in 4 folders in it: n01, n02, n03, …; name"):
        images.find([tmp_path / "val"])
    assert len(images.find(sorted((tmp_path / "val").iterdir()))) == 4
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(images.ImageError, match=r"no images in it \([^)]*\)$"):
        images.find([tmp_path / "empty"])
    np.save(tmp_path / "mine.npy", np.zeros((1, 3, 8, 8), np.float32))
    np.savez(tmp_path / "mine.npz", a=np.zeros(3))
    for name in ("mine.npy", "mine.npz"):
        with pytest.raises(images.ImageError, match="an array, not an image; save images as"):
            images.load(tmp_path / name)
