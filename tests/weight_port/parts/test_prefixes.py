"""Prefixes, modules and others: pure functions over names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weight_port import arch
from weight_port.dialects import keys
from weight_port.parts import others, prefixes, wrappers

# Flax keeps a network in two trees, params and batch_stats: no one prefix stands before both.
EVERY = [
    (row.name, name) for row in keys.DIALECTS.values() if row.name != "flax" for name in row.holds
]


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_every_network_is_seen_behind_a_prefix_with_all_of_its_names(dialect, name) -> None:
    own = keys.keys(dialect, name)
    names = [f"deep.er/{key}" for key in own]
    places = prefixes.places([*names, "deep.er/elsewhere.weight", "outside.weight"])
    place = next(p for p in places if p.modules == prefixes.modules(dialect, name))
    assert place.prefix == "deep.er/"
    assert set(place.names) == {*names, "deep.er/elsewhere.weight"}
    assert all(place.modules.hold(key) for key in own)
    assert not place.modules.hold("elsewhere.weight")


def test_blocks_beyond_a_networks_count_are_in_its_modules() -> None:
    for dialect, name, more in (
        ("torchvision", "resnet50", "layer5.0.conv1.weight"),
        ("paddleclas-2.0-vd", "resnet50_vd", "bb_2_41.conv0._conv.weight"),
        ("pytorch_impl", "resnet50", "res4b22.branch2a.conv.weight"),
        ("paddle1", "resnet50", "res4b22_branch2a_weights"),
        ("keras", "resnet50_v1", "conv4_block23_1_conv/kernel"),
    ):
        assert prefixes.modules(dialect, name).hold(more), more


def test_a_blocks_own_convolutions_are_no_network_of_few_names() -> None:
    names = [f"enc.{i}.{layer}.weight" for i in range(9) for layer in ("conv1", "bn1", "conv2")]
    assert prefixes.places(names) == []


def test_ten_thousand_names_of_an_unknown_network_take_less_than_a_second() -> None:
    deep = ["a." * 300 + f"layer1.0.conv1.weight{number}" for number in range(10_000)]
    alike = [f"layers.{i}.conv1.{j}" for i in range(2_500) for j in ("weight", "bias", "x", "y")]
    for names in (deep, alike):
        start = time.process_time()
        places = prefixes.places(names)
        assert time.process_time() - start < 1
        assert len({place.prefix for place in places}) <= 32


@pytest.mark.parametrize(
    ("prefix", "known"),
    [("", True), ("module.", True), ("module.encoder_q.", True), ("_orig_mod.module.", True),
     ("Student.", False), ("module.Student.", False), ("modules.", False)],
)  # fmt: skip
def test_which_wrappers_are_known(prefix: str, known: bool) -> None:
    assert wrappers.is_known(prefix) is known


def test_what_tools_have_added_is_left_out_by_its_last_name() -> None:
    names = ["a.total_ops", "total_ops", "a.b.total_params", "_extra_state", "a.total_opss", "w"]
    kept, notes = wrappers.without_added(dict.fromkeys(names, 0))
    assert list(kept) == ["a.total_opss", "w"]
    assert notes == (
        "left out 2 × total_ops: thop's counts of operations",
        "left out 1 × total_params: thop's counts of parameters",
        "left out 1 × _extra_state: torch's extra state of a module",
    )


def test_others_are_counted_by_the_modules_beside_the_network() -> None:
    names = ["module.neck.a.w", "module.neck.b", "module.queue", "module.back.y", "epoch", "g/w"]
    counts = others.by_module(names, "module.backbone.")
    assert counts == {
        "module.neck.": 2, "module.queue": 1, "module.back.": 1, "epoch": 1, "g/": 1,
    }  # fmt: skip
    assert others.listed({"neck.": 40, "head.": 45}) == "`neck.` (40), `head.` (45)"
    many = others.listed({f"m{number}.": number for number in range(20)})
    assert many.startswith("`m19.` (19), `m18.`")
    assert many.endswith(" and 8 more")
    assert len(others.listed({"x" * 10_000: 1})) < 80


@given(st.lists(st.text(".ab/", max_size=9), unique=True), st.text("ab./", max_size=6))
def test_every_other_name_is_counted_once_and_begins_with_its_module(names, prefix) -> None:
    counts = others.by_module(names, prefix)
    assert sum(counts.values()) == len(names)
    for module, count in counts.items():
        assert 1 <= count <= sum(name.startswith(module) for name in names)


def test_the_classifiers_modules() -> None:
    for dialect, name, wanted in (
        ("torchvision", "resnet18", ("fc.",)),
        ("transformers", "resnet50", ("classifier.",)),
        ("mmpretrain", "resnet50", ("head.fc.",)),
        ("torchvision", "vgg11", ("classifier.",)),
        ("keras", "resnet50_v1", ("predictions/",)),
        ("caffe", "resnet50_caffe", ("fc1000/",)),
        ("paddledetection", "resnet50", ()),
    ):
        assert keys.head_modules(dialect, name) == wanted
    for dialect, name in EVERY:
        own = keys.keys(dialect, name)
        head = keys.head_modules(dialect, name)
        for key, entry in own.items():
            if key.startswith(head):
                assert entry.layer in arch.top_layers(name), key
