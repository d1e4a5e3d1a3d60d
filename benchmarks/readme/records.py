"""The README's records of speed: which are stale, and how each is taken.

``python -m benchmarks.readme.records`` lists them; ``--retake`` takes the stale ones anew.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks import kinds
from benchmarks.readme.speeds import RESULTS
from benchmarks.records import rooms
from weight_port import terminal

# A record's name -> what `python -m benchmarks` is called with; the whole takes hours.
_EAGER = "--rounds 5 --device cpu --batch"
RECORDS = {
    "forward-cpu": f"{_EAGER} 1,8",
    "forward-gpu": "run torch-gpu",
    "classics-cpu": "run classics",
    "resnets-cpu": "run resnets",
    "cifar-nets-cpu": "run cifar",
    "modes-cpu": "run modes",
    "allocators-cpu": f"{_EAGER} 8 --models resnet50 --allocators default,keep",
    "layers-nchw-cpu": "layers resnet50 --batch 8 --rounds 2 --device cpu",
    "layers-nhwc-cpu": "layers resnet50 --batch 8 --rounds 2 --device cpu --layout NHWC",
    "port-cpu": "port --rounds 5",
    "parity-cost": "parity",
    "selftest-cpu": "selftest --max-seconds 1200",
    "train-cpu": "train --rounds 6",
}


def stale() -> list[str]:
    """The records whose rooms have changed since they were taken."""
    return [name for name in RECORDS if rooms.is_stale(kinds.read(RESULTS / f"{name}.json"))]


def main() -> int:
    """Run the command; returns its exit status: 1 where a record is stale and stays so."""
    names, status = stale(), 0
    for name in names:
        command = [*RECORDS[name].split(), "--force", "--json", str(RESULTS / f"{name}.json")]
        terminal.progress(f"{name}: stale; python -m benchmarks {' '.join(command)}")
        retake = [sys.executable, "-m", "benchmarks", *command]
        taken = "--retake" in sys.argv[1:] and not subprocess.run(retake, check=False).returncode
        status = max(status, int(not taken))
    return status


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
