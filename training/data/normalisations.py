"""What is taken from pixels and what they are divided by, before a network sees them: a table."""

from __future__ import annotations

from typing import NamedTuple

Channels = tuple[float, float, float]


class Normalisation(NamedTuple):
    """Mean and standard deviation of red, green and blue, of values from 0 to 1."""

    mean: Channels
    std: Channels


# By name; a network gives what it was trained for with its own alone.
NORMALISATIONS = {
    # Over all pixels of the training images: what this suite trains with.
    "cifar10": Normalisation(
        (0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784)
    ),
    # The mean of the images' own deviations, in kuangliu/pytorch-cifar and those after it.
    "kuangliu": Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    # torchvision's, of networks that began with its weights.
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
OWN = "cifar10"
