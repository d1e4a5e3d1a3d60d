"""The networks in PyTorch: a function per architecture, ``load`` for a checkpoint, ``optimize``,
``softmax``."""

from pytorch_impl.checkpoint import load, load_weights
from pytorch_impl.models import MODELS, softmax
from pytorch_impl.network import Network
from pytorch_impl.optimize import optimize
from pytorch_impl.resnet import ResNet
from pytorch_impl.summary import summary
from weight_port import __version__

__all__ = [
    "MODELS",
    "Network",
    "ResNet",
    "__version__",
    "load",
    "load_weights",
    "optimize",
    "softmax",
    "summary",
]

# Each network by its name; some are called as the module that they stand in, and take its place.
# Editors and type checkers read them in ``__init__.pyi``, which
# ``python -m tests.implementations.write_stubs`` writes from the table.
globals().update(MODELS)
__all__ += MODELS
