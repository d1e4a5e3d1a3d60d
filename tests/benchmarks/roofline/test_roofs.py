"""The roofline: what a pass must do, what the machine can do, and which of the two binds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import kinds
from benchmarks.devices import device_cpu, timing
from benchmarks.experiments.forward import rows
from benchmarks.grid.cells import RESNETS as MODELS
from benchmarks.roofline import costs, probes, roofs
from tests.helpers.benchmark_records import small_record
from weight_port import arch


@given(st.sampled_from(MODELS), st.integers(32, 80), st.integers(1, 9))
def test_operations_of_convolutions_and_classifier_are_twice_the_multiply_adds(model, size, batch):
    found = costs.steps(model, size, batch)
    counted = sum(step.flops for step in found if step.kind in ("conv", "linear"))
    assert counted == 2 * batch * arch.multiply_adds(model, size, size)
    assert [(step.name, step.kind) for step in found] == costs.order(model)


@given(st.sampled_from(MODELS), st.integers(1, 9))
def test_images_cost_bytes_alike_and_parameters_once(model, batch):
    one, two, more = (costs.forward_bytes(model, 64, n, "fp32") for n in (1, 2, batch))
    tensors = arch.parameters(model)
    assert one - (two - one) == 4 * sum(math.prod(tensor.shape) for tensor in tensors)
    assert more == one + (batch - 1) * (two - one)
    assert 2 * costs.forward_bytes(model, 64, batch, "bf16") == more


@pytest.mark.parametrize(
    ("model", "size"),
    [(name, size) for name in ("resnet18", "resnet50", "plain18", "resnet18_text")
     for size in (64, 45)]
    + [("lenet5", 28), ("nin_cifar", 32), ("alexnet_lrn", 224), ("googlenet", 64),
       ("googlenet_bn", 96)],
)  # fmt: skip
def test_bytes_and_steps_are_those_of_the_modules_at_work(model, size):
    """Sizes as torch has them: what every module got, gave and holds, in the order of calls."""
    import torch

    import pytorch_impl

    network = pytorch_impl.MODELS[model]().eval()
    names = {layer.path: layer.name for layer in arch.layers(model)}
    seen = []

    def watch(name):
        def hook(module, given, output):
            held = [*module.parameters(recurse=False)]
            held += [b for key, b in module.named_buffers(recurse=False) if "num_" not in key]
            values = sum(t.numel() for t in held) + output.numel()
            block = name.startswith("res") and "_" not in name
            joined = name.startswith("inception") and name.count("_") == 1
            values += output.numel() * (2 if block else 1) if block or joined else given[0].numel()
            if not block or module.branch1 is not None:
                seen.append((name, 4 * values))

        return hook

    for path, module in network.named_modules():
        if path in names:
            module.register_forward_hook(watch(names[path]))
    with torch.inference_mode():
        network(torch.zeros(2, arch.architecture(model).in_channels, size, size))
    steps = costs.steps(model, size, 2)
    assert [
        (step.name, step.bytes) for step in steps if step.kind not in ("relu", "sigmoid")
    ] == seen


def test_a_small_network_by_hand():
    by_key = {(step.name, step.kind): step for step in costs.steps("resnet18", 64, 2)}
    conv = by_key["conv1", "conv"]  # 3 to 64 channels, 7x7, 64x64 to 32x32
    assert conv.flops == 2 * 2 * 64 * 3 * 49 * 32 * 32
    assert conv.bytes == 4 * (64 * 3 * 49 + 2 * (3 * 64 * 64 + 64 * 32 * 32))
    norm = by_key["bn_conv1", "batch_norm"]
    assert (norm.flops, norm.bytes) == (2 * 2 * 65536, 4 * (4 * 64 + 2 * 2 * 65536))
    relu = by_key["bn_conv1", "relu"]
    assert (relu.flops, relu.bytes) == (2 * 65536, 4 * 2 * 2 * 65536)
    pool = by_key["pool1", "max_pool"]
    assert (pool.flops, pool.bytes) == (2 * 9 * 16384, 4 * 2 * (65536 + 16384))
    add = by_key["res2a", "add"]
    assert (add.flops, add.bytes) == (2 * 16384, 4 * 2 * 3 * 16384)
    assert by_key["pool5", "avg_pool"].bytes == 4 * 2 * (512 * 4 + 512)
    assert by_key["fc", "linear"].flops == 2 * 2 * 512 * 1000
    relus = [step.name for step in by_key.values() if step.kind == "relu"]
    assert relus[:5] == ["bn_conv1", "bn2a_branch2a", "res2a", "bn2b_branch2a", "res2b"]


def convolution(ns, layout="NCHW"):
    """18·2·16²·10² = 921,600 operations."""
    return {"batch": 2, "channels": 16, "side": 10, "layout": layout, "device_ns": ns}


def with_probes(**probed):
    made = small_record()
    made["peaks"][0] |= probed
    return made


COPY = {"bytes": 1_000_000, "device_ns": [250_000, 100_000]}  # 2 MB in 0.1 ms: 20 GB/s


def test_the_peak_is_the_best_of_products_and_convolutions():
    made = with_probes(convolutions=[convolution([46_080, 90_000]), convolution([23_040], "NHWC")])
    (best,) = roofs.peaks(made, "fp32")
    assert (best["gflops"], best["n"]) == (40, None)
    assert best["what"] == "in a 3×3 convolution of 2×16×10×10, NHWC"
    row = rows.rows(made)[0]
    assert row["share_of_peak"] == pytest.approx(row["gflops"] / 40)
    slower = with_probes(convolutions=[convolution([921_600])])
    assert roofs.peaks(slower, "fp32")[0]["n"] == 100  # the product's 10 GFLOP/s


def test_autocast_is_held_against_the_kernels_that_it_uses():
    made = small_record()
    made["peaks"].append({**made["peaks"][0], "precision": "bf16", "framework": "paddle"})
    assert roofs.peaks(made, "amp-bf16") == roofs.peaks(made, "bf16") != []
    assert roofs.peaks(made, "amp-fp16") == roofs.peaks(made, "tf32") == []


def test_a_copy_counts_what_is_read_and_what_is_written():
    made = with_probes(copies=[COPY])
    assert [row["gbytes_per_s"] for row in roofs.bandwidths(made)] == [20]
    row = rows.rows(made)[0]
    rate = costs.forward_bytes("resnet50", 224, 1, "fp32") / 1e8  # GB/s of a pass of 100 ms
    assert row["share_of_bandwidth"] == pytest.approx(rate / 20)
    text = kinds.render(made, "simple")
    assert "fastest copy, bytes read and written (torch 20.0 GB/s)" in text
    assert "of memory" in text


def test_without_a_copy_no_share_and_no_bound_is_shown():
    row = rows.rows(small_record())[0]
    assert (row["share_of_bandwidth"], row["bound"]) == (None, None)
    text = kinds.render(small_record(), "simple")
    assert "of memory" not in text
    assert "bound" not in text


positive = st.floats(1e-3, 1e6)
whole = st.integers(1, 10**12)


@given(positive, positive, whole, whole)
def test_the_bound_is_by_intensity_against_the_machine_and_no_time_is_under_the_roof(
    peak, bandwidth, flops, moved
):
    least = max(flops / peak, moved / bandwidth)  # ns
    found = roofs.Roof(peak, bandwidth).shares(flops, moved, 2 * least)
    assert found["share_of_roof"] == pytest.approx(0.5)
    if not math.isclose(flops / moved, peak / bandwidth):
        is_memory = flops / moved < peak / bandwidth
        assert found["bound"] == ("memory" if is_memory else "compute")


def test_a_bound_needs_both_roofs():
    for roof in (roofs.Roof(None, 9.0), roofs.Roof(9.0, None)):
        found = roof.shares(100, 100, 1.0)
        assert (found["share_of_roof"], found["bound"]) == (None, None)
    assert roofs.Roof(None, None).shares(100, 100, 2.0)["gflops"] == 50


def test_a_precision_of_another_version_has_a_speed_and_no_bytes():
    assert costs.forward_bytes("resnet50", 224, 1, "fp4") is None
    found = roofs.Roof(9.0, 9.0).shares(100, None, 1.0)
    assert (found["share_of_bandwidth"], found["bound"]) == (None, None)
    assert found["share_of_peak"] == pytest.approx(100 / 9)


def test_what_is_probed_has_float32_first_and_kernels_once():
    assert probes.precisions(["fp32"]) == ["fp32"]
    assert probes.precisions(["amp-bf16", "bf16", "tf32"]) == ["fp32", "bf16", "tf32"]
    known = {*probes.DTYPES, *probes.KERNELS}
    assert known == set(costs.ITEM_BYTES)


class Makers:
    """Probes that cost no time, but for what is said to fail."""

    def __init__(self, fail=(), slow=()):
        self.fail, self.slow, self.made = fail, slow, []

    def __getattr__(self, name):
        def make(*sizes):
            if name in self.fail:
                raise RuntimeError("trace\nNo such kernel.\n  [Hint: none]\n")
            self.made.append((name, *sizes))
            return lambda: name

        return make


JOB = {"device": "cpu", "copies": True, "precision": "fp32"}


@pytest.fixture
def instant(monkeypatch):
    """Every probe takes 5 ns, or as long as is said."""

    def install(ns=5):
        monkeypatch.setattr(probes, "repeat", lambda *_: {"device_ns": [ns]})

    install()
    return install


def test_every_probe_is_measured(instant):
    makers = Makers()
    found = probes.measure(makers, device_cpu, JOB)
    assert found["error"] is None
    assert [product["n"] for product in found["products"]] == [512, 1024, 2048]
    assert [made["layout"] for made in found["convolutions"]] == ["NCHW", "NHWC"]
    (copy,) = found["copies"]
    assert makers.made[-1] == ("copy", copy["bytes"] // 4)
    made = small_record()
    made["peaks"][0] |= found
    kinds.check(made, "run.json")
    assert "copies" not in probes.measure(makers, device_cpu, {**JOB, "copies": False})


@pytest.mark.parametrize("lost", ["product", "convolution", "copy"])
def test_a_kernel_that_is_not_there_costs_its_probe_alone(lost, instant):
    found = probes.measure(Makers(fail=[lost]), device_cpu, JOB)
    whole = {"product": "products", "convolution": "convolutions", "copy": "copies"}
    assert found["error"] == f"{whole[lost]}: No such kernel."
    assert [name for name in whole.values() if not found[name]] == [whole[lost]]


def test_after_a_slow_probe_no_longer_one_follows(instant):
    instant(probes.SLOW_NS + 1)
    found = probes.measure(Makers(), device_cpu, JOB)
    assert (len(found["products"]), len(found["convolutions"])) == (1, 1)


def test_a_copy_is_larger_than_the_caches(tmp_path):
    for index, text in enumerate(["32K\n", "1M", "400M", ""]):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(text)
    assert probes.last_cache(tmp_path) == 400 << 20
    assert probes.last_cache(tmp_path / "none") == 0
    assert 4 * probes.last_cache() <= probes.copied_bytes("cpu") or (
        probes.copied_bytes("cpu") == 1 << 30
    )
    assert probes.copied_bytes("cpu") >= 64 << 20


def test_both_frameworks_probe_alike_and_paddle_has_no_bfloat16_on_a_cpu(monkeypatch):
    """The real makers at small sizes; Paddle's lack is an error in the record and no more."""
    from benchmarks.roofline import probes_paddle, probes_torch

    monkeypatch.setattr(probes, "PRODUCT_SIZES", {"cpu": (8,)})
    monkeypatch.setattr(probes, "CONVOLUTIONS", {"cpu": (1, 4, 6)})
    monkeypatch.setattr(probes, "copied_bytes", lambda _: 4096)
    monkeypatch.setattr(probes, "PLAN", timing.Plan(0, 1, 0.0))
    torch_found = probes_torch.measure(device_cpu, "cpu", JOB)
    paddle_found = probes_paddle.measure(device_cpu, JOB)
    for found in (torch_found, paddle_found):
        assert found["error"] is None
        assert (len(found["products"]), len(found["convolutions"]), len(found["copies"])) == (
            1,
            2,
            1,
        )
    job = {**JOB, "precision": "bf16", "copies": False}
    assert probes_torch.measure(device_cpu, "cpu", job)["error"] is None
    said = probes_paddle.measure(device_cpu, job)
    assert "convolutions: " in said["error"]
    assert "`conv2d` is not registered" in said["error"]
    assert said["convolutions"] == []
