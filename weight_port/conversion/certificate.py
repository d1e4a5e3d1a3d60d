"""What a converted file says of how it was made, for ``weight-port verify`` to check."""

from __future__ import annotations

from pathlib import Path

import weight_port

SOURCE, DIGEST, DIALECT, RULES, MADE_BY = (
    "source",
    "source_sha256",
    "source_dialect",
    "rules_sha256",
    "made_by",
)
# The tables of the networks and of their names, and what carries tensors between them.
_ROOMS = ("arch", "dialects", "conversion")


def rules() -> str:
    """The SHA-256 of the code that decides what becomes of a tensor."""
    import hashlib  # which loads OpenSSL

    digest = hashlib.sha256()
    root = Path(weight_port.__file__).parent
    for room in _ROOMS:
        for path in sorted((root / room).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def of(dialect: str) -> dict[str, str]:
    """The metadata of a file that is converted from ``dialect`` now."""
    made_by = f"resnet-parity {weight_port.__version__}"
    return {DIALECT: dialect, RULES: rules(), MADE_BY: made_by}
