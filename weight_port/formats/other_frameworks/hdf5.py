"""HDF5 files as Keras and Caffe write them: groups, attributes and arrays, as views of the bytes.

https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, "File Format Specification".
Read here and not by h5py: of six runs of its C library on 3,000 changed files of 18 KB each, one
was still at it after 100 s, and it copies every array. What that library writes by default is
read: superblocks 0 to 3, both kinds of object headers, groups by symbol tables or by links in the
header; of its latest format's indexes none. Links out of the file, and data outside of it, are not
followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from weight_port.errors import FormatError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = 0xFFFFFFFFFFFFFFFF
_NAME, _DEPTH = 1024, 32  # bytes of a name, groups in groups
REPACK = "copy it with HDF5's own `h5repack FILE OUT`, or save it again from the framework"
# Header messages, by their numbers.
_LINK_INFO, _LINK, _CONTINUATION, _SYMBOLS, _ATTRIBUTE = 0x02, 0x06, 0x10, 0x11, 0x0C
DATASPACE, DATATYPE, EXTERNAL, LAYOUT, FILTERS = 0x01, 0x03, 0x07, 0x08, 0x0B


class Message(NamedTuple):
    """A header message: what it is of, and its bytes."""

    kind: int
    data: memoryview


@dataclass
class Item:
    """A group, or an array whose messages ``hdf5_arrays`` reads."""

    attributes: dict[str, memoryview] = field(default_factory=dict)  # whole messages
    messages: dict[int, memoryview] = field(default_factory=dict)

    @property
    def is_array(self) -> bool:
        """Whether it has a layout."""
        return LAYOUT in self.messages


class Cursor:
    """Takes numbers and bytes one after another; raises ValueError where there are no more."""

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self.data, self.position = data, position

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        end = self.position + count
        if not 0 <= self.position <= end <= len(self.data):
            raise ValueError(f"{count} bytes wanted at byte {self.position} of {len(self.data)}")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, size: int) -> int:
        """The next number, unsigned, of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def expect(self, signature: bytes) -> None:
        """Skip a signature; raises ValueError for another."""
        if bytes(self.take(len(signature))) != signature:
            raise ValueError(f"no {signature.decode()} at byte {self.position - len(signature)}")


