"""``python -m training.curves``: the curves of trainings as PNG and SVG, from their logs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.loop.epochs import LOG
from weight_port import WeightPortError
from weight_port.storage import disk

History = list[dict[str, Any]]
FORMATS = ("png", "svg")
_LEAST_ERROR = 0.01  # percent: one of 10,000 images
_LEAST_SHARE = 1e-5  # of the largest value; a cosine ends at a rate of almost nothing
# A panel's title and its lines: style -> the log's key, and what it is of. All on a log scale.
_PANELS = (
    ("loss", {"-": ("train_loss", "train"), "--": ("test_loss", "test")}),
    ("error, %", {"-": ("train_accuracy", "train"), "--": ("test_accuracy", "test")}),
    ("learning rate", {"-": ("rate", "")}),
)


def read(folder: Path) -> History:
    """A training's log, a line per epoch. Raises TrainingError."""
    path = folder / LOG
    try:
        history = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: no log of a training ({error})") from None
    wanted = {"epoch", *(key for _, lines in _PANELS for key, _ in lines.values())}
    if not history or any(not isinstance(e, dict) or wanted - set(e) for e in history):
        raise TrainingError(f"{path}: no log of a training: it has no epoch, or lines of others")
    return history


def draw(runs: Mapping[str, History], out: Path) -> list[Path]:
    """``curves.png`` and ``curves.svg`` in ``out``, of runs by name, equal for equal logs.

    Raises ImportError without matplotlib.
    """
    import matplotlib

    # SVG's ids are drawn at random otherwise, and it and PNG say when and by whom they were made.
    with matplotlib.rc_context({"svg.hashsalt": "training", "svg.fonttype": "none"}):
        figure = _figure(runs)
        metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
        for form in FORMATS:
            with disk.new_file(out / f"curves.{form}", force=True) as stream:
                figure.savefig(stream, format=form, dpi=150, metadata=metadata[form])
    return [out / f"curves.{form}" for form in FORMATS]


def _values(history: History, key: str) -> list[float]:
    """A curve; of an accuracy, the share of errors in percent, which a log scale wants above 0."""
    found = [float(line[key]) for line in history]
    if key.endswith("_accuracy"):
        return [max(100 * (1 - value), _LEAST_ERROR) for value in found]
    return found


def _figure(runs: Mapping[str, History]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = [figure.add_subplot(1, len(_PANELS), place + 1) for place in range(len(_PANELS))]
    for axes, (title, lines) in zip(panels, _PANELS, strict=True):
        for number, (run, history) in enumerate(runs.items()):
            epochs = [line["epoch"] for line in history]
            marker = "." if len(epochs) < 10 else ""
            for style, (key, what) in lines.items():
                axes.plot(epochs, _values(history, key), style, color=f"C{number}", linewidth=1.2,
                          marker=marker, label=f"{run}, {what}")  # fmt: skip
        _label(axes, title)
    handles, labels = panels[0].get_legend_handles_labels()
    columns = min(len(labels), 4)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)
    return figure


def _label(axes: Any, title: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, high * _LEAST_SHARE), high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if high / low < 300 else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, linewidth=0.5)


def name(folder: Path, history: History) -> str:
    """What a run is called in a legend: its folder and the frameworks that it ran in."""
    frameworks = dict.fromkeys(str(line.get("framework", "")) for line in history)
    return f"{folder.resolve().name} ({', '.join(frameworks)})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.curves", description=__doc__)
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help=f"of trainings, each with {LOG}")
    add("--out", type=Path, metavar="DIR", help="for the pictures; the first training's")
    words = parser.parse_args(arguments)
    out = words.out or words.runs[0]
    try:
        found = {folder: read(folder) for folder in words.runs}
        out.mkdir(parents=True, exist_ok=True)
        for path in draw({name(*pair): pair[1] for pair in found.items()}, out):
            print(f"{path}: written", file=sys.stderr)
    except (TrainingError, WeightPortError, ImportError, OSError) as error:
        print(f"training.curves: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
