"""What a pickle's reader builds beside Python's own plain data."""

from __future__ import annotations

from typing import Any


class Global:
    """A name that the table allows as a value but not as a call (a storage type, say)."""

    def __init__(self, name: str) -> None:
        self.name = name


class Pending:
    """An object whose state follows in a BUILD opcode."""

    __slots__ = ()

    def set_state(self, state: Any) -> None:
        """Take the state; raises ValueError where it is none."""
        raise NotImplementedError


class LongText:
    """A text that is too long to be a name, as it stands in the file: in UTF-8."""

    __slots__ = ("data",)

    def __init__(self, data: memoryview) -> None:
        self.data = data


class Placeholder:
    """What stands for a class, or a thing of it, that weights have no need of.

    Its class is neither imported nor called: it has the name, and what the file would have handed
    over. A pickled ``torch.nn.Module`` is found whole in ``state``.
    """

    __slots__ = ("items", "name", "state")

    def __init__(self, name: str, items: tuple[Any, ...] = ()) -> None:
        self.name = name  # module and class, as the file has them
        self.items: list[Any] = [*items]  # arguments, and what is put into it
        self.state: Any = None


def kind_of(value: Any) -> str:
    """What a value is, for a note: a placeholder's class by its name in the file."""
    return value.name if isinstance(value, Placeholder) else type(value).__name__
