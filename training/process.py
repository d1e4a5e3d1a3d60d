"""A framework's process: it gets a job as JSON, and shows its progress where ours would."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity.launch import environment

MODULES = {"torch": "training.torch_side", "paddle": "training.paddle_side"}


def start(framework: str, job: Mapping[str, Any]) -> int:
    """Run a job to its end; returns the exit status, and what went wrong stands on stderr."""
    with tempfile.TemporaryDirectory(prefix="resnet-parity-") as folder:
        file = Path(folder, "job.json")
        file.write_text(json.dumps(job))
        command = [sys.executable, "-W", "ignore", "-m", MODULES[framework], str(file)]
        return subprocess.run(command, env=environment(job["threads"]), check=False).returncode
