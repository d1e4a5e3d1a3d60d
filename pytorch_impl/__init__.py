"""The networks in PyTorch: a function per architecture, ``load`` for a checkpoint, ``softmax``."""

from pytorch_impl.checkpoint import load, load_weights
from pytorch_impl.resnet import (
    MODELS,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    softmax,
)

resnet18_paddleclas = MODELS["resnet18_paddleclas"]
resnet34_paddleclas = MODELS["resnet34_paddleclas"]
resnext50_32x4d = MODELS["resnext50_32x4d"]
resnext101_32x8d = MODELS["resnext101_32x8d"]
resnext101_64x4d = MODELS["resnext101_64x4d"]
wide_resnet50_2 = MODELS["wide_resnet50_2"]
wide_resnet101_2 = MODELS["wide_resnet101_2"]
resnet18_vd = MODELS["resnet18_vd"]
resnet34_vd = MODELS["resnet34_vd"]
resnet50_vd = MODELS["resnet50_vd"]
resnet101_vd = MODELS["resnet101_vd"]
resnet152_vd = MODELS["resnet152_vd"]
resnet18_vd_paddleclas = MODELS["resnet18_vd_paddleclas"]
resnet34_vd_paddleclas = MODELS["resnet34_vd_paddleclas"]
resnet50_v1 = MODELS["resnet50_v1"]
resnet101_v1 = MODELS["resnet101_v1"]
resnet152_v1 = MODELS["resnet152_v1"]
resnet50_caffe = MODELS["resnet50_caffe"]
resnet101_caffe = MODELS["resnet101_caffe"]
resnet152_caffe = MODELS["resnet152_caffe"]
resnet50_keras = MODELS["resnet50_keras"]

__all__ = [
    "MODELS",
    "ResNet",
    "load",
    "load_weights",
    "resnet18",
    "resnet18_paddleclas",
    "resnet18_vd",
    "resnet18_vd_paddleclas",
    "resnet34",
    "resnet34_paddleclas",
    "resnet34_vd",
    "resnet34_vd_paddleclas",
    "resnet50",
    "resnet50_caffe",
    "resnet50_keras",
    "resnet50_v1",
    "resnet50_vd",
    "resnet101",
    "resnet101_caffe",
    "resnet101_v1",
    "resnet101_vd",
    "resnet152",
    "resnet152_caffe",
    "resnet152_v1",
    "resnet152_vd",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "softmax",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
