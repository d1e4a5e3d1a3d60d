"""``weight-port`` with ``os.fsync`` left out.

``python -m benchmarks.experiments.port.without_sync convert …``: for comparison with ``cp``, which
leaves the bytes in the page cache. Users always get the sync: this replaces it from outside, in
``--jobs``' processes too, which import the main module anew.
"""

from __future__ import annotations

import os
from typing import Any


def _nothing(fd: Any) -> None:
    pass


os.fsync = _nothing

if __name__ == "__main__":
    from weight_port.cli import main

    raise SystemExit(main())
