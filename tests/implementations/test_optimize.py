"""``optimize`` gives the model's own results or says why not; in a process per framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

from parity.workers.launch import environment
from tests import ROOT

START = {
    "torch": """
import torch
from pytorch_impl import optimize, resnet18
import pytorch_impl.optimize
module = sys.modules["pytorch_impl.optimize"]
torch.set_grad_enabled(False)
model, images, other = resnet18().eval(), torch.randn(2, 3, 64, 64), torch.randn(1, 3, 64, 64)
def in_float64(x):
    found = model.double()(x.double()).numpy()
    model.float()
    return found
""",
    "paddle": """
import paddle
from paddle_impl import optimize, resnet18
import paddle_impl.optimize
module = sys.modules["paddle_impl.optimize"]
paddle.set_grad_enabled(False)
model, images, other = resnet18(), paddle.randn([2, 3, 64, 64]), paddle.randn([1, 3, 64, 64])
model.eval()
def in_float64(x):
    found = model.to(dtype="float64")(x.astype("float64")).numpy()
    model.to(dtype="float32")
    return found
""",
}

# What holds in both frameworks; BACKENDS is filled in.
CHECKS = """
from parity.comparison.precision import FACTOR, PRECISIONS
from tests.helpers.bounds import excess

def relative(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)

expected = model(images).numpy()
more = images * 2
again = model(more).numpy()
exact, exact_again = in_float64(images), in_float64(more)
before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
for backend in BACKENDS:
    forward = optimize(model, images, backend)
    first, second = (images, expected, exact), (more, again, exact_again)
    for x, y, right in (first, second, first):
        found = forward(x).numpy()
        assert found.shape == (2, 1000) and found.dtype == np.float32
        # The same network; in other kernels, but for Paddle's own.
        assert backend == "plain" or not np.array_equal(found, y), backend
        assert excess(found, y, right) <= 1, (backend, excess(found, y, right))
    try:
        forward(other)
        raise SystemExit("another shape was taken")
    except ValueError as error:
        assert "made for images [2, 3, 64, 64], not [1, 3, 64, 64]" in str(error)
# The user's model is as it was, and runs as it did.
assert np.array_equal(model(images).numpy(), expected)
for key, value in model.state_dict().items():
    assert np.array_equal(value.numpy(), before[key]), key
for arguments in ({"backend": "cuda"}, {"precision": "int8"}):
    try:
        optimize(model, images, **arguments)
        raise SystemExit("an unknown name was taken")
    except ValueError as error:
        assert "known are" in str(error)

def broken(make):
    def wrong(model, example, *rest):
        run = make(model, example, *rest)
        return lambda images: run(images) * 1.01
    return wrong

def refuses(text, **arguments):
    try:
        optimize(model, images, **arguments)
        raise SystemExit(f"{arguments}: taken")
    except RuntimeError as error:
        assert text in str(error), error

# bfloat16 where the processor has such kernels, else an error; never float32 in silence.
try:
    low = optimize(model, images, BACKENDS[0], "bf16")(images).numpy()
    least = FACTOR * max(PRECISIONS["float32"].epsilon, relative(expected, exact))
    error = relative(low, exact)
    assert low.dtype == np.float32 and least < error <= PRECISIONS["bfloat16"].logits, error
except RuntimeError as error:
    assert "says that it ran in float32" in str(error), error
taken = module.BACKENDS[BACKENDS[0]]
module.BACKENDS[BACKENDS[0]] = lambda *rest: taken(*rest[:-1], "fp32")
refuses("says that it ran in float32", backend=BACKENDS[0], precision="bf16")
module.BACKENDS[BACKENDS[0]] = taken
assert os.listdir(".") == [], os.listdir(".")
"""

# A wrong result is planted where each framework makes its callable.
PLANTED = {
    "torch": """
module.BACKENDS["openvino"] = broken(module.BACKENDS["openvino"])
refuses("its output differs from the model's by 1.0e-02", backend="openvino")
""",
    "paddle": """
whole = [("feed", False), ("tensorrt_engine", False), ("fetch", False)]
module._all_taken(whole, "tensorrt")
module._all_taken([("feed", False), ("fused_conv2d", True), ("fc", False)], "onednn")
module._all_taken([("conv2d", False)], "plain")
for operators, backend, left in (
    ([*whole, ("conv2d", False), ("relu", False)], "tensorrt", "conv2d, relu"),
    ([("feed", False), ("fetch", False)], "tensorrt", "tensorrt_engine"),
    ([("fused_conv2d", True), ("conv2d", False)], "onednn", "conv2d"),
    ([("conv2d", True)], "plain", "conv2d"),
):
    try:
        module._all_taken(operators, backend)
        raise SystemExit(f"{backend}: {operators} were taken")
    except RuntimeError as error:
        assert f"it did not take {left}, which" in str(error), error

# The real thing: an engine that is never switched on leaves the network to Paddle.
switched = module.BACKENDS["openvino"]
module.BACKENDS["openvino"] = lambda config, precision: config.disable_onednn()
refuses("which would run in other kernels", backend="openvino")
module.BACKENDS["openvino"] = switched
kept = module.BACKENDS["onednn"]
module.BACKENDS["onednn"] = module.BACKENDS["plain"]
refuses("onednn: it did not take conv2d", backend="onednn")
module.BACKENDS["onednn"] = kept
module._predictor = broken(module._predictor)
refuses("its output differs from the model's by 1.0e-02", backend="openvino")
""",
}
BACKENDS = {"torch": ["openvino", "auto"], "paddle": ["openvino", "onednn", "plain", "auto"]}


@pytest.mark.parametrize("framework", START)
@pytest.mark.numerical
def test_optimize_computes_the_model_or_says_why_not(framework, tmp_path):
    script = "\n".join(
        (
            "import os, sys\nimport numpy as np",
            START[framework],
            f"BACKENDS = {BACKENDS[framework]}",
            CHECKS,
            PLANTED[framework],
        )
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=tmp_path,
        env=environment(2, {"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
