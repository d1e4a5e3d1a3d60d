"""The search for the network behind a set of tensors, against looking at every one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weight_port.conversion import exhaustive
from weight_port import arch
from weight_port.conversion import candidates
from weight_port.dialects import keys

EVERY = [(row.name, name) for row in keys.DIALECTS.values() for name in row.holds]


def found(tensors, dialect=None, architecture=None) -> list[exhaustive.Fit]:
    """What ``exhaustive.fits`` gives, by the search."""
    return [
        (
            -one.rank[0],
            -one.rank[1],
            one.dialect,
            one.architecture,
            *(one.sizes[size] for size in ("num_classes", "in_channels", "hidden")),
            one.include_top,
            *one.names,
        )
        for one in candidates.best(tensors, dialect, architecture)
    ]


# -- what may have happened to a file


def whole(tensors, _) -> None:
    pass


def lost(tensors, chance) -> None:
    """Up to most of its tensors, the stem's perhaps among them."""
    for key in chance.sample(list(tensors), chance.randrange(1, len(tensors))):
        del tensors[key]


def few_lost(tensors, chance) -> None:
    for key in chance.sample(list(tensors), min(len(tensors) - 1, chance.randrange(1, 9))):
        del tensors[key]


def no_counters(tensors, _) -> None:
    for key in [key for key in tensors if key.endswith(keys.COUNTER)]:
        del tensors[key]


def no_statistics(tensors, _) -> None:
    for key in [key for key in tensors if "mean" in key or "var" in key]:
        del tensors[key]


def renamed(tensors, chance) -> None:
    for key in chance.sample(list(tensors), chance.randrange(1, len(tensors))):
        tensors[f"{key}_"] = tensors.pop(key)


def foreign(tensors, chance) -> None:
    for number in range(chance.randrange(1, 200)):
        tensors[f"layer9.{number}.weight"] = np.zeros(1, np.float32)


def reshaped(tensors, chance) -> None:
    """Other widths, and axes too many or too few."""
    for key in chance.sample(list(tensors), chance.randrange(1, len(tensors))):
        shape = chance.choice([(), (1,), (5, 5), (64, 3, 7, 7), (0, 2), tensors[key].shape[::-1]])
        tensors[key] = np.broadcast_to(np.float32(0), shape)


def another_networks(tensors, chance) -> None:
    """Some of the tensors of another network, in place of its own of the same name."""
    other = keys.keys(*chance.choice(EVERY))
    for key in chance.sample(list(other), chance.randrange(1, len(other))):
        tensors[key] = np.broadcast_to(np.float32(0), other[key].shape)


DAMAGES = (whole, lost, few_lost, no_counters, no_statistics, renamed, foreign, reshaped,
           another_networks)  # fmt: skip


def damaged(fake, dialect: str, name: str, damages, chance):
    """A file of any classes and channels, with or without its classifier, after ``damages``."""
    tensors = dict(
        fake(
            dialect,
            name,
            chance.choice([1, 7, 1000]),
            chance.choice([1, 3, 4]),
            chance.random() < 0.8,
        )
    )
    for damage in damages:
        damage(tensors, chance)
    return tensors


@pytest.mark.parametrize("dialect", keys.DIALECTS)
def test_the_search_finds_what_looking_at_all_finds(fake, dialect: str) -> None:
    """Every network of the dialect, each damaged in another way."""
    for place, name in enumerate(keys.DIALECTS[dialect].holds):
        damage = DAMAGES[place % len(DAMAGES)]
        tensors = damaged(fake, dialect, name, [damage], random.Random(name))
        assert found(tensors) == exhaustive.fits(tensors), (name, damage)


