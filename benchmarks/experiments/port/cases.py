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
    arguments: tuple[str, ...]  # {source}, {many}, {out}, {phases} and {python} are paths
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
        names["python"] = "python"
        text = " ".join(self.arguments).format(**names)
        return f"python -m {self.module} {text}" if self.module else text


_PHASES = "benchmarks.experiments.port.phases"
_ROUTES = "benchmarks.experiments.port.routes"
UNSYNCED = "benchmarks.experiments.port.without_sync"

COPY, COPY_SYNCED = "cp", "cp, sync -d"
SAFETENSORS, SYNCED = "convert to .safetensors, no fsync", "convert to .safetensors"
PTH = "convert to .pth, no fsync"
PADDLE_SAFETENSORS = "paddle.load, safetensors.save_file"
PADDLE_TORCH = "paddle.load, torch.save"
NUMPY, INSPECT, HELP = "python importing NumPy", "inspect", "--help"
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
    Command(NUMPY, ("{python}", "-c", "import numpy")),
    Command(INSPECT, ("inspect", "{source}"), "", "weight_port"),
    Command(HELP, ("--help",), "", "weight_port"),
    *(_many(*form_and_jobs) for form_and_jobs in MANY),
)

# A command, and the one whose output must hold the same tensors bit for bit, else it isn't timed.
SAME = {SAFETENSORS: PADDLE_SAFETENSORS, SYNCED: PADDLE_SAFETENSORS, PTH: PADDLE_TORCH}


@dataclass(frozen=True)
class Target:
    """``top``'s time over ``factor`` × ``bottom``'s + ``seconds`` is at most 1, or at least."""

    top: str
    bottom: str | None
    factor: float
    seconds: float = 0.0
    at_least: bool = False  # how many times faster ``bottom`` is

    @property
    def shown(self) -> str:
        """The target in a table."""
        if self.at_least:
            return f"at least {self.factor} ×"
        terms = [f"{self.factor} × {self.bottom}"] if self.bottom else []
        return "at most " + " + ".join([*terms, f"{self.seconds} s"])


TARGETS = (
    Target(SAFETENSORS, COPY, 1.25, 0.18),
    Target(SYNCED, COPY_SYNCED, 1.25, 0.18),
    Target(PADDLE_SAFETENSORS, SAFETENSORS, 4.5, at_least=True),
    Target(PADDLE_TORCH, PTH, 7.0, at_least=True),
    Target(INSPECT, None, 0.0, 0.3),
    Target(HELP, None, 0.0, 0.15),
    *(Target(MANY[form, 1], MANY[form, 2], 1.7, at_least=True) for form in MANY_FORMS),
)
ANONYMOUS = 100_000_000  # bytes, whatever the formats and the model's size
