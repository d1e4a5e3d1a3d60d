"""A pickle reader that can only build data.

Python's own unpickler imports and calls whatever the file names. This one is an interpreter of
the opcodes that data needs (protocols 2 to 4, https://docs.python.org/3/library/pickletools.html)
with no import and no call in it: a global must stand in the caller's table, and any other global
or opcode is refused by name. Byte strings come back as views of the input, not copies, so that a
memory-mapped checkpoint is read without loading it.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from weight_port.errors import DAMAGE, FormatError, UnsafeFileError, WeightPortError
from weight_port.pickles.stream import Stream
from weight_port.storage.bounds import memory_for

Call = Callable[..., Any]
Globals = Mapping[tuple[str, str], Any]


class Global:
    """A name that the table allows as a value but not as a call (a storage type, say)."""

    def __init__(self, name: str) -> None:
        self.name = name


class Pending:
    """An object whose state follows in a BUILD opcode."""

    __slots__ = ()

    def set_state(self, state: Any) -> None:
        raise NotImplementedError


class LongText:
    """A text that is too long to be a name, as it stands in the file: in UTF-8."""

    __slots__ = ("data",)

    def __init__(self, data: memoryview) -> None:
        self.data = data


_MARK = object()
_BYTE, _WORD, _INT = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<i")
_COUNT, _LONG_COUNT, _FLOAT = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct(">d")
_LONGEST_NAME = 1 << 16  # bytes
_MAX_DEPTH = 100_000  # entries on the stack; a state dict needs about four per tensor
_MAX_ARGUMENTS = 16  # of a call; they are copied each time, and a memoised tuple has any length
_MAX_KEY = 1 << 60  # larger numbers can be chosen so that they all have one hash
# What a value costs beside its own size: its place in lists, the collector's two words, an entry
# of a dict that has just grown; what a call made, with the array and the view in it.
_PLACE, _ENTRY, _MADE = 24, 120, 300
_SHORT = 128  # bytes; a view of fewer takes more memory than a copy
_WAY_OUT = (
    "refused, nothing was run. If you trust the file, load it with the framework that wrote it "
    "and save the plain state dict"
)


class Reader(Stream):
    """Reads one pickle from ``data`` starting at ``position``; ``read`` returns its value.

    ``allowed`` maps (module, name) to what stands for it: a function that REDUCE may apply to
    its arguments, or a ``Global``. ``persistent`` turns a persistent id into a value; without
    it persistent ids are refused. ``where`` names the file in errors. The objects made may take
    what a file of ``size`` bytes (those of ``data``) justifies, of which ``held`` are taken.
    """

    def __init__(
        self,
        data: memoryview,
        allowed: Globals,
        where: str,
        persistent: Call | None = None,
        position: int = 0,
        size: int | None = None,
        held: int = 0,
    ) -> None:
        super().__init__(data, where, position)
        self.allowed, self.persistent = allowed, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.held, self.most = held, memory_for(len(data) if size is None else size)
        self.done = False

    def read(self) -> Any:
        """The value; raises UnsafeFileError or FormatError and never runs what the file names."""
        stack, opcodes = self.stack, _OPCODES
        while not self.done:
            start = self.position
            code = self.byte()
            step = opcodes.get(code)
            if step is None:
                raise UnsafeFileError(
                    f"{self.where}: the pickle has opcode {bytes([code])!r} at byte {start}, "
                    f"which weights have no need of; {_WAY_OUT}"
                )
            try:
                step(self)
            except DAMAGE as error:
                raise FormatError(
                    f"{self.where}: damaged pickle at byte {start}: {error}"
                ) from error
            if len(stack) > _MAX_DEPTH:
                raise FormatError(f"{self.where}: pickle stack too deep at byte {start}")
        return stack.pop()

    # -- what the opcodes do

    def push(self, value: Any) -> None:
        """Push what is there already, or is shared by the whole interpreter."""
        self.stack.append(value)

    def make(self, value: Any, cost: int = _PLACE) -> None:
        """Push a new object. One opcode makes an empty list, of 56 bytes, out of nothing."""
        self.charge(sys.getsizeof(value) + cost)
        self.stack.append(value)

    def charge(self, count: int) -> None:
        self.held += count
        if self.held > self.most:
            raise ValueError("its objects would take far more memory than it has bytes")

    def protocol(self) -> None:
        version = self.byte()
        if not 2 <= version <= 5:
            raise FormatError(f"{self.where}: pickle protocol {version}; 2 to 5 are read")

    def frame(self) -> None:
        self.take(8)  # a length, of use to buffered readers alone

    def pop(self) -> None:
        self.stack.pop()

    def push_bytes(self, layout: struct.Struct) -> None:
        taken = self.take(self.number(layout))
        self.make(bytes(taken) if len(taken) < _SHORT else taken)

    def push_text(self, layout: struct.Struct) -> None:
        taken = self.take(self.number(layout))
        long = len(taken) > _LONGEST_NAME
        self.make(LongText(taken) if long else str(taken, "utf-8", "surrogatepass"))

    def push_number(self, layout: struct.Struct) -> None:
        self.make(self.number(layout))

    def push_long(self) -> None:
        self.make(int.from_bytes(self.take(self.byte()), "little", signed=True))

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise ValueError("no mark on the stack")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def push_tuple(self, count: int) -> None:
        items = self.pop_list(count)
        if _MARK in items:
            raise ValueError("tuple of too few items")
        self.make(tuple(items))

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("APPEND to what is no list")
        self.charge(_PLACE * len(items))
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("SETITEM on what is no dict")
        if len(items) % 2:
            raise ValueError("SETITEMS with a key but no value")
        self.charge(_ENTRY * (len(items) // 2))
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a tuple nested a million deep would overflow the interpreter's stack.
            if not isinstance(key, (str, int)):
                raise TypeError(f"a {type(key).__name__} as a key")
            if isinstance(key, int) and abs(key) > _MAX_KEY:
                raise ValueError("a huge number as a key")
            target[key] = value

    def pop_list(self, count: int) -> list[Any]:
        at = len(self.stack) - count
        if at < 0:
            raise IndexError(f"{count} values wanted of {len(self.stack)} on the stack")
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def put(self, index: int) -> None:
        self.charge(_ENTRY)
        self.memo[index] = self.stack[-1]

    def push_global(self, module: str, name: str) -> None:
        found = self.allowed.get((module, name))
        if found is None:
            self.refuse(module, name)
        self.push(found)

    def refuse(self, module: str, name: str) -> NoReturn:
        raise UnsafeFileError(
            f"{self.where}: the pickle asks for {module[:200]}.{name[:200]}, which weights have no "
            f"need of; {_WAY_OUT}"
        )

    def stack_global(self) -> None:
        module, name = self.pop_list(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("STACK_GLOBAL of what are no names")
        self.push_global(module, name)

    def reduce(self) -> None:
        function, arguments = self.pop_list(2)
        # Whatever the table allows was written by the caller; nothing else can get here and be
        # callable, since the stream itself builds only plain data.
        if isinstance(function, Global) or not callable(function):
            raise UnsafeFileError(f"{self.where}: the pickle calls what is data; {_WAY_OUT}")
        if len(arguments) > _MAX_ARGUMENTS:
            raise ValueError(f"a call with {len(arguments)} arguments")
        # Before it is made: a text of 1 MB, encoded over and over, would fill the memory.
        self.charge(sum(map(_length, arguments)))
        try:
            value = function(*arguments)
        except WeightPortError as error:  # the table's functions don't know the file
            raise type(error)(f"{self.where}: {error}") from None
        self.make(value, _MADE)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        # An OrderedDict that torch wrote may carry attributes (`_metadata`): nothing we need.
        if isinstance(target, dict):
            return
        if not isinstance(target, Pending):
            raise UnsafeFileError(
                f"{self.where}: the pickle sets the state of a {type(target).__name__}; {_WAY_OUT}"
            )
        target.set_state(state)

    def persistent_id(self) -> None:
        if self.persistent is None:
            raise UnsafeFileError(f"{self.where}: the pickle holds a persistent id; {_WAY_OUT}")
        self.push(self.persistent(self.stack.pop()))

    def stop(self) -> None:
        if len(self.stack) != 1:
            raise ValueError(f"{len(self.stack)} values at its end")
        self.done = True


def _length(value: Any) -> int:
    """Of a text, the bytes that it may become; nothing of what no function copies."""
    if isinstance(value, LongText):
        return len(value.data)
    return len(value) if isinstance(value, str) else 0


def _build_opcodes() -> dict[int, Callable[[Reader], None]]:
    table: dict[bytes, Callable[[Reader], None]] = {
        b"\x80": Reader.protocol,
        b"\x95": Reader.frame,
        b".": Reader.stop,
        b"(": lambda r: r.stack.append(_MARK),
        b"0": Reader.pop,
        b"N": lambda r: r.stack.append(None),
        b"\x88": lambda r: r.stack.append(True),
        b"\x89": lambda r: r.stack.append(False),
        b"J": lambda r: r.push_number(_INT),
        b"K": lambda r: r.stack.append(r.byte()),  # the interpreter has one of each
        b"M": lambda r: r.push_number(_WORD),
        b"\x8a": Reader.push_long,
        b"G": lambda r: r.push_number(_FLOAT),
        b"X": lambda r: r.push_text(_COUNT),
        b"\x8c": lambda r: r.push_text(_BYTE),
        b"\x8d": lambda r: r.push_text(_LONG_COUNT),
        b"B": lambda r: r.push_bytes(_COUNT),
        b"C": lambda r: r.push_bytes(_BYTE),
        b"\x8e": lambda r: r.push_bytes(_LONG_COUNT),
        b")": lambda r: r.stack.append(()),
        b"t": lambda r: r.make(tuple(r.since_mark())),
        b"\x85": lambda r: r.push_tuple(1),
        b"\x86": lambda r: r.push_tuple(2),
        b"\x87": lambda r: r.push_tuple(3),
        b"]": lambda r: r.make([]),
        b"a": lambda r: r.append(r.pop_list(1)),
        b"e": lambda r: r.append(r.since_mark()),
        b"}": lambda r: r.make({}),
        b"s": lambda r: r.set_items(r.pop_list(2)),
        b"u": lambda r: r.set_items(r.since_mark()),
        b"q": lambda r: r.put(r.byte()),
        b"r": lambda r: r.put(r.number(_COUNT)),
        b"\x94": lambda r: r.put(len(r.memo)),
        b"h": lambda r: r.stack.append(r.memo[r.byte()]),
        b"j": lambda r: r.stack.append(r.memo[r.number(_COUNT)]),
        b"c": lambda r: r.push_global(r.line(), r.line()),
        b"\x93": Reader.stack_global,
        b"i": lambda r: r.refuse(r.line(), r.line()),  # a call; here to be refused by its name
        b"R": Reader.reduce,
        b"b": Reader.build,
        b"Q": Reader.persistent_id,
    }
    return {code[0]: step for code, step in table.items()}


_OPCODES = _build_opcodes()
