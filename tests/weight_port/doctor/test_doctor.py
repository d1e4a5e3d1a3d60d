"""Damage that was planted is named; what is sound, and damage of no known kind, is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import weight_port
from weight_port import arch, cli
from weight_port.conversion.recognise import recognise
from weight_port.dialects.rows import DIALECTS
from weight_port.doctor import alone, case
from weight_port.doctor.table import TABLE, diagnose
from weight_port.formats.contents import Contents

Tensors = dict[str, np.ndarray]


def drawn(seed: int, name: str = "resnet20", classes: int = 10) -> Tensors:
    """A network of pytorch_impl with weights and statistics that training could have left."""
    random = np.random.default_rng(seed)
    from weight_port.dialects.keys import keys

    hidden = 8 if name in arch.CLASSICS and arch.CLASSICS[name].hidden else None
    tensors = {}
    for key, entry in keys("pytorch_impl", name, classes, 3, True, hidden).items():
        make: dict[str, Callable[[], np.ndarray]] = {
            "counter": lambda: np.array(100),
            "variance": lambda e=entry: random.gamma(4, 0.3, e.shape),
            "scale": lambda e=entry: random.normal(1, 0.2, e.shape),
        }
        other = lambda e=entry: random.normal(0, 0.1, e.shape)  # noqa: E731
        array = make.get(entry.role, other)()
        tensors[key] = array.astype(np.int64 if entry.role == "counter" else np.float32)
    return tensors


SOUND = drawn(0)
CONV, NORM, OTHER = "res2a.branch2a.conv.weight", "res2a.branch2a.bn", "res2b.branch2a.conv.weight"


def keys_of(tensors: Tensors, role: str) -> Iterator[str]:
    for key, entry in recognise(tensors).detection.keys(True).items():
        if entry.role == role:
            yield key


def each(*roles: str) -> Callable[[Callable[[np.ndarray], np.ndarray]], Callable[[Tensors], None]]:
    """A damage to every tensor of some roles."""

    def planted(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], None]:
        def damage(tensors: Tensors) -> None:
            for role in roles:
                for key in list(keys_of(SOUND, role)):
                    tensors[key] = np.asarray(change(tensors[key]), tensors[key].dtype)

        return damage

    return planted


def exchange(*endings: str) -> Callable[[Tensors], None]:
    def damage(tensors: Tensors) -> None:
        for key in [key for key in tensors if key.endswith(endings[0])]:
            other = key.removesuffix(endings[0]) + endings[1]
            tensors[key], tensors[other] = tensors[other], tensors[key]

    return damage


def layers() -> Iterator[tuple[str, str]]:
    """(the convolution's weight, its batch norm) of every one in ``SOUND``."""
    found = case.of_networks(recognise(SOUND), recognise(SOUND))
    by_layer = found.layers
    for conv, norm in found.norms.items():
        yield by_layer[conv]["weight"].key, by_layer[norm]["scale"].key.rpartition(".")[0]


def fold(power: int, kept: bool) -> Callable[[Tensors], None]:
    def damage(tensors: Tensors) -> None:
        for conv, norm in layers():
            scale, offset, mean, variance = (
                tensors[f"{norm}.{n}"].astype(np.float64)
                for n in ("weight", "bias", "running_mean", "running_var")
            )
            gain = scale / np.sqrt(variance + 1e-5)
            weight = tensors[conv] * gain.reshape(-1, 1, 1, 1) ** power
            tensors[conv] = weight.astype(np.float32)
            if not kept:
                tensors[f"{norm}.bias"] = (offset - mean * gain).astype(np.float32)
                tensors[f"{norm}.weight"] = np.ones(len(gain), np.float32)
                tensors[f"{norm}.running_mean"] = np.zeros(len(gain), np.float32)
                tensors[f"{norm}.running_var"] = np.ones(len(gain), np.float32)

    return damage


def on(key: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], None]:
    def damage(tensors: Tensors) -> None:
        changed = change(tensors[key].copy())
        tensors[key] = np.ascontiguousarray(changed).astype(tensors[key].dtype)

    return damage


def both(*damages: Callable[[Tensors], None]) -> Callable[[Tensors], None]:
    def damage(tensors: Tensors) -> None:
        for one in damages:
            one(tensors)

    return damage


