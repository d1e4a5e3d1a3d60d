"""Readers against inputs that atheris (libFuzzer) makes up, a bounded time each.

python tests/fuzz/run.py --seconds 60 [TARGET…]    findings are left in build/fuzz
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
FOUND = ROOT / "build" / "fuzz"
LONGEST = 1 << 14  # bytes of an input: larger ones find nothing more, and fewer of them are tried


def fuzz(target: str, seconds: int) -> None:
    """Fuzz one reader in this process; libFuzzer ends it, with status 0 if nothing was found."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzz: needs atheris, which has wheels for x86_64 Linux from Python 3.11 on")

    with atheris.instrument_imports(include=["weight_port"]):
        from harness import TARGETS, check
    warnings.simplefilter("error")
    new = FOUND / target
    new.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={FOUND}/{target}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup(
        [sys.argv[0], *options, str(new), str(CORPUS / target)],
        lambda data: check(TARGETS[target], data),
    )
    atheris.Fuzz()


def main() -> int:
    """Fuzz every target in a process of its own; returns how many of them had findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="in all")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:  # before anything of ours is imported: atheris instruments as it imports
        fuzz(options.targets[0], options.seconds)
    targets = options.targets or sorted(path.name for path in CORPUS.iterdir())
    each = max(1, options.seconds // len(targets))
    failed = [target for target in targets if not _passes(target, each)]
    for target in failed:
        print(f"fuzz: {target} failed; its input is {FOUND}/{target}-…", file=sys.stderr)
    return len(failed)


def _passes(target: str, seconds: int) -> bool:
    print(f"fuzz: {target}, {seconds} s", flush=True)
    command = [sys.executable, __file__, "--here", "--seconds", str(seconds), target]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
