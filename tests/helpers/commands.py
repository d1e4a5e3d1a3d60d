"""A command in this process: what it prints and its status, without a start of Python."""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path


def run(
    main: Callable[[Sequence[str]], int], *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """``main`` of a command line on arguments, as ``subprocess.run`` would tell of it."""
    given, out, err = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(given)
        except SystemExit as end:  # argparse's
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return subprocess.CompletedProcess(given, status, out.getvalue(), err.getvalue())
