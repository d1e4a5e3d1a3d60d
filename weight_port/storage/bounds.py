"""How much memory a file of a given size may ask for."""

from __future__ import annotations

# A file may take this many times its size, and what small files may take in any case: a scalar is
# 70 bytes of a pickle and a thousand of Python's memory, and some 4,000 of them need no weights
# beside them; so are strides of 0, and a storage with several names.
RATIO, ALWAYS_ALLOWED = 10, 4 << 20


def memory_for(size: int) -> int:
    """Bytes of memory that a file of ``size`` bytes may take."""
    return RATIO * size + ALWAYS_ALLOWED
