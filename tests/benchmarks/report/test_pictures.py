"""Pictures of a record: what the artists hold is what the record says, and the files are told."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import kinds
from benchmarks.__main__ import main
from benchmarks.readme import __main__ as readme
from benchmarks.report import figures, pictures, series
from tests.helpers.benchmark_records import cell, failed, many, process, record

NAMES = ("throughput", "latency", "roof", "error")


@pytest.fixture(scope="module")
def large() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The large record and its rows that were timed."""
    made = many()
    kinds.check(made, "many")
    assert 80 <= len(made["cells"]) <= 120
    return made, [row for row in series.drawn_rows(made) if row["error"] is None]


def lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of every line that has a label of its own."""
    named = (line for line in axes.lines if not line.get_label().startswith("_"))
    return {line.get_label(): list(map(tuple, line.get_xydata().tolist())) for line in named}


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def legend(figure: Figure) -> list[str]:
    return [entry.get_text() for entry in figure.legends[0].get_texts()]


# -- what is drawn


def test_throughput_has_every_row_at_its_batch_and_speed(large: Any) -> None:
    _, found = large
    figure = figures.throughput(found)
    points = {}
    for axes in shown(figure):
        model, rung, precision = axes.get_title(loc="left").split(", ")
        for label, line in lines(axes).items():
            for batch, speed in line:
                points[(*label.split(", "), model, rung, precision, batch)] = speed
    labels = ("implementation", "mode", "model", "rung", "precision", "batch")
    assert points == {tuple(row[key] for key in labels): row["images_per_s"] for row in found}
    assert {"openvino", "compile", "inference"} <= set(legend(figure))
    assert all(axes.get_ylim()[0] == 0 for axes in shown(figure))


def test_rungs_and_precisions_have_panels_of_their_own(large: Any) -> None:
    titles = [axes.get_title(loc="left") for axes in shown(figures.throughput(large[1]))]
    assert len(titles) == len(set(titles)) == 8
    assert "resnet50, matched, fp32" in titles
    assert "resnet152, best effort, amp-bf16" in titles


def test_latency_has_every_median_and_quartile_and_the_samples(large: Any) -> None:
    _, found = large
    axes = figures.latency(found).axes[0]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [series.name(row, series.naming(found)) for row in found]
    assert len(set(names)) == len(found)
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert len(dots) == 5 * len(found)  # a line for each process
    for place, row in enumerate(found):
        own = [line for line in axes.lines if abs(np.mean(line.get_ydata()) - place) < 0.5]
        solid = [line for line in own if line.get_marker() != "."]
        box, median = (sorted(set(line.get_xdata())) for line in solid)
        _, q1, middle, q3, _ = row["latency"]["box"]
        assert (box, median) == ([q1, q3], [middle])
        assert middle == pytest.approx(row["median_ms"])
    first = np.concatenate([line.get_xdata() for line in dots[:5]])
    assert first.min() == found[0]["latency"]["box"][0]
    assert first.max() == found[0]["latency"]["box"][-1]


def test_the_share_of_the_peak_is_a_bar_for_each_row(large: Any) -> None:
    _, found = large
    axes = figures.share_of_peak(found).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [
        100 * row["share_of_peak"] for row in found
    ]
    assert axes.lines[0].get_xdata() == [100, 100]


def test_error_is_drawn_against_speed_with_its_front(large: Any) -> None:
    _, found = large
    figure = figures.error(found)
    axes = {one.get_title(loc="left"): one for one in shown(figure)}
    assert list(axes) == ["resnet50", "resnet152"]
    for model, one in axes.items():
        here = [row for row in found if row["model"] == model]
        points = lines(one)
        edge = points.pop("front")
        assert {(x, y) for line in points.values() for x, y in line} == {
            (row["images_per_s"], row["relative_l2"]) for row in here
        }
        assert (one.get_xscale(), one.get_yscale()) == ("log", "log")
        for x, y in edge:  # none is faster and nearer at once
            assert not [r for r in here if r["images_per_s"] > x and r["relative_l2"] < y]
        assert max(row["images_per_s"] for row in here) == edge[-1][0]
        assert min(row["relative_l2"] for row in here) == edge[0][1]


def test_the_front_leaves_out_what_is_beaten() -> None:
    speeds = {"a": (10.0, 1.0), "b": (20.0, 2.0), "beaten": (15.0, 3.0), "slow": (9.0, 1.0)}
    found = [{"name": n, "images_per_s": x, "relative_l2": y} for n, (x, y) in speeds.items()]
    assert [row["name"] for row in figures.front(found)] == ["a", "b"]


def test_every_implementation_has_a_look_and_known_ones_keep_theirs() -> None:
    names = ["a", "openvino", "pytorch_impl", "b"]
    found = series.looks([{"implementation": name} for name in names])
    assert len(set(found.values())) == len(names)
    known = list(series.LOOKS)
    assert (known[found["openvino"]], known[found["pytorch_impl"]]) == ("openvino", "pytorch_impl")
    crowd = [{"implementation": name} for name in (*series.LOOKS, "c", "d")]
    assert max(series.looks(crowd).values()) < len(series.LOOKS)


def test_many_samples_are_thinned_by_rank_and_few_are_not() -> None:
    values = np.arange(1000.0)
    found = series.thinned(values, 40)
    assert (len(found), found[0], found[-1]) == (40, 0.0, 999.0)
    assert np.ptp(np.diff(found)) <= 1
    assert series.thinned(values[:40], 40).tolist() == values[:40].tolist()


def test_names_leave_out_what_the_rest_implies_and_nothing_more() -> None:
    def one(**labels: Any) -> Any:
        return cell("timm", [], **labels)

    implied = [one(mode="eager"), one(mode="channels_last", layout="NHWC")]
    assert series.naming(implied) == ["implementation", "mode"]
    apart = [one(), one(layout="NHWC"), one(threads=1), one(threads=1, layout="NHWC")]
    assert series.naming(apart) == ["implementation", "threads", "layout"]
    assert series.name(apart[2], series.naming(apart)) == "timm, 1 threads, NCHW"
    assert series.paneling(apart) == ["threads", "layout"]


# -- the files


@pytest.mark.parametrize("style", pictures.FORMATS)
def test_the_committed_record_is_drawn_in_full(
    style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = readme.RESULTS / readme.SPEED
    folder = tmp_path / "new" / "pictures"
    assert main(["plot", str(path), "--out", str(folder), "--format", style]) == 0
    assert sorted(one.name for one in folder.iterdir()) == sorted(f"{n}.{style}" for n in NAMES)
    wanted = pictures.digest(kinds.read(path))
    assert {pictures.digest_in(one) for one in folder.iterdir()} == {wanted}
    head = {"svg": b"<?xml", "png": b"\x89PNG"}[style]
    assert all(one.read_bytes().startswith(head) for one in folder.iterdir())
    said = capsys.readouterr().err
    assert said.count("written\n") == 4


def test_the_same_record_gives_the_same_bytes_and_another_another_digest(tmp_path: Path) -> None:
    made = record([cell("pytorch_impl", [process(0, [1.0, 2.0])])])
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        assert pictures.draw(made, "throughput", tmp_path / name) == 1
    for style in pictures.FORMATS:
        assert (tmp_path / f"a.{style}").read_bytes() == (tmp_path / f"b.{style}").read_bytes()
    assert b"dc:date" not in (tmp_path / "a.svg").read_bytes()
    other = record([cell("pytorch_impl", [process(0, [1.0, 2.1])])])
    assert pictures.digest(other) != pictures.digest(made) == pictures.digest_in(tmp_path / "a.svg")
    assert pictures.digest_in(tmp_path / "none.svg") is None
    (tmp_path / "foreign.svg").write_text("<svg/>")
    assert pictures.digest_in(tmp_path / "foreign.svg") is None


def test_another_version_of_the_drawing_is_another_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = record([failed("timm")])
    before = pictures.digest(made)
    monkeypatch.setattr(pictures, "VERSION", pictures.VERSION + 1)
    assert pictures.digest(made) != before


def test_names_from_strangers_are_no_formulas(tmp_path: Path) -> None:
    name = r"$\frac$ </text><script>1</script> & $"
    made = record([cell(name, [process(0, [1.0] * 5)], model="resnet50", mode=name)])
    for picture in NAMES:
        pictures.draw(made, picture, tmp_path / f"{picture}.svg")
        assert b"<script" not in (tmp_path / f"{picture}.svg").read_bytes()


def test_a_record_of_failures_draws_nothing_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(record([failed("timm")])))
    assert main(["plot", str(tmp_path / "run.json"), "--out", str(tmp_path / "out")]) == 1
    assert list((tmp_path / "out").iterdir()) == []
    assert "throughput.svg: not drawn: 0 of 1 rows have a speed" in capsys.readouterr().err


def test_what_is_left_out_of_a_picture_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = cell("pytorch_impl", [process(0, [1.0, 2.0], relative_l2=0.0)])
    made = record([exact, cell("timm", [process(0, [1.0])]), failed("openvino")], peaks=[])
    (tmp_path / "run.json").write_text(json.dumps(made))
    assert main(["plot", str(tmp_path / "run.json"), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "throughput.svg: written; 2 of 3 rows have a speed" in said
    assert "error.svg: written; 1 of 3 rows have an error above 0" in said
    assert "roof.svg: not drawn: 0 of 3 rows have a peak" in said


def test_pictures_that_are_there_stay_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(record([cell("timm", [process(0, [1.0])])])))
    (tmp_path / "error.svg").write_text("mine")
    command = ["plot", str(tmp_path / "run.json"), "--out", str(tmp_path)]
    assert main(command) == 2
    assert "error.svg: exists; pass --force" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["error.svg", "run.json"]
    assert main([*command, "--force"]) == 0
    assert pictures.digest_in(tmp_path / "error.svg") is not None


def test_wrong_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(readme.RESULTS / readme.PORT)
    assert main(["plot", port, "--out", str(tmp_path / "out")]) == 2
    assert "a picture shows records of forward passes, not of port" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    speed = str(readme.RESULTS / readme.SPEED)
    assert main(["plot", speed, "--out", str(tmp_path / "file")]) == 2
    assert "can't be made" in capsys.readouterr().err


def test_without_matplotlib_the_way_to_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    assert main(["plot", str(readme.RESULTS / readme.SPEED), "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'resnet-parity[plots]'" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
