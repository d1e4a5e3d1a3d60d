"""A grid spread over the machines of a Ray cluster: ``python -m benchmarks run SUITE --on ray``.

Only what is never compared may run apart: all cells of one network, image size and batch stay on
one machine, interleaved there as on a single one. A machine's results are a record of their own,
with that machine's context, in ``FILE.HOST.json``; no ratio crosses two.

Each GPU, or each machine where there is none in use, takes one group of cells at a time: Ray's own
resources see to it (``num_gpus=1``, or all of a node's CPUs), also against other runs. A node that
dies loses the group that it was at; that group goes to another. resnet-parity must be installed on
every node, in the same version.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.experiments.forward import measure as local
from benchmarks.grid.cells import Cell
from benchmarks.harness.frameworks import RunError
from benchmarks.records import marks
from benchmarks.records.record import Record
from weight_port import arch

Say = Callable[[str], None]
Work = Callable[[local.Options, Say], Record]

ATTEMPTS = 3  # of a group, each on another slot where there is one


@dataclass(frozen=True)
class Slot:
    """Where one group runs at a time: a GPU of a node, or a whole node."""

    node: str  # Ray's id
    host: str
    cpus: float
    gpus: float


@dataclass
class Group:
    """Cells that stay together, and what came of them."""

    cells: tuple[Cell, ...]
    attempts: int = 0
    error: str | None = None

    @property
    def name(self) -> str:
        """What they have in common."""
        cell = self.cells[0]
        return f"{cell.model} batch {cell.batch}"

    @property
    def work(self) -> int:
        """Multiply-adds of one pass of every cell: the longest groups go first."""
        cell = self.cells[0]
        each = arch.multiply_adds(cell.model, cell.size, cell.size) * cell.batch
        return int(each * len(self.cells))


def groups(cells: Sequence[Cell]) -> list[Group]:
    """Cells by network, image size and batch, the most work first."""
    found: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.model, cell.size, cell.batch), []).append(cell)
    made = [Group(tuple(members)) for members in found.values()]
    return sorted(made, key=lambda group: -group.work)


def slots(nodes: Sequence[dict[str, Any]], device: str) -> list[Slot]:
    """One per GPU of the living nodes, or one per node for the CPU; auto: GPUs if there are any."""
    alive = [node for node in nodes if node["Alive"]]
    gpus = [
        Slot(node["NodeID"], node["NodeManagerHostname"], 1, 1)
        for node in alive
        for _ in range(int(node["Resources"].get("GPU", 0)))
    ]
    if device == "gpu" or (device == "auto" and gpus):
        return gpus
    return [
        Slot(node["NodeID"], node["NodeManagerHostname"], node["Resources"]["CPU"], 0)
        for node in alive
        if node["Resources"].get("CPU", 0) >= 1
    ]


def _submit(ray: Any, task: Any, slot: Slot, options: local.Options) -> Any:
    """Start a group on a slot; Ray waits until the slot is free of other runs too."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node_id=slot.node, soft=False)
    asked = {"num_cpus": slot.cpus, "num_gpus": slot.gpus, "scheduling_strategy": where}
    return task.options(**asked, max_retries=0).remote(options)


def _remote(ray: Any, work: Work) -> Any:
    """``work`` as a task; a RunError comes back as its text, not as Ray's wrapping of it."""

    @ray.remote  # type: ignore[untyped-decorator]
    def task(options: local.Options) -> tuple[Record | None, str | None]:
        try:
            return work(options, lambda _: None), None
        except RunError as error:
            return None, str(error)

    return task


