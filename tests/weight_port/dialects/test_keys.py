"""The key tables of the dialects, against the libraries' own models and by their properties."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from functools import partial

import numpy as np
import paddle
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

import paddle_impl
import pytorch_impl
import weight_port
from tests.helpers import library_models as models
from weight_port import arch
from weight_port.dialects import keys
from weight_port.formats import files

EVERY = [(row.name, name) for row in keys.DIALECTS.values() for name in row.holds]
LIBRARIES = ("torchvision", "paddle.vision")
STANDARD = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")

# Rows of naming.md, and of the libraries' files: what a key must be, not what the table gives.
SAMPLES = {
    "paddle1": """conv1_weights bn_conv1_scale bn_conv1_offset bn_conv1_mean bn_conv1_variance
        res2a_branch2a_weights bn2a_branch2a_scale res2a_branch1_weights bn2a_branch1_variance
        res4b22_branch2c_weights bn4b22_branch2b_mean fc_0.w_0 fc_0.b_0""",
    "pytorch_impl": """conv1.conv.weight conv1.bn.weight conv1.bn.bias conv1.bn.running_mean
        conv1.bn.running_var conv1.bn.num_batches_tracked res2a.branch2a.conv.weight
        res2a.branch1.bn.running_var res4b22.branch2c.conv.weight fc.weight fc.bias""",
    "paddle_impl": """conv1.conv.weight conv1.bn.weight conv1.bn.bias conv1.bn._mean
        conv1.bn._variance res2a.branch2a.conv.weight res2a.branch1.bn._variance
        res4b22.branch2c.conv.weight fc.weight fc.bias""",
    "torchvision": """conv1.weight bn1.weight bn1.bias bn1.running_mean bn1.running_var
        bn1.num_batches_tracked layer1.0.conv1.weight layer1.0.downsample.0.weight
        layer1.0.downsample.1.running_var layer3.22.conv3.weight layer4.2.bn3.running_var
        fc.weight fc.bias""",
    "paddle.vision": """conv1.weight bn1.weight bn1.bias bn1._mean bn1._variance
        layer1.0.conv1.weight layer1.0.downsample.0.weight layer1.0.downsample.1._variance
        layer3.22.conv3.weight layer4.2.bn3._variance fc.weight fc.bias""",
    "paddleclas-2.0": """conv._conv.weight conv._batch_norm._mean res2a.conv0._conv.weight
        res2a.short._conv.weight res2a.short._batch_norm._variance res3d.conv2._conv.weight
        res4b22.conv2._batch_norm._variance out.weight out.bias""",
    "paddleclas-2.0-vd": """conv1_1._conv.weight conv1_3._batch_norm._mean
        bb_0_0.conv0._conv.weight bb_0_0.short._conv.weight bb_2_22.conv2._batch_norm._variance
        bb_3_0.short._batch_norm.weight out.weight""",
    "paddleclas": """stem.0.conv.weight stem.0.bn._mean blocks.0.conv0.conv.weight
        blocks.0.short.conv.weight blocks.30.short.bn._mean blocks.32.conv2.bn._variance
        fc.weight""",
    "paddledetection": """conv1.conv1.conv.weight conv1.conv1.norm._mean
        res2.res2a.branch2a.conv.weight res2.res2a.short.conv.weight
        res4.res4b22.branch2c.norm._variance""",
    "timm": """conv1.weight bn1.running_mean layer1.0.downsample.0.weight
        layer3.22.conv3.weight fc.weight""",
    "transformers": """resnet.embedder.embedder.convolution.weight
        resnet.embedder.embedder.normalization.running_mean
        resnet.encoder.stages.0.layers.0.layer.0.convolution.weight
        resnet.encoder.stages.0.layers.0.shortcut.convolution.weight
        resnet.encoder.stages.2.layers.22.layer.2.normalization.num_batches_tracked
        classifier.1.weight classifier.1.bias""",
    "transformers-backbone": """embedder.embedder.convolution.weight
        embedder.embedder.normalization.running_mean
        encoder.stages.0.layers.0.layer.0.convolution.weight
        encoder.stages.1.layers.0.shortcut.convolution.weight""",
    "presnet": """conv1.conv1_1.conv.weight conv1.conv1_1.norm.running_mean
        res_layers.0.blocks.0.branch2a.conv.weight res_layers.0.blocks.0.short.conv.weight
        res_layers.2.blocks.22.branch2c.norm.running_var""",
    "mmseg": "stem.0.weight stem.1.running_mean stem.7.bias layer3.22.conv3.weight",
    "fastai": """0.weight 1.running_mean 4.0.conv1.weight 4.0.downsample.0.weight
        7.2.bn3.running_var""",
    "paddleclas-wsl": """_conv_stem._conv.weight _conv_stem._bn._mean
        _conv1_0._conv0._conv.weight _conv1_0._short._conv._conv.weight
        _conv3_22._conv2._bn._variance _out.weight""",
    "mmpretrain": """backbone.conv1.weight backbone.bn1.running_var
        backbone.layer1.0.downsample.0.weight backbone.layer3.22.bn3.bias head.fc.weight""",
    "detectron2": """stem.conv1.weight stem.conv1.norm.running_mean res2.0.conv1.weight
        res2.0.shortcut.weight res2.0.shortcut.norm.running_var res4.22.conv3.norm.bias
        linear.weight linear.bias""",
    "keras": """conv1_conv/kernel conv1_conv/bias conv1_bn/gamma conv1_bn/moving_variance
        conv2_block1_1_conv/kernel conv2_block1_0_conv/bias conv4_block23_3_bn/beta
        predictions/kernel predictions/bias""",
    "keras-first": """conv1/kernel conv1/bias bn_conv1/gamma res2a_branch2a/kernel
        bn2a_branch2a/moving_mean res2a_branch1/bias res4f_branch2c/kernel fc1000/kernel""",
    "tf-official": """conv1/kernel bn_conv1/gamma bn_conv1/moving_variance res2a_branch1/kernel
        res4f_branch2c/kernel bn5c_branch2c/beta fc1000/kernel fc1000/bias""",
    "flax": """params/conv_init/kernel params/bn_init/scale batch_stats/bn_init/mean
        params/BottleneckResNetBlock_0/Conv_0/kernel params/BottleneckResNetBlock_0/conv_proj/kernel
        batch_stats/BottleneckResNetBlock_0/norm_proj/var
        batch_stats/BottleneckResNetBlock_32/BatchNorm_2/mean params/Dense_0/kernel
        params/Dense_0/bias""",
    "caffe": """conv1/0 bn_conv1/0 bn_conv1/1 bn_conv1/2 scale_conv1/0 scale_conv1/1
        res2a_branch1/0 scale2a_branch2a/1 res3b3_branch2a/0 bn4b22_branch2c/2 fc1000/0 fc1000/1""",
    "cifar": """conv1.weight bn1.running_mean layer1.0.conv1.weight layer2.0.shortcut.0.weight
        layer2.0.shortcut.1.running_var layer3.17.bn2.num_batches_tracked linear.weight
        linear.bias""",
    "cifar-fc": """conv1.weight bn1.running_mean layer1.0.conv1.weight layer2.0.downsample.0.weight
        layer2.0.downsample.1.running_var layer3.17.bn2.bias fc.weight fc.bias""",
}
VD_SAMPLES = {
    "paddle1": "conv1_1_weights bnv1_1_scale conv1_3_weights bnv1_3_variance res3a_branch1_weights",
    "pytorch_impl": "conv1_1.conv.weight conv1_1.bn.running_mean res3a.branch1.conv.weight",
    "paddle_impl": "conv1_2.conv.weight conv1_3.bn._mean res3a.branch1.conv.weight",
    "paddleclas-2.0-vd": "conv1_1._conv.weight conv1_3._batch_norm._mean bb_1_0.short._conv.weight",
    "paddleclas": "stem.0.conv.weight stem.2.bn._mean blocks.3.short.conv.weight",
    "paddledetection": """conv1.conv1_1.conv.weight conv1.conv1_3.norm._mean
        res2.res2a.short.conv.weight res3.res3a.short.conv.conv.weight
        res3.res3a.short.conv.norm._mean""",
    "timm": """conv1.0.weight conv1.1.running_mean conv1.3.weight conv1.4.bias conv1.6.weight
        bn1.weight layer1.0.downsample.1.weight layer2.0.downsample.2.running_var""",
    "transformers-backbone": """embedder.embedder.0.convolution.weight
        embedder.embedder.2.normalization.running_var
        encoder.stages.0.layers.0.shortcut.convolution.weight
        encoder.stages.1.layers.0.shortcut.1.convolution.weight""",
    "presnet": """conv1.conv1_1.conv.weight conv1.conv1_3.norm.running_mean
        res_layers.0.blocks.0.short.conv.weight res_layers.1.blocks.0.short.conv.conv.weight""",
    "mmseg": """stem.0.weight stem.1.running_mean stem.3.weight stem.6.weight stem.7.running_var
        layer1.0.downsample.1.weight layer2.0.downsample.2.bias""",
    "mmpretrain": """backbone.stem.0.conv.weight backbone.stem.2.bn.running_mean
        backbone.layer1.0.downsample.0.weight backbone.layer2.0.downsample.1.weight""",
}


def deepest(dialect: str, vd: bool = False) -> str:
    """The dialect's ResNet-101, or the nearest to it that it has."""
    rows = [arch.ARCHITECTURES[name] for name in keys.DIALECTS[dialect].holds]
    held = [row.name for row in rows if row.vd == vd and bool(row.deep) == vd]
    return next((name for name in held if name.startswith("resnet101")), held[-1])