@pytest.mark.parametrize("architecture", ["resnet50_v1", "plain18", "resnet20_b", "lenet5"])
@pytest.mark.parametrize("dialect", [None, "torchvision", "paddle.vision", "caffe"])
def test_so_it_does_of_a_network_that_a_library_does_not_build(fake, dialect, architecture) -> None:
    """A state dict in its names may be of one: v1 in torchvision's, which somebody else built."""
    for pair in (("paddle_impl", "googlenet"), ("torchvision", "resnet50"), ("cifar", "resnet20")):
        tensors = fake(*pair)
        expected = exhaustive.fits(tensors, dialect, architecture)
        assert found(tensors, dialect, architecture) == expected, pair


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(EVERY),
    st.lists(st.sampled_from(DAMAGES), max_size=3, unique=True),
    st.sampled_from([None, *keys.DIALECTS]),
    st.sampled_from([None, *arch.ARCHITECTURES]),
    st.randoms(use_true_random=False),
)
def test_and_so_it_does_whatever_is_asked_and_whatever_happened(
    fake, pair, damages, dialect, architecture, chance
) -> None:
    tensors = damaged(fake, *pair, damages, chance)
    for question in ((), (pair[0], None), (None, pair[1]), (dialect, architecture)):
        assert found(tensors, *question) == exhaustive.fits(tensors, *question)


@pytest.mark.parametrize("name", arch.ARCHITECTURES)
def test_rows_say_which_layers_are_the_classifiers(name: str) -> None:
    assert arch.top_layers(name) == exhaustive.top_layers(name)
    assert arch.class_layers(name) == exhaustive.class_layers(name)
    assert arch.first_layers(name) == arch.layers(name)[: len(arch.first_layers(name))]
    assert set(arch.open_layers(name)) <= set(arch.layers(name))
    others = set(arch.layers(name)) - set(arch.open_layers(name))
    wide = arch.layers(name, 17, 5, hidden=9)
    assert {layer.name for layer in others} <= {
        one.name
        for one, other in zip(arch.layers(name), wide, strict=True)
        if one.out_channels == other.out_channels or one.kind not in ("conv", "linear")
    }


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_rows_say_how_many_names_a_network_has(dialect: str, name: str) -> None:
    row = keys.DIALECTS[dialect]
    possible = candidates.names_needed(row, arch.architecture(name))
    for top in (True, False):
        entries = keys.keys(dialect, name, include_top=top).values()
        assert sum(entry.role != "counter" for entry in entries) in possible
    assert len(possible) <= (4 if row.biased not in ("", "*") else 2)


# -- what is built


@pytest.fixture
def built(monkeypatch) -> list[tuple[str, str]]:
    """The networks that were built in whole."""
    names: list[tuple[str, str]] = []
    build = candidates.candidate

    def watched(tensors, dialect: str, name: str) -> candidates.Candidate:
        names.append((dialect, name))
        return build(tensors, dialect, name)

    monkeypatch.setattr(candidates, "candidate", watched)
    return names


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_of_a_whole_file_little_else_than_what_it_is_is_built(fake, built, dialect, name) -> None:
    best = [
        (one.dialect, one.architecture) for one in candidates.best(fake(dialect, name), None, None)
    ]
    more = set(built) - set(best)
    assert set(best) <= set(built)
    assert len(built) == len(set(built))
    # The same network in a dialect that is told by the way its linear weights stand; VGG-16 without
    # its classifier has as many tensors as VGG-13, and the same first layers.
    assert {other for _, other in more} <= {*same_names(name), "vgg16", "vgg19", "vgg16_bn"}


def same_names(name: str) -> set[str]:
    tensors = arch.ARCHITECTURES[name].tensors
    return {other for other, row in arch.ARCHITECTURES.items() if row.tensors == tensors}


def test_a_bound_below_the_truth_would_be_noticed(fake, monkeypatch) -> None:
    """The mutation: the network that a file is, is passed over."""
    tensors = fake("torchvision", "resnet50")
    assert found(tensors) == exhaustive.fits(tensors)
    needed = candidates.names_needed

    def hidden(library, row) -> set[int]:
        return {0} if row.name == "resnet50" else needed(library, row)

    monkeypatch.setattr(candidates, "names_needed", hidden)
    assert found(tensors) != exhaustive.fits(tensors)
