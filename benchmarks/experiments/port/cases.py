"""What ``python -m benchmarks port`` times, as data: commands, ratios and targets."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

PYTHON = (sys.executable, "-W", "ignore", "-m")
COUNT = 8  # files that --jobs converts


@dataclass(frozen=True)
class Command:
    """One row. What it writes is absent when it starts."""

    name: str
    arguments: tuple[str, ...]  # {source}, {small}, {many}, {out}, {phases}, {python} are paths
    writes: str = ""  # the name of the file or folder in the run's folder
    module: str = ""  # of this suite, that runs it; "" for a program of the system

    def line(self, paths: Mapping[str, str]) -> list[str]:
        """What is executed."""
        given = [argument.format(**paths) for argument in self.arguments]
        return [*PYTHON, self.module, *given] if self.module else given

    @property
    def shown(self) -> str:
        """The command in a record, without this machine's paths."""
        names = {"source": "SRC", "many": "DIR/*.pdparams", "out": "DST", "phases": "FILE"}
        names |= {"small": "SMALL", "python": "python"}
        text = " ".join(self.arguments).format(**names)
        return f"python -m {self.module} {text}" if self.module else text


_PHASES = "benchmarks.experiments.port.phases"
_ROUTES = "benchmarks.experiments.port.routes"
_LARGER = "benchmarks.experiments.port.larger_table"
UNSYNCED = "benchmarks.experiments.port.without_sync"

COPY, COPY_SYNCED = "cp", "cp, sync -d"
SAFETENSORS, SYNCED = "convert to .safetensors, no fsync", "convert to .safetensors"
PTH = "convert to .pth, no fsync"
PADDLE_SAFETENSORS = "paddle.load, safetensors.save_file"
PADDLE_TORCH = "paddle.load, torch.save"
PYTHON_ALONE, NUMPY = "python doing nothing", "python importing NumPy"
INSPECT, INSPECT_SMALL, HELP = "inspect", "inspect of a small file", "--help"
SMALL = "lenet5"  # what the small file holds: 250 kB
TABLE, TWICE = "inspect of a small file, by its table", "inspect of a small file, table doubled"
# Into .safetensors goes the source's SHA-256, which takes a second core; into .pth it doesn't.
MANY_FORMS = ("safetensors", "pth")
MANY = {(f, n): f"{COUNT} files to {f}, --jobs {n}" for f in MANY_FORMS for n in (1, 2)}


def _convert(name: str, suffix: str, module: str) -> Command:
    return Command(
        name, ("convert", "{source}", "{out}", "--to", "torchvision"), f"out{suffix}", module
    )


def _many(form: str, jobs: int) -> Command:
    arguments = ("convert", "{many}", "--out-dir", "{out}", "--format", form, "--to", "torchvision")
    return Command(MANY[form, jobs], (*arguments, "--jobs", str(jobs)), "many", UNSYNCED)


def _phases(suffix: str) -> Command:
    arguments = ("{phases}", "convert", "{source}", "{out}", "--to", "torchvision")
    return Command(f"parts of convert to {suffix}", arguments, f"out{suffix}", _PHASES)


PARTS = (_phases(".safetensors"), _phases(".pth"))

COMMANDS = (
    Command(COPY, ("cp", "{source}", "{out}"), "out.pdparams"),
    _convert(SAFETENSORS, ".safetensors", UNSYNCED),
    _convert(PTH, ".pth", UNSYNCED),
    Command(
        COPY_SYNCED,
        ("sh", "-c", 'cp "$0" "$1" && sync -d "$1"', "{source}", "{out}"),
        "out.pdparams",
    ),
    _convert(SYNCED, ".safetensors", "weight_port"),
    *PARTS,
    Command(PADDLE_SAFETENSORS, ("safetensors", "{source}", "{out}"), "route.safetensors", _ROUTES),
    Command(PADDLE_TORCH, ("torch", "{source}", "{out}"), "route.pth", _ROUTES),
    Command(PYTHON_ALONE, ("{python}", "-c", "pass")),
    Command(NUMPY, ("{python}", "-c", "import numpy")),
    Command(INSPECT, ("inspect", "{source}"), "", "weight_port"),
    Command(INSPECT_SMALL, ("inspect", "{small}"), "", "weight_port"),
    Command(TABLE, ("1", "inspect", "{small}"), "", _LARGER),
    Command(TWICE, ("2", "inspect", "{small}"), "", _LARGER),
    Command(HELP, ("--help",), "", "weight_port"),
    *(_many(*form_and_jobs) for form_and_jobs in MANY),
)

# A command, and the one whose output must hold the same tensors bit for bit, else it isn't timed.
SAME = {SAFETENSORS: PADDLE_SAFETENSORS, SYNCED: PADDLE_SAFETENSORS, PTH: PADDLE_TORCH}


@dataclass(frozen=True)
class Target:
    """The time of ``top`` is at most the sum of factors × the times of others, or at least.

    Ratios alone, of times that were taken side by side: seconds would be another machine's.
    """

    top: str
    terms: tuple[tuple[float, str], ...]  # (factor, command)
    at_least: bool = False  # how many times faster the one command of ``terms`` is

    @property
    def shown(self) -> str:
        """The target in a table."""
        if self.at_least:
            return f"at least {self.terms[0][0]} ×"
        return "at most " + " + ".join(f"{factor} × {command}" for factor, command in self.terms)


def _at_least(slower: str, faster: str, factor: float) -> Target:
    return Target(slower, ((factor, faster),), at_least=True)


TARGETS = (
    Target(SAFETENSORS, ((1.25, COPY), (2.0, NUMPY))),
    Target(SYNCED, ((1.25, COPY_SYNCED), (2.0, NUMPY))),
    _at_least(PADDLE_SAFETENSORS, SAFETENSORS, 4.5),
    _at_least(PADDLE_TORCH, PTH, 7.0),
    Target(INSPECT_SMALL, ((1.3, NUMPY),)),
    Target(TWICE, ((1.05, TABLE),)),
    Target(HELP, ((2.2, PYTHON_ALONE),)),
    *(_at_least(MANY[form, 1], MANY[form, 2], 1.7) for form in MANY_FORMS),
)
ANONYMOUS = 100_000_000  # bytes, whatever the formats and the model's size