@pytest.mark.parametrize("dialect", keys.DIALECTS)
def test_sample_keys(dialect: str) -> None:
    vd = dialect in ("paddleclas-2.0-vd", "mmseg")
    assert set(SAMPLES[dialect].split()) <= set(keys.keys(dialect, deepest(dialect, vd)))


@pytest.mark.parametrize("dialect", [row.name for row in keys.DIALECTS.values() if row.deep])
def test_sample_keys_of_vd_networks(dialect: str) -> None:
    assert set(VD_SAMPLES[dialect].split()) <= set(keys.keys(dialect, deepest(dialect, True)))


def test_every_row_says_how_it_was_verified_and_none_by_sample_keys_alone() -> None:
    said = {row.name: row.verified for row in keys.DIALECTS.values()}
    assert [name for name, text in said.items() if not text or "sample" in text] == []


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_keys_are_one_to_one_with_the_scheme(dialect: str, name: str) -> None:
    row = keys.DIALECTS[dialect]
    found = keys.keys(dialect, name, num_classes=7)
    parameters = arch.parameters(name, num_classes=7, include_top=row.linear is not None)
    assert [e.parameter for e in found.values() if e.parameter] == list(parameters)
    counters = [key for key, entry in found.items() if entry.role == "counter"]
    norms = sum(layer.kind == "batch_norm" for layer in arch.layers(name))
    assert len(counters) == (norms if row.torch else 0)
    assert len({entry.name for entry in found.values()}) == len(found)


