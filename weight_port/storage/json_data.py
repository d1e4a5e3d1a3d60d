"""JSON out of a stranger's file: parsed only where what it would become is in proportion to it."""

from __future__ import annotations

import json
import sys
from typing import Any

from weight_port.storage.bounds import memory_for
from weight_port.storage.copies import copied

# Bytes that a value takes in CPython, by the character that comes with it: a dict, an entry of one
# (and of the parser's table of keys), a list, a short text or number.
_COSTS = {"{": 130, ":": 170, "[": 80, ",": 60}


def load(data: memoryview, size: int, **hooks: Any) -> Any:
    """The document in ``data``, of a file of ``size`` bytes in all.

    ``hooks`` are those of ``json.loads``. Raises ValueError where it is no JSON in UTF-8, or would
    take far more memory than the file has bytes (a million times ``[],`` would take 27 to each),
    RecursionError where it is nested too deep.
    """
    text = str(copied(data), "utf-8").removeprefix(
        "\ufeff"
    )  # RFC 8259, section 8.1: may be ignored
    # Twice the text: as it is parsed, and in its parts, of which one may be all but the whole.
    cost = 2 * sys.getsizeof(text)  # one letter of an alphabet of four bytes widens all others
    cost += sum(text.count(character) * cost for character, cost in _COSTS.items())
    if cost > memory_for(size):
        raise ValueError("its objects would take far more memory than it has bytes")
    return json.loads(text, **hooks)
