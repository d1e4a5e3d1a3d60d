"""A pickle reader that can only build data.

Python's own unpickler imports and calls whatever the file names. This one is an interpreter of
the opcodes that data needs (protocols 2 to 4, https://docs.python.org/3/library/pickletools.html)
with no import and no call in it: a global must stand in the caller's table, and any other global
or opcode is refused by name. Byte strings come back as views of the input, not copies, so that a
memory-mapped checkpoint is read without loading it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from weight_port.errors import DAMAGE, FormatError, UnsafeFileError, WeightPortError

Call = Callable[..., Any]
Globals = Mapping[tuple[str, str], Any]


class Global:
    """A name that the table allows as a value but not as a call (a storage type, say)."""

    def __init__(self, name: str) -> None:
        self.name = name


class Pending:
    """An object whose state follows in a BUILD opcode."""

    def set_state(self, state: Any) -> None:
        raise NotImplementedError


_MARK = object()
_MAX_DEPTH = 100_000  # entries on the stack; a state dict needs about four per tensor
_WAY_OUT = (
    "refused, nothing was run. If you trust the file, load it with the framework that wrote it "
    "and save the plain state dict"
)


def plain_dict(*arguments: Any) -> dict[Any, Any]:
    """``collections.OrderedDict()``, which pickles fill afterwards, one item at a time."""
    if arguments:
        raise ValueError("an OrderedDict made from arguments")
    return {}


class Reader:
    """Reads one pickle from ``data`` starting at ``position``; ``read`` returns its value.

    ``allowed`` maps (module, name) to what stands for it: a function that REDUCE may apply to
    its arguments, or a ``Global``. ``persistent`` turns a persistent id into a value; without
    it persistent ids are refused. ``where`` names the file in errors.
    """

    def __init__(
        self,
        data: memoryview,
        allowed: Globals,
        where: str,
        persistent: Call | None = None,
        position: int = 0,
    ) -> None:
        self.data, self.allowed, self.where = data, allowed, where
        self.persistent, self.position = persistent, position
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.made = 0  # bytes that functions gave back
        self.done = False

    def read(self) -> Any:
        """The value; raises UnsafeFileError or FormatError and never runs what the file names."""
        while not self.done:
            start = self.position
            code = self._take(1)[0]
            step = _OPCODES.get(code)
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
            if len(self.stack) > _MAX_DEPTH:
                raise FormatError(f"{self.where}: pickle stack too deep at byte {start}")
        return self.stack.pop()

    # -- reading the stream

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise FormatError(
                f"{self.where}: truncated: {count} bytes wanted at byte {self.position}, "
                f"{len(self.data) - self.position} there; get the file again"
            )
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def _number(self, layout: str) -> int:
        value: int = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        return value

    def _line(self) -> str:
        # Only GLOBAL reads lines; no module or class name is longer than this.
        window = bytes(self.data[self.position : self.position + 1000])
        length = window.find(b"\n")
        if length < 0:
            raise FormatError(f"{self.where}: damaged pickle: endless line")
        self.position += length + 1
        return window[:length].decode("utf-8")

    # -- what the opcodes do

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def protocol(self) -> None:
        version = self._take(1)[0]
        if not 2 <= version <= 5:
            raise FormatError(f"{self.where}: pickle protocol {version}; 2 to 5 are read")

    def frame(self) -> None:
        self._take(8)  # a length, of use to buffered readers alone

    def pop(self) -> None:
        self.stack.pop()

    def push_bytes(self, layout: str) -> None:
        self.push(self._take(self._number(layout)))

    def push_text(self, layout: str) -> None:
        self.push(bytes(self._take(self._number(layout))).decode("utf-8", "surrogatepass"))

    def push_int(self, layout: str) -> None:
        self.push(self._number(layout))

    def push_long(self) -> None:
        self.push(int.from_bytes(self._take(self._take(1)[0]), "little", signed=True))

    def push_float(self) -> None:
        self.push(struct.unpack(">d", self._take(8))[0])

    def since_mark(self) -> list[Any]:
        count = next((n for n, item in enumerate(reversed(self.stack)) if item is _MARK), None)
        if count is None:
            raise ValueError("no mark on the stack")
        items = self.pop_list(count)
        self.stack.pop()
        return items

    def push_tuple(self, count: int) -> None:
        at = len(self.stack) - count
        items = tuple(self.stack[at:])
        if len(items) != count or any(item is _MARK for item in items):
            raise ValueError("tuple of too few items")
        del self.stack[at:]
        self.push(items)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("APPEND to what is no list")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("SETITEM on what is no dict")
        if len(items) % 2:
            raise ValueError("SETITEMS with a key but no value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a tuple nested a million deep would overflow the interpreter's stack.
            if not isinstance(key, (str, int)):
                raise TypeError(f"a {type(key).__name__} as a key")
            target[key] = value

    def pop_list(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def push_global(self, module: str, name: str) -> None:
        found = self.allowed.get((module, name))
        if found is None:
            raise UnsafeFileError(
                f"{self.where}: the pickle asks for {module}.{name}, which weights have no need "
                f"of; {_WAY_OUT}"
            )
        self.push(found)

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
        try:
            value = function(*arguments)
        except WeightPortError as error:  # the table's functions don't know the file
            raise type(error)(f"{self.where}: {error}") from None
        # One text, encoded over and over, would fill the memory from a small file.
        self.made += len(value) if isinstance(value, bytes) else 0
        if self.made > len(self.data):
            raise ValueError("it makes more bytes than it has")
        self.push(value)

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


def _build_opcodes() -> dict[int, Callable[[Reader], None]]:
    table: dict[bytes, Callable[[Reader], None]] = {
        b"\x80": Reader.protocol,
        b"\x95": Reader.frame,
        b".": Reader.stop,
        b"(": lambda r: r.push(_MARK),
        b"0": Reader.pop,
        b"N": lambda r: r.push(None),
        b"\x88": lambda r: r.push(True),
        b"\x89": lambda r: r.push(False),
        b"J": lambda r: r.push_int("<i"),
        b"K": lambda r: r.push_int("<B"),
        b"M": lambda r: r.push_int("<H"),
        b"\x8a": Reader.push_long,
        b"G": Reader.push_float,
        b"X": lambda r: r.push_text("<I"),
        b"\x8c": lambda r: r.push_text("<B"),
        b"\x8d": lambda r: r.push_text("<Q"),
        b"B": lambda r: r.push_bytes("<I"),
        b"C": lambda r: r.push_bytes("<B"),
        b"\x8e": lambda r: r.push_bytes("<Q"),
        b")": lambda r: r.push(()),
        b"t": lambda r: r.push(tuple(r.since_mark())),
        b"\x85": lambda r: r.push_tuple(1),
        b"\x86": lambda r: r.push_tuple(2),
        b"\x87": lambda r: r.push_tuple(3),
        b"]": lambda r: r.push([]),
        b"a": lambda r: r.append(r.pop_list(1)),
        b"e": lambda r: r.append(r.since_mark()),
        b"}": lambda r: r.push({}),
        b"s": lambda r: r.set_items(r.pop_list(2)),
        b"u": lambda r: r.set_items(r.since_mark()),
        b"q": lambda r: r.put(r._number("<B")),
        b"r": lambda r: r.put(r._number("<I")),
        b"\x94": lambda r: r.put(len(r.memo)),
        b"h": lambda r: r.push(r.memo[r._number("<B")]),
        b"j": lambda r: r.push(r.memo[r._number("<I")]),
        b"c": lambda r: r.push_global(r._line(), r._line()),
        b"\x93": Reader.stack_global,
        b"R": Reader.reduce,
        b"b": Reader.build,
        b"Q": Reader.persistent_id,
    }
    return {code[0]: step for code, step in table.items()}


_OPCODES = _build_opcodes()