@pytest.mark.parametrize("depth", [101, 152])
def test_stage_3_is_numbered_by_caffe_alone(depth: int) -> None:
    """The trap of naming.md: b1, b2, … in stages 3 and 4 there, in stage 4 only here."""
    blocks = {101: 4, 152: 8}[depth]
    caffe = keys.keys("caffe", f"resnet{depth}_caffe")
    ours = keys.keys("paddle1", f"resnet{depth}_caffe")
    by_name = {entry.name: key for key, entry in caffe.items()}
    for index in range(blocks):
        theirs = "res3a" if index == 0 else f"res3b{index}"
        mine = f"res3{'abcdefgh'[index]}_branch2a_weights"
        assert ours[mine].name == mine
        assert by_name[mine] == f"{theirs}_branch2a/0"
    assert f"res3b{blocks}_branch2a/0" not in caffe
    assert not {key for key in ours if key.startswith("res3b1")}


def test_stage_3_is_lettered_by_caffe_too_at_depth_50() -> None:
    assert "res3d_branch2a/0" in keys.keys("caffe", "resnet50_caffe")
    assert "res4f_branch2a/0" in keys.keys("caffe", "resnet50_caffe")


def test_torchvision_has_no_shortcut_in_the_first_stage_of_18_and_34() -> None:
    for name in ("resnet18", "resnet34"):
        for dialect in ("torchvision", "timm", "transformers", "detectron2", "mmpretrain"):
            found = {entry.name for entry in keys.keys(dialect, name).values()}
            assert not {key for key in found if key.startswith("res2a_branch1")}
        for dialect in ("paddleclas", "paddleclas-2.0", "paddledetection"):
            assert name not in keys.DIALECTS[dialect].holds
            found = {e.name for e in keys.keys(dialect, f"{name}_paddleclas").values()}
            assert "res2a_branch1_weights" in found


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_without_the_top_the_classifier_is_all_that_goes(dialect: str, name: str) -> None:
    whole = keys.keys(dialect, name)
    headless = keys.keys(dialect, name, include_top=False)
    if keys.DIALECTS[dialect].linear is None:
        assert whole == headless
        return
    gone = [key for key in whole if key not in headless]
    if name in arch.RESNETS:
        assert gone == list(whole)[-2:]
        assert {whole[key].layer for key in gone} == {"fc"}
    assert gone == [key for key, entry in whole.items() if entry.layer in arch.top_layers(name)]
    assert gone


