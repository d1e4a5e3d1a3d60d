"""Checkpoints in tar archives, which are read where they are."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

import weight_port


def tar_of(path: Path, folder: Path, name: str) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.add(folder, name)
    return path


def test_a_1x_folder_in_an_archive(tmp_path, fake, same_bits) -> None:
    tensors = fake("paddle1", "resnet18")
    weight_port.write(tmp_path / "net", tensors)
    path = tar_of(tmp_path / "ResNet18_pretrained.tar", tmp_path / "net", "ResNet18_pretrained")
    same_bits(weight_port.read(path), tensors)
    weight_port.convert_file(path, tmp_path / "x.pdparams", "paddle_impl")
    ours = weight_port.convert(tensors, "paddle_impl")
    same_bits(weight_port.read(tmp_path / "x.pdparams"), ours)
    assert not (tmp_path / "ResNet18_pretrained").exists()


def test_an_archive_of_several_checkpoints(tmp_path, same_bits) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    for name in ("best.pdparams", "student.pdparams", "best.pdopt"):
        weight_port.write(folder / name, {name: np.arange(5.0)})
    path = tar_of(tmp_path / "train.tar", folder, "train")
    with pytest.raises(weight_port.FormatError, match=r"of 2 .*train\.tar/train/best\.pdparams, "):
        weight_port.read(path)
    read = weight_port.read(path / "train" / "student.pdparams")
    same_bits(read, {"student.pdparams": np.arange(5.0)})
    with pytest.raises(weight_port.FormatError, match="holds nothing called train/other"):
        weight_port.read(path / "train" / "other")


def test_links_and_outside_names_in_an_archive_lead_nowhere(tmp_path, same_bits) -> None:
    weight_port.write(tmp_path / "secret", {"w": np.ones(3)})
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("net/w")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret" / "w")
        archive.addfile(link)
        archive.add(tmp_path / "secret" / "w", "net/../../../escaped/v")
    same_bits(weight_port.read(tmp_path / "x.tar"), {"v": np.ones(3)})
    assert not (tmp_path.parent / "escaped").exists()


def test_a_truncated_archive_is_an_error(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "net", {"w": np.zeros(100_000), "v": np.ones(3)})
    path = tar_of(tmp_path / "x.tar", tmp_path / "net", "net")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(weight_port.FormatError, match=r"truncated|damaged tar archive"):
        weight_port.read(path)
