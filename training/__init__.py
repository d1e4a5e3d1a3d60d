"""CIFAR-10 in both frameworks: the same weights, the same batches, the same curve."""

from weight_port import __version__, extras

__all__ = ["__version__"]

extras.require(__name__, "training", "jsonschema", "PIL", "tabulate")
