"""The diagnosis on planted faults: each is named, with its layer; what is not in the table is not.

The right network and the faulty one run in NumPy, and some faulty ones in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from parity.diagnosis import kernels
from parity.diagnosis.causes.table import HYPOTHESES
from parity.diagnosis.judge import diagnose
from parity.diagnosis.view import ROUNDING, Case
from tests.helpers import small_network as faulty
from tests.helpers.planted_faults import CLASSES, FAULTS, Fault, add_bias, poke
from tests.helpers.small_network import Array, Weights, in_torch, torch_outputs


def planted(fault: Fault, precision: str) -> Case:
    """The reference in float64 against the faulty port in ``precision``."""
    right = faulty.network(*fault.network)
    weights = {**right[0], **fault.weights(right[0])}
    fed = fault.fed(right[1]["images"])
    options = {"dtype": precision, "epsilon": fault.epsilon, "instead": fault.instead}
    outputs = faulty.run(fault.network[0], weights, fed, right=right, **options)
    if not fault.known:
        next(outputs)
    port, first = faulty.until_different(outputs, right[1], precision)
    if fault.then:
        port |= faulty.up_to(outputs, fault.then)
    return Case(fault.network[0], right[1], port, right[0], first, precision=precision)


CASES = [(name, precision) for name, fault in FAULTS.items() for precision in fault.precisions]


@pytest.mark.parametrize(("name", "precision"), CASES)
@pytest.mark.numerical
def test_a_planted_fault_is_named(name: str, precision: str) -> None:
    fault = FAULTS[name]
    case = planted(fault, precision)
    found = diagnose(case)
    assert (found.layer, found.cause) == (fault.first, fault.cause), found.sentence
    assert found.sentence.startswith(f"{fault.first}: ")
    assert fault.words in found.sentence
    if fault.cause == "unknown":
        assert np.isnan(found.residual)
    else:
        assert found.residual <= found.difference / 10


def test_every_cause_of_the_table_is_planted() -> None:
    planted_here = {fault.cause for fault in FAULTS.values()} | {
        "checkpoint_differs",
        "channels_scaled",
    }
    assert planted_here - {"unknown"} == {row.cause for row in HYPOTHESES}
    assert sum(fault.cause == "unknown" for fault in FAULTS.values()) >= 3


def right() -> tuple[Weights, dict[str, Array]]:
    return faulty.network("resnet18", CLASSES, "logits")


def case_of(first: str, output: Array | None, **more) -> Case:
    """A port that is right but for one output."""
    weights, outputs = right()
    return Case("resnet18", outputs, {**outputs, first: output}, weights, first, **more)


def test_channels_scaled_one_by_one_are_told_from_a_bias() -> None:
    output = right()[1]["res3a_branch2a"]
    slope = np.linspace(0.5, 2, 128)[:, None, None]
    found = diagnose(case_of("res3a_branch2a", slope * output))
    assert found.cause == "channels_scaled"
    assert "factors from 0.5 to 2, offsets from" in found.sentence


def test_fewer_values_than_a_fit_takes_name_nothing() -> None:
    output = right()[1]["res3a_branch2a"][:1, :, :2, :2]
    weights, outputs = right()
    small = {"images": outputs["images"][:1, :, :16, :16]}
    small = dict(faulty.run("resnet18", weights, small["images"]))
    output = add_bias(small["res3a_branch2a"])
    assert output[:, 0].size == 4
    case = Case("resnet18", small, {**small, "res3a_branch2a": output}, weights, "res3a_branch2a")
    assert diagnose(case).cause == "unknown"


def test_what_the_checkpoint_holds_is_told() -> None:
    name, layer = "res3a_branch2a_weights", "res3a_branch2a"
    poked = FAULTS["one weight off"]
    case = planted(poked, "float64")
    port = {**case.weights, **poked.weights(case.weights)}
    found = diagnose(replace(case, port_weights=port))
    assert found.cause == "checkpoint_differs"
    assert f"{name} in 1 of 73728 values" in found.sentence
    assert diagnose(replace(case, port_weights=case.weights)).cause == "unknown"

    turned = FAULTS["fc untransposed, square"]
    case = planted(turned, "float64")
    in_code = diagnose(replace(case, port_weights=case.weights))
    in_file = diagnose(replace(case, port_weights={**case.weights, **turned.weights(case.weights)}))
    assert in_code.cause == in_file.cause == "fc_untransposed"
    assert "the mistake is in the port's loading or code" in in_code.sentence
    assert "the mistake is there" in in_file.sentence
    assert layer not in in_file.sentence


def test_what_cannot_be_told_apart_is_said() -> None:
    weights, outputs = right()
    twins = {**weights, "res4b_branch2b_weights": weights["res4a_branch2b_weights"]}
    reference = dict(faulty.run("resnet18", twins, outputs["images"]))
    wrong = {**twins, "res4b_branch2a_weights": weights["res4a_branch2b_weights"]}
    port = dict(faulty.run("resnet18", wrong, outputs["images"]))
    found = diagnose(Case("resnet18", reference, port, twins, "res4b_branch2a"))
    assert found.cause == "weights_of_another_layer"
    assert "res4a_branch2b_weights or res4b_branch2b_weights" in found.sentence

    # Reversed images and weights reversed alike give the same first output.
    found = diagnose(planted(FAULTS["BGR, images unknown"], "float64"))
    assert found.also == ("input_channels_permuted",)
    assert "Also explained by: input_channels_permuted" in found.sentence


def test_not_a_number_is_reported_and_not_explained() -> None:
    weights, outputs = right()
    output = outputs["res2b_branch2b"].copy()
    output[1, 3] = np.nan
    found = diagnose(case_of("res2b_branch2b", output))
    assert found.cause == "not_finite"
    assert "256 of 32768 values of the port's output are NaN or infinite, in 1 channels (3)" in (
        found.sentence
    )
    damaged = poke("res2b_branch2b_weights", (3, 0, 0, 0), np.nan)(weights)
    case = case_of("res2b_branch2b", output, port_weights={**weights, **damaged})
    assert "so are values of its res2b_branch2b_weights" in diagnose(case).sentence


def test_the_images_that_differ_are_the_ones_looked_at() -> None:
    output = right()[1]["res2a"].copy()
    branch, shortcut = (right()[1][name] for name in ("bn2a_branch2b", "pool1"))
    output[3] = (branch + shortcut)[3]
    assert diagnose(case_of("res2a", output)).cause == "unknown"  # the others have their ReLU
    output[2] = (branch + shortcut)[2]
    assert diagnose(case_of("res2a", output)).cause == "relu_missing"


def test_no_output_and_no_difference_are_no_cause() -> None:
    assert diagnose(case_of("res2a", None)).cause == "no_output"
    for outputs in right()[1]["res2a"], right()[1]["res2a"].copy():
        found = diagnose(case_of("res2a", outputs))
        assert found.cause == "unknown"
        assert "so what differs is their dtype" in found.sentence
    with pytest.raises(KeyError):
        diagnose(case_of("res9a", right()[1]["res2a"]))


def test_outputs_may_be_functions() -> None:
    case = planted(FAULTS["no ReLU after the sum"], "float64")
    asked = replace(case, reference=case.reference.get, port=case.port.get)
    assert diagnose(asked) == diagnose(case)


def test_a_difference_that_came_with_the_input_is_not_blamed_on_the_layer() -> None:
    weights, outputs = right()
    port = dict(outputs)
    port["bn2a_branch2a"] = outputs["bn2a_branch2a"] * (1 + 1e-9)
    relu = kernels.relu(port["bn2a_branch2a"])
    port["res2a_branch2b"] = kernels.conv(relu, np.float64(weights["res2a_branch2b_weights"]))
    found = diagnose(Case("resnet18", outputs, port, weights, "res2a_branch2b"))
    assert found.cause == "accumulated"
    assert found.difference < 1e-12


@pytest.mark.numerical
def test_paddles_epsilon_is_found_in_all_the_batch_norms() -> None:
    weights, outputs = right()
    paddles = float(np.float32(1e-5))
    port = dict(faulty.run("resnet18", weights, outputs["images"], epsilon=paddles))
    found = diagnose(Case("resnet18", outputs, port, weights, "logits"))
    assert found.cause == "wrong_epsilon"
    assert "20 batch norms" in found.sentence
    assert "9.999999747378752e-06" in found.sentence
    assert found.residual <= found.difference / 10


def train(model) -> None:
    model.train()


def take_another_epsilon(model) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3


def pool_in_ceil_mode(model) -> None:
    model.pool1 = torch.nn.MaxPool2d(3, 2, 0, ceil_mode=True)


def transpose_fc(model) -> None:
    model.fc.weight.data = model.fc.weight.data.T.contiguous()


def stride_elsewhere(model) -> None:
    model.res3a.branch2a.conv.stride, model.res3a.branch2b.conv.stride = (1, 1), (2, 2)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(
    ("break_it", "first", "cause"),
    [
        (train, "bn_conv1", "batch_statistics"),
        (take_another_epsilon, "bn_conv1", "wrong_epsilon"),
        (pool_in_ceil_mode, "pool1", "pool_padding"),
        (transpose_fc, "fc", "fc_untransposed"),
        (stride_elsewhere, "res3a_branch2a", "stride"),
    ],
)
@pytest.mark.numerical
def test_a_broken_torch_model_is_diagnosed(
    break_it: Callable[[torch.nn.Module], None], first: str, cause: str, precision: str
) -> None:
    """A real port, run in its own precision from end to end, rounding and all."""
    weights, outputs = right()
    model = in_torch("resnet18", weights, CLASSES, getattr(torch, precision))
    break_it(model)
    made = torch_outputs(model, "resnet18", outputs["images"].astype(precision))
    port = ((name, made[name]) for name in outputs)
    _, found = faulty.until_different(port, outputs, precision)
    assert found == first
    case = Case("resnet18", outputs, made, weights, first, precision=precision)
    assert diagnose(case).cause == cause


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(
    "first", ["images", "conv1", "bn_conv1", "pool1", "res2a", "res3a", "pool5", "fc", "logits"]
)
def test_noise_has_no_cause(first: str, precision: str) -> None:
    output = right()[1][first]
    noise = 0.01 * np.random.default_rng(2).standard_normal(output.shape)
    found = diagnose(case_of(first, (output * (1 + noise)).astype(precision), precision=precision))
    assert (found.layer, found.cause) == (first, "unknown")
    assert found.difference == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("factor", "cause"), [(0.5, "relu_missing"), (2, "unknown")])
def test_a_cause_is_named_up_to_rounding_and_no_further(
    precision: str, factor: float, cause: str
) -> None:
    outputs = right()[1]
    output = outputs["bn2a_branch2b"] + outputs["pool1"]
    noise = np.random.default_rng(2).standard_normal(output.shape)
    noise *= factor * ROUNDING[precision] * np.linalg.norm(output) / np.linalg.norm(noise)
    found = diagnose(case_of("res2a", output + noise, precision=precision))
    assert found.cause == cause
    if cause != "unknown":
        assert found.residual == pytest.approx(factor * ROUNDING[precision], rel=0.1)
