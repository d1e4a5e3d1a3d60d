"""``python -m paddle_impl summary resnet50``: a network in Paddle, layer by layer."""

from __future__ import annotations

from paddle_impl import MODELS, summary
from weight_port import summaries


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    chosen = summaries.parse("paddle_impl", arguments)
    print(summary(MODELS[chosen.model](include_top=not chosen.no_top), chosen.size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
