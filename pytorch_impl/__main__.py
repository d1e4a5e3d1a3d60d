"""``python -m pytorch_impl summary resnet50``: a network in PyTorch, layer by layer."""

from __future__ import annotations

import argparse

from weight_port import arch


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytorch_impl", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    shown = commands.add_parser("summary", help="layers, parameters, multiply-adds, fields")
    shown.add_argument(
        "model",
        choices=list(arch.ARCHITECTURES),
        metavar="MODEL",
        help="a name that weight-port architectures lists",
    )
    shown.add_argument("--size", type=int, help="height and width of the image")
    shown.add_argument("--no-top", action="store_true", help="without the classifier")
    chosen = parser.parse_args(arguments)
    if chosen.size is not None and chosen.size < 32:
        parser.error(f"--size {chosen.size}: an image has at least 32 pixels in height and width")
    from pytorch_impl import MODELS, summary  # after the words were checked: it takes seconds

    print(summary(MODELS[chosen.model](include_top=not chosen.no_top), chosen.size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
