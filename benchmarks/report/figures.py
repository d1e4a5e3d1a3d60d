"""Rows as matplotlib's figures: throughput, latency, share of the peak, error against speed.

Matplotlib is the extra ``plots`` and is imported only where something is drawn. Each figure takes
rows of ``drawn.drawn_rows`` that have what it draws, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (8, 2, 1, 2, 1, 2)))
STYLE: Any = {
    # A name is a name: what stands between two dollar signs is no formula.
    "text.parse_math": False,
    # The same text as paths whatever fonts a reader has; ids that don't change from run to run.
    "svg.fonttype": "path",
    "svg.hashsalt": "resnet-parity",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.edgecolor": "#777777",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    # A card of its own: it is read on a white ground and on a black one.
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
_BOX = np.array([-0.32, -0.32, 0.32, 0.32, -0.32])  # lower, lower, upper, upper edge and back


# -- what figures share


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _look(index: int) -> tuple[str, str]:
    return list(series.LOOKS.values())[index]


def _groups(rows: Rows, labels: Iterable[str]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(series.name(row, labels), []).append(row)
    return groups


def _grid(figure: Figure, count: int, columns: int = 3) -> list[Axes]:
    columns = min(columns, count)
    lines = -(-count // columns)
    axes = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for unused in axes[count:]:
        unused.set_visible(False)
    return list(axes[:count])


def _legend(figure: Figure, handles: dict[str, Any]) -> None:
    columns = max(1, min(len(handles), 110 // (7 + max(map(len, handles)))))
    figure.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=columns)


def _markers(rows: Rows) -> dict[str, Any]:
    """A handle for the legend of each implementation."""
    from matplotlib.lines import Line2D

    return {
        name: Line2D([], [], color=_look(index)[0], marker=_look(index)[1], linestyle="none")
        for name, index in series.looks(rows).items()
    }


def _logarithmic(axes: Axes, which: str, values: Sequence[float], least: float) -> None:
    """An axis with room around the values, a factor of ``least`` at least, and plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values) / 1.2, max(values) * 1.2
    more = max(1.0, (least * low / high) ** 0.5)
    axis = getattr(axes, f"{which}axis")
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low / more, high * more)})
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if least < 10 else (1.0,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


# -- the figures


def throughput(rows: Rows) -> Figure:
    """Images per second against batch: a panel for each setting, a line for each mode of a row."""
    from matplotlib.lines import Line2D

    looks, modes = series.looks(rows), list(dict.fromkeys(row["mode"] for row in rows))
    panels = _groups(rows, series.paneling(rows))
    figure = _figure(9, 0.7 + 2.3 * -(-len(panels) // 3))
    for axes, (title, part) in zip(_grid(figure, len(panels)), panels.items(), strict=True):
        for line in _groups(part, ("implementation", "mode")).values():
            points = sorted(line, key=lambda row: int(row["batch"]))
            color, marker = _look(looks[points[0]["implementation"]])
            axes.plot(
                [row["batch"] for row in points],
                [row["images_per_s"] for row in points],
                color=color,
                marker=marker,
                linestyle=_DASHES[modes.index(points[0]["mode"]) % len(_DASHES)],
                label=f"{points[0]['implementation']}, {points[0]['mode']}",
            )
        batches = sorted({row["batch"] for row in part})
        axes.set_xscale("log", base=2)
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.margins(x=0.08)
        axes.set_ylim(0, 1.08 * max(row["images_per_s"] for row in part))
        axes.set_title(title or part[0]["model"], loc="left")
        axes.set(xlabel="batch", ylabel="images/s")
    handles = _markers(rows)
    if len(modes) > 1:
        dashes = zip(modes, _DASHES * len(modes), strict=False)
        handles |= {m: Line2D([], [], color="#444444", linestyle=dash) for m, dash in dashes}
    _legend(figure, handles)
    return figure


def _by_row(rows: Rows) -> tuple[Figure, Axes, list[str]]:
    """Axes with a line of text for each row, the first above."""
    figure = _figure(9, 1.1 + 0.23 * len(rows))
    axes = figure.subplots()
    names = [series.name(row, series.naming(rows)) for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    return figure, axes, names


def latency(rows: Rows) -> Figure:
    """The time of single passes: a dot for each (thinned), a box of the quartiles of all."""
    figure, axes, _ = _by_row(rows)
    looks = series.looks(rows)
    for place, row in enumerate(rows):
        color, _ = _look(looks[row["implementation"]])
        processes = row["latency"]["processes"]
        for turn, values in enumerate(processes):
            lane = place - 0.32 + 0.64 * (turn + 0.5) / len(processes)
            axes.plot(values, [lane] * len(values), ".", color=color, alpha=0.6, markersize=3)
        _, q1, median, q3, _ = row["latency"]["box"]
        axes.plot([q1, q3, q3, q1, q1], place + _BOX, color="black", linewidth=0.9)
        axes.plot([median, median], [place - 0.4, place + 0.4], color="black", linewidth=1.8)
    extremes = [row["latency"]["box"][end] for row in rows for end in (0, -1)]
    _logarithmic(axes, "x", extremes, 4)
    axes.set_xlabel("ms per forward pass; box: quartiles of all samples; a line of dots: a process")
    return figure


def share_of_peak(rows: Rows) -> Figure:
    """Each row's share of the run's fastest matrix product in its precision."""
    figure, axes, _ = _by_row(rows)
    colors = [_look(series.looks(rows)[row["implementation"]])[0] for row in rows]
    shares = [100 * row["share_of_peak"] for row in rows]
    axes.barh(range(len(rows)), shares, height=0.66, color=colors)
    axes.axvline(100, color="black", linewidth=1, linestyle="--")
    axes.set_xlabel("% of the run's fastest matrix product in the row's precision")
    return figure


def error(rows: Rows) -> Figure:
    """Relative L2 from the float64 reference against speed, and who is beaten by none in both."""
    from matplotlib.lines import Line2D

    looks, precisions = series.looks(rows), list(dict.fromkeys(row["precision"] for row in rows))
    panels = _groups(rows, ("model",))
    figure = _figure(9, 0.7 + 2.6 * -(-len(panels) // 3))
    for axes, (title, part) in zip(_grid(figure, len(panels)), panels.items(), strict=True):
        for row in part:
            color, marker = _look(looks[row["implementation"]])
            axes.plot(
                row["images_per_s"],
                row["relative_l2"],
                color=color,
                marker=marker,
                linestyle="none",
                markerfacecolor=color if precisions.index(row["precision"]) == 0 else "none",
                label=series.name(row, series.naming(rows)),
            )
        edge = front(part)
        axes.plot(
            [row["images_per_s"] for row in edge],
            [row["relative_l2"] for row in edge],
            color="#444444",
            linewidth=0.8,
            linestyle=":",
            drawstyle="steps-post",
            label="front",
        )
        axes.set_title(title or part[0]["model"], loc="left")
        axes.set(xlabel="images/s", ylabel="relative L2")
        _logarithmic(axes, "x", [row["images_per_s"] for row in part], 4)
        _logarithmic(axes, "y", [row["relative_l2"] for row in part], 100)
    handles = _markers(rows)
    if len(precisions) > 1:
        empty: Any = {"color": "#444444", "marker": "o", "linestyle": "none"}
        rest = " or ".join(precisions[1:])
        handles |= {precisions[0]: Line2D([], [], **empty)}
        handles |= {rest: Line2D([], [], markerfacecolor="none", **empty)}
    handles["none better in both"] = Line2D([], [], color="#444444", linestyle=":")
    _legend(figure, handles)
    return figure


def front(rows: Rows) -> list[Mapping[str, Any]]:
    """Rows that no other beats in speed and in error, the slowest first."""
    edge: list[Mapping[str, Any]] = []
    for row in sorted(rows, key=lambda row: (-row["images_per_s"], row["relative_l2"])):
        if not edge or row["relative_l2"] < edge[-1]["relative_l2"]:
            edge.append(row)
    return edge[::-1]