def shapes_of(model) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


def shapes_by_table(dialect: str, name: str, num_classes: int) -> dict[str, tuple[int, ...]]:
    return {key: entry.shape for key, entry in keys.keys(dialect, name, num_classes).items()}


@pytest.mark.parametrize("name", STANDARD)
def test_torchvision_has_these_keys_and_shapes_in_this_order(name: str) -> None:
    with torch.device("meta"):
        make = OF_TORCHVISION.get(name) or partial(getattr(torchvision.models, name), num_classes=7)
        real = shapes_of(make())
    table = shapes_by_table("torchvision", name, 7)
    assert table == real
    # Within a block torchvision lists bn1 before conv2 and the shortcut last, as we do.
    assert list(table) == list(real)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_paddle_vision_has_these_keys_and_shapes(name: str) -> None:
    real = shapes_of(getattr(paddle.vision.models, name)(num_classes=7))
    assert shapes_by_table("paddle.vision", name, 7) == real


def torchvisions(name: str) -> torch.nn.Module:
    """torchvision's network of 7 classes, by its function or, where it has none, its class."""
    make = getattr(torchvision.models, name, None)
    return make(num_classes=7) if make else models.torchvision(name, num_classes=7)


OF_TORCHVISION = {
    "alexnet_owt": partial(torchvision.models.alexnet, num_classes=7),
    "googlenet_bn": partial(torchvision.models.googlenet, num_classes=7, init_weights=False),
}


@pytest.mark.parametrize("name", keys.DIALECTS["torchvision"].holds)
def test_torchvision_has_every_network_that_its_row_holds(name: str) -> None:
    with torch.device("meta"):
        real = shapes_of(OF_TORCHVISION[name]() if name in OF_TORCHVISION else torchvisions(name))
    assert shapes_by_table("torchvision", name, 7) == real


@pytest.mark.parametrize("name", keys.DIALECTS["fastai"].holds)
def test_fastais_body_has_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        body = torch.nn.Sequential(*list(torchvisions(name).children())[:-2])
    assert shapes_by_table("fastai", name, 7) == shapes_of(body)


@pytest.mark.parametrize("name", arch.ARCHITECTURES)
def test_pytorch_impl_has_these_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        real = shapes_of(pytorch_impl.MODELS[name](num_classes=7))
    assert shapes_by_table("pytorch_impl", name, 7) == real


