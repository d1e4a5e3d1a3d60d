"""The numerical tests under other instruction sets than this processor's best.

python -m tests.isa [PASS…] [--tests FILE…]    where none is named, all passes, all such tests

What a kernel sums in which order hangs on the instructions that its library finds. Variables hold
the libraries to older ones, in the tests and in the workers that they start. Each pass first shows
which kernels give other bits than without the variables: on an older processor, few may.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np

from parity.workers.launch import available_threads, environment
from tests import ROOT

_SELF = (sys.executable, "-W", "ignore", "-m", "tests.isa")
# What this NumPy's own loops (not its BLAS) were built for and this processor has.
NUMPYS = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])


class Pass(NamedTuple):
    """``threads`` of each process, and the variables of its libraries."""

    threads: int
    variables: dict[str, str]


# ATen: torch's element-wise kernels and sums. oneDNN: torch's convolutions. MKL: products in both
# frameworks, of which Paddle's convolutions are made. OpenBLAS: NumPy's products.
LIMITS = {
    # A processor with AVX2 and no more, such as AMD's before Zen 4.
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(n for n in NUMPYS if n > "X86_V3" or "512" in n),
    },
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": " ".join(NUMPYS),
    },
    # MKL's results that are the same on every processor.
    "portable": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": " ".join(NUMPYS),
    },
}
PASSES = {
    f"{name}-{threads}": Pass(threads, variables)
    for name, variables in LIMITS.items()
    for threads in (1, 2)
}


def bits() -> dict[str, str]:
    """A digest of what some kernels give in this process, by library and kernel."""
    import paddle
    import torch

    random = np.random.default_rng(0)
    a, b, x = (
        random.standard_normal(shape, np.float32) for shape in ((200, 300), (300, 170), 9999)
    )
    images = random.standard_normal((2, 16, 33, 33), np.float32)
    kernel = random.standard_normal((24, 16, 3, 3), np.float32)
    found: dict[str, Any] = {"numpy product": a @ b, "numpy exp": np.exp(x.astype(np.float64))}
    for name, side, to in (
        ("torch", torch, torch.from_numpy),
        ("paddle", paddle, paddle.to_tensor),
    ):
        functional = side.nn.functional
        found[f"{name} product"] = to(a) @ to(b)
        found[f"{name} convolution"] = functional.conv2d(to(images), to(kernel))
        found[f"{name} softmax"] = functional.softmax(to(a), -1)
    return {key: hashlib.sha256(np.asarray(y).tobytes()).hexdigest() for key, y in found.items()}


def kernels(threads: int) -> dict[str, str]:
    """``bits`` of a process with a worker's environment."""
    command = [*_SELF, "--bits"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(threads), stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def run(name: str, arguments: list[str]) -> int:
    """One pass in this process's environment; returns pytest's exit status."""
    threads, variables = PASSES[name]
    cores = sorted(os.sched_getaffinity(0))
    processes = max(1, min(4, len(cores) // threads))
    plain = kernels(threads)
    os.environ.update(variables)
    changed = [key for key, digest in kernels(threads).items() if digest != plain[key]]
    settings = " ".join(f"{key}='{value}'" for key, value in variables.items())
    print(f"== {name}: threads={threads} {settings}", flush=True)
    print(f"== {name}: other bits: {', '.join(changed) or 'none'}", flush=True)
    os.sched_setaffinity(0, cores[: processes * threads])
    command = [sys.executable, "-m", "pytest", "-q", "-m", "numerical", *arguments]
    if processes > 1:  # tests/conftest.py gives each its cores
        command += ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    own = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    own |= {"OPENBLAS_NUM_THREADS": str(threads)}
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **own}, check=False).returncode


def main() -> int:
    """Run the passes, each in a process of its own; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.isa", description=__doc__)
    parser.add_argument("passes", nargs="*", metavar="PASS", help=", ".join(PASSES))
    parser.add_argument("--tests", nargs="+", default=[], metavar="FILE")
    parser.add_argument("--bits", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bits:
        print(json.dumps(bits()))
        return 0
    if unknown := set(args.passes) - set(PASSES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(PASSES)}")
    if len(args.passes) == 1:
        return run(args.passes[0], args.tests)
    failed = []
    for name in args.passes or PASSES:
        command = [*_SELF, name]
        command += ["--tests", *args.tests] if args.tests else []
        if PASSES[name].threads > available_threads():
            print(f"== {name}: not run, it needs {PASSES[name].threads} cores", flush=True)
        elif subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"== failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
