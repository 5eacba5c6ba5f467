"""VGG (Simonyan & Zisserman 2015, arXiv:1409.1556): the classifier that FCN starts from."""

from __future__ import annotations

from collections.abc import Sequence

from minivision import nn
from minivision.autograd import Tensor, no_grad


class VGG(nn.Module):
    """Five blocks of 3x3 convolutions, each followed by a 2x2 max pooling, then three fully connected layers.

    The defaults are VGG-16, with torchvision's parameter names. Input (N, in_channels, H, W) with H, W >= 32; output class scores
    (N, num_classes). `norm="batch"` puts batch normalisation after each convolution.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1000,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        layers: Sequence[int] = (2, 2, 3, 3, 3),
        fc: int = 4096,
        norm: str | None = None,
        dropout: float = 0.5,
    ):
        super().__init__()
        if len(widths) != 5 or len(layers) != 5:
            raise ValueError(f"VGG: widths={tuple(widths)} and layers={tuple(layers)} must have 5 entries, one for each block")
        if norm not in ("batch", None):
            raise ValueError(f"VGG: norm={norm!r} is unknown; use 'batch' or None")
        self.features = nn.Sequential()
        inside = in_channels
        for width, count in zip(widths, layers, strict=True):
            for _ in range(count):
                self.features.append(nn.Conv2d(inside, width, 3, padding=1, bias=norm is None))
                if norm == "batch":
                    self.features.append(nn.BatchNorm2d(width))
                self.features.append(nn.ReLU())
                inside = width
            self.features.append(nn.MaxPool2d(2))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(inside * 7 * 7, fc), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(fc, fc), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(fc, num_classes),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))

    def blocks(self) -> list[nn.Sequential]:
        """`features`, cut behind each pooling."""
        blocks: list[nn.Sequential] = [nn.Sequential()]
        for layer in self.features:
            blocks[-1].append(layer)
            if isinstance(layer, nn.MaxPool2d):
                blocks.append(nn.Sequential())
        return blocks[:-1]


def convolutionalize(linear: nn.Linear, channels: int, kernel_size: int, padding: int = 0) -> nn.Conv2d:
    """The fully connected layer on a flattened (channels, k, k) map, as a convolution with a k x k kernel: the same numbers.

    On a k x k map it gives the same scores; on a larger map it gives them for every position, as if the classifier had been slid
    over it.
    """
    if linear.in_features != channels * kernel_size**2:
        raise ValueError(
            f"convolutionalize: a layer with {linear.in_features} inputs does not see {channels} channels of "
            f"{kernel_size} x {kernel_size}"
        )
    conv = nn.Conv2d(channels, linear.out_features, kernel_size, padding=padding, bias=linear.bias is not None)
    with no_grad():
        conv.weight.copy_(linear.weight.view(linear.out_features, channels, kernel_size, kernel_size))
        if conv.bias is not None:
            conv.bias.copy_(linear.bias)
    return conv
