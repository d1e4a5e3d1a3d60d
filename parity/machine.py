"""The machine on which a record was made: a reader needs it to judge the record's figures."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from parity.workers.launch import cpu_information


def output(*command: str) -> str:
    """What a command prints, "" where it isn't there or fails."""
    if not shutil.which(command[0]):
        return ""
    folder = Path(__file__).parent
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return process.stdout.strip() if process.returncode == 0 else ""


def commit() -> dict[str, Any] | None:
    """This checkout's commit and whether files differ from it; None outside of one."""
    head = output("git", "rev-parse", "HEAD")
    return {"id": head, "dirty": bool(output("git", "status", "--porcelain"))} if head else None


def date() -> str:
    """Now, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _scheduling() -> str:
    """Policy and priority, which workers inherit: "fifo" goes ahead of the machine's other work."""
    if not hasattr(os, "sched_getscheduler"):
        return "unknown"
    policies = {os.SCHED_OTHER: "other", os.SCHED_FIFO: "fifo", os.SCHED_RR: "round robin"}
    policy = policies.get(os.sched_getscheduler(0), "unknown")
    return f"{policy}, nice {os.getpriority(os.PRIO_PROCESS, 0)}"


# The vector instructions that decide which kernels run, widest first, as Linux calls them.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


def cpu() -> str:
    """The processor's name, with what tells two of that name apart.

    A cloud's machines all say "AMD EPYC", of several generations: with bfloat16 and without.
    """
    name = cpu_information("model name")
    if not name:
        return platform.processor()
    flags = cpu_information("flags").split()
    known = [f"family {cpu_information('cpu family')}", f"model {cpu_information('model')}"]
    known += [flag for flag in INSTRUCTIONS if flag in flags][:1]
    return f"{name} ({', '.join(known)})"


def system() -> dict[str, Any]:
    """Operating system, Python, CPU, cores, affinity, priority and load."""
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "os": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "affinity": affinity,
        "scheduling": _scheduling(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


_PACKAGES = {"torch": ("torch",), "paddle": ("paddlepaddle", "paddlepaddle-gpu")}


def context(*frameworks: str) -> dict[str, Any]:
    """When, from which commit and where: what every record has, whatever else it holds.

    With the installed versions of the named frameworks and of NumPy, if any are named. Its schema
    is ``machine.schema.json``.
    """
    versions = {"versions": _versions(frameworks)} if frameworks else {}
    return {"date": date(), "commit": commit(), "system": system(), **versions}


def _versions(frameworks: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for package in (*(name for one in frameworks for name in _PACKAGES[one]), "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def summary(context: Mapping[str, Any]) -> str:
    """A ``context`` with versions in one line: processor, cores, versions, date."""
    system = context["system"]
    software = ", ".join(f"{name} {version}" for name, version in context["versions"].items())
    return f"{system['cpu']}, {system['cores']} cores. {software}. {context['date']}."
