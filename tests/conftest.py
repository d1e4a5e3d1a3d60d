"""What several test files share: tensors that cost no memory, their bits, and made-up images."""

from __future__ import annotations

import gc
import hashlib
import os

# As `python -m parity` sets it: forks are of one server where their environments agree.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from parity.workers import launch as workers
from tests.helpers import cifar_files
from tests.helpers.forked_workers import Subprocess
from training.data import cifar as data
from training.loop import launch as training
from weight_port import arch
from weight_port.dialects import keys

pytest_plugins = [
    "pytester",
    "parity.pytest",
    "tests.helpers.browsing",
]  # the second is ours to test

Tensors = dict[str, np.ndarray]


def pytest_configure() -> None:
    """Files of tests side by side have each its share of the cores, as have their processes.

    Given all cores, a test's two frameworks would start threads on every core, and threads that
    wait for each other take turns with those of the next test's.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores, count = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        share = cores[int(worker.removeprefix("gw")) :: count]
        os.sched_setaffinity(0, share or cores)


# A minute or more each, most of it in processes of their own: last, they would leave a core idle.
_LONG = ("implementations/test_models.py", "loop/test_workers.py", "run/test_run.py",
         "loop/test_epochs.py", "house/test_readme.py", "harness/test_modes.py",
         "implementations/test_classics.py")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, where tests run side by side (with ``--no-loadscope-reorder``)."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.path.as_posix().endswith(_LONG))


def pytest_collection_finish() -> None:
    """Keep the garbage collector off what imports have made: with all of them half a second."""
    import hypothesis  # noqa: F401 (it looks for referrers, and frozen ones don't show)

    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def forked() -> Iterator[None]:
    """Workers that a test starts in this process are forks, which import no framework anew.

    What runs in a process of its own, as ``python -m parity`` does, starts real ones.
    """
    workers.subprocess = training.subprocess = forks = Subprocess()  # type: ignore[assignment]
    yield
    forks.close()


def _number(name: str) -> int:
    """A number for a scheme name, the same in every dialect, which float32 holds exactly."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "little")


def _fake(
    dialect: str, name: str, num_classes: int = 7, in_channels: int = 3, include_top: bool = True
) -> Tensors:
    """A complete float32 set of tensors in a dialect, equal for equal scheme names.

    One number fills a whole tensor (a view with strides of 0), but the linear weight's numbers
    all differ, so that a transpose shows. Hidden layers of a classifier are narrow: of VGG's full
    ones every test would compare half a gigabyte.
    """
    tensors: Tensors = {}
    hidden = 8 if name in arch.CLASSICS and arch.CLASSICS[name].hidden else None
    all_keys = keys.keys(dialect, name, num_classes, in_channels, include_top, hidden)
    for key, entry in all_keys.items():
        number = _number(entry.name)
        if entry.role == "counter":
            tensors[key] = np.array(number, dtype=np.int64)
        elif entry.parameter is None:  # a bias of zeros, a factor of one: they change nothing
            tensors[key] = np.full(entry.shape, entry.role == "factor", dtype=np.float32)
        elif entry.parameter.role == "linear_weight":
            weight = np.arange(np.prod(entry.parameter.shape), dtype=np.float32)
            weight = weight.reshape(entry.parameter.shape)
            tensors[key] = np.ascontiguousarray(weight.T) if entry.transposed else weight
        else:
            tensors[key] = np.broadcast_to(np.float32(number / 2**24), entry.shape)
    return tensors


@pytest.fixture(scope="session")
def fake() -> Callable[..., Tensors]:
    """``fake(dialect, architecture, num_classes=7, in_channels=3, include_top=True)``."""
    return _fake


def _bits(array: np.ndarray) -> np.ndarray:
    """As whole numbers, which NaN and signed zeros can't hide from; of a usual dtype no copy."""
    size = array.dtype.itemsize
    return array.view(f"u{size}") if size <= 8 else np.frombuffer(array.tobytes(), np.uint8)


def _same_bits(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for key, array in ours.items():
        other = theirs[key]
        assert (key, array.dtype, array.shape) == (key, other.dtype, other.shape)
        assert np.array_equal(_bits(array), _bits(other)), key


@pytest.fixture(scope="session")
def same_bits() -> Callable[[Mapping[str, np.ndarray], Mapping[str, np.ndarray]], None]:
    """``same_bits(ours, theirs)`` asserts equal keys, dtypes, shapes and bytes."""
    return _same_bits


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty thousand made-up images, stored as CIFAR-10 is; no test writes there."""
    folder = tmp_path_factory.mktemp("data") / "cifar10"
    data.store(cifar_files.made(), folder, "made up")
    return folder


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: what it needs, the Makefile installs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
