"""The opcodes of pickle protocols 0 to 5, each with what it does.

https://docs.python.org/3/library/pickletools.html. Those of extension codes (EXT1 to EXT4) are
missing: they name what a registry of the reading program holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from weight_port.pickles.machine import Machine

_BYTE, _WORD, _INT = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<i")
_COUNT, _LONG_COUNT, _FLOAT = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct(">d")

_TABLE: dict[bytes, Callable[[Machine], None]] = {
    b"\x80": Machine.protocol,
    b"\x95": Machine.frame,
    b".": Machine.stop,
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine.pop_mark,
    b"2": lambda m: m.push(m.stack[-1]),
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"I": Machine.push_decimal,
    b"L": Machine.push_decimal,
    b"F": lambda m: m.make(float(m.line())),
    b"J": lambda m: m.push_number(_INT),
    b"K": lambda m: m.stack.append(m.byte()),  # the interpreter has one of each
    b"M": lambda m: m.push_number(_WORD),
    b"\x8a": lambda m: m.push_long(_BYTE),
    b"\x8b": lambda m: m.push_long(_INT),
    b"G": lambda m: m.push_number(_FLOAT),
    b"S": Machine.push_quoted,
    b"T": lambda m: m.push_old_text(_INT),
    b"U": lambda m: m.push_old_text(_BYTE),
    b"V": Machine.push_unicode_line,
    b"X": lambda m: m.push_text(_COUNT),
    b"\x8c": lambda m: m.push_text(_BYTE),
    b"\x8d": lambda m: m.push_text(_LONG_COUNT),
    b"B": lambda m: m.push_bytes(_COUNT),
    b"C": lambda m: m.push_bytes(_BYTE),
    b"\x8e": lambda m: m.push_bytes(_LONG_COUNT),
    b"\x96": lambda m: m.push_bytes(_LONG_COUNT),
    b"\x97": Machine.outside,
    b"\x98": lambda m: None,  # READONLY_BUFFER: all of ours are
    b")": lambda m: m.stack.append(()),
    b"t": lambda m: m.make(tuple(m.since_mark())),
    b"\x85": lambda m: m.push_tuple(1),
    b"\x86": lambda m: m.push_tuple(2),
    b"\x87": lambda m: m.push_tuple(3),
    b"]": lambda m: m.make([]),
    b"l": lambda m: m.make(m.since_mark()),
    b"a": lambda m: m.append(m.pop_list(1)),
    b"e": lambda m: m.append(m.since_mark()),
    b"}": lambda m: m.make({}),
    b"d": Machine.push_dict,
    b"s": lambda m: m.set_items(m.pop_list(2)),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"\x8f": lambda m: m.push_set([]),
    b"\x90": lambda m: m.append(m.since_mark()),
    b"\x91": lambda m: m.push_set(m.since_mark()),
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.byte()),
    b"r": lambda m: m.put(m.number(_COUNT)),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.stack.append(m.memo[int(m.line())]),
    b"h": lambda m: m.stack.append(m.memo[m.byte()]),
    b"j": lambda m: m.stack.append(m.memo[m.number(_COUNT)]),
    b"c": lambda m: m.push_global(m.line(), m.line()),
    b"\x93": Machine.stack_global,
    b"i": Machine.instance,
    b"o": Machine.object,
    b"R": Machine.reduce,
    b"\x81": lambda m: m.new_object(2),
    b"\x92": lambda m: m.new_object(3),
    b"b": Machine.build,
    b"P": lambda m: m.persistent_id(m.line()),
    b"Q": lambda m: m.persistent_id(m.stack.pop()),
}
OPCODES = {code[0]: step for code, step in _TABLE.items()}
