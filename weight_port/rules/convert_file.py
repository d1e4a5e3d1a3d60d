"""From one file to another by the rules of a third."""

from __future__ import annotations

from pathlib import Path

from weight_port.conversion.convert_file import with_source
from weight_port.formats.files import format_to_write, open_checkpoint, write
from weight_port.formats.table import holds_metadata
from weight_port.rules import reader
from weight_port.rules.apply import Applied, apply
from weight_port.storage import digest, phases
from weight_port.storage.digest import Digest
from weight_port.storage.disk import check_apart
from weight_port.storage.maps import guarded

FRAMEWORKS = {"torch": "pt", "paddle": "pd"}  # as a .safetensors file's metadata names them


@guarded()
def convert_file(
    source: Path,
    destination: Path,
    rules: Path,
    *,
    reverse: bool = False,
    force: bool = False,
    sha256: Digest | None = None,
) -> Applied:
    """Read, carry out the rules and write; nothing is written where a tensor is left over or lost.

    ``reverse`` reads the rules from right to left. ``sha256`` is the source's, where the caller has
    it computed already. Raises WeightPortError: see ``reader``, ``apply``, ``read`` and ``write``.
    """
    check_apart(source, destination)
    format_to_write(destination)  # raises before anything is read
    port = reader.read(rules)
    port = port.reverse() if reverse else port
    if sha256 is None and holds_metadata(destination.name):
        sha256 = digest.start(source)
    phases.begin(phases.READ)
    checkpoint = open_checkpoint(source)
    phases.begin(phases.RENAME)
    result = apply(port, checkpoint.contents.tensors)
    phases.begin(phases.WRITE)
    about = {"rules": rules.name}
    if port.target in FRAMEWORKS:
        about["format"] = FRAMEWORKS[port.target]
    metadata = with_source(about, checkpoint, sha256)
    write(destination, result.tensors, force=force, metadata=metadata)
    phases.begin(phases.DONE)
    return result
