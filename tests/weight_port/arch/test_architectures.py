"""The table of networks against goldens and figures that do not come from it."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys

import pytest

from tests import ROOT
from tests.goldens import write_goldens
from weight_port import arch

GOLDENS = ROOT / "tests" / "goldens"
DEPTHS = (50, 101, 152)


def golden(depth: int) -> list[str]:
    return (GOLDENS / f"resnet{depth}.txt").read_text().splitlines()


@pytest.mark.parametrize("depth", DEPTHS)
def test_layer_names_are_the_goldens_in_order(depth: int) -> None:
    assert [layer.name for layer in arch.layers(f"resnet{depth}")] == golden(depth)


@pytest.mark.parametrize("depth", DEPTHS)
def test_goldens_are_what_their_script_writes(depth: int) -> None:
    assert write_goldens.names(depth) == golden(depth)


@pytest.mark.parametrize(
    ("depth", "stage", "names"),
    [
        (50, 4, ["res4a", "res4b", "res4c", "res4d", "res4e", "res4f"]),
        (101, 4, ["res4a", *(f"res4b{n}" for n in range(1, 23))]),
        (152, 4, ["res4a", *(f"res4b{n}" for n in range(1, 36))]),
        (101, 3, ["res3a", "res3b", "res3c", "res3d"]),
        (152, 3, [f"res3{letter}" for letter in "abcdefgh"]),
        (34, 4, [f"res4{letter}" for letter in "abcdef"]),
    ],
)
def test_blocks_are_numbered_in_stage_4_of_the_deep_ones_only(
    depth: int, stage: int, names: list[str]
) -> None:
    blocks = arch.blocks(f"resnet{depth}")
    assert [block.name for block in blocks if block.stage == stage] == names


def gates(blocks: tuple[int, ...], channels: int) -> int:
    """Trainable values of squeeze-and-excitation, where stage 2 has ``channels``."""
    widths = [channels * 2**stage for stage in range(4)]
    each = [2 * c * c // 16 + c // 16 + c for c in widths]
    return sum(count * values for count, values in zip(blocks, each, strict=True))


WIDER_STEM = 9 * (3 * 64 + 64 * 64 + 64 * 128) + 2 * (64 + 64 + 128) - 28_512 - 2 * (32 + 32 + 64)

# name, trainable parameters, convolutions, tensors: naming.md's totals; the PaddleClas form adds
# a 64x64 convolution and its batch norm, of which 64 * 64 + 2 * 64 = 4,224 values train.
TOTALS = [
    ("resnet18", 11_689_512, 20, 102),
    ("resnet34", 21_797_672, 36, 182),
    ("resnet50", 25_557_032, 53, 267),
    ("resnet101", 44_549_160, 104, 522),
    ("resnet152", 60_192_808, 155, 777),
    # Without the projections of stages 3 to 5, 1x1 and with a batch norm each: 64*128 + 128*256 +
    # 256*512 weights and 2*(128 + 256 + 512) scales and offsets, 173,824 fewer
    ("plain18", 11_689_512 - 173_824, 17, 87),
    ("plain34", 21_797_672 - 173_824, 33, 167),
    # and with a bias for each of 64 + 4*64 + 4*128 + 4*256 + 4*512 = 3,904 channels
    ("resnet18_text", 11_689_512 - 173_824 + 3_904, 17, 104),
    ("resnet18_paddleclas", 11_689_512 + 4_224, 21, 107),
    ("resnet34_paddleclas", 21_797_672 + 4_224, 37, 187),
    # torchvision's documentation
    ("resnext50_32x4d", 25_028_904, 53, 267),
    ("resnext101_32x8d", 88_791_336, 104, 522),
    ("resnext101_64x4d", 83_455_272, 104, 522),
    # timm's results/model_metadata: 45.19, 44.18 million; 59.95 and 114.97 are PaddleClas's
    ("resnext50_64x4d", 45_192_488, 53, 267),
    ("resnext101_32x4d", 44_177_704, 104, 522),
    ("resnext152_32x4d", 59_951_400, 155, 777),
    ("resnext152_64x4d", 114_971_944, 155, 777),
    # 194, 468 and 829 million in github.com/facebookresearch/WSL-Images
    ("resnext101_32x16d", 194_026_792, 104, 522),
    ("resnext101_32x32d", 468_530_472, 104, 522),
    ("resnext101_32x48d", 828_411_176, 104, 522),
    ("wide_resnet50_2", 68_883_240, 53, 267),
    ("wide_resnet101_2", 126_886_696, 104, 522),
    # Two convolutions and batch norms more; 3*32*9 + 32*32*9 + 32*64*9 weights and 2*(32 + 32)
    # scales and offsets instead of 3*64*49 weights: 19,232 more
    ("resnet18_vd", 11_689_512 + 19_232, 22, 112),
    ("resnet34_vd", 21_797_672 + 19_232, 38, 192),
    ("resnet50_vd", 25_557_032 + 19_232, 55, 277),
    ("resnet101_vd", 44_549_160 + 19_232, 106, 532),
    ("resnet152_vd", 60_192_808 + 19_232, 157, 787),
    ("resnet18_vd_paddleclas", 11_689_512 + 19_232 + 4_224, 23, 117),
    ("resnet34_vd_paddleclas", 21_797_672 + 19_232 + 4_224, 39, 197),
    # Over resnet152_vd 4 blocks in stage 3 and 12 in stage 4, each of two 1x1 convolutions between
    # C and 4*C channels, a 3x3 one of C, and 2*(C + C + 4*C) scales and offsets: 17*C*C + 12*C
    (
        "resnet200_vd",
        60_192_808 + 19_232 + sum(n * (17 * c * c + 12 * c) for n, c in ((4, 128), (12, 256))),
        205,
        1027,
    ),
    # A pool has no tensors: vc's are vd's.
    ("resnet18_vc", 11_689_512 + 19_232, 22, 112),
    ("resnet50_vc", 25_557_032 + 19_232, 55, 277),
    ("resnet101_vc", 44_549_160 + 19_232, 106, 532),
    # the ResNeXts above with that stem
    ("resnext50_vd_32x4d", 25_028_904 + 19_232, 55, 277),
    ("resnext50_vd_64x4d", 45_192_488 + 19_232, 55, 277),
    ("resnext101_vd_32x4d", 44_177_704 + 19_232, 106, 532),
    ("resnext101_vd_64x4d", 83_455_272 + 19_232, 106, 532),
    ("resnext152_vd_32x4d", 59_951_400 + 19_232, 157, 787),
    ("resnext152_vd_64x4d", 114_971_944 + 19_232, 157, 787),
    # C*C/16 weights twice, C/16 and C biases for each block of C channels: see gates
    ("se_resnet18_vd", 11_689_512 + 19_232 + 4_224 + gates((2, 2, 2, 2), 64), 23, 149),
    ("se_resnet34_vd", 21_797_672 + 19_232 + 4_224 + gates((3, 4, 6, 3), 64), 39, 261),
    ("se_resnet50_vd", 25_557_032 + 19_232 + gates((3, 4, 6, 3), 256), 55, 341),
    # 27.56 and 48.96 million are timm's seresnext50_32x4d and 101 as well
    ("se_resnext50_32x4d", 25_028_904 + gates((3, 4, 6, 3), 256), 53, 331),
    ("se_resnext101_32x4d", 44_177_704 + gates((3, 4, 23, 3), 256), 104, 654),
    # A stem of 64, 64 and 128 channels: 3*64*9 + 64*64*9 + 64*128*9 weights and 2*(64 + 64 + 128)
    # scales and offsets, where vd's has 28,512 and 256; and 64 channels more into the first block,
    # of which 128 (or 256) and 256 come out.
    (
        "se_resnext50_vd_32x4d",
        25_028_904 + 19_232 + gates((3, 4, 6, 3), 256) + WIDER_STEM + 64 * (128 + 256),
        55,
        341,
    ),
    (
        "senet154_vd",
        114_971_944 + 19_232 + gates((3, 8, 36, 3), 256) + WIDER_STEM + 64 * (256 + 256),
        157,
        987,
    ),
    # A stride elsewhere changes no tensor.
    *[
        (f"resnet{depth}_{form}", *totals)
        for form in ("v1", "caffe")
        for depth, totals in (
            (50, (25_557_032, 53, 267)),
            (101, (44_549_160, 104, 522)),
            (152, (60_192_808, 155, 777)),
        )
    ],
    ("resnet50_keras", 25_557_032, 53, 267),
    # 3*64*9 weights in the stem instead of 3*64*49, and 10 classes instead of 1000: 7,680 and
    # 990*(C + 1) fewer. 11,173,962 at depth 18.
    *[
        (f"cifar_resnet{depth}", trainable - 7_680 - 990 * (width + 1), convs, 5 * convs + 2)
        for depth, trainable, width, convs in (
            (18, 11_689_512, 512, 20),
            (34, 21_797_672, 512, 36),
            (50, 25_557_032, 2048, 53),
            (101, 44_549_160, 2048, 104),
            (152, 60_192_808, 2048, 155),
        )
    ],
    # He et al. (2015), table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million
    ("resnet20", 269_722, 19, 97),
    ("resnet32", 464_154, 31, 157),
    ("resnet44", 658_586, 43, 217),
    ("resnet56", 853_018, 55, 277),
    ("resnet110", 1_727_962, 109, 547),
    # Two projections with batch norms: 16*32 + 2*32 + 32*64 + 2*64 = 2,752 more
    ("resnet20_b", 269_722 + 2_752, 21, 107),
    ("resnet32_b", 464_154 + 2_752, 33, 167),
    ("resnet44_b", 658_586 + 2_752, 45, 227),
    ("resnet56_b", 853_018 + 2_752, 57, 287),
    ("resnet110_b", 1_727_962 + 2_752, 111, 557),
    # He et al. (2015), figure 6: without shortcuts, which have no parameters there
    ("plain20", 269_722, 19, 97),
    ("plain32", 464_154, 31, 157),
    ("plain44", 658_586, 43, 217),
    ("plain56", 853_018, 55, 277),
    ("plain110", 1_727_962, 109, 547),
    # LeCun et al. (1998), with C3 and C5 joined to all and a linear output: 156 + 2,416 + 48,120 +
    # 10,164 + 850
    ("lenet5", 61_706, 2, 10),
    ("lenet5_relu", 61_706, 2, 10),
    # Krizhevsky et al. (2012) say 60 million, of two towers; in one: 34,944 + 614,656 + 885,120 +
    # 1,327,488 + 884,992 and 37,752,832 + 16,781,312 + 4,097,000
    ("alexnet", 62_378_344, 5, 16),
    ("alexnet_lrn", 62_378_344, 5, 16),
    ("alexnet_owt", 61_100_840, 5, 16),  # torchvision's documentation
    # The authors' Caffe models: 7.6 and 0.97 million
    ("nin", 7_595_176, 12, 24),
    ("nin_cifar", 966_986, 9, 18),
    # torchvision's documentation
    ("vgg11", 132_863_336, 8, 22),
    ("vgg11_bn", 132_868_840, 8, 54),
    ("vgg13", 133_047_848, 10, 26),
    ("vgg13_bn", 133_053_736, 10, 66),
    ("vgg16", 138_357_544, 13, 32),
    ("vgg16_bn", 138_365_992, 13, 84),
    ("vgg19", 143_667_240, 16, 38),
    ("vgg19_bn", 143_678_248, 16, 102),
    # bvlc_googlenet: 6,998,552 in evaluation and 6,379,728 in the heads; torchvision's, whose
    # documentation counts 6,624,904, the heads left out
    ("googlenet", 6_998_552 + 6_379_728, 59, 128),
    ("googlenet_bn", 6_624_904 + 6_379_984, 59, 305),
]
SIX_N_TWO = [(20, 3), (32, 5), (44, 7), (56, 9), (110, 18)]  # depth 6n + 2, n


def test_every_row_of_the_table_has_its_totals_here() -> None:
    assert [name for name, *_ in TOTALS] == list(arch.ARCHITECTURES)


@pytest.mark.parametrize(("name", "trainable", "convs", "tensors"), TOTALS)
def test_totals(name: str, trainable: int, convs: int, tensors: int) -> None:
    found = arch.parameters(name)
    assert arch.count_trainable(found) == trainable
    assert sum(layer.kind == "conv" for layer in arch.layers(name)) == convs
    assert arch.ARCHITECTURES[name].counts[0] == convs
    assert len(found) == len({parameter.name for parameter in found}) == tensors


@pytest.mark.parametrize(("depth", "n"), SIX_N_TWO)
def test_6n_plus_2_by_the_papers_own_table(depth: int, n: int) -> None:
    """He et al. (2015), section 4.2: 1 + 2n, 2n and 2n convolutions on maps of 32, 16 and 8."""
    # (side of the map, weights of its convolutions, values of its batch norms)
    stages = [
        (32, 3 * 16 * 9 + 2 * n * 16 * 16 * 9, (1 + 2 * n) * 2 * 16),
        (16, 16 * 32 * 9 + (2 * n - 1) * 32 * 32 * 9, 2 * n * 2 * 32),
        (8, 32 * 64 * 9 + (2 * n - 1) * 64 * 64 * 9, 2 * n * 2 * 64),
    ]
    name = f"resnet{depth}"
    trainable = sum(weights + norms for _, weights, norms in stages) + 64 * 10 + 10
    assert arch.count_trainable(arch.parameters(name)) == trainable
    operations = sum(side * side * weights for side, weights, _ in stages) + 64 * 10
    assert arch.multiply_adds(name) == arch.multiply_adds(name, 32, 32) == operations
    projected = operations + 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64
    assert arch.multiply_adds(f"{name}_b") == projected
    # As it is counted: without the projections.
    weighted = [x for x in arch.layers(f"{name}_b") if x.kind in ("conv", "linear")]
    assert len([x for x in weighted if x.branch != "branch1"]) == depth


def test_three_stages_are_lettered_to_the_end_and_have_no_pool1() -> None:
    found = arch.layers("resnet110")
    names = [layer.name for layer in found]
    assert names[:4] == ["conv1", "bn_conv1", "res2a_branch2a", "bn2a_branch2a"]
    blocks = [layer.name for layer in found if layer.kind == "block"]
    letters = "abcdefghijklmnopqr"
    assert blocks == [f"res{stage}{letter}" for stage in (2, 3, 4) for letter in letters]
    assert [layer.reduction for layer in found if layer.name in ("conv1", "res4r")] == [1, 4]
    assert not [name for name in names if name.endswith("branch1") or name == "pool1"]
    projected = [layer.name for layer in arch.layers("resnet110_b") if layer.branch == "branch1"]
    assert projected == [f"{x}{s}a_branch1" for s in (3, 4) for x in ("res", "bn")]


def test_each_network_has_the_classes_and_the_size_of_its_images() -> None:
    for name, row in arch.ARCHITECTURES.items():
        if name in arch.CLASSICS:
            continue
        depth = re.sub("^(resnet|plain)|_b$", "", name)
        cifar = name.startswith("cifar_") or depth in ("20", "32", "44", "56", "110")
        assert (row.classes, row.size) == ((10, 32) if cifar else (1000, 224))
        assert arch.layers(name)[-1].out_channels == row.classes
        assert arch.parameters(name) == arch.parameters(name, row.classes)
        assert arch.multiply_adds(name) == arch.multiply_adds(name, row.size, row.size)


def test_totals_with_statistics_are_those_of_paddle_vision() -> None:
    assert sum(math.prod(p.shape) for p in arch.parameters("resnet50")) == 25_610_152


@pytest.mark.parametrize(
    ("name", "gmacs"),
    [
        ("resnet50", 4.09),
        ("resnet101", 7.80),
        ("resnet152", 11.51),
        # torchvision's documentation, GFLOPS of the weights' tables
        ("resnext50_32x4d", 4.23),
        ("resnext101_32x8d", 16.41),
        ("resnext101_64x4d", 15.46),
        ("wide_resnet50_2", 11.40),
        ("wide_resnet101_2", 22.75),
        # timm's results/model_metadata
        ("resnet50_vd", 4.33),
        # He et al. (2015), table 1: 3.8 billion
        ("resnet50_v1", 3.86),
        # ResNet-18's without the stem's 0.118, and its stages on maps 32/56 as large: 0.556
        ("cifar_resnet18", 0.56),
        ("resnet110", 0.25),
        # ResNet-18's 1.814 without its projections': 3 * 64*128*28*28; and of 34, 3.664
        ("plain18", 1.79),
        ("plain34", 3.64),
    ],
)
def test_multiply_adds(name: str, gmacs: float) -> None:
    assert round(arch.multiply_adds(name) / 1e9, 2) == gmacs


def test_a_plain_network_costs_what_its_resnet_does_but_for_the_projections() -> None:
    """He et al. (2015), table 1 and figure 3: the same layers, hence the same FLOPs."""
    for depth in (18, 34):
        projections = 3 * 64 * 128 * 28 * 28
        plain = arch.multiply_adds(f"plain{depth}")
        assert plain == arch.multiply_adds(f"resnet{depth}") - projections
        ours, theirs = (arch.layers(f"{form}{depth}") for form in ("plain", "resnet"))
        assert [x.name for x in ours] == [x.name for x in theirs if x.branch != "branch1"]
    for depth, _ in SIX_N_TWO:  # option A costs nothing
        ours, theirs = (f"{form}{depth}" for form in ("plain", "resnet"))
        assert arch.multiply_adds(ours) == arch.multiply_adds(theirs)
        assert arch.layers(ours)[-1] == arch.layers(theirs)[-1]
        assert arch.parameters(ours) == arch.parameters(theirs)
    for name in ("plain18", "plain20", "plain110"):
        assert not any(block.added or block.padded for block in arch.blocks(name)), name


def test_resnet18_from_the_text_has_eighteen_layers_and_five_shortcuts() -> None:
    found = [x for x in arch.layers("resnet18_text") if x.kind in ("conv", "linear")]
    assert len(found) == arch.ARCHITECTURES["resnet18_text"].weighted_layers == 18
    assert all(len(layer.parameters) == 2 for layer in found)
    assert found[1].parameters[1].name == "res2a_branch2a_offset"
    added = [block.name for block in arch.blocks("resnet18_text") if block.added]
    assert added == ["res2a", "res2b", "res3b", "res4b", "res5b"]


@pytest.mark.parametrize("name", arch.RESNETS)
def test_the_number_in_a_name_counts_the_weighted_layers(name: str) -> None:
    number = int(re.search(r"(?:resnet|resnext|senet|plain)(\d+)", name)[1])
    if name == "senet154_vd":  # its three of the stem are counted: Hu et al. (2018), section 5.1
        number -= 2
    assert arch.ARCHITECTURES[name].weighted_layers == number
    weighted = [layer for layer in arch.layers(name) if layer.kind in ("conv", "linear")]
    beside = ("branch1", "squeeze", "excitation")
    counted = [layer for layer in weighted if layer.branch not in beside]
    assert len(counted) == number + 2 * bool(arch.ARCHITECTURES[name].deep)


# Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks" (2019), table 1:
# ResNet-v1-50, 101 and 152 have 483, 1027 and 1507 pixels, with the stride in the first 1x1 as He
# had it. In the 3x3 a block that strides sees less by twice the spacing that it saves: 427 at 50.
FIELDS = [
    ("resnet50_v1", 483), ("resnet101_v1", 1027), ("resnet152_v1", 1507), ("resnet50", 427),
    # By hand: 7 + 2*2 after pool1 (11, spacing 4); 4 convolutions of +8; stage 3 +8, 3 of +16;
    # stage 4 +16, 3 of +32; stage 5 +32, 3 of +64.
    ("resnet18", 11 + 32 + 8 + 48 + 16 + 96 + 32 + 192), ("plain18", 435),
    # 3x3 throughout: 1 + 2*7 at spacing 1, then 2 + 5*4 and 4 + 5*8 by the same count.
    ("resnet20", 15 + 2 + 5 * 4 + 4 + 5 * 8), ("plain20", 81),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pixels"), FIELDS)
def test_receptive_field_of_the_last_block(name: str, pixels: int) -> None:
    found = arch.receptive_fields(name)
    assert list(found.values())[-1] == pixels
    assert list(found) == [layer.name for layer in arch.layers(name, include_top=False)]


def test_receptive_fields_on_the_way() -> None:
    found = arch.receptive_fields("resnet50")
    assert [found[name] for name in ("conv1", "bn_conv1", "pool1")] == [7, 7, 11]
    assert [found[f"res2a_branch2{x}"] for x in "abc"] == [11, 19, 19]
    assert found["res2a_branch1"] == found["bn2a_branch1"] == 11
    assert found["res2a"] == 19
    vd = arch.receptive_fields("resnet50_vd")
    assert [vd[f"conv1_{n}"] for n in (1, 2, 3)] == [3, 7, 11]
    assert vd["res3a_branch1"] == vd["res2c"] + 4  # the 2x2 pool at a spacing of 4


@pytest.mark.parametrize("name", ["resnet50", "resnet50_v1", "resnet18_vd", "resnet20"])
def test_receptive_fields_are_where_a_pixel_is_felt(name: str) -> None:
    """A gradient back from one value in the middle, through weights that are all positive."""
    import torch

    import pytorch_impl

    network = pytorch_impl.MODELS[name](include_top=False).double().eval()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 1e-2).requires_grad_(False)
    if not arch.ARCHITECTURES[name].cifar:
        network.pool1 = torch.nn.AvgPool2d(3, 2, 1)  # a maximum feels one pixel of its window
    size = {"resnet50_v1": 512, "resnet20": 128}.get(name, 480)
    images = torch.zeros(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    maps = network(images + 1)
    middle = maps.shape[2] // 2
    torch.autograd.backward(maps[0, 0, middle, middle])
    felt = (images.grad[0, 0].abs().sum(0) > 0).nonzero().flatten()
    edge = felt[0] == 0 or felt[-1] == size - 1
    assert not edge
    assert int(felt[-1] - felt[0]) + 1 == list(arch.receptive_fields(name).values())[-1]


def test_multiply_adds_of_odd_sizes_round_up() -> None:
    # The stem alone turns 33 pixels into 17 and 32 into 16.
    assert arch.multiply_adds("resnet50", 33, 32) > arch.multiply_adds("resnet50", 32, 32)
    assert arch.multiply_adds("resnet50", 33, 32) == arch.multiply_adds("resnet50", 32, 33)


@pytest.mark.parametrize("name", arch.RESNETS)
def test_channels_and_sizes_flow_from_layer_to_layer(name: str) -> None:
    found = arch.layers(name, num_classes=7, in_channels=4)
    assert found[0].in_channels == 4
    assert found[-1].parameters[0].shape == (found[-2].out_channels, 7)
    for block in arch.blocks(name):
        mine = [layer for layer in found if layer.block == block]
        main = [layer for layer in mine if layer.branch.startswith("branch2")]
        assert main[0].in_channels == block.in_channels
        assert all(a.out_channels == b.in_channels for a, b in itertools.pairwise(main))
        assert main[-1].out_channels == mine[-1].out_channels == block.out_channels
        assert {layer.reduction for layer in mine[-3:]} == {mine[-1].reduction}
        assert {layer.groups for layer in mine} <= {1, arch.ARCHITECTURES[name].groups}
        strided = [layer.name for layer in mine if layer.stride == 2 and layer.branch != "branch1"]
        row = arch.ARCHITECTURES[name]
        place = "b" if row.bottleneck and not row.stride_in_1x1 else "a"
        assert {name[-1] for name in strided} == ({place} if block.stride == 2 else set())
        for layer in mine:
            if layer.branch == "branch1" and layer.kind == "conv":
                assert (layer.stride == 1) == (block.stride == 1 or row.pooled)


def test_the_vd_stem_has_the_odd_names_of_its_batch_norms() -> None:
    found = arch.layers("resnet50_vd")
    stem = [(layer.name, layer.kernel, layer.stride, layer.out_channels) for layer in found[:7]]
    assert stem == [
        ("conv1_1", 3, 2, 32),
        ("bnv1_1", 1, 1, 32),
        ("conv1_2", 3, 1, 32),
        ("bnv1_2", 1, 1, 32),
        ("conv1_3", 3, 1, 64),
        ("bnv1_3", 1, 1, 64),
        ("pool1", 3, 2, 64),
    ]


@pytest.mark.parametrize(
    ("form", "pooled"),
    # height of pool1's output for 112 (from 224), 113 (225), 16 (32) and 17 (33) rows
    [("", (56, 57, 8, 9)), ("_caffe", (56, 56, 8, 8)), ("_keras", (55, 56, 7, 8))],
)
def test_multiply_adds_count_the_sizes_that_pool1_leaves(form: str, pooled: tuple) -> None:
    # Of a network of one column, by hand: what the first block's three convolutions cost.
    name = f"resnet50{form}"
    head = arch.layers(name).index(next(x for x in arch.layers(name) if x.name == "res2a_branch2b"))
    layer = arch.layers(name)[head]
    for image, rows in zip((224, 225, 32, 33), pooled, strict=True):
        assert arch.sides(name, image)[layer.name] == (rows, rows)


@pytest.mark.parametrize("form", ["v1", "caffe", "keras"])
def test_the_stride_in_the_1x1_changes_the_cost_but_no_tensor(form: str) -> None:
    v15, other = arch.ARCHITECTURES["resnet50"], arch.ARCHITECTURES[f"resnet50_{form}"]
    assert v15.tensors == other.tensors
    assert arch.parameters("resnet50") == arch.parameters(other.name)
    assert arch.multiply_adds(other.name) < arch.multiply_adds("resnet50")


def test_rows_of_unlike_tensors_are_told_apart() -> None:
    rows = list(arch.ARCHITECTURES.values())
    for one, other in itertools.combinations(rows, 2):
        same = arch.parameters(one.name) == arch.parameters(other.name)
        assert (one.tensors == other.tensors) == same, (one.name, other.name)


def test_without_the_top_the_classifier_is_all_that_goes() -> None:
    whole, headless = arch.layers("resnet50"), arch.layers("resnet50", include_top=False)
    assert whole[: len(headless)] == headless
    assert [layer.name for layer in whole[len(headless) :]] == ["pool5", "fc"]


@pytest.mark.parametrize("ask", [arch.architecture, arch.blocks, arch.layers, arch.parameters])
def test_unknown_names_are_an_error_that_lists_the_known(ask) -> None:
    with pytest.raises(
        KeyError, match="unknown architecture 'resnet51': one of resnet18, resnet34"
    ):
        ask("resnet51")


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after ``statement``."""
    code = f"import sys; {statement}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_table_needs_the_standard_library_alone() -> None:
    found = {name.partition(".")[0] for name in loaded_by("import weight_port.arch")}
    before = {name.partition(".")[0] for name in loaded_by("pass")}
    assert found - before - set(sys.stdlib_module_names) == {"weight_port"}