def _spread(
    ray: Any, work: Work, options: local.Options, free: list[Slot], say: Say
) -> tuple[list[tuple[Slot, Record]], list[Group]]:
    """(what came back from where, the groups that did not)."""
    task = _remote(ray, work)
    waiting = deque(groups(options.cells))
    running: dict[Any, tuple[Group, Slot]] = {}
    done: list[tuple[Slot, Record]] = []
    lost: list[Group] = []
    while running or (waiting and free):
        while waiting and free:
            group, slot = waiting.popleft(), free.pop(0)
            group.attempts += 1
            say(f"{group.name}: starts on {slot.host}")
            running[_submit(ray, task, slot, replace(options, cells=group.cells))] = (group, slot)
        (ready,), _ = ray.wait(list(running))
        group, slot = running.pop(ready)
        died = False
        try:
            record, group.error = ray.get(ready)
        except ray.exceptions.RayError as error:  # the node or its worker
            record, group.error, died = None, str(error).strip().splitlines()[0], True
        if record is not None:
            done.append((slot, record))
            say(f"{group.name}: done on {slot.host}")
        else:
            again = group.attempts < ATTEMPTS
            (waiting if again else lost).append(group)
            say(f"{group.name}: lost on {slot.host} ({group.error}){'; again' if again else ''}")
        # Ray needs seconds to call a node dead: what died is not tried again if there are others.
        if not died or not (free or running):
            free.append(slot)
    return done, [*lost, *waiting]


def _join(records: Sequence[Record]) -> Record:
    """One machine's records as one: the first's context, all cells and peaks."""
    first = {**marks.plain(records[0]), **marks.joined(records)}
    for key in ("cells", "peaks"):
        first[key] = [entry for record in records for entry in record[key]]
    return first


def _failed(group: Group) -> list[dict[str, Any]]:
    """The cells of a group that no machine finished, as they stand in a record."""
    error = f"no machine finished it: {group.error or 'none is left'}"
    return [local.Row(cell, error).as_json() for cell in group.cells]


def _by_machine(done: Sequence[tuple[Slot, Record]], lost: Sequence[Group]) -> dict[str, Record]:
    """A record per node under its host's name; what was lost stands in the first."""
    by_node: dict[str, list[tuple[Slot, Record]]] = {}
    for slot, record in done:
        by_node.setdefault(slot.node, []).append((slot, record))
    by_host: dict[str, Record] = {}
    for entries in by_node.values():
        host = entries[0][0].host
        name = host if host not in by_host else f"{host}-{len(by_host) + 1}"
        by_host[name] = _join([record for _, record in entries])
    if by_host:
        first = next(iter(by_host.values()))
        first["cells"] = [*first["cells"], *(cell for group in lost for cell in _failed(group))]
    return by_host


def _knock(address: str) -> None:
    """Raises RunError where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise RunError(f"--on {address}: ray, ray://HEAD:PORT or HEAD:PORT was expected")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        reason = f"no cluster there ({error}); start one with `ray start --head`"
        raise RunError(f"--on {address}: {reason}") from None


def run(
    address: str, options: local.Options, say: Say, work: Work = local.run
) -> dict[str, Record]:
    """Measure the grid on a cluster; returns a record per machine, by its name.

    ``address`` is "ray" for the cluster that this machine belongs to, else "ray://HEAD:PORT" (Ray's
    client) or "HEAD:PORT".
    Raises RunError where there is no cluster, no fitting machine, or nothing came back.
    """
    try:
        import ray
    except ImportError:
        raise RunError("Ray is not installed: pip install 'resnet-parity[cluster]'") from None
    where = "auto" if address == "ray" else address
    if where != "auto":
        _knock(where)
    try:
        ray.init(where, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RunError(
            f"--on {address}: no cluster: {reason}; start one with `ray start --head`"
        ) from None
    try:
        free = slots(ray.nodes(), options.device)  # type: ignore[no-untyped-call]
        if not free:
            raise RunError(f"--on {address}: no node has a free {options.device}")
        say(f"{len(free)} at a time on {', '.join(sorted({slot.host for slot in free}))}")
        done, lost = _spread(ray, work, options, free, say)
    finally:
        ray.shutdown()
    if not done:
        reason = next((group.error for group in lost if group.error), "all nodes are gone")
        raise RunError(f"--on {address}: nothing came back: {reason}")
    return _by_machine(done, lost)
