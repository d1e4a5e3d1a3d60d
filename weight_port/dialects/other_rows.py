"""The dialects of TensorFlow's and JAX's libraries, and of Caffe. Standard library only."""

from __future__ import annotations

from weight_port.dialects import groups
from weight_port.dialects.dialect import CAFFE, FLAX, HWIO, KERAS, OUT_IN, UNIT, Dialect
from weight_port.dialects.own_rows import RES

_KERAS = ("conv{stage}_block{index1}_{number}_conv", "conv{stage}_block{index1}_{number}_bn")
_CAFFE_BLOCK = (*RES, "scale{unit}_{branch}")
_FLAX = (
    "{kind}ResNetBlock_{position}/Conv_{number0}",
    "{kind}ResNetBlock_{position}/BatchNorm_{number0}",
)
_FLAX_SHORT = ("{kind}ResNetBlock_{position}/conv_proj", "{kind}ResNetBlock_{position}/norm_proj")
_SAME = (
    "TensorFlow's SAME, a pixel at the end alone where the side is even (for images of 32 n + 1 "
    "pixels, as 225, the same)"
)
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
    # github.com/tensorflow/models official/vision/image_classification/resnet/resnet_model.py: the
    # names of Keras' first, without biases, and the stride in the 3x3
    Dialect(
        "tf-official", KERAS, ("conv1", "bn_conv1"), RES, RES, "fc1000",
        ("resnet50",), orders=HWIO, padding=_SAME,
        channels="RGB", normalisation="in [0, 255], less (123.68, 116.78, 103.94)", softmax=True,
        verified="its source",
    ),
    # github.com/google/flax examples/imagenet/models.py
    Dialect(
        "flax", FLAX, ("conv_init", "bn_init"), _FLAX, _FLAX_SHORT, "Dense_0",
        groups.STANDARD, orders=HWIO, padding=_SAME,
        channels="RGB", normalisation=UNIT,
        verified="its models.py, run (flax 0.12.8): keys of all, outputs of 18 and 50 at 65 pixels",
    ),
    # github.com/KaimingHe/deep-residual-networks prototxt/; conv1 of depth 50 alone has a bias
    Dialect(
        "caffe", CAFFE, ("conv1", "bn_conv1", "scale_conv1"), _CAFFE_BLOCK, _CAFFE_BLOCK,
        "fc1000", groups.CAFFE, orders=OUT_IN, numbered=(3, 4), biased="resnet50*/conv1",
        channels="BGR", normalisation="in [0, 255], less the mean image", softmax=True,
        verified="published names; our own models with biases, float64",
    ),
)  # fmt: skip
