"""A ResNet as Paddle 1.x programs built it, run by Paddle alone: an oracle for the port.

``FLAGS_enable_pir_api=0 python oracle_1x.py DEPTH OUT`` writes OUT/weights (one file per
variable), OUT/images.npy and OUT/softmax.npy. Nothing here comes from weight_port or paddle_impl:
the program is written from the naming rules of PaddleClas 1.x
(``release/static:ppcls/modeling/architectures/resnet.py``) and He et al. (2015), table 1.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import ParamAttr, static
from paddle.nn.initializer import Normal, Uniform

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
SIDE, CLASSES, SEED = 64, 1000, 2015


def conv_bn(x, channels: int, kernel: int, stride: int, name: str, act: str | None = None):
    fan_out = channels * kernel * kernel
    x = static.nn.conv2d(
        x,
        num_filters=channels,
        filter_size=kernel,
        stride=stride,
        padding=(kernel - 1) // 2,
        param_attr=ParamAttr(name=name + "_weights", initializer=Normal(0, (2 / fan_out) ** 0.5)),
        bias_attr=False,
    )
    norm = "bn_" + name if name == "conv1" else "bn" + name[3:]
    return static.nn.batch_norm(
        x,
        act=act,
        momentum=0.0,  # a training step leaves the batch's own statistics: the calibration
        epsilon=1e-5,
        param_attr=ParamAttr(name=norm + "_scale", initializer=Normal(1, 0.1)),
        bias_attr=ParamAttr(name=norm + "_offset", initializer=Normal(0, 0.1)),
        moving_mean_name=norm + "_mean",
        moving_variance_name=norm + "_variance",
    )


def bottleneck(x, width: int, stride: int, name: str):
    y = conv_bn(x, width, 1, 1, name + "_branch2a", "relu")
    y = conv_bn(y, width, 3, stride, name + "_branch2b", "relu")
    y = conv_bn(y, width * 4, 1, 1, name + "_branch2c")
    if x.shape[1] != width * 4 or stride != 1:
        x = conv_bn(x, width * 4, 1, stride, name + "_branch1")
    return paddle.nn.functional.relu(x + y)


def letter(depth: int, stage: int, index: int) -> str:
    if depth > 50 and stage == 4 and index > 0:
        return f"b{index}"
    return "abcdefgh"[index]


def network(images, depth: int):
    x = conv_bn(images, 64, 7, 2, "conv1", "relu")
    x = paddle.nn.functional.max_pool2d(x, 3, 2, padding=1)
    for stage, count in enumerate(BLOCKS[depth], start=2):
        for index in range(count):
            stride = 2 if index == 0 and stage > 2 else 1
            name = f"res{stage}{letter(depth, stage, index)}"
            x = bottleneck(x, 16 * 2**stage, stride, name)
    x = paddle.nn.functional.adaptive_avg_pool2d(x, 1)
    bound = 1 / math.sqrt(x.shape[1])
    # Without names, so that Paddle numbers them: fc_0.w_0, fc_0.b_0.
    return static.nn.fc(
        x,
        CLASSES,
        activation="softmax",
        weight_attr=ParamAttr(initializer=Uniform(-bound, bound)),
        bias_attr=ParamAttr(initializer=Uniform(-bound, bound)),
    )


def pictures(count: int, random: np.random.Generator) -> np.ndarray:
    """Coarse patches under fine noise, each picture with its own contrast: (count, 3, 64, 64)."""
    patches = random.standard_normal((count, 3, 8, 8)).repeat(8, axis=2).repeat(8, axis=3)
    contrast = random.uniform(0.5, 2, (count, 1, 1, 1))
    noise = random.standard_normal((count, 3, SIDE, SIDE))
    return (contrast * patches + 0.3 * noise).astype(np.float32)


def main() -> None:
    depth, out = int(sys.argv[1]), Path(sys.argv[2])
    paddle.enable_static()
    # One generator for all: a program's own random_seed gives tensors of one shape one content.
    paddle.seed(SEED)
    train, startup = static.Program(), static.Program()
    with static.program_guard(train, startup), paddle.utils.unique_name.guard():
        softmax = network(static.data("image", [None, 3, SIDE, SIDE]), depth)
    test = train.clone(for_test=True)
    random = np.random.default_rng(SEED)
    executor = static.Executor(paddle.CPUPlace())
    executor.run(startup)
    executor.run(train, feed={"image": pictures(16, random)}, fetch_list=[])
    images = pictures(3, random)
    (scores,) = executor.run(test, feed={"image": images}, fetch_list=[softmax.name])
    parameters = [v for v in test.list_vars() if static.io.is_persistable(v)]
    static.io.save_vars(executor, str(out / "weights"), test, vars=parameters)
    np.save(out / "images.npy", images)
    np.save(out / "softmax.npy", scores)


if __name__ == "__main__":
    main()
