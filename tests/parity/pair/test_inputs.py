"""The inputs of a pair: drawn, of arrays, of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parity.pair import inputs
from parity.run.inputs import UsageError


@pytest.mark.parametrize(
    ("form", "dtype", "shape", "most"),
    [
        ("float32[2,3,4,4]", "float32", (2, 3, 4, 4), 9),
        ("float64[]", "float64", (), 9),
        ("int64[2, 16]<5", "int64", (2, 16), 4),
        ("int32[3]<1", "int32", (3,), 0),
        ("bool[40]", "bool", (40,), 1),
    ],
)
def test_they_are_drawn_alike_for_equal_seeds(
    tmp_path: Path, form: str, dtype: str, shape: tuple[int, ...], most: int
) -> None:
    (drawn,) = inputs.arrays({"x": form}, tmp_path, 3).values()
    assert (drawn.dtype.name, drawn.shape) == (dtype, shape)
    assert np.abs(drawn.astype(float)).max() <= most
    assert np.array_equal(drawn, inputs.arrays({"x": form}, tmp_path, 3)["x"])
    other = inputs.arrays({"x": form}, tmp_path, 4)["x"]
    assert most == 0 or not np.array_equal(drawn, other)


def test_two_of_one_form_are_not_the_same(tmp_path: Path) -> None:
    drawn = inputs.arrays({"x": "float32[4]", "y": "float32[4]"}, tmp_path, 0)
    assert not np.array_equal(drawn["x"], drawn["y"])


def test_arrays_and_images_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "b.npz", ids=np.arange(4), mask=np.ones(4, bool))
    (tmp_path / "photos").mkdir()
    for name in "ab":
        Image.new("RGB", (40, 30)).save(tmp_path / "photos" / f"{name}.png")
    forms = {"x": "a.npy", "all": "b.npz", "image": "photos/a.png[24]", "folder": "photos[16]"}
    read = inputs.arrays(forms, tmp_path, 0)
    assert {name: array.shape for name, array in read.items()} == {
        "x": (3,), "ids": (4,), "mask": (4,), "image": (1, 3, 24, 24), "folder": (2, 3, 16, 16),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("forms", "reason"),
    [
        ({}, "no inputs: give --input NAME=FORM"),
        ({"x": "float32[2,0]"}, "an empty shape"),
        ({"x": "complex64[2]"}, "complex64 is none of float32"),
        ({"x": "float32[2"}, "is none of float32"),
        ({"x": "object.npy"}, "can't be read"),
        ({"x": "damaged.npz"}, "can't be read"),
        ({"x": "two.npz", "a": "float32[2]"}, "input a: given twice"),
    ],
)
def test_what_is_no_input_is_an_error(tmp_path: Path, forms: dict[str, str], reason: str) -> None:
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and no more")
    np.savez(tmp_path / "two.npz", a=np.ones(2))
    with pytest.raises(UsageError, match=reason.replace("[", r"\[")):
        inputs.arrays(forms, tmp_path, 0)
