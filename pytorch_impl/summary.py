"""A model layer by layer; the mirror of ``paddle_impl/summary.py``."""

from __future__ import annotations

from pytorch_impl.network import Network
from weight_port import arch, summaries


def summary(model: Network, size: int | None = None) -> str:
    """Its layers as a table: output, parameters, multiply-adds, receptive field; and the sums.

    One image of ``size`` pixels square, the network's own if not given, goes through ``model`` in
    evaluation mode, on its device; ``torchinfo`` watches. Raises ImportError without it.
    """
    import torchinfo

    size = arch.architecture(model.architecture).size if size is None else size
    weight = next(model.parameters())
    shape = (1, weight.shape[1], size, size)
    statistics = torchinfo.summary(
        model, input_size=shape, dtypes=[weight.dtype], device=weight.device, verbose=0
    )
    modules = {}
    for info in statistics.summary_list:
        path, parent = info.var_name, info.parent_info
        while parent is not None and parent.depth:
            path, parent = f"{parent.var_name}.{path}", parent.parent_info
        modules[path] = summaries.Ran(tuple(info.output_size), info.trainable_params)
    return summaries.text(model.architecture, modules, "counted by torchinfo")
