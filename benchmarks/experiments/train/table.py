"""The tables of trainings: speeds beside a bare loop's, and what a mode brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import stats
from benchmarks.experiments.train.rows import gains, name
from benchmarks.experiments.train.rows import targets as target_rows
from benchmarks.records.tables import NONE, Column, Table, failure, fixed, software

Record = Mapping[str, Any]
Row = Mapping[str, Any]


def _timed(heading: str, write: Callable[[Row], str]) -> Column:
    """A column that is empty for a mode that failed."""
    return Column(heading, None, lambda row: "" if row["error"] else write(row))


def _range(what: str, form: str, unit: str) -> Callable[[Row], str]:
    """A value and its interval: "1.02 × (1.01 to 1.03)"."""

    def text(row: Row) -> str:
        if row.get(f"{what}_low") is None:
            return NONE
        value, low, high = (format(row[f"{what}{end}"], form) for end in ("", "_low", "_high"))
        return f"{value}{unit} ({low} to {high})"

    return text


def _rate(row: Row) -> str:
    return failure(row) if row["error"] else f"{row['loop_images_per_s']:.0f}"


def _gain(row: Row) -> str:
    is_first = row.get("gain") is not None and row.get("gain_low") is None
    return "1" if is_first else _range("gain", ".2f", " ×")(row)


GAINS = (
    Column("mode", None, name, left=True),
    Column("gain of the loop", None, _gain),
    Column("test accuracy", None, _range("accuracy_percent", ".2f", " %")),
    Column("points over the first mode", None, _range("points", "+.2f", "")),
)


def tables(record: Record) -> list[Table]:
    """Speeds with their targets, and gains."""
    settings = record["settings"]
    loop, feed = settings["least_loop"], settings["least_feed"]
    columns = (
        Column(f"{settings['model']}, batch {settings['batch']}", None, name, left=True),
        Column("loop, img/s", None, _rate),
        _timed("bare, img/s", lambda row: fixed(0)(row["bare_images_per_s"])),
        _timed(f"loop / bare (at least {loop})", _range("loop_over_bare", ".3f", " ×")),
        _timed("reached", lambda row: row["loop_reached"] or NONE),
        _timed(f"data path / bare (at least {feed:.0f})", _range("feed_over_bare", ".0f", " ×")),
        _timed("reached", lambda row: row["feed_reached"] or NONE),
    )
    return [
        Table("targets", columns, target_rows(record)),
        Table("gains", GAINS, gains(record)),
    ]


def notes(record: Record) -> list[str]:
    """Where, with what and how it was measured."""
    few = f"No ratios: they need {stats.MIN_PROCESSES} processes per row (--rounds)."
    return [_legend(record), *([few] if record["settings"]["rounds"] < stats.MIN_PROCESSES else [])]


def _legend(record: Record) -> str:
    context, settings = record["context"], record["settings"]
    text = (
        f"{context['system']['cpu']}, {context['system']['cores']} cores. {software(record)}. "
        f"{context['date']}. {settings['rounds']} processes per row, each {settings['repeats']} "
        f"blocks of {settings['steps']} steps of every kind."
    )
    if settings["seeds"]:
        images = settings["limit"] or "all"
        text += (
            f" Accuracies: {settings['seeds']} seeds, {settings['epochs']} epochs on {images} "
            "images, cosine schedule."
        )
    return text
