"""Times the same networks in both frameworks: parity first, a fresh process per cell and round."""

from weight_port import __version__, extras

__all__ = ["__version__"]

extras.require(__name__, "bench", "jsonschema", "PIL", "tabulate")
