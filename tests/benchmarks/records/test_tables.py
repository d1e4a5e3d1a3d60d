"""Tables of every kind of record: what is shown as text is there as values in CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.experiments.forward import rows
from benchmarks.readme.speeds import RESULTS
from benchmarks.records import tables
from benchmarks.records.record import RecordError
from tests.helpers.benchmark_records import cell, process, record, small_record
from tests.helpers.experiment_records import latency_record, throughput_record

COMMITTED = {
    "port": "port-cpu.json",
    "parity-cost": "parity-cost.json",
    "selftest": "selftest-cpu.json",
    "layers": "layers-nchw-cpu.json",
    "train": "train-cpu.json",
}
MADE = {
    "forward": lambda: small_record(rounds=5),
    "throughput": throughput_record,
    "latency": latency_record,
}


@cache
def record_of(kind: str) -> dict[str, Any]:
    made: dict[str, Any] = (
        MADE[kind]() if kind in MADE else json.loads((RESULTS / COMMITTED[kind]).read_text())
    )
    kinds.check(made, kind)
    assert kinds.kind(made) == kind
    return made


@cache
def tables_of(kind: str) -> list[tables.Table]:
    return kinds.of_record(record_of(kind))


def parsed(key: str, text: str) -> Any:
    """The value that a cell of a CSV file holds."""
    if key == "notes":
        return text.split("; ") if text else []
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return {"": None, "True": True, "False": False}.get(text, text)


def from_csv(kind: str, name: str) -> list[dict[str, Any]]:
    text = kinds.render(record_of(kind), "csv", name)
    rows = csv.DictReader(io.StringIO(text))
    return [{key: parsed(key, value) for key, value in row.items()} for row in rows]


def gives(table: tables.Table, rows: list[dict[str, Any]]) -> bool:
    """Whether the table's texts come from these values."""
    try:
        shown = tables.grid(dataclasses.replace(table, rows=rows), "simple")
    except (TypeError, ValueError):  # a text where a number should be
        return False
    return shown == tables.grid(table, "simple")


def test_there_is_a_record_of_every_kind() -> None:
    assert {*COMMITTED, *MADE} == set(kinds.KINDS)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_what_is_shown_is_a_value_in_json_and_in_csv(kind: str) -> None:
    simple = kinds.render(record_of(kind), "simple")
    document = json.loads(kinds.render(record_of(kind), "json"))
    assert document.pop("marks")  # of a record that nobody measured: it is of no code that there is
    assert list(document) == [table.name for table in tables_of(kind)]
    for table in tables_of(kind):
        assert table.rows
        assert tables.grid(table, "simple") in simple
        assert document[table.name] == tables.values(table.rows)  # unrounded
        assert gives(table, document[table.name])
        assert gives(table, from_csv(kind, table.name))
    assert kinds.render(record_of(kind), "csv") == kinds.render(
        record_of(kind), "csv", tables_of(kind)[0].name
    )


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_value_that_is_lost_or_changed_or_rendered_is_noticed(kind: str) -> None:
    for table in tables_of(kind):
        for column in table.columns:
            numbers = [n for n, row in enumerate(table.rows) if is_number(row, column)]
            if not numbers:
                continue
            row = table.rows[numbers[0]]
            assert column.key is not None
            spoilt = [None, 1.5 * row[column.key] + 1]
            if column.write is not str:  # a count is written as it is
                spoilt.append(column.text(row))
            for value in spoilt:
                rows = [dict(row) for row in table.rows]
                rows[numbers[0]][column.key] = value
                assert not gives(table, rows), (table.name, column.heading, value)


def is_number(row: dict[str, Any], column: tables.Column) -> bool:
    value = None if column.key is None else row.get(column.key)
    return isinstance(value, (int, float)) and value != 0


def test_cells_of_several_values_are_spoilt_by_each_of_them() -> None:
    """Those of ``interval``, of the gains and of the targets: a column without a key."""
    (targets, gains) = tables_of("train")
    for table, key in (
        (targets, "loop_over_bare_high"),
        (targets, "feed_over_bare"),
        (gains, "points"),
        (tables_of("selftest")[0], "called"),
        (tables_of("throughput")[0], "low"),
        (tables_of("latency")[0], "p50_ms"),
        (tables_of("parity-cost")[0], "ratio"),
        (tables_of("port")[1], "limit"),
    ):
        rows = [dict(row) for row in table.rows]
        spoilt = [row for row in rows if row.get(key) is not None]
        assert spoilt
        for row in spoilt:
            row[key] *= 2
        assert not gives(table, rows), key


def test_a_table_alone_by_its_name(tmp_path, capsys) -> None:
    path = tmp_path / "run.json"
    kinds.write(path, small_record(rounds=5))
    assert main(["show", str(path), "--table", "ratios", "--format", "csv"]) == 0
    (first, *_) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(first["ratio"]) == pytest.approx(100 / 101)
    assert main(["show", str(path), "--table", "ratios"]) == 0
    shown = capsys.readouterr().out
    assert "verdict" in shown
    assert "median ms" not in shown
    assert main(["show", str(path), "--table", "speeds"]) == 2
    assert "no table 'speeds' in a record of this kind, but rows, ratios" in capsys.readouterr().err


def test_what_json_can_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        tables.as_json({"rows": [{"ms": float("nan")}]})


def test_every_row_has_every_key_and_nothing_is_null() -> None:
    rows: list[tables.Row] = [{"a": 1}, {"b": [1, 2]}]
    assert tables.values(rows) == [{"a": 1, "b": None}, {"a": None, "b": [1, 2]}]
    assert tables.as_csv(rows) == "a,b\n1,\n,1; 2"
    assert tables.as_csv([]) == ""
    with pytest.raises(RecordError, match="no table 'x' in a record of this kind, but rows"):
        tables.choose([tables.Table("rows", [], rows)], "x", "here")


_COUNTS = st.lists(st.integers(5, 40), min_size=5, max_size=5)


@settings(max_examples=25, deadline=None)
@given(_COUNTS, _COUNTS, st.integers(0, 2**32), st.floats(0.0, 0.8))
def test_a_record_s_medians_make_its_ratio(ours, theirs, seed, spread):
    """Whatever the processes: as many samples as they like, as far apart as they like."""
    random = np.random.default_rng(seed)

    def times(counts):
        middles = 50 * np.exp(spread * random.standard_normal(len(counts)))
        return [m * random.uniform(0.8, 1.2, n) for m, n in zip(middles, counts, strict=True)]

    names = {"pytorch_impl": ours, "torchvision": theirs}
    made = record(
        [
            cell(name, [process(turn, ms) for turn, ms in enumerate(times(counts))])
            for name, counts in names.items()
        ]
    )
    top, bottom = (row["median_ms"] for row in rows.rows(made))
    (ratio,) = rows.ratios(made)
    assert ratio["ratio"] == pytest.approx(top / bottom, rel=1e-9)
    for row in rows.rows(made):
        known = [row[p] for p in ("median_ms", "p90_ms", "p95_ms", "p99_ms") if row[p]]
        assert known == sorted(known)