@pytest.mark.parametrize("name", ["resnet18_paddleclas", "resnet50"])
def test_paddle_impl_has_these_keys_shapes_and_parameter_names(name: str) -> None:
    model = paddle_impl.MODELS[name](num_classes=7)
    assert shapes_by_table("paddle_impl", name, 7) == shapes_of(model)
    given_names = {key: tensor.name for key, tensor in model.state_dict().items()}
    found = keys.keys("paddle_impl", name, 7)
    assert {key: entry.name for key, entry in found.items()} == given_names


def test_a_wrong_template_does_not_pass_for_the_library(monkeypatch) -> None:
    row = keys.DIALECTS["torchvision"]
    swapped = dataclasses.replace(row, branch1=row.branch1[::-1])
    monkeypatch.setitem(keys.DIALECTS, "torchvision", swapped)
    keys._all_keys.cache_clear()
    try:
        with torch.device("meta"):
            real = shapes_of(torchvision.models.resnet50(num_classes=7))
        assert shapes_by_table("torchvision", "resnet50", 7) != real
    finally:
        monkeypatch.undo()
        keys._all_keys.cache_clear()


# -- detection


def assert_is(found: weight_port.Detection, dialect: str, name: str) -> None:
    """That it is what was made, or what has the very same keys and shapes, and says so."""
    assert dialect in (found.dialect, *found.aliases)
    assert name in (found.architecture, *found.twins)
    form = keys.DIALECTS[found.dialect].form
    wanted = form(arch.ARCHITECTURES[name])
    assert form(arch.ARCHITECTURES[found.architecture]) == wanted
    alike = [n for n, other in arch.ARCHITECTURES.items() if form(other) == wanted]
    held = [n for n in keys.DIALECTS[found.dialect].holds if n in alike]
    # Keras's and Caffe's names are of one release; under the others anyone saves networks.
    released = found.dialect in ("keras", "keras-first", "tf-official", "flax", "caffe")
    strangers = [] if released else [n for n in alike if n not in held]
    assert [found.architecture, *found.twins] == held + strangers


HEADS = [(2048, 4), (512, 1)]  # one of the two makes a square classifier


@pytest.mark.parametrize(
    ("dialect", "name", "classes", "channels"),
    [(*pair, 7, 3) for pair in EVERY]
    + [(row.name, row.holds[0], *head) for row in keys.DIALECTS.values() for head in HEADS],
)
def test_detection(fake, dialect: str, name: str, classes: int, channels: int) -> None:
    found = weight_port.detect(fake(dialect, name, classes, channels))
    assert_is(found, dialect, name)
    headless = keys.DIALECTS[dialect].linear is None
    assert found.num_classes == (None if headless else classes)
    assert found.in_channels == channels
    assert found.include_top is not headless
    assert f"of {found.architecture} in {found.dialect}" in found.reason


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_detection_without_the_classifier(fake, dialect: str, name: str) -> None:
    found = weight_port.detect(fake(dialect, name, include_top=False))
    assert_is(found, dialect, name)
    assert not found.include_top


@pytest.mark.parametrize("dialect", ["torchvision", "pytorch_impl"])
def test_detection_of_files_from_before_torch_counted_batches(fake, dialect: str) -> None:
    tensors = fake(dialect, "resnet50")
    old = {key: array for key, array in tensors.items() if not key.endswith("tracked")}
    found = weight_port.detect(old)
    assert (found.dialect, found.architecture) == (dialect, "resnet50")


def without_form(name: str) -> str:
    """Of networks that differ in a few shortcuts, one name."""
    return name.removesuffix("_paddleclas").removesuffix("_b")


NARROW = [name for name, row in arch.CLASSICS.items() if row.hidden]  # 8, as ``fake`` makes them


