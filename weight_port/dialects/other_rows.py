"""The dialects of Keras and Caffe. Standard library only."""

from __future__ import annotations

from weight_port.dialects import groups
from weight_port.dialects.dialect import CAFFE, HWIO, KERAS, OUT_IN, Dialect
from weight_port.dialects.own_rows import RES

_KERAS = ("conv{stage}_block{index1}_{number}_conv", "conv{stage}_block{index1}_{number}_bn")
_CAFFE_BLOCK = (*RES, "scale{unit}_{branch}")
_MEAN = "in [0, 255], less (103.939, 116.779, 123.68)"

ROWS = (
    # github.com/fchollet/deep-learning-models resnet50.py; Keras' own epsilon of 1e-3
    Dialect(
        "keras-first", KERAS, ("conv1", "bn_conv1"), RES, RES, "fc1000",
        ("resnet50_keras",), orders=HWIO, biased="*", epsilon=1e-3,
        channels="BGR", normalisation=_MEAN, softmax=True,
        verified="published names; our own model with biases, float64",
    ),
    # keras/src/applications/resnet.py
    Dialect(
        "keras", KERAS, ("conv1_conv", "conv1_bn"), _KERAS, _KERAS, "predictions",
        groups.V1, orders=HWIO, biased="*", epsilon=1.001e-5,
        channels="BGR", normalisation=_MEAN, softmax=True,
        verified="keras 3.15.1: 50 and 101, to float32 rounding, biases folded",
    ),
    # github.com/KaimingHe/deep-residual-networks prototxt/; conv1 of depth 50 alone has a bias
    Dialect(
        "caffe", CAFFE, ("conv1", "bn_conv1", "scale_conv1"), _CAFFE_BLOCK, _CAFFE_BLOCK,
        "fc1000", groups.CAFFE, orders=OUT_IN, numbered=(3, 4), biased="resnet50*/conv1",
        channels="BGR", normalisation="in [0, 255], less the mean image", softmax=True,
        verified="published names; our own models with biases, float64",
    ),
)  # fmt: skip
