"""Tar archives, against Python's own tarfile and headers that lie."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weight_port
from weight_port.storage import tars

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
PART = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1,
               max_size=90).filter(lambda text: text not in (".", "..")
                                   and not text.startswith(("._", ".DS_Store")))  # fmt: skip


def archive(members: dict[str, bytes], layout: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=layout) as written:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def contents(data: bytes) -> dict[str, bytes]:
    """Every file by its name in the archive, empty ones too."""
    found = {}
    for folder in tars.folders_of(memoryview(data), "x.tar").values():
        for name, file in folder.files.items():
            full = str(PurePosixPath(file.where.removeprefix("x.tar/")))
            assert PurePosixPath(full).name == name
            try:
                found[full] = bytes(file.load())
            except weight_port.FormatError as error:
                assert "the file is empty" in str(error)  # noqa: PT017
                found[full] = b""
    return found


@pytest.mark.parametrize("layout", ["gnu", "pax"])
@settings(max_examples=60, deadline=None)
@given(members=st.dictionaries(
    st.lists(PART, min_size=1, max_size=4).map("/".join), st.binary(max_size=1200), min_size=1,
    max_size=4))  # fmt: skip
def test_what_tarfile_writes_is_read(layout: str, members: dict[str, bytes]) -> None:
    assert contents(archive(members, FORMATS[layout])) == members


@pytest.mark.parametrize("layout", FORMATS)
def test_links_folders_and_pipes_are_left_out(layout: str) -> None:
    stream = io.BytesIO()
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[layout]) as written:
        for kind in kinds:
            info = tarfile.TarInfo(f"net/{kind.decode()}")
            info.type, info.linkname = kind, "/etc/passwd"
            written.addfile(info)
        for name, data in (("net/w", b"data"), ("net/._w", b"macOS"), ("p/" * 40 + "v", b"more")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
    assert contents(stream.getvalue()) == {"net/w": b"data", "p/" * 40 + "v": b"more"}


def header(name: bytes, kind: bytes = b"0", size: bytes = b"00000000000\0") -> bytes:
    """One header with a sound checksum."""
    block = bytearray(512)
    block[: len(name)], block[124:136], block[156:157] = name, size, kind
    block[257:265], block[148:156] = b"ustar\x0000", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*records: bytes) -> bytes:
    body = b"".join(records)
    return header(b"x", b"x", b"%011o\0" % len(body)) + body + bytes(-len(body) % 512)


def test_the_header_that_the_faults_change_is_sound() -> None:
    size = b"\x80" + (4).to_bytes(11, "big")  # as GNU writes what octal digits can't hold
    data = header(b"w", size=size) + b"data".ljust(512, b"\0")
    assert contents(data) == {"w": b"data"}
    assert contents(pax(b"9 path=v\n", b"9 size=4\n") + data) == {"v": b"data"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (header(b"w", size=b"\xff" * 10 + b"\xfe\0"), "is no number"),  # CVE-2025-8194
        (header(b"w", size=b"\x80" + b"\xff" * 11), "truncated at 'w'"),
        (header(b"w", size=b"-0000000512\0"), "is no number"),
        (header(b"w", size=b"00000001000\0"), "truncated at 'w'"),
        (header(b"w").replace(b"w", b"v", 1), "wrong checksum at byte 0"),
        (header(b"w")[:300], "no header at byte 0"),
        (header(b"w") + b"x" * 512, "no header at byte 512"),
        (header(b"w") * 2, "holds 'w' twice"),
        (pax(b"11 size=-5\n") + header(b"w"), "is no number"),
        (pax(b"0 path=w\n") + header(b"w"), "a pax record of 0 bytes"),
        (pax(b"99 path=w\n") + header(b"w"), "a pax record of 99 bytes"),
        (pax(b"x path=w\n") + header(b"w"), "is no number"),
        (pax(b"22 GNU.sparse.major=1\n") + header(b"w"), "a sparse file"),
        (header(b"x", b"L", b"%011o\0" % (1 << 17)) + bytes(1 << 17), "header of 131072 bytes"),
    ],
)
def test_a_damaged_archive_is_an_error(data: bytes, said: str) -> None:
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        tars.folders_of(memoryview(data), "x.tar")
    assert str(raised.value).startswith("x.tar: damaged tar archive: ")


def test_names_lead_nowhere(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    names = ["../secret", str(tmp_path / "secret"), "a/../../secret"]
    found = contents(archive(dict.fromkeys(names, b"mine"), tarfile.GNU_FORMAT))
    assert set(found.values()) == {b"mine"}
    assert (tmp_path / "secret").read_bytes() == b"secret"


# -- archives out of proportion


def long_name(name: bytes) -> bytes:
    data = name + b"\0"
    return header(b"././@LongLink", b"L", b"%011o\0" % len(data)) + data + bytes(-len(data) % 512)


WIDE = "\U0001f600".encode()  # one letter that makes Python keep four bytes for each of a name's
LARGE = {
    "files": lambda n: header(b"%d" % n),
    "folders": lambda n: header(b"%d/a" % n),
    "links": lambda n: header(b"%d" % n, b"2"),
    "long names": lambda n: long_name(b"%d" % n + WIDE + b"x" * 4000) + header(b"a"),
    "names of long folders": lambda n: (
        long_name(b"%d/" % n + WIDE + b"x" * 4000 + b"/a") + header(b"a")
    ),
    "deep names": lambda n: long_name(b"%d/" % n + b"x/" * 2000 + b"y") + header(b"a"),
    "names of nothing": lambda n: long_name(b"%d" % n),
}


@pytest.mark.parametrize("kind", LARGE)
def test_an_archives_memory_is_in_proportion_to_it(kind: str) -> None:
    data = b"".join(map(LARGE[kind], range(2_000))) + bytes(1024)
    tracemalloc.start()
    try:
        folders = tars.folders_of(memoryview(data), "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(folders) > 0) == (kind not in ("links", "names of nothing"))
    assert peak < 10 * len(data) + (1 << 20)


@pytest.mark.parametrize("kind", ["files", "folders", "links"])
def test_an_archive_of_endless_members_is_refused(monkeypatch, kind: str) -> None:
    monkeypatch.setattr(tars, "_MOST_MEMBERS", 100)
    members = list(map(LARGE[kind], range(101)))
    tars.folders_of(memoryview(b"".join(members[:100]) + bytes(1024)), "x")
    with pytest.raises(weight_port.FormatError, match=r"x: damaged tar .* more than 100 files"):
        tars.folders_of(memoryview(b"".join(members) + bytes(1024)), "x")


@pytest.mark.parametrize("length", [4_097, 60_000])
def test_a_name_longer_than_any_system_has_is_refused(length: int) -> None:
    data = long_name(b"x" * length) + header(b"a") + bytes(1024)
    with pytest.raises(weight_port.FormatError, match=f"a name of {length} bytes"):
        tars.folders_of(memoryview(data), "x")