def the_very_same(dialect: str, other: str, name: str, kept: list[str]) -> bool:
    """Whether two dialects have all names in common, and those that are kept in the same shapes.

    VGG's without batch norms in torchvision and paddle.vision, once the weights are lost by which
    linear layers differ: no one can tell then.
    """
    one, two = (keys.keys(d, name, 7, hidden=8) for d in (dialect, other))
    return one.keys() == two.keys() and all(one[key].shape == two[key].shape for key in kept)


def apart(network: Iterable[str], left: Iterable[str]) -> int:
    """How many names only one of the two has."""
    return len(set(network) ^ set(left))


def test_a_vgg16_without_what_a_vgg13_has_not_is_a_vgg13(fake) -> None:
    tensors, other = fake("paddle1", "vgg16"), fake("paddle1", "vgg13")
    more = sorted(set(tensors) - set(other))
    assert len(more) == 6  # of three layers
    for lost in range(7):
        left = {key: array for key, array in tensors.items() if key not in more[:lost]}
        nearer = "vgg13" if apart(other, left) < apart(tensors, left) else "vgg16"
        assert weight_port.detect(left).architecture == nearer == ("vgg16", "vgg13")[lost > 3]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EVERY), st.randoms(use_true_random=False), st.integers(1, 30))
def test_a_few_lost_tensors_do_not_change_what_a_file_is(fake, row, random, lost: int) -> None:
    dialect, name = row
    tensors = fake(dialect, name)
    stem, *others = tensors
    lost = min(lost, len(others) // 4)
    kept = [stem, *random.sample(others, len(others) - lost)]
    left = {key: tensors[key] for key in kept}
    rivals = [d for d, n in EVERY if n == name in NARROW and d != dialect]
    if any(the_very_same(dialect, rival, name, kept) for rival in rivals):
        with pytest.raises(weight_port.DialectError, match="equally well; say which"):
            weight_port.detect(left)
        return
    found = weight_port.detect(left)
    # A form that has lost its shortcuts may be taken for the one that has none.
    assert dialect in (found.dialect, *found.aliases)
    seen = {without_form(form) for form in (found.architecture, *found.twins)}
    # A network that has lost what it has more than a smaller one is that one: VGG-16, and VGG-13.
    nearer = apart(fake(dialect, found.architecture), left) < apart(tensors, left)
    assert without_form(name) in seen or nearer


@pytest.mark.parametrize("name", ["vgg11", "alexnet_owt"])
@pytest.mark.parametrize("dialect", ["pytorch_impl", "paddle_impl"])
def test_lost_tensors_of_a_classifier_leave_its_widths(fake, dialect: str, name: str) -> None:
    """Any two of its six, of hidden layers that are not the published ones, with 7 classes."""
    tensors = fake(dialect, name)
    linear = [key for key in tensors if key.startswith("fc")]
    assert len(linear) == 6
    for lost in itertools.combinations(linear, 2):
        left = {key: array for key, array in tensors.items() if key not in lost}
        if lost == ("fc6.weight", "fc8.weight"):  # fc7's is square
            with pytest.raises(weight_port.DialectError, match=f"{name} in pytorch_impl and"):
                weight_port.detect(left)
            continue
        found = weight_port.detect(left)
        classes = 1000 if lost == ("fc8.weight", "fc8.bias") else 7  # nothing is left that says 7
        sizes = (found.hidden, found.num_classes)
        assert (found.dialect, found.architecture, sizes) == (dialect, name, (8, classes)), lost


@pytest.mark.parametrize(
    ("dialect", "both"),
    [
        ("torchvision", ("torchvision", "paddle.vision")),
        ("paddle_impl", ("pytorch_impl", "paddle_impl")),
    ],
)
def test_names_that_two_dialects_share_are_an_error_that_names_both(
    fake, dialect: str, both: tuple[str, str]
) -> None:
    tensors = fake(dialect, "resnet50")
    found = keys.keys(dialect, "resnet50", 7)
    statistics = {key for key, e in found.items() if not e.parameter or "mean" in e.name}
    statistics |= {key for key, entry in found.items() if "variance" in entry.name}
    shared = {key: array for key, array in tensors.items() if key not in statistics}
    headless = {key: array for key, array in shared.items() if not key.startswith("fc.")}
    with pytest.raises(weight_port.DialectError, match="equally well; say which") as raised:
        weight_port.detect(headless)
    assert all(f"resnet50 in {name}" in str(raised.value) for name in both)
    # With the classifier there, the way it stands decides; the statistics are missed all the same.
    assert weight_port.detect(shared).dialect == dialect
    with pytest.raises(weight_port.MismatchError, match=r"missing \(106\)"):
        weight_port.convert(shared, to="paddle1")


def test_convolutions_alone_are_an_error_that_names_both() -> None:
    convs = {
        key: np.broadcast_to(np.float32(0), entry.shape)
        for key, entry in keys.keys("torchvision", "resnet50").items()
        if entry.parameter and entry.parameter.role == "weight"
    }
    with pytest.raises(weight_port.DialectError, match="the names fit no network") as raised:
        weight_port.detect(convs)
    for dialect in LIBRARIES:
        assert f"53 of its 53 names are those of resnet50 in {dialect}" in str(raised.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "first names are none at all"), (["backbone.x", "y"], "first names are backbone.x, y")],
)
def test_foreign_names_are_an_error_that_shows_them(names: list[str], said: str) -> None:
    with pytest.raises(weight_port.DialectError, match=said):
        weight_port.detect({name: np.zeros(1, np.float32) for name in names})


