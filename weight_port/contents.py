"""What a reader found in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Tensors = dict[str, np.ndarray]
NESTED = ("state_dict", "model_state_dict", "model", "net")  # where training loops put weights


@dataclass(frozen=True)
class Contents:
    """The tensors of a file under the names it has for them, and what the user should know."""

    tensors: Tensors
    notes: tuple[str, ...] = ()  # what was done that the file's bytes don't show
    structured: Mapping[str, str] = field(default_factory=dict)  # variable -> the layer's key
    # Variables that the program beside the file uses as linear weights [in, out] and as nothing
    # else; None where there is no program.
    linear: frozenset[str] | None = None
