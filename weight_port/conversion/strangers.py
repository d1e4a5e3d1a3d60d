"""Why tensors are no network's: shapes and blocks overrule names, and the nearest one is named."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from weight_port.arch import layers
from weight_port.conversion.candidates import Arrays
from weight_port.dialects.keys import COUNTER, DIALECTS
from weight_port.errors import DialectError

if TYPE_CHECKING:
    from weight_port.conversion.detect import Detection

_BLOCK = 10  # names that the smallest block has: as many others make another network


class Unrecognised(DialectError):
    """The tensors are no network's; ``share`` of the nearest one's names fit."""

    share = 0.0


def another(tensors: Arrays, detection: Detection) -> str:
    """Why the tensors are another network's though many names fit; "" where they may be damaged.

    Shapes overrule names, and blocks of their own do: more of them make another depth.
    """
    expected = detection.keys(True)
    known = [key for key in expected if key in tensors]
    bent = [key for key in known if tensors[key].shape != expected[key].shape]
    if 2 * len(bent) >= len(known):
        key = bent[0]
        return (
            f"{len(bent)} of these have other shapes: {key} is {list(tensors[key].shape)}, there "
            f"{list(expected[key].shape)}"
        )
    head = detection.head
    strange = [
        key
        for key in tensors
        if key not in expected and detection.holds(key) and not key.startswith(head)
    ]
    counted = any(key.endswith(COUNTER) for key in expected)
    strange = [key for key in strange if counted or not key.endswith(COUNTER)]
    if len(strange) >= _BLOCK:
        return f"{len(strange)} names in its modules are not its own, as {strange[0]}"
    return _other_depth(tensors, detection)


def _other_depth(tensors: Arrays, detection: Detection) -> str:
    """That nothing is missing but the last blocks of stages before the end; "" where it is not so.

    A file that was cut off lacks its end.
    """
    wanted, here = _blocks(tensors, detection)
    gone = [place for place in wanted if not here[place]]
    torn = any(0 < here[place] < count for place, count in wanted.items())
    if not gone or torn or not _are_last(gone, wanted):
        return ""
    at_the_end = not detection.include_top and all(not here[p] for p in wanted if p > gone[0])
    ours = Counter(stage for stage, _ in wanted if stage)
    theirs = Counter(stage for stage, index in wanted if stage and here[stage, index])
    if at_the_end or len(theirs) < len(ours):
        return ""
    has, should = (", ".join(map(str, counts.values())) for counts in (theirs, ours))
    return f"its stages have {has} blocks, not {should}"


def _blocks(
    tensors: Arrays, detection: Detection
) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    """How many names each block, by its stage and index, should have, and has; (0, 0): no block."""
    blocks = {layer.name: layer.block for layer in layers(detection.architecture) if layer.block}
    wanted: Counter[tuple[int, int]] = Counter()
    here: Counter[tuple[int, int]] = Counter()
    for key, entry in detection.keys().items():
        if entry.role != "counter":
            block = blocks.get(entry.layer)
            place = (block.stage, block.index) if block else (0, 0)
            wanted[place] += 1
            here[place] += key in tensors
    return wanted, here


def _are_last(gone: list[tuple[int, int]], wanted: Counter[tuple[int, int]]) -> bool:
    """Whether no block that is there follows one of these in its stage."""
    following = ((stage, index + 1) for stage, index in gone)
    return all(place in gone for place in following if place in wanted)


def unrecognised(
    tensors: Arrays, dialect: str | None, nearest: list[Detection], share: float
) -> Unrecognised:
    """The error that names the nearest networks, and why the tensors are none of theirs."""
    some = ", ".join(list(tensors)[:4]) or "none at all"
    reasons = []
    for detection in nearest:
        why_not = another(tensors, detection) or _lacking(tensors, detection)
        reasons.append(f"{detection.reason}, but {why_not}")
    error = Unrecognised(
        f"the names fit no network in {dialect or ' or '.join(DIALECTS)} (nearest: "
        f"{'; '.join(reasons) or 'none of them'}); the first names are {some}"
    )
    error.share = share
    return error


def _lacking(tensors: Arrays, detection: Detection) -> str:
    expected = detection.keys()
    missing = [key for key in expected if key not in tensors]
    return f"{len(missing)} of that network's {len(expected)} are missing" + (
        f", as {missing[0]}" if missing else ""
    )
