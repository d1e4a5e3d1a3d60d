"""The command line: its commands, what --help costs, and the options that stand for others."""

from __future__ import annotations

import subprocess
import sys

import pytest

import weight_port
from benchmarks import kinds
from benchmarks.__main__ import COMMANDS, main
from benchmarks.commands import forward, latency
from benchmarks.commands.records import plot, show
from benchmarks.devices.timing import Plan
from benchmarks.experiments.latency.scenarios import SCENARIOS
from benchmarks.experiments.layers.table import SORTS
from benchmarks.report import pictures

NAMES = (
    *("run", "show", "plot", "compare", "merge", "port", "parity"),
    *("layers", "selftest", "throughput", "latency", "train", "gpu", "gpu-reference"),
)
HEAVY = {"numpy", "jsonschema", "tabulate", "matplotlib", "PIL", "torch", "paddle"}


def help_of(*arguments, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*arguments, "--help"])
    return capsys.readouterr().out


def test_help_lists_every_command_with_a_line(capsys):
    text = help_of(capsys=capsys)
    lines = text[text.index("\ncommands:") :].splitlines()
    listed = [line.split() for line in lines if line.startswith("    ") and line[4] != " "]
    assert [words[0] for words in listed] == list(NAMES)
    assert all(len(words) > 2 for words in listed)
    assert len(COMMANDS) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_its_help(name, capsys):
    assert help_of(name, capsys=capsys).startswith(f"usage: python -m benchmarks {name} ")


def test_the_version_is_the_distribution_s(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"python -m benchmarks {weight_port.__version__}\n"


def test_help_loads_nothing_that_takes_time():
    code = "import sys, benchmarks.__main__ as m\ntry: m.main(['--help'])\nfinally: "
    code += "print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "benchmarks.commands.forward" in loaded
    assert not HEAVY & loaded
    assert not {name for name in loaded if name.endswith((".measure", ".table", ".rows"))}


def test_rows_and_tables_need_nothing_that_measures():
    """A record made elsewhere is read where no framework and no worker is."""
    modules = [
        f"benchmarks.experiments.{folder}.{part}"
        for folder in kinds.KINDS.values()
        for part in ("rows", "table")
    ]
    code = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(modules) <= loaded
    measuring = ("measure", "worker", "frameworks", "processes", "rounds", "inputs", "steps")
    ours = {name for name in loaded if name.startswith("benchmarks.")}
    assert not {name for name in ours if name.rpartition(".")[2] in measuring}


def test_an_option_of_the_grid_before_a_command_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--seed", "1", "show", "x.json"])
    assert "--seed is an option of the grid: show has its own" in capsys.readouterr().err


def test_what_is_written_twice_so_that_help_is_quick_is_the_same():
    assert tuple(SCENARIOS) == latency.SCENARIOS
    assert tuple(SORTS) == show.SORTS
    assert pictures.FORMATS == plot.FORMATS
    assert Plan().max_seconds == forward.MAX_SECONDS
