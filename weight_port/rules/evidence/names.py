"""What a name says: the module's words and numbers, and the role of the tensor in it.

The synonyms are the dialects' words for one thing (``dialects/rows.py``, ``classic_names.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

ROLES = {
    role: names.split()
    for role, names in {
        "weight": "weight weights kernel w_0 gamma scale",
        "bias": "bias b_0 beta offset",
        "mean": "running_mean mean moving_mean w_1",
        "variance": "running_var variance moving_variance w_2",
        "counter": "num_batches_tracked",
    }.items()
}
_ROLE = {name: role for role, names in ROLES.items() for name in names}
_UNDERSCORED = re.compile(r"(.+)_(weights|offset|scale|mean|variance)")  # Paddle 1.x

SYNONYMS = {
    word: canonical
    for canonical, words in {
        "shortcut": "downsample short shortcut skip",
        "q": "q query wq",
        "k": "k key wk",
        "v": "v value wv",
        "encoder": "encoder enc",
        "decoder": "decoder dec",
        "attention": "attention attn",
        "embedding": "embedding embeddings embed emb wte",
        "layer": "layer layers",
        "block": "block blocks",
        "stage": "stage stages",
        "out": "out o output",
        "squeeze": "squeeze sqz",
        "excitation": "excitation exc extract",
        "position": "position pos positional wpe",
    }.items()
    for word in words.split()
}
# What says of which kind a layer is, and not which one.
_KINDS = frozenset(
    word
    for words in ("conv convolution kernel res scale", "bn bnv batch norm normalization batchnorm")
    for word in (*words.split(), "layernorm", "ln")
)
# torchvision's branches of an inception block, under the paper's names (``classic_names``).
_BRANCHES = (
    (("branch", "2", "0"), ("3x3", "reduce")),
    (("branch", "2", "1"), ("3x3",)),
    (("branch", "3", "0"), ("5x5", "reduce")),
    (("branch", "3", "1"), ("5x5",)),
    (("branch", "4", "1"), ("pool", "proj")),
    (("branch", "1"), ("1x1",)),
)
_TOKEN = re.compile(r"\d+x\d+|\d+[a-z]\d*(?![a-z0-9])|\d+|[a-z]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_DIMENSION = re.compile(r"(conv|norm|pool)[123]d")
Index = tuple[int, int, int]


class Path(NamedTuple):
    """A module's name, taken apart."""

    words: tuple[str, ...]  # with "#" for numbers
    numbers: tuple[Index, ...]
    labels: tuple[str, ...]  # the word before each number, "" for a number after a number
    raw: tuple[str, ...]  # every token
    bare: tuple[str, ...]  # every token but words of the kind


def split(name: str) -> tuple[str, str, str]:
    """(module, leaf, role) of a tensor's name; role "" where the leaf says none."""
    place = max(name.rfind("."), name.rfind("/"))
    module, leaf = (name[:place], name[place + 1 :]) if place > 0 else ("", name)
    role = _ROLE.get(leaf.lstrip("_"), "")
    if not role and (fit := _UNDERSCORED.fullmatch(name)):
        return fit[1], fit[2], _ROLE[fit[2]]
    return module, leaf, role


def tokens(name: str) -> list[str]:
    """The words and numbers of a name, in small letters; "2a" and "4b22" are numbers."""
    plain = _DIMENSION.sub(r"\1", _CAMEL.sub("_", name).lower())
    return _TOKEN.findall(plain)


def path(module: str, lettered: bool) -> Path:
    """A module's name taken apart; ``lettered``: the branches are 1, 2a, 2b, 2c."""
    raw = tokens(module)
    if "inception" in raw or "ince" in raw:
        raw = _replaced(raw, _BRANCHES)
    elif lettered:
        raw = _replaced(raw, ((("branch", "1"), ("shortcut",)),))
    words: list[str] = []
    numbers: list[Index] = []
    labels: list[str] = []
    before = ""
    for token in raw:
        if is_number(token):
            words.append("#")
            numbers.append(_index(token))
            labels.append(before.removesuffix("s"))
            before = ""
            continue
        before = token
        if token not in _KINDS:
            words.append(SYNONYMS.get(token, token))
    bare = tuple(token for token in raw if token not in _KINDS)
    return Path(tuple(words), tuple(numbers), tuple(labels), tuple(raw), bare)


def is_number(token: str) -> bool:
    """Whether a token is a place in a row: 3, 2a, 4b22, but not 3x3."""
    return token[0].isdigit() and "x" not in token


def _index(token: str) -> Index:
    parts = re.fullmatch(r"(\d+)([a-z]?)(\d*)", token)
    assert parts is not None
    number, letter, rest = parts.groups()
    return int(number[:18]), ord(letter) - 96 if letter else 0, int(rest[:18]) + 1 if rest else 0


def _replaced(
    raw: Sequence[str], rows: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]
) -> list[str]:
    result: list[str] = []
    place = 0
    while place < len(raw):
        for before, after in rows:
            if tuple(raw[place : place + len(before)]) == before:
                result += after
                place += len(before)
                break
        else:
            result.append(raw[place])
            place += 1
    return result