def test_a_named_dialect_limits_the_choice(fake) -> None:
    tensors = fake("torchvision", "resnet18")
    assert weight_port.detect(tensors, "torchvision").architecture == "resnet18"
    with pytest.raises(weight_port.DialectError, match="fit no network in paddle1 "):
        weight_port.detect(tensors, "paddle1")


def test_names_that_timm_shares_with_torchvision_are_said_to_be_both(fake) -> None:
    found = weight_port.detect(fake("timm", "resnet50"))
    assert (found.dialect, found.aliases) == ("torchvision", ("timm",))
    assert found.undecided.startswith("timm has the same names; the tensors could be those of ")
    assert found.twins == ("resnet50_v1", "resnet50_caffe", "resnet50_keras")
    assert weight_port.detect(fake("timm", "resnet50"), "timm").dialect == "timm"
    alone = weight_port.detect(fake("timm", "resnet50_vd"))
    assert (alone.dialect, alone.aliases, alone.twins) == ("timm", (), ())


def test_forms_that_a_state_dict_cannot_tell_apart_are_named(fake) -> None:
    found = weight_port.detect(fake("pytorch_impl", "resnet50_caffe"))
    assert found.architecture == "resnet50"
    assert found.twins == ("resnet50_v1", "resnet50_caffe", "resnet50_keras")
    assert "could be those of resnet50_v1 or resnet50_caffe or resnet50_keras" in found.undecided
    # Detectron2 strides in the 1x1 unless its configuration says otherwise.
    found = weight_port.detect(fake("detectron2", "resnet50"))
    assert (found.architecture, found.twins[0]) == ("resnet50_v1", "resnet50")
    # Caffe's release has one form.
    found = weight_port.detect(fake("caffe", "resnet50_caffe"))
    assert (found.architecture, found.twins) == ("resnet50_caffe", ())


@pytest.mark.parametrize(
    ("said", "taken"),
    [("resnet50_v1", "resnet50_v1"), ("resnet50", "resnet50"), ("resnet101", "resnet50"),
     ("no network", "resnet50"), ("", "resnet50")],
)  # fmt: skip
def test_a_file_is_believed_among_networks_with_the_same_tensors(
    fake, tmp_path, said: str, taken: str
) -> None:
    path = tmp_path / "x.safetensors"
    weight_port.write(path, fake("pytorch_impl", "resnet50"), metadata={"architecture": said})
    contents = files.open_checkpoint(path).contents
    found = weight_port.recognise(contents).detection
    assert (found.architecture, "resnet50" in found.reason) == (taken, True)
    assert bool(found.twins) == (taken == "resnet50")
    named = weight_port.recognise(contents, architecture="resnet50_caffe").detection
    assert named.architecture == "resnet50_caffe"


