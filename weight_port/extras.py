"""Packages that only parts of the suite need: pyproject.toml's extras bring them."""

from __future__ import annotations

from importlib.util import find_spec


def require(module: str, extra: str, *packages: str) -> None:
    """Raises ImportError, a sentence that names the extra, where a package is not installed.

    ``module`` is the one that is being imported: ``python -m`` then prints the sentence alone.
    """
    missing = [package for package in packages if not _is_there(package)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        names = " and ".join(missing)
        sentence = f"{names} {verb} not installed: pip install 'resnet-parity[{extra}]'"
        raise ImportError(sentence, name=module)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:  # of a finder that refuses it
        return False