class Hdf5:
    """The objects of a file; raises FormatError and ValueError for what is damaged.

    What is read is counted: no sound file has its headers read much more than once, and one whose
    parts lie over one another would take time without end.
    """

    def __init__(self, data: memoryview, where: str) -> None:
        self.data, self.where = data, where
        self.left = 2 * len(data) + (1 << 16)
        self.links: list[str] = []  # out of the file, or by a name in it: not followed
        self.root = self._superblock()

    def charge(self, count: int) -> None:
        """Count bytes that were read; raises ValueError where they are more than the file has."""
        self.left -= count
        if self.left < 0:
            raise ValueError("its parts lie over one another")

    def at(self, position: int) -> Cursor:
        """A cursor at an address."""
        return Cursor(self.data, position)

    def _superblock(self) -> int:
        """The address of the root's header."""
        cursor = self.at(len(SIGNATURE))
        version = cursor.number(1)
        if version > 3:
            raise ValueError(f"superblock version {version}")
        if version < 2:
            cursor.take(4)
        sizes = bytes(cursor.take(2))
        cursor.take((9, 13, 1, 1)[version])
        if sizes != b"\x08\x08":
            raise ValueError(f"addresses of {sizes[0]} and lengths of {sizes[1]} bytes, not 8")
        base, _, end = (cursor.number(8) for _ in range(3))
        if base or end > len(self.data):
            raise FormatError(
                f"{self.where}: truncated: {end - len(self.data)} bytes of {end} are missing; get "
                "it again"
            )
        if version < 2:
            cursor.take(16)  # the driver's address, and the name of the root
        return cursor.number(8)

    # -- object headers

    def item(self, address: int) -> Item:
        """What the header at an address says."""
        item = Item()
        for message in self._messages(address):
            if message.kind == _ATTRIBUTE:
                item.attributes[_attribute_name(message.data)] = message.data
            else:
                item.messages.setdefault(message.kind, message.data)
        return item

    def _messages(self, address: int) -> Iterator[Message]:
        second = bytes(self.at(address).take(4)) == b"OHDR"
        order, blocks = self._second_header(address) if second else self._first_header(address)
        while blocks:
            start, length = blocks.pop(0)
            cursor = Cursor(self.at(start).take(length))
            while cursor.position + (4 if second else 8) <= length:
                kind = cursor.number(1 if second else 2)
                size, flags = cursor.number(2), cursor.number(1)
                cursor.take(order if second else 3)
                if second and not kind and not size:
                    break  # a gap
                self.charge(8 + size)
                data = cursor.take(size)
                if flags & 2 and kind in (DATASPACE, DATATYPE, LAYOUT, FILTERS):
                    raise ValueError("a message shared with other objects")
                if kind == _CONTINUATION:
                    position, count = Cursor(data).number(8), Cursor(data, 8).number(8)
                    blocks.append((position + 4, count - 8) if second else (position, count))
                yield Message(kind, data)

    def _first_header(self, address: int) -> tuple[int, list[tuple[int, int]]]:
        cursor = self.at(address)
        if cursor.number(1) != 1:
            raise ValueError(f"no object at byte {address}")
        cursor.take(7)
        return 0, [(address + 16, cursor.number(4))]

    def _second_header(self, address: int) -> tuple[int, list[tuple[int, int]]]:
        """(bytes of each message's creation order, where the messages are)."""
        cursor = self.at(address + 5)
        flags = cursor.number(1)
        cursor.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        length = cursor.number(1 << (flags & 3))
        return (2 if flags & 4 else 0), [(cursor.position, length)]

    # -- groups

    def members(self, item: Item) -> Iterator[tuple[str, int]]:
        """(name, address) of what a group holds; links to elsewhere are noted, not followed."""
        if (table := item.messages.get(_SYMBOLS)) is not None:
            yield from self._symbols(Cursor(table).number(8), Cursor(table, 8).number(8))
        if (info := item.messages.get(_LINK_INFO)) is not None:
            heap = Cursor(info, 10 if info[1] & 1 else 2).number(8)
            if heap != _UNDEFINED:
                raise FormatError(
                    f"{self.where}: a group with an index of HDF5's latest format: {REPACK}"
                )

    def links_of(self, address: int) -> Iterator[tuple[str, int]]:
        """(name, address) of the links that stand in a group's own header."""
        for message in self._messages(address):
            if message.kind == _LINK:
                name, target = _link(message.data)
                if target is None:
                    self.links.append(name)
                else:
                    yield name, target

    def _symbols(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        cursor = self.at(heap)
        cursor.expect(b"HEAP")
        cursor.take(4)
        size, _, address = (cursor.number(8) for _ in range(3))
        names = self.at(address).take(size)
        for node in self.leaves(tree, 0, 8):
            cursor = self.at(node.address)
            cursor.expect(b"SNOD")
            cursor.take(2)
            for _ in range(cursor.number(2)):
                self.charge(40)
                name, target, kind = (cursor.number(count) for count in (8, 8, 4))
                cursor.take(20)
                text = _text(names[name : name + _NAME])
                self.charge(len(text))
                if kind == 2:
                    self.links.append(text)
                else:
                    yield text, target

    def leaves(self, address: int, kind: int, key: int, depth: int = 0) -> Iterator[Leaf]:
        """The leaves of a B-tree of version 1, each with the key before it."""
        if depth > _DEPTH:
            raise ValueError("a tree without end")
        cursor = self.at(address)
        cursor.expect(b"TREE")
        found, level, count = cursor.number(1), cursor.number(1), cursor.number(2)
        cursor.take(16)
        if found != kind:
            raise ValueError(f"a tree of kind {found}")
        self.charge(24)
        for _ in range(count):
            self.charge(key + 8)
            leaf = Leaf(cursor.take(key), cursor.number(8))
            if level:
                yield from self.leaves(leaf.address, kind, key, depth + 1)
            else:
                yield leaf

    # -- all of it

    def walk(self) -> Iterator[tuple[tuple[str, ...], Item]]:
        """Every group and array under its path, each once."""
        yield from self._walk(self.root, (), set())

    def _walk(
        self, address: int, path: tuple[str, ...], visited: set[int]
    ) -> Iterator[tuple[tuple[str, ...], Item]]:
        if address in visited:
            return
        visited.add(address)
        if len(path) > _DEPTH:
            raise ValueError("groups nested too deep")
        self.charge(sum(map(len, path)))
        item = self.item(address)
        yield path, item
        if item.is_array:
            return
        for members in (self.members(item), self.links_of(address)):
            for name, target in members:
                yield from self._walk(target, (*path, name), visited)

    def text(self, message: memoryview) -> str | None:
        """The one text of an attribute, None where it is none."""
        kind, sizes, data = _attribute(message)
        if kind[0] & 15 == 3 and not sizes:  # of a fixed length
            return _text(data)
        if kind[0] & 15 != 9 or kind[1] & 15 != 1 or sizes:
            return None
        cursor = Cursor(data)
        length, address, index = cursor.number(4), cursor.number(8), cursor.number(4)
        return _text(self._global(address, index)[: min(length, _NAME)])

    def _global(self, address: int, index: int) -> memoryview:
        """An object in a collection of the global heap."""
        cursor = self.at(address)
        cursor.expect(b"GCOL")
        cursor.take(4)
        end = address + cursor.number(8)
        while cursor.position + 16 <= end:
            self.charge(16)
            number, _, size = cursor.number(2), cursor.take(6), cursor.number(8)
            if number == index:
                return cursor.take(size)
            if not number:
                break
            cursor.take(-(-size // 8) * 8)
        raise ValueError(f"no text {index} in the heap at byte {address}")


class Leaf(NamedTuple):
    """An entry of a B-tree."""

    key: memoryview
    address: int


def _text(data: memoryview) -> str:
    return bytes(data[:_NAME]).partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _link(message: memoryview) -> tuple[str, int | None]:
    """(name, address) of a link message; None for a link that leads elsewhere."""
    cursor = Cursor(message, 1)
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 8 else 0
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = _text(cursor.take(cursor.number(1 << (flags & 3))))
    return name, cursor.number(8) if kind == 0 else None


def _attribute_parts(message: memoryview) -> tuple[Cursor, list[int], int]:
    """Behind the sizes of an attribute's name, type and space: those, and what they are padded to.

    Version 1 pads each to eight bytes.
    """
    cursor = Cursor(message)
    version = cursor.number(1)
    if version not in (1, 2, 3):
        raise ValueError(f"an attribute of version {version}")
    cursor.take(1)
    sizes = [cursor.number(2) for _ in range(3)]
    cursor.take(1 if version == 3 else 0)
    return cursor, sizes, 8 if version == 1 else 1


def _attribute_name(message: memoryview) -> str:
    cursor, sizes, _ = _attribute_parts(message)
    return _text(cursor.take(sizes[0]))


def _attribute(message: memoryview) -> tuple[memoryview, tuple[int, ...], memoryview]:
    """(datatype, shape, data) of an attribute."""
    cursor, sizes, unit = _attribute_parts(message)
    parts = [cursor.take(-(-size // unit) * unit) for size in sizes]
    return parts[1], shape_of(parts[2]), message[cursor.position :]


def shape_of(space: memoryview) -> tuple[int, ...]:
    """The shape that a dataspace message gives."""
    cursor = Cursor(space)
    version, rank = cursor.number(1), cursor.number(1)
    if version not in (1, 2):
        raise ValueError(f"a dataspace of version {version}")
    cursor.take(6 if version == 1 else 2)
    return tuple(cursor.number(8) for _ in range(rank))
