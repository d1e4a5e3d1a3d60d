"""``python -m pytorch_impl summary resnet50``: a network in PyTorch, layer by layer."""

from __future__ import annotations

from pytorch_impl import MODELS, summary
from weight_port import summaries, terminal


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    args = summaries.parse("pytorch_impl", arguments)
    print(summary(MODELS[args.model](include_top=not args.no_top), args.size))
    return 0


if __name__ == "__main__":
    raise SystemExit(terminal.until_closed(main))
