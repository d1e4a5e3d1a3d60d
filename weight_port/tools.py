"""The suite's commands under names of their own, for folders in which ``python -m`` finds others.

In a folder with a ``parity.py``, ``python -m parity`` runs that. The packages are named, not
imported from here: each is above this one, and may lack what its extra brings.
"""

from __future__ import annotations

import sys
from importlib import import_module

from weight_port import terminal


def _run(package: str) -> int:
    """Run ``python -m package``'s command; returns its status, 2 where its extra is missing."""
    try:
        main = import_module(f"{package}.__main__").main
    except ImportError as error:
        if error.name != package:  # not the sentence that names the extra
            raise
        print(error, file=sys.stderr)
        return 2
    return terminal.until_closed(main)


def framework_parity() -> int:
    """``framework-parity``: the same as ``python -m parity``."""
    return _run("parity")


def framework_bench() -> int:
    """``framework-bench``: the same as ``python -m benchmarks``."""
    return _run("benchmarks")


def framework_train() -> int:
    """``framework-train``: the same as ``python -m training``."""
    return _run("training")
