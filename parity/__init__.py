"""Runs the same network with the same weights in both frameworks and compares every layer."""

from weight_port import __version__, extras

__all__ = ["__version__"]

extras.require(__name__, "parity", "jsonschema", "PIL", "tabulate")