def test_a_named_architecture_limits_the_choice(fake) -> None:
    tensors = fake("pytorch_impl", "resnet50")
    found = weight_port.detect(tensors, architecture="resnet50_v1")
    assert (found.architecture, found.twins) == ("resnet50_v1", ())
    with pytest.raises(weight_port.DialectError, match="unknown architecture 'resnet51': one of r"):
        weight_port.detect(tensors, architecture="resnet51")
    with pytest.raises(weight_port.DialectError, match="fit no network"):
        weight_port.detect(tensors, architecture="resnet18_vd")


@pytest.mark.parametrize("dialect", ["paddle1", "pytorch_impl", "paddle_impl"])
@pytest.mark.parametrize("depth", [18, 50, 152])
def test_networks_with_the_same_names_are_told_by_their_stems(fake, dialect, depth: int) -> None:
    large, small = fake(dialect, f"resnet{depth}"), fake(dialect, f"cifar_resnet{depth}")
    assert list(large) == list(small)
    assert weight_port.detect(large).architecture == f"resnet{depth}"
    assert weight_port.detect(small).architecture == f"cifar_resnet{depth}"
    stem = next(iter(small))
    assert [key for key in small if small[key].shape != large[key].shape] == [stem]
    del small[stem]
    both = f"resnet{depth} in {dialect} and cifar_resnet{depth} in {dialect} equally well"
    said = f"{both}; they differ in {stem}  \\(conv1_weights\\), which is"
    with pytest.raises(
        weight_port.DialectError, match=f"{said} missing.*--architecture \\(architecture=…\\)"
    ):
        weight_port.detect(small)
    with pytest.raises(weight_port.DialectError, match=f"{said} \\[64, 3, 5, 5\\]"):
        weight_port.detect({**small, stem: np.zeros((64, 3, 5, 5), np.float32)})
    assert weight_port.detect(small, architecture=f"cifar_resnet{depth}").in_channels == 3


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvisions_names_with_a_small_stem_are_cifars_network(fake, name: str) -> None:
    """With pool1 after it or without: such checkpoints exist of both kinds, and that is said."""
    tensors = fake("torchvision", name)
    tensors["conv1.weight"] = tensors["conv1.weight"][:, :, :3, :3]
    found = weight_port.detect(tensors)
    assert (found.dialect, found.architecture) == ("cifar-fc", f"cifar_{name}")
    assert "a max-pool in or after the 3x3 stem" in found.undecided
    tensors["conv1.weight"] = tensors["conv1.weight"][:, :, :2, :2]
    with pytest.raises(weight_port.DialectError, match="equally well; say which with --from"):
        weight_port.convert(tensors, to="pytorch_impl")


def test_a_wrong_group_count_is_another_network(fake) -> None:
    """ResNeXt-101 32x8d and 64x4d differ in one axis of the 3x3 convolutions alone."""
    tensors = fake("torchvision", "resnext101_32x8d")
    assert weight_port.detect(tensors).architecture == "resnext101_32x8d"
    name = "layer1.0.conv2.weight"
    tensors[name] = tensors[name][:, :4]
    with pytest.raises(
        weight_port.MismatchError, match=r"is \[256, 4, 3, 3\], should be \[256, 8,"
    ):
        weight_port.convert(tensors, to="paddle1")


@pytest.mark.parametrize(
    "ask",
    [
        lambda tensors: weight_port.detect(tensors, "theano"),
        lambda tensors: weight_port.convert(tensors, to="theano"),
        lambda tensors: weight_port.convert(tensors, to="paddle1", source="theano"),
    ],
)
def test_an_unknown_dialect_is_an_error_that_lists_the_known(fake, ask) -> None:
    known = "unknown dialect 'theano': one of paddle1, pytorch_impl, paddle_impl, torchvision"
    with pytest.raises(weight_port.DialectError, match=known):
        ask(fake("paddle1", "resnet18"))
