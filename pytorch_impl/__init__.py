"""The networks in PyTorch: a function per architecture, ``load`` for a checkpoint, ``optimize``,
``softmax``."""

from pytorch_impl.checkpoint import load, load_weights
from pytorch_impl.models import MODELS, softmax
from pytorch_impl.network import Network
from pytorch_impl.optimize import optimize
from pytorch_impl.resnet import ResNet
from pytorch_impl.summary import summary
from weight_port import __version__

resnet18 = MODELS["resnet18"]
resnet34 = MODELS["resnet34"]
resnet50 = MODELS["resnet50"]
resnet101 = MODELS["resnet101"]
resnet152 = MODELS["resnet152"]
plain18 = MODELS["plain18"]
plain34 = MODELS["plain34"]
resnet18_text = MODELS["resnet18_text"]
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
cifar_resnet18 = MODELS["cifar_resnet18"]
cifar_resnet34 = MODELS["cifar_resnet34"]
cifar_resnet50 = MODELS["cifar_resnet50"]
cifar_resnet101 = MODELS["cifar_resnet101"]
cifar_resnet152 = MODELS["cifar_resnet152"]
resnet20 = MODELS["resnet20"]
resnet32 = MODELS["resnet32"]
resnet44 = MODELS["resnet44"]
resnet56 = MODELS["resnet56"]
resnet110 = MODELS["resnet110"]
resnet20_b = MODELS["resnet20_b"]
resnet32_b = MODELS["resnet32_b"]
resnet44_b = MODELS["resnet44_b"]
resnet56_b = MODELS["resnet56_b"]
resnet110_b = MODELS["resnet110_b"]
plain20 = MODELS["plain20"]
plain32 = MODELS["plain32"]
plain44 = MODELS["plain44"]
plain56 = MODELS["plain56"]
plain110 = MODELS["plain110"]
lenet5 = MODELS["lenet5"]
lenet5_relu = MODELS["lenet5_relu"]
alexnet = MODELS["alexnet"]
alexnet_lrn = MODELS["alexnet_lrn"]
alexnet_owt = MODELS["alexnet_owt"]
nin = MODELS["nin"]
nin_cifar = MODELS["nin_cifar"]
vgg11 = MODELS["vgg11"]
vgg11_bn = MODELS["vgg11_bn"]
vgg13 = MODELS["vgg13"]
vgg13_bn = MODELS["vgg13_bn"]
vgg16 = MODELS["vgg16"]
vgg16_bn = MODELS["vgg16_bn"]
vgg19 = MODELS["vgg19"]
vgg19_bn = MODELS["vgg19_bn"]
googlenet = MODELS["googlenet"]
googlenet_bn = MODELS["googlenet_bn"]

__all__ = [
    "MODELS",
    "Network",
    "ResNet",
    "__version__",
    "alexnet",
    "alexnet_lrn",
    "alexnet_owt",
    "cifar_resnet18",
    "cifar_resnet34",
    "cifar_resnet50",
    "cifar_resnet101",
    "cifar_resnet152",
    "googlenet",
    "googlenet_bn",
    "lenet5",
    "lenet5_relu",
    "load",
    "load_weights",
    "nin",
    "nin_cifar",
    "optimize",
    "plain18",
    "plain20",
    "plain32",
    "plain34",
    "plain44",
    "plain56",
    "plain110",
    "resnet18",
    "resnet18_paddleclas",
    "resnet18_text",
    "resnet18_vd",
    "resnet18_vd_paddleclas",
    "resnet20",
    "resnet20_b",
    "resnet32",
    "resnet32_b",
    "resnet34",
    "resnet34_paddleclas",
    "resnet34_vd",
    "resnet34_vd_paddleclas",
    "resnet44",
    "resnet44_b",
    "resnet50",
    "resnet50_caffe",
    "resnet50_keras",
    "resnet50_v1",
    "resnet50_vd",
    "resnet56",
    "resnet56_b",
    "resnet101",
    "resnet101_caffe",
    "resnet101_v1",
    "resnet101_vd",
    "resnet110",
    "resnet110_b",
    "resnet152",
    "resnet152_caffe",
    "resnet152_v1",
    "resnet152_vd",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "softmax",
    "summary",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
