"""CIFAR-10 in both frameworks: the same weights, the same batches, the same curve."""

from weight_port import __version__

__all__ = ["__version__"]
