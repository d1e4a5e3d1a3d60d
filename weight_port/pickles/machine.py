"""What the opcodes of a pickle do, on a stack and a memo: they build data.

No import is in it, and no call but of the functions in the caller's table.
"""

from __future__ import annotations

import codecs
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from weight_port.errors import FormatError, UnsafeFileError, WeightPortError
from weight_port.pickles.attacks import ASKS_FOR, is_attack
from weight_port.pickles.stream import Stream
from weight_port.pickles.values import Global, LongText, Pending, Placeholder
from weight_port.storage.bounds import memory_for

Call = Callable[..., Any]
Globals = Mapping[tuple[str, str], Any]

_MARK = object()
_LONGEST_NAME = 1 << 16  # bytes
_MAX_ARGUMENTS = 16  # of a call; they are copied each time, and a memoised tuple has any length
_MAX_KEY = 1 << 60  # larger numbers can be chosen so that they all have one hash
_MAX_DIGITS = 4000  # of a number in decimal: turning them takes the square of their count
# What a value costs beside its own size: its place in lists, the collector's two words, an entry
# of a dict that has just grown; what a call made, with the array and the view in it.
_PLACE, _ENTRY, _MADE = 24, 120, 300
_SHORT = 128  # bytes; a view of fewer takes more memory than a copy
_OLD = ("utf-8", "surrogateescape")  # Python 2's str, text or bytes: any bytes, there and back
WAY_OUT = (
    "refused, nothing was run. If you trust the file, load it with the framework that wrote it "
    "and save the plain state dict"
)


def old_bytes(text: str) -> bytes:
    """The bytes of a str that Python 2 wrote."""
    return text.encode(*_OLD)


