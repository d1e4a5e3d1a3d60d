"""Times the same networks in both frameworks: parity first, a fresh process per cell and round."""

from weight_port import __version__

__all__ = ["__version__"]
