"""The README's blocks of GPU figures say what the records say, the bad with the good."""

import copy

from benchmarks.readme import gpu
from benchmarks.readme.speeds import read


def test_a_line_per_way_and_a_column_per_batch() -> None:
    head, _, *lines = gpu.speed_table().splitlines()
    cells = read(gpu.SPEED)["cells"]
    assert len(lines) == len({(c["mode"], c["precision"], c["layout"]) for c in cells})
    assert all(f"batch {batch}, ms" in head for batch in {cell["batch"] for cell in cells})


def test_processes_are_counted_in_the_cells_not_in_the_rounds_of_merged_runs() -> None:
    record = read(gpu.SPEED)
    assert record["settings"]["rounds"] == 10  # two runs of five, of other cells
    assert " 5 processes per cell." in gpu.machine()


def test_medians_far_apart_are_said() -> None:
    row = {"median_ms": 3.5, "between": 0.5}
    assert gpu._cell(row) == "3.50 (± 25 %)"
    assert gpu._cell({**row, "between": 0.01}) == "3.50"


def test_a_section_that_failed_is_no_equal_one_and_one_that_did_not_run_no_line() -> None:
    record = read("parity/resnet50-gpu.json")
    lines = gpu._sections(record)
    assert [line[0] for line in lines] == [f"resnet50, {p}" for p in ("float64", "float32", "tf32")]
    assert {line[-1] for line in lines} == {"equal"}
    failed = copy.deepcopy(record)
    failed["sections"][1]["passed"] = False
    assert [line[-1] for line in gpu._sections(failed)] == ["equal", "DIFFERENT", "equal"]
