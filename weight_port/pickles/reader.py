"""A pickle reader that can only build data.

Python's own unpickler imports and calls whatever the file names. This one is an interpreter of
the same opcodes with no import and no call in it: a global stands in the caller's table, or
becomes a placeholder that does nothing, or is a known attack and refused by name. Byte strings
come back as views of the input, not copies, so that a memory-mapped checkpoint is read without
loading it.
"""

from __future__ import annotations

from typing import Any

from weight_port.errors import DAMAGE, FormatError, UnsafeFileError
from weight_port.pickles.machine import WAY_OUT, Machine
from weight_port.pickles.opcodes import OPCODES

_MAX_DEPTH = 100_000  # entries on the stack; a state dict needs about four per tensor


class Reader(Machine):
    """Reads one pickle from ``data`` starting at ``position``; ``read`` returns its value.

    ``allowed`` maps (module, name) to what stands for it: a function that REDUCE may apply to
    its arguments, or a ``Global``. ``persistent`` turns a persistent id into a value; without
    it persistent ids are refused. ``where`` names the file in errors. The objects made may take
    what a file of ``size`` bytes (those of ``data``) justifies, of which ``held`` are taken.
    ``left_out`` has the names of what became placeholders.
    """

    def read(self) -> Any:
        """The value; raises UnsafeFileError or FormatError and never runs what the file names."""
        stack, opcodes = self.stack, OPCODES
        while not self.done:
            start = self.position
            code = self.byte()
            step = opcodes.get(code)
            if step is None:
                raise UnsafeFileError(
                    f"{self.where}: the pickle has opcode {bytes([code])!r} at byte {start}, "
                    f"which weights have no need of; {WAY_OUT}"
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


def left_out_note(names: Any) -> tuple[str, ...]:
    """A note on the names of placeholders, none where there are none."""
    listed = list(names)
    if not listed:
        return ()
    more = f", and {len(listed) - 8} more" if len(listed) > 8 else ""
    return (f"not read and not run, as weights need none of it: {', '.join(listed[:8])}{more}",)
