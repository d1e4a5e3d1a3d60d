"""The dialects as data: the rows of every ecosystem, in the order in which they are tried.

Of dialects with the same names the first is taken. Standard library only.
"""

from __future__ import annotations

from weight_port.dialects import other_rows, own_rows, paddle_rows, torch_rows
from weight_port.dialects.dialect import COUNTER, PADDLE, PADDLE1, TORCH, Deep, Dialect, Module

__all__ = ["COUNTER", "DIALECTS", "PADDLE", "PADDLE1", "TORCH", "Deep", "Dialect", "Module"]

_ECOSYSTEMS = (own_rows, torch_rows, paddle_rows, other_rows)

DIALECTS = {row.name: row for ecosystem in _ECOSYSTEMS for row in ecosystem.ROWS}
