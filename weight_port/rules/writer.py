"""Rules as a file: TOML that people read, and ``reader`` reads back to the same rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from weight_port.rules import operations
from weight_port.rules.model import VERSION, Constant, Ranges, Rule, Rules
from weight_port.rules.patterns import Pattern

_ABOUT = "Which tensor becomes which: weight-port convert SRC DST --rules FILE [--reverse]."


def text(rules: Rules, remarks: Sequence[str] = ()) -> str:
    """The file; ``remarks`` stand as comments at its head."""
    lines = [f"# {line}" for remark in (_ABOUT, *remarks) for line in remark.splitlines()]
    lines += [f"version = {VERSION}"]
    lines += [f"{side} = {_string(getattr(rules, side))}" for side in ("source", "target")]
    for rule in rules.rules:
        lines += ["", "[[rule]]", *_rule(rule)]
    for kind in ("made", "dropped"):
        for constant in getattr(rules, kind):
            lines += ["", f"[[{kind}]]", *_constant(constant)]
    return "\n".join([*lines, ""])


def _rule(rule: Rule) -> Iterator[str]:
    yield f"from = {_patterns(rule.sources)}"
    yield f"to = {_patterns(rule.targets)}"
    yield from _where(rule.ranges)
    if rule.operations:
        yield f"do = [{', '.join(_operation(operation) for operation in rule.operations)}]"


def _constant(constant: Constant) -> Iterator[str]:
    yield f"name = {_string(str(constant.name))}"
    if constant.beside is not None:
        yield f"beside = {_string(str(constant.beside))}"
    yield from _where(constant.ranges)
    if constant.shape is not None:
        yield f"shape = {list(constant.shape)}"
        yield f'dtype = "{constant.dtype}"'
        yield f"value = {constant.value!r}"


def _where(ranges: Ranges) -> Iterator[str]:
    if ranges:
        bounds = (f"{name} = [{first}, {last}]" for name, (first, last) in ranges.items())
        yield f"where = {{ {', '.join(bounds)} }}"


def _patterns(patterns: Sequence[Pattern]) -> str:
    texts = [_string(str(pattern)) for pattern in patterns]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _operation(operation: operations.Operation) -> str:
    fields = _FIELDS[type(operation)](operation)
    return f"{{ {', '.join(f'{key} = {_value(value)}' for key, value in fields.items())} }}"


_FIELDS: dict[type, Callable[[Any], dict[str, Any]]] = {
    operations.Transpose: lambda o: {"transpose": o.axes},
    operations.Reshape: lambda o: {"reshape": o.shape, "of": o.before},
    operations.Split: lambda o: {"split": o.parts, "axis": o.axis},
    operations.Concatenate: lambda o: {"concatenate": o.parts, "axis": o.axis},
    operations.Permute: lambda o: {"permute": o.order, "axis": o.axis},
    operations.Cast: lambda o: {"cast": o.dtype, "of": o.before},
    operations.Scale: lambda o: {"scale": o.factor},
    operations.Fold: lambda o: {
        "fold": o.what,
        "with": str(o.beside),
        **({"before": o.before, "after": o.after} if o.what == "epsilon" else {}),
    },
}


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    return str(list(value)) if isinstance(value, tuple) else repr(value)


def _string(value: str) -> str:
    """A basic string of TOML, whose escapes are JSON's but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
