"""What a network is made of, as data: layers, their parameters, residual blocks.

Shapes are Paddle's: a linear weight is [in, out]. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """One residual block: where it stands and the channels that pass through it."""

    name: str  # "res4b22"
    stage: int  # 2 to 5
    index: int  # within its stage, from 0
    position: int  # within the network, from 0
    in_channels: int
    width: int
    out_channels: int
    stride: int
    projection: bool
    strides: tuple[int, int]  # of branch2a and branch2b: one of them is ``stride``
    groups: int
    pooled: bool  # the shortcut halves by a 2x2 average pool, not by a stride
    padded: bool  # the shortcut takes every second pixel and adds channels of zeros
    added: bool  # False: there is no shortcut, and the branch is all that the block gives
    biased: bool  # its convolutions have a bias
    squeezed: int = 0  # hidden channels of its squeeze-and-excitation; 0: it has none


@dataclass(frozen=True)
class Parameter:
    """One tensor: its scheme name, its role in the layer, its shape in Paddle's layout."""

    name: str  # "res2a_branch2a_weights"
    role: str  # weight, bias; scale, offset, mean, variance; linear_weight, linear_bias
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One named step of the forward pass, in execution order."""

    name: str  # "res2a_branch2a", "bn2a_branch2a", "pool1", "res2a", "fc"
    # conv, batch_norm, max_pool, block, avg_pool (of all pixels) or linear; in the classic networks
    # also mean_pool (of a window), adaptive_pool (to ``kernel`` pixels), local_norm and concat
    kind: str
    path: str  # of the module in pytorch_impl and paddle_impl: "res2a.branch2a.conv"
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    reduction: int = 1  # input size over output size, from the image on
    block: Block | None = field(default=None, repr=False)
    branch: str = ""  # "branch2a" within its block
    parameters: tuple[Parameter, ...] = ()
    # Of the classic networks alone; in a ResNet they follow from the block.
    padding: int | None = None  # of a convolution: half its kernel if None; of a pool
    ceil: bool = False  # a pool's last window may be cut
    sources: tuple[str, ...] = ()  # the layers whose output it takes; "images" at the start
    activation: str = ""  # what follows it: relu or sigmoid; of a gate's linear layers too
    dropout: float = 0.0  # the share that is dropped after it, in training
    head: str = ""  # of the auxiliary classifier that it belongs to: there in training alone

    @property
    def pad(self) -> int:
        """Pixels on either side of a convolution's or a pool's input."""
        return self.kernel // 2 if self.padding is None else self.padding
