"""A process of a training that keeps every epoch's checkpoint, of ``KEEPERS``' framework."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from training.loop import checkpoints, epochs, tasks
from training.loop.checkpoints import State

write = epochs.write


def write_and_keep(out: Path, state: State) -> None:
    write(out, state)
    checkpoints.save(out / f"epoch{state.epoch}.safetensors", state)


if __name__ == "__main__":
    epochs.write = write_and_keep
    side = importlib.import_module(f"training.loop.side_{os.environ['KEEPERS']}")
    raise SystemExit(tasks.main(getattr(side, f"{os.environ['KEEPERS'].title()}Side")))
