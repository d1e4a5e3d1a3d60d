"""``python -m weight_port``: the same as ``weight-port``."""

from weight_port.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
