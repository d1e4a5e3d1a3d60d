"""What a converted file says of how it was made, for ``weight-port verify`` to check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import weight_port
from weight_port.errors import FormatError

SOURCE, DIGEST, DIALECT, RULES, MADE_BY, OPTIONS = (
    "source",
    "source_sha256",
    "source_dialect",
    "rules_sha256",
    "made_by",
    "options",
)
# The tables of the networks and of their names, and what carries tensors between them.
_ROOMS = ("arch", "dialects", "conversion")


@dataclass(frozen=True)
class Options:
    """What a conversion was told beside the dialects; the same gives the same numbers again."""

    key: str | None = None
    prefix: str | None = None
    drop: tuple[str, ...] = ()
    alone: bool = False  # what stands beside the network is no part of it
    architecture: str | None = None
    include_top: bool = True
    fold: bool = False
    allow_mismatch: bool = False

    def metadata(self) -> dict[str, str]:
        """Those that were given, as an entry of a file's metadata; none where none was."""
        usual = asdict(Options())
        given = {name: value for name, value in asdict(self).items() if value != usual[name]}
        return {OPTIONS: json.dumps(given)} if given else {}


def options(metadata: Mapping[str, str]) -> Options:
    """Those that a file's metadata have. Raises FormatError where they are none of ours."""
    try:
        given = json.loads(metadata.get(OPTIONS, "{}"))
        chosen = Options(**{**given, "drop": tuple(given.get("drop", ()))})
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise FormatError("the options in its metadata are none of weight-port's") from None
    usual = Options()
    for field in fields(Options):
        value, kinds = getattr(chosen, field.name), (type(getattr(usual, field.name)), str)
        if not isinstance(value, kinds if kinds[0] is type(None) else kinds[0]):
            raise FormatError(f"the option {field.name} in its metadata has no such value")
    if not all(isinstance(glob, str) for glob in chosen.drop):
        raise FormatError("the option drop in its metadata has no such value")
    return chosen


def rules() -> str:
    """The SHA-256 of the code that decides what becomes of a tensor."""
    import hashlib  # which loads OpenSSL

    digest = hashlib.sha256()
    root = Path(weight_port.__file__).parent
    for room in _ROOMS:
        for path in sorted((root / room).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def of(dialect: str, options: Options) -> dict[str, str]:
    """The metadata of a file that is converted from ``dialect`` now."""
    made_by = f"resnet-parity {weight_port.__version__}"
    return {DIALECT: dialect, RULES: rules(), MADE_BY: made_by, **options.metadata()}
