"""The README's records of speed: which are stale, and how each is taken.

``python -m benchmarks.readme.records`` lists them; ``--retake`` takes the stale ones anew.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import kinds
from benchmarks.readme.speeds import RESULTS
from benchmarks.records import marks, rooms
from weight_port import terminal

BUILD = Path("build", "records")

# A record's name -> what `python -m benchmarks` is called with; the whole takes hours.
RECORDS = {
    "forward-cpu": "run cpu",
    "forward-gpu": "run torch-gpu",
    "classics-cpu": "run classics",
    "resnets-cpu": "run resnets",
    "cifar-nets-cpu": "run cifar",
    "modes-cpu": "run modes",
    "allocators-cpu": "--rounds 5 --device cpu --batch 8 --models resnet50 --allocators "
    "default,keep --implementations pytorch_impl,torchvision,timm,paddle_impl,paddle.vision",
    "layers-nchw-cpu": "layers resnet50 --batch 8 --rounds 2 --device cpu",
    "layers-nhwc-cpu": "layers resnet50 --batch 8 --rounds 2 --device cpu --layout NHWC",
    "port-cpu": "port --rounds 5",
    "parity-cost": "parity",
    "selftest-cpu": "selftest --max-seconds 1200",
    "train-cpu": "train --rounds 6",
}

_AT_ONCE = ("selftest-cpu",)  # as long as it is told, and so in one go


def stale() -> list[str]:
    """The records whose rooms have changed since they were taken."""
    return [name for name in RECORDS if rooms.is_stale(kinds.read(RESULTS / f"{name}.json"))]


def command(name: str) -> list[str]:
    """The arguments of ``python -m benchmarks`` that take a record anew, aside, and go on with it.

    The old one stays until the new one is complete.
    """
    again = "--force" if name in _AT_ONCE else "--resume"
    return [*RECORDS[name].split(), again, "--json", str(aside(name))]


def aside(name: str) -> Path:
    """Where a record grows before it takes its place."""
    return BUILD / f"{name}.json"


def _retake(name: str) -> bool:
    """Take a record anew, or go on with it; whether it is complete and in its place.

    A row that fails (a mode that this machine has not) is a finding, and no obstacle.
    """
    aside(name).parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "benchmarks", *command(name)], check=False)
    if not aside(name).exists() or marks.INCOMPLETE in (record := kinds.read(aside(name))):
        return False
    kinds.write(RESULTS / f"{name}.json", record, force=True)
    aside(name).unlink()
    return True


def main() -> int:
    """Run the command; returns its exit status: 1 where a record is stale and stays so."""
    status = 0
    for name in stale():
        terminal.progress(f"{name}: stale; python -m benchmarks {' '.join(command(name))}")
        is_taken = "--retake" in sys.argv[1:] and _retake(name)
        status = max(status, int(not is_taken))
    return status


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
