"""``python -m training.curves``: the curves of trainings as PNG and SVG, drawn from their logs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.loop.epochs import LOG
from weight_port import WeightPortError, terminal
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
    keys = {"epoch", *(key for _, lines in _PANELS for key, _ in lines.values())}
    if not history or any(not isinstance(e, dict) or keys - set(e) for e in history):
        raise TrainingError(
            f"{path}: no log of a training: it is empty, or a line lacks one of "
            f"{', '.join(sorted(keys))}"
        )
    return history


def draw(runs: Mapping[str, History], out: Path) -> list[Path]:
    """Draw ``curves.png`` and ``curves.svg`` in ``out``, of runs by name; returns the files.

    Equal logs give equal files. Raises ImportError without matplotlib.
    """
    import matplotlib

    # Otherwise SVG's ids are random, and both files say when and by which program they were made.
    with matplotlib.rc_context({"svg.hashsalt": "training", "svg.fonttype": "none"}):
        figure = _figure(runs)
        metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
        for form in FORMATS:
            with disk.new_file(out / f"curves.{form}", force=True) as stream:
                figure.savefig(stream, format=form, dpi=150, metadata=metadata[form])
    return [out / f"curves.{form}" for form in FORMATS]


def _values(history: History, key: str) -> list[float]:
    """A curve's values; for an accuracy the errors in percent, above 0 for the log scale."""
    values = [float(line[key]) for line in history]
    if key.endswith("_accuracy"):
        return [max(100 * (1 - value), _LEAST_ERROR) for value in values]
    return values


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


def _draw(args: argparse.Namespace) -> int:
    out = args.out or args.runs[0]
    histories = {folder: read(folder) for folder in args.runs}
    out.mkdir(parents=True, exist_ok=True)
    for path in draw({name(*pair): pair[1] for pair in histories.items()}, out):
        terminal.progress(f"{path}: written")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.curves", description=__doc__)
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help=f"a training's, with its {LOG}")
    add("--out", type=Path, metavar="DIR", help="for the pictures (default: the first training's)")
    terminal.add_version(parser)
    args = parser.parse_args(arguments)
    errors = (TrainingError, WeightPortError, ImportError, OSError)
    return terminal.run("training.curves", lambda: _draw(args), errors)


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