def tail(array: np.ndarray) -> np.ndarray:
    array.reshape(-1)[array.size // 3 :] = 0
    return array


def half_overflow(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def large(tensors: Tensors) -> None:
    """Before the damage: what is sound has it too."""
    tensors[f"{NORM}.running_var"] = tensors[f"{NORM}.running_var"].copy()
    tensors[f"{NORM}.running_var"][3] = 1e5


ORDER = np.random.default_rng(5).permutation(10)
MEMORY = "the same numbers in another memory order"
DAMAGES: dict[str, tuple[str, Callable[[Tensors], None]]] = {
    "mean and variance": ("mean and variance exchanged", exchange("running_mean", "running_var")),
    "scale and offset": ("scale and offset exchanged", exchange("bn.weight", "bn.bias")),
    "scale and variance": (
        "scale and variance exchanged", exchange("bn.weight", "bn.running_var")),
    "offset and mean": ("offset and mean exchanged", exchange("bn.bias", "bn.running_mean")),
    "Fortran's order, a convolution": (
        MEMORY, each("weight")(lambda a: a.transpose(3, 2, 1, 0).reshape(a.shape))),
    "strided, a convolution": (
        MEMORY, each("weight")(lambda a: a.transpose(2, 3, 1, 0).reshape(a.shape))),
    "Fortran's order, a classifier": (
        MEMORY, on("fc.weight", lambda a: np.ascontiguousarray(a.T).reshape(a.shape))),
    "another framework's classifier": (
        "linear weight transposed", lambda t: t.update({"fc.weight": t["fc.weight"].T.copy()})),
    "deviation": ("standard deviation for variance", each("variance")(np.sqrt)),
    "inverse": (
        "inverse deviation for variance", each("variance")(lambda a: 1 / np.sqrt(a + 1e-5))),
    "inverse without epsilon": (
        "inverse deviation for variance", each("variance")(lambda a: a**-0.5)),
    "epsilon": ("epsilon added to the variance", each("variance")(lambda a: a + np.float32(1e-3))),
    "unbiased": ("biased for unbiased variance", each("variance")(lambda a: a * (49 / 48))),
    "biased": ("biased for unbiased variance", each("variance")(lambda a: a * (127 / 128))),
    "folded": ("batch norm folded", fold(1, False)),
    "folded and kept": ("batch norm folded, and still there", fold(1, True)),
    "folded twice": ("batch norm folded twice", fold(2, True)),
    "BGR": ("BGR for RGB", on("conv1.conv.weight", lambda a: a[:, ::-1])),
    "classes": (
        "classes permuted",
        both(on("fc.weight", lambda a: a[ORDER]), on("fc.bias", lambda a: a[ORDER])),
    ),
    "two layers": (
        "another layer's tensor",
        lambda t: t.update({CONV: t[OTHER], OTHER: t[CONV]}),
    ),
    "turned": ("kernels turned by 180 degrees", each("weight")(lambda a: a[:, :, ::-1, ::-1])),
    "height and width": (
        "kernels' height and width exchanged", on(CONV, lambda a: a.transpose(0, 1, 3, 2))),
    "in and out": (
        "input and output channels exchanged", on(CONV, lambda a: a.transpose(1, 0, 2, 3))),
    "big-endian": ("bytes in the other order", on("fc.weight", lambda a: a.byteswap())),
    "cut short": ("cut short: right at first, then zeros", on(CONV, tail)),
    "shifted": ("shifted by some elements", on(CONV, lambda a: np.roll(a, 2))),
    "float16": ("rounded to float16", each("weight")(half_overflow)),
    "overflow": ("float16 overflow", on(f"{NORM}.running_var", half_overflow)),
    "negated": ("negated", each("weight")(np.negative)),
    "signs": ("signs lost", each("weight")(np.abs)),
    "zeros": ("zeros in place of numbers", on(CONV, np.zeros_like)),
    "NaN": ("NaN throughout", on(CONV, lambda a: a * np.nan)),
    "images of 0 to 255": ("multiplied by one number", on("conv1.conv.weight", lambda a: a / 255)),
}  # fmt: skip


def damaged(sound: Tensors, damage: Callable[[Tensors], None]) -> Tensors:
    tensors = dict(sound)
    damage(tensors)
    return tensors


@pytest.mark.parametrize("name", DAMAGES)
def test_planted_damage_is_named_and_nothing_else(name: str) -> None:
    expected, damage = DAMAGES[name]
    sound = damaged(SOUND, large) if name == "overflow" else SOUND
    broken = damaged(sound, damage)
    assert any(not np.array_equal(broken[key], sound[key]) for key in sound)
    diagnosis = diagnose(case.between(Contents(broken), Contents(sound)))
    assert {finding.name for finding in diagnosis.findings} == {expected}
    assert diagnosis.unexplained == ()


@pytest.mark.parametrize("name", ["mean and variance", "folded", "BGR", "classes", "unbiased"])
@pytest.mark.parametrize("to", ["paddle_impl", "paddle1"])
def test_it_is_named_across_dialects(name: str, to: str) -> None:
    expected, damage = DAMAGES[name]
    broken = weight_port.convert(damaged(SOUND, damage), to, architecture="resnet20")
    diagnosis = diagnose(case.between(Contents(dict(broken)), Contents(SOUND)))
    assert {finding.name for finding in diagnosis.findings} == {expected}
    assert diagnosis.unexplained == ()


def test_every_hypothesis_has_a_planted_damage() -> None:
    planted = {name for name, _ in DAMAGES.values()} | {"rounded to bfloat16"}
    assert planted == {row.name for row in TABLE}
    assert len(planted) >= 20


def noise(tensors: Tensors, random: np.random.Generator) -> None:
    for key, array in tensors.items():
        if array.dtype.kind == "f":
            tensors[key] = (array + random.normal(0, 0.01, array.shape)).astype(array.dtype)


def shuffled(tensors: Tensors, random: np.random.Generator) -> None:
    for key, array in tensors.items():
        if array.size > 8:
            tensors[key] = random.permutation(array.reshape(-1)).reshape(array.shape)


def one_bit(tensors: Tensors, random: np.random.Generator) -> None:
    for key in random.choice(sorted(tensors), 5, replace=False):
        if tensors[key].size > 1:
            bits = tensors[key].copy()
            bits.reshape(-1).view(np.uint32)[random.integers(bits.size)] ^= 1 << 20
            tensors[key] = bits


def redrawn(tensors: Tensors, random: np.random.Generator) -> None:
    tensors |= drawn(int(random.integers(1, 99)))


def clipped(tensors: Tensors, random: np.random.Generator) -> None:
    for key, array in tensors.items():
        if array.dtype.kind == "f":
            tensors[key] = np.clip(array, -0.05, 0.05)


@pytest.mark.parametrize("damage", [noise, shuffled, one_bit, redrawn, clipped])
@pytest.mark.parametrize("seed", range(3))
def test_damage_of_no_known_kind_gets_no_name(damage, seed: int) -> None:
    broken = dict(SOUND)
    damage(broken, np.random.default_rng(1000 + seed))
    diagnosis = diagnose(case.between(Contents(broken), Contents(SOUND)))
    assert diagnosis.findings == ()
    assert len(diagnosis.unexplained) > 0


NETWORKS = [(row.name, name) for row in DIALECTS.values() for name in row.holds]


@pytest.mark.parametrize(("dialect", "name"), NETWORKS[:: max(1, len(NETWORKS) // 16)])
def test_undamaged_networks_get_no_name_alone_or_beside_themselves(fake, dialect, name) -> None:
    tensors = fake(dialect, name)
    network = recognise(tensors, dialect, name)
    assert alone.findings(tensors, network) == []
    diagnosis = diagnose(case.of_networks(network, network))
    assert diagnosis == ((), ())


@pytest.mark.parametrize("seed", range(4))
def test_seeded_weights_get_no_name(seed: int) -> None:
    tensors = drawn(seed)
    assert alone.findings(tensors, recognise(tensors)) == []
    assert diagnose(case.between(Contents(tensors), Contents(drawn(seed)))) == ((), ())
    other = diagnose(case.between(Contents(tensors), Contents(drawn(seed + 1))))
    assert other.findings == ()


ALONE = {
    "NaN": on(CONV, lambda a: a * np.nan),
    "mean and variance exchanged": lambda t: (
        t.update({f"{NORM}.running_mean": np.abs(t[f"{NORM}.running_mean"]) + 1}),
        t.update({f"{NORM}.running_var": -np.abs(t[f"{NORM}.running_var"])}),
    ),
    "variances below 0": on(f"{NORM}.running_var", np.negative),
    "convolutions of zeros": on(CONV, np.zeros_like),
    "linear weight transposed": lambda t: t.update({"fc.weight": t["fc.weight"].T.copy()}),
    "incomplete": lambda t: t.pop(CONV),
    "infinite numbers": on(CONV, lambda a: a / np.float32(0)),
    "float16 overflow": lambda t: t.update({CONV: np.full(t[CONV].shape, np.inf, np.float16)}),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", ALONE)
def test_what_a_file_shows_by_itself(name: str) -> None:
    broken = damaged(SOUND, ALONE[name])
    assert [finding.name for finding in alone.findings(broken, recognise(broken))] == [name]


def test_what_fits_two_causes_goes_to_the_one_that_explains_more() -> None:
    """Of a square 1x1 convolution, Fortran's order is the channels exchanged."""
    random = np.random.default_rng(0)
    shapes = {"square": (8, 8, 1, 1), "wide": (8, 4, 3, 3), "tall": (4, 8, 3, 3)}
    sound = {name: random.normal(size=shape).astype("f4") for name, shape in shapes.items()}
    tensors = {
        name: case.Tensor(name, name, name, "weight", array.T.reshape(array.shape), array)
        for name, array in sound.items()
    }
    (finding,) = diagnose(case.Case(tensors)).findings
    assert (finding.name, len(finding.keys)) == (MEMORY, 3)
    (alone_,) = diagnose(case.Case({"square": tensors["square"]})).findings
    assert alone_.name == "input and output channels exchanged"


# -- the command


def doctor(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = cli.main(["doctor", *map(str, arguments)])
    return status, capsys.readouterr().out


def test_the_command_says_what_and_ends_with_1(tmp_path: Path, capsys) -> None:
    sound, broken, odd = tmp_path / "a.pth", tmp_path / "b.pdparams", tmp_path / "c.npz"
    weight_port.write(sound, SOUND)
    exchanged = damaged(SOUND, DAMAGES["scale and offset"][1])
    weight_port.write(broken, weight_port.convert(exchanged, "paddle_impl"))
    changed = dict(SOUND)
    noise(changed, np.random.default_rng(1000))
    weight_port.write(odd, changed)
    assert doctor(capsys, sound) == (0, f"file          {sound}\ncause         none found\n")
    assert doctor(capsys, sound, "--like", sound)[0] == 0
    status, out = doctor(capsys, broken, "--like", sound)
    assert status == 1
    assert "found         scale and offset exchanged (" in out
    status, out = doctor(capsys, odd, "--like", sound)
    assert status == 1
    assert "tensors, for no cause that is known: " in out
    assert out.endswith("cause         none found\n")
    status, out = doctor(capsys, broken, "--like", sound, "--json")
    assert json.loads(out)["findings"][0]["name"] == "scale and offset exchanged"


def test_a_file_that_is_truncated_is_a_finding(tmp_path: Path, capsys) -> None:
    weight_port.write(tmp_path / "a.safetensors", SOUND)
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:-1000])
    status, out = doctor(capsys, tmp_path / "a.safetensors")
    assert status == 1
    assert "found         unreadable: " in out
    assert "truncated" in out


def test_an_average_in_the_place_of_the_raw_weights_is_named(tmp_path: Path, capsys) -> None:
    import torch

    average = {key: array * 0.9 + 0.01 for key, array in SOUND.items() if array.ndim}
    states = {"model": SOUND, "model_ema": average}
    tensors = {name: {k: torch.tensor(a) for k, a in s.items()} for name, s in states.items()}
    torch.save(tensors, tmp_path / "training.pth")
    weight_port.write(tmp_path / "x.pth", {k: np.asarray(a) for k, a in average.items()})
    status, out = doctor(capsys, tmp_path / "x.pth", "--like", tmp_path / "training.pth")
    assert status == 1
    assert "another state of the training: 'model_ema' of training.pth" in out


def test_diff_ends_with_the_cause(tmp_path: Path, capsys) -> None:
    weight_port.write(tmp_path / "a.npz", SOUND)
    weight_port.write(tmp_path / "b.npz", damaged(SOUND, DAMAGES["BGR"][1]))
    assert cli.main(["diff", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == 1
    assert capsys.readouterr().out.endswith("different: in B, BGR for RGB (1)\n")


def test_a_reference_with_nothing_in_common_is_an_error(tmp_path, capsys) -> None:
    for name, key in (("a", "one"), ("b", "two")):
        weight_port.write(tmp_path / f"{name}.npz", {key: np.ones(3, np.float32)})
    status = cli.main(["doctor", str(tmp_path / "a.npz"), "--like", str(tmp_path / "b.npz")])
    assert status == 2
    assert "have no tensor in common: name a sound file of the same" in capsys.readouterr().err