class Machine(Stream):
    """The stack, the memo, and an operation per method; ``reader.Reader`` runs them."""

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
        self.left_out: dict[str, None] = {}  # names of what became placeholders, in file order
        self.held, self.most = held, memory_for(len(data) if size is None else size)
        self.done = False

    # -- plain values

    def push(self, value: Any) -> None:
        """Push what is there already, or is shared by the whole interpreter."""
        self.stack.append(value)

    def make(self, value: Any, cost: int = _PLACE) -> None:
        """Push a new object. One opcode makes an empty list, of 56 bytes, out of nothing."""
        self.charge(sys.getsizeof(value) + cost)
        self.stack.append(value)

    def charge(self, count: int) -> None:
        """Count memory; raises ValueError where it is more than the file justifies."""
        self.held += count
        if self.held > self.most:
            raise ValueError("its objects would take far more memory than it has bytes")

    def protocol(self) -> None:
        """PROTO."""
        version = self.byte()
        if version > 5:
            raise FormatError(f"{self.where}: pickle protocol {version}; 0 to 5 are read")

    def frame(self) -> None:
        """FRAME: a length, of use to buffered readers alone."""
        self.take(8)

    def push_bytes(self, layout: struct.Struct) -> None:
        """BINBYTES and its kin, BYTEARRAY8."""
        count = self.number(layout)
        self.make(bytes(self.copy(count)) if count < _SHORT else self.take(count))

    def push_text(self, layout: struct.Struct) -> None:
        """BINUNICODE and its kin."""
        count = self.number(layout)
        if count > _LONGEST_NAME:
            self.make(LongText(self.take(count)))
        else:
            self.make(str(self.copy(count), "utf-8", "surrogatepass"))

    def push_old_text(self, layout: struct.Struct) -> None:
        """BINSTRING, SHORT_BINSTRING: Python 2's str, which is a name or an array's bytes."""
        count = self.number(layout)
        long = count > _LONGEST_NAME
        self.make(self.take(count) if long else str(self.copy(count), *_OLD))

    def push_quoted(self) -> None:
        """STRING: the same as Python 2 would print it, quoted and escaped."""
        line = self.long_line()
        if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
            raise ValueError("a string without quotes")
        raw = codecs.escape_decode(line[1:-1])[0]
        self.make(memoryview(raw) if len(raw) > _LONGEST_NAME else str(raw, *_OLD))

    def push_unicode_line(self) -> None:
        """UNICODE."""
        self.make(str(self.long_line(), "raw-unicode-escape"))

    def push_decimal(self) -> None:
        """INT and LONG: decimal; 00 and 01 are False and True."""
        line = self.line()
        if line in ("00", "01"):
            self.stack.append(line == "01")
            return
        if len(line) > _MAX_DIGITS:
            raise ValueError(f"a number of {len(line)} digits")
        self.make(int(line.removesuffix("L")))

    def push_number(self, layout: struct.Struct) -> None:
        """BININT, BININT2, BINFLOAT."""
        self.make(self.number(layout))

    def push_long(self, layout: struct.Struct) -> None:
        """LONG1, LONG4."""
        self.make(int.from_bytes(self.copy(self.number(layout)), "little", signed=True))

    # -- containers

    def mark(self) -> None:
        """MARK."""
        self.stack.append(_MARK)

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, taken off."""
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise ValueError("no mark on the stack")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def pop_list(self, count: int) -> list[Any]:
        """The last ``count`` values, taken off."""
        at = len(self.stack) - count
        if at < 0:
            raise IndexError(f"{count} values wanted of {len(self.stack)} on the stack")
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def push_tuple(self, count: int) -> None:
        """TUPLE1 to TUPLE3."""
        items = self.pop_list(count)
        if _MARK in items:
            raise ValueError("tuple of too few items")
        self.make(tuple(items))

    def push_dict(self) -> None:
        """DICT."""
        items = self.since_mark()
        self.make({})
        self.set_items(items)

    def push_set(self, items: list[Any]) -> None:
        """EMPTY_SET, FROZENSET: no tensor can stand in one."""
        self.make(Placeholder("set", tuple(items)), _MADE)

    def append(self, items: list[Any]) -> None:
        """APPEND, APPENDS, ADDITEMS."""
        target = self.stack[-1]
        if not isinstance(target, (list, Placeholder)):
            raise TypeError("APPEND to what is no list")
        self.charge(_PLACE * len(items))
        (target.items if isinstance(target, Placeholder) else target).extend(items)

    def set_items(self, items: list[Any]) -> None:
        """SETITEM, SETITEMS."""
        target = self.stack[-1]
        if isinstance(target, Placeholder):  # a Counter, say
            self.append(items)
            return
        if not isinstance(target, dict):
            raise TypeError("SETITEM on what is no dict")
        if len(items) % 2:
            raise ValueError("SETITEMS with a key but no value")
        self.charge(_ENTRY * (len(items) // 2))
        for key, value in zip(items[::2], items[1::2], strict=True):
            key = self.text_key(key, target) if isinstance(key, bytes) else key
            # Hashing a tuple nested a million deep would overflow the interpreter's stack.
            if not isinstance(key, (str, int, float, type(None))):
                raise TypeError(f"a {type(key).__name__} as a key")
            if isinstance(key, int) and abs(key) > _MAX_KEY:
                raise ValueError("a huge number as a key")
            target[key] = value

    def text_key(self, key: bytes, target: dict[Any, Any]) -> str:
        """Python 2's text, again; raises ValueError where it stands there as text, too."""
        text = str(key, *_OLD)
        if text in target:
            raise ValueError(f"{text[:60]!r} is there twice, once as bytes and once as text")
        return text

    def pop(self) -> None:
        """POP."""
        self.stack.pop()

    def pop_mark(self) -> None:
        """POP_MARK."""
        self.since_mark()

    def put(self, index: int) -> None:
        """PUT, BINPUT, LONG_BINPUT, MEMOIZE."""
        self.charge(_ENTRY)
        self.memo[index] = self.stack[-1]

    # -- names, calls and states

    def push_global(self, module: str, name: str) -> None:
        """GLOBAL: what the table has, or a placeholder; an attack is refused by its name."""
        value = self.allowed.get((module, name))
        if value is None:
            if is_attack(module, name) or _builds_tensors(module, name):
                self.refuse(module, name)
            full = f"{module[:200]}.{name[:200]}"
            self.left_out[full] = None
            self.make(Placeholder(full), _MADE)
            return
        self.push(value)

    def refuse(self, module: str, name: str) -> NoReturn:
        """Raises UnsafeFileError."""
        raise UnsafeFileError(
            f"{self.where}: {ASKS_FOR} {module[:200]}.{name[:200]}, which weights have no "
            f"need of; {WAY_OUT}"
        )

    def stack_global(self) -> None:
        """STACK_GLOBAL."""
        module, name = self.pop_list(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("STACK_GLOBAL of what are no names")
        self.push_global(module, name)

    def reduce(self) -> None:
        """REDUCE: a call."""
        function, arguments = self.pop_list(2)
        if isinstance(function, Placeholder):
            self.stand_in(function, arguments)
            return
        # Whatever the table allows was written by the caller; nothing else can get here and be
        # callable, since the stream itself builds only plain data.
        if isinstance(function, Global) or not callable(function):
            raise UnsafeFileError(f"{self.where}: the pickle calls what is data; {WAY_OUT}")
        if len(arguments) > _MAX_ARGUMENTS:
            raise ValueError(f"a call with {len(arguments)} arguments")
        # Before it is made: a text of 1 MB, encoded over and over, would fill the memory.
        self.charge(sum(map(_length, arguments)))
        try:
            value = function(*arguments)
        except WeightPortError as error:  # the table's functions don't know the file
            raise type(error)(f"{self.where}: {error}") from None
        self.make(value, _MADE)

    def stand_in(self, kind: Any, arguments: Any) -> None:
        """Push what stands for an instance of a placeholder's class."""
        if not isinstance(kind, Placeholder):
            raise UnsafeFileError(f"{self.where}: the pickle calls what is data; {WAY_OUT}")
        if not isinstance(arguments, (tuple, list)):
            raise TypeError(f"a {type(arguments).__name__} as arguments")
        self.charge(_PLACE * len(arguments))
        # copyreg._reconstructor(class, base, state): how protocols 0 and 1 make an instance.
        made = kind.name.endswith("._reconstructor") and arguments
        name = arguments[0].name if made and isinstance(arguments[0], Placeholder) else kind.name
        self.make(Placeholder(name, tuple(arguments)), _MADE)

    def new_object(self, count: int) -> None:
        """NEWOBJ, NEWOBJ_EX: cls.__new__(cls, *arguments), with ``count`` values on the stack."""
        kind, *arguments = self.pop_list(count)
        self.stand_in(kind, arguments[0])

    def instance(self) -> None:
        """INST: a class by its name, and its arguments since the mark."""
        module, name = self.line(), self.line()
        if (module, name) in self.allowed:  # no writer of weights spells them so
            self.refuse(module, name)
        arguments = self.since_mark()
        self.push_global(module, name)
        self.stand_in(self.stack.pop(), arguments)

    def object(self) -> None:
        """OBJ: a class and its arguments since the mark."""
        kind, *arguments = self.since_mark()
        self.stand_in(kind, arguments)

    def build(self) -> None:
        """BUILD: an object's state."""
        state = self.stack.pop()
        target = self.stack[-1]
        # An OrderedDict that torch wrote may carry attributes (`_metadata`): nothing we need.
        if isinstance(target, dict):
            return
        if isinstance(target, Placeholder):
            target.state = state
            return
        if not isinstance(target, Pending):
            raise UnsafeFileError(
                f"{self.where}: the pickle sets the state of a {type(target).__name__}; {WAY_OUT}"
            )
        target.set_state(state)

    def persistent_id(self, identity: Any) -> None:
        """BINPERSID, PERSID."""
        if self.persistent is None:
            raise UnsafeFileError(f"{self.where}: the pickle holds a persistent id; {WAY_OUT}")
        self.push(self.persistent(identity))

    def outside(self) -> None:
        """NEXT_BUFFER."""
        raise FormatError(
            f"{self.where}: its bytes stand outside of the pickle (protocol 5, out-of-band "
            "buffers), where whoever wrote it put them; save it in one file"
        )

    def stop(self) -> None:
        """STOP."""
        if len(self.stack) != 1:
            raise ValueError(f"{len(self.stack)} values at its end")
        self.done = True


def _builds_tensors(module: str, name: str) -> bool:
    """Whether an unknown name would make a tensor, of a kind that is not read: no bystander."""
    return module.partition(".")[0] == "torch" and name.startswith("_rebuild")


def _length(value: Any) -> int:
    """Of a text, the bytes that it may become; nothing of what no function copies."""
    if isinstance(value, LongText):
        return len(value.data)
    return len(value) if isinstance(value, str) else 0
