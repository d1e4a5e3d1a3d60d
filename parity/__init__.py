"""Runs the same network with the same weights in both frameworks and compares every layer."""

from weight_port import __version__

__all__ = ["__version__"]
