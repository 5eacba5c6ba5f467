"""Networks, each in a file that reads like the paper's figure."""

from typing import Any

from minivision.models.fcn import FCN8s, FCN16s, FCN32s
from minivision.models.receptive_field import receptive_field
from minivision.models.unet import UNet
from minivision.models.vgg import VGG, convolutionalize
from minivision.nn import Module

__all__ = ["MODELS", "VGG", "FCN8s", "FCN16s", "FCN32s", "UNet", "convolutionalize", "create", "receptive_field"]

MODELS: dict[str, type[Module]] = {"unet": UNet, "fcn32s": FCN32s, "fcn16s": FCN16s, "fcn8s": FCN8s}


def create(name: str, **arguments: Any) -> Module:
    """A network by name: `create("unet", num_classes=4)`. `create(**model.config)` builds an untrained copy of `model`."""
    if name not in MODELS:
        raise ValueError(f"models.create: {name!r} is unknown; use one of {', '.join(MODELS)}")
    return MODELS[name](**arguments)
