"""The tests, in the folders of what they test; what several share stands in ``helpers``."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
