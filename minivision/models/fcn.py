"""Fully convolutional networks: FCN-32s, FCN-16s, FCN-8s (Long, Shelhamer & Darrell 2015, arXiv:1411.4038)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minivision import nn
from minivision.autograd import Tensor
from minivision.models.sizes import require_image
from minivision.models.vgg import VGG, convolutionalize


class _FCN(nn.Module):
    """A VGG whose fully connected layers have become convolutions, and 1x1 scores of its class map at stride 32.

    Parameters
    ----------
    in_channels, num_classes: of the image and of the score map.
    widths, layers, fc, norm, dropout: of the VGG trunk; the defaults are VGG-16.
    padding: "same", where the input must be a multiple of 32 and nothing is cropped, or "paper", where conv1 pads by 100, fc6
        not at all, and every map is cropped to the image; any size is legal then.

    Input (N, in_channels, H, W), output scores (N, num_classes, H, W).
    """

    name: str

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 21,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        layers: Sequence[int] = (2, 2, 3, 3, 3),
        fc: int = 4096,
        norm: str | None = None,
        dropout: float = 0.5,
        padding: str = "same",
    ):
        super().__init__()
        if padding not in ("same", "paper"):
            raise ValueError(f"{type(self).__name__}: padding={padding!r} is unknown; use 'same' or 'paper'")
        self.config = {
            "name": self.name, "in_channels": in_channels, "num_classes": num_classes, "widths": list(widths),
            "layers": list(layers), "fc": fc, "norm": norm, "dropout": dropout, "padding": padding,
        }  # fmt: skip
        self.in_channels, self.num_classes, self.widths, self.padding = in_channels, num_classes, tuple(widths), padding
        self.size_divisor = 32 if padding == "same" else 1

        vgg = VGG(in_channels, 1, widths, layers, fc, norm, dropout)
        self.block1, self.block2, self.block3, self.block4, self.block5 = vgg.blocks()
        fc6, fc7 = vgg.classifier[0], vgg.classifier[3]
        self.fc6 = convolutionalize(fc6, widths[-1], 7, padding=3 if padding == "same" else 0)
        self.fc7 = convolutionalize(fc7, fc, 1)
        self.relu, self.dropout = nn.ReLU(), nn.Dropout2d(dropout)
        if padding == "paper":
            self.block1[0].padding = (100, 100)
            for module in self.modules():
                if isinstance(module, nn.MaxPool2d):
                    module.ceil_mode = True
        self.score = zero(nn.Conv2d(fc, num_classes, 1))

    def trunk(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """pool3, pool4 and the scores, at strides 8, 16 and 32."""
        step = self.size_divisor
        require_image(
            type(self).__name__, x, self.in_channels, lambda n: n > 0 and n % step == 0, step, f"it must be a multiple of {step}"
        )
        pool3 = self.block3(self.block2(self.block1(x)))
        pool4 = self.block4(pool3)
        h = self.block5(pool4)
        h = self.dropout(self.relu(self.fc6(h)))
        h = self.dropout(self.relu(self.fc7(h)))
        return pool3, pool4, self.score(h)

    def upsample(self, factor: int) -> nn.ConvTranspose2d:
        """A learnable upsampling by `factor` that starts as bilinear interpolation."""
        padding = factor // 2 if self.padding == "same" else 0
        layer = nn.ConvTranspose2d(self.num_classes, self.num_classes, 2 * factor, stride=factor, padding=padding, bias=False)
        nn.init.bilinear_(layer.weight)
        return layer

    def crop(self, x: Tensor, like: Tensor, offset: int) -> Tensor:
        """The part of x that lies over `like`; with padding="same" they coincide."""
        if self.padding == "same":
            return x
        height, width = like.shape[2:]
        return x[:, :, offset : offset + height, offset : offset + width]

    def start_from(self, coarser: _FCN) -> Any:
        """Take over the trunk and every score of an already trained coarser network, as the paper's stages do; returns self.

        The final upsampling differs and keeps its bilinear start, so the first predictions are those of the coarser network as
        far as its own final upsampling stayed bilinear. Raises RuntimeError when the trunks do not match.
        """
        own = self.state_dict()
        shared = {name: value for name, value in coarser.state_dict().items() if not name.startswith("final")}
        self.load_state_dict({**own, **shared})
        return self


class FCN32s(_FCN):
    """Scores at stride 32, upsampled 32 times in one step."""

    name = "fcn32s"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.final = self.upsample(32)

    def forward(self, x: Tensor) -> Tensor:
        _, _, score = self.trunk(x)
        return self.crop(self.final(score), x, 19)


class FCN16s(_FCN):
    """The scores, upsampled twice, plus scores of pool4; then 16 times."""

    name = "fcn16s"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.score_pool4 = zero(nn.Conv2d(self.widths[3], self.num_classes, 1))
        self.up2 = self.upsample(2)
        self.final = self.upsample(16)

    def forward(self, x: Tensor) -> Tensor:
        _, pool4, score = self.trunk(x)
        score = self.up2(score)
        score = score + self.crop(self.score_pool4(pool4), score, 5)
        return self.crop(self.final(score), x, 27)


class FCN8s(_FCN):
    """The scores, upsampled twice, plus scores of pool4, upsampled twice, plus scores of pool3; then 8 times."""

    name = "fcn8s"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.score_pool4 = zero(nn.Conv2d(self.widths[3], self.num_classes, 1))
        self.score_pool3 = zero(nn.Conv2d(self.widths[2], self.num_classes, 1))
        self.up2 = self.upsample(2)
        self.up_pool4 = self.upsample(2)
        self.final = self.upsample(8)

    def forward(self, x: Tensor) -> Tensor:
        pool3, pool4, score = self.trunk(x)
        score = self.up2(score)
        score = score + self.crop(self.score_pool4(pool4), score, 5)
        score = self.up_pool4(score)
        score = score + self.crop(self.score_pool3(pool3), score, 9)
        return self.crop(self.final(score), x, 31)


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """A score layer that starts at zero: at first no class is preferred, and a skip changes nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
