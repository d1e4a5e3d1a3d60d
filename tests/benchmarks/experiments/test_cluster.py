"""A grid over a real Ray cluster of two nodes on this machine, one of which is killed midway."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from pathlib import Path

import pytest

from benchmarks import kinds
from benchmarks.devices.timing import Plan
from benchmarks.experiments.forward import cluster
from benchmarks.experiments.forward import measure as run
from benchmarks.grid import cells
from benchmarks.harness.frameworks import RunError
from tests.helpers.benchmark_records import small_record, steady_cell

NAMES = ["pytorch_impl", "paddle_impl"]


def options(models=("resnet18", "resnet34"), batches=(1, 8), device="cpu"):
    grid = cells.grid(models, batches, NAMES, 64, [1])
    return run.Options(tuple(grid), device, 1, 5, 0, Plan())


def test_what_is_compared_stays_together_and_the_longest_goes_first():
    found = cluster.groups(options().cells)
    assert [group.name for group in found] == [
        "resnet34 batch 8",
        "resnet18 batch 8",
        "resnet34 batch 1",
        "resnet18 batch 1",
    ]
    assert all([cell.implementation for cell in group.cells] == NAMES for group in found)


def node(name, alive=True, **resources):
    return {"NodeID": name, "NodeManagerHostname": name, "Alive": alive, "Resources": resources}


NODES = [node("a", CPU=8.0, GPU=2.0), node("b", CPU=4.0), node("c", False, CPU=4.0, GPU=8.0)]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cpu", [("a", 8.0, 0), ("b", 4.0, 0)]),
        ("gpu", [("a", 1, 1), ("a", 1, 1)]),
        ("auto", [("a", 1, 1), ("a", 1, 1)]),
    ],
)
def test_a_slot_is_a_gpu_or_a_whole_node(device, expected):
    assert [(s.node, s.cpus, s.gpus) for s in cluster.slots(NODES, device)] == expected


def test_auto_without_gpus_is_the_cpus():
    assert [slot.node for slot in cluster.slots(NODES[1:], "auto")] == ["b"]


def test_records_of_two_machines_are_two_and_the_lost_are_said():
    slots = [cluster.Slot(name, "host", 1, 0) for name in ("x", "y")]
    one, two, three = (small_record() for _ in range(3))
    one["cells"], two["cells"], three["cells"] = (
        [steady_cell("pytorch_impl", [ms])] for ms in (1, 2, 3)
    )
    done = [(slots[0], one), (slots[1], two), (slots[0], three)]
    lost = cluster.groups(options(("resnet18",), (1,)).cells)
    lost[0].error = "the node died"
    found = cluster._by_machine(done, lost)
    assert list(found) == ["host", "host-2"]
    assert [cell["error"] for cell in found["host"]["cells"]] == [
        None,
        None,
        *["no machine finished it: the node died"] * 2,
    ]
    assert len(found["host-2"]["cells"]) == 1
    for made in found.values():
        kinds.check(made, "merged")


@pytest.fixture
def two_nodes(monkeypatch):
    """A cluster on 127.0.0.1; its first node has the driver, so it is the second that may die."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    # Else Ray takes 127.0.0.1 for another name of the machine's outer address.
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False},
    )
    second = made.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    yield made, second
    made.shutdown()


def working(template, log, seconds):
    """A run that takes a while and says in ``log`` where and when it ran."""

    def work(asked, _say):
        import ray

        begin = time.time()
        name = f"{asked.cells[0].model}-{asked.cells[0].batch}"
        where = ray.get_runtime_context().get_node_id()
        with open(os.path.join(log, f"{name}-{begin}"), "w") as stream:
            json.dump([name, where], stream)
        time.sleep(seconds)
        found = json.loads(template)
        found["cells"] = [
            {
                **found["cells"][0],
                "model": cell.model,
                "batch": cell.batch,
                "implementation": cell.implementation,
                "size": cell.size,
            }
            for cell in asked.cells
        ]
        with open(os.path.join(log, f"{name}-{begin}"), "w") as stream:
            json.dump([name, where, begin, time.time()], stream)
        return found

    return work


def spread(made, tmp_path, asked, seconds, say=lambda _: None):
    """Run on the cluster; returns the records and what the log says."""
    work = working(json.dumps(small_record()), str(tmp_path), seconds)
    found = cluster.run(made.address, asked, say, work)
    return found, [json.loads(file.read_text()) for file in sorted(tmp_path.iterdir())]


def measured(found):
    """(model, batch, implementation) of every cell without an error."""
    return sorted(
        (cell["model"], cell["batch"], cell["implementation"])
        for made in found.values()
        for cell in made["cells"]
        if cell["error"] is None
    )


def test_two_nodes_share_the_grid_and_neither_does_two_things_at_once(two_nodes, tmp_path):
    made, _ = two_nodes
    found, log = spread(made, tmp_path, options(), 0.3)
    wanted = [(cell.model, cell.batch, cell.implementation) for cell in options().cells]
    assert measured(found) == sorted(wanted)
    assert len(found) == 2  # a record for each
    by_node = {}
    for _, where, begin, end in log:
        by_node.setdefault(where, []).append((begin, end))
    assert len(by_node) == 2
    for times in by_node.values():
        times.sort()
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(times))


def test_a_node_that_dies_loses_only_what_it_was_at(two_nodes, tmp_path):
    made, second = two_nodes
    said = []
    killer = threading.Thread(target=_kill_when_busy, args=(made, second, tmp_path))
    killer.start()
    found, log = spread(made, tmp_path, options(batches=(1,)), 3.0, said.append)
    killer.join()
    wanted = [(c.model, c.batch, c.implementation) for c in options(batches=(1,)).cells]
    assert measured(found) == sorted(wanted)  # all of it, once
    assert sum("; again" in line for line in said) == 1
    assert len([entry for entry in log if len(entry) == 2]) == 1  # begun, and never ended
    assert len(log) == 3


def _kill_when_busy(made, second, folder: Path) -> None:
    """Remove the second node once both nodes have begun."""
    deadline = time.monotonic() + 60
    while len(os.listdir(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    made.remove_node(second, allow_graceful=False)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", r"--on 127.0.0.1:1: no cluster there \(.*`ray start --head`"),
        ("ray://127.0.0.1:1", r"--on ray://127.0.0.1:1: no cluster there"),
        ("ray", r"--on ray: no cluster: .*`ray start --head`"),
        ("head", r"--on head: ray, ray://HEAD:PORT or HEAD:PORT was expected"),
    ],
)
def test_without_a_cluster_it_says_what_to_start(address, said):
    with pytest.raises(RunError, match=said):
        cluster.run(address, options(), lambda _: None)


def test_a_refusal_of_the_run_itself_is_an_error_with_its_reason(two_nodes, tmp_path):
    made, _ = two_nodes

    def refuse(_asked, _say):
        from benchmarks.harness.frameworks import RunError

        raise RunError("neither torch nor paddle is installed")

    with pytest.raises(RunError, match="nothing came back: neither torch nor paddle"):
        cluster.run(made.address, options(("resnet18",), (1,)), lambda _: None, refuse)
