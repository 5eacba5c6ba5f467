"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597)."""

from __future__ import annotations

from collections.abc import Sequence

from minivision import nn
from minivision.autograd import Tensor
from minivision.functions.shape import cat, center_crop
from minivision.models.sizes import require_image


class UNet(nn.Module):
    """A contracting path that finds out what is there, an expanding path that finds out where, and copies across.

    Parameters
    ----------
    in_channels, num_classes: of the image and of the score map.
    widths: the channels of each level, from the full resolution down; or the first one, doubled at each of `depth` levels.
    depth: how many times the resolution is halved; only with a single width.
    padding: "same", where the scores have the image's size, or "valid", the paper's, where every convolution loses a border of
        one pixel and the copies are cropped (572 -> 388).
    norm: "batch" for batch normalisation after each convolution, None for the paper's plain convolutions.
    dropout: the probability at the end of the contracting path.

    Input (N, in_channels, H, W), output scores (N, num_classes, H', W'). Raises ValueError for sizes that cannot be halved
    `depth` times without a remainder, naming the nearest that can.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        widths: Sequence[int] | int = (64, 128, 256, 512, 1024),
        depth: int | None = None,
        padding: str = "same",
        norm: str | None = "batch",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.widths = _widths(widths, depth)
        self.depth, self.padding = len(self.widths) - 1, padding
        self.in_channels, self.num_classes = in_channels, num_classes
        self.config = {
            "name": "unet", "in_channels": in_channels, "num_classes": num_classes, "widths": list(self.widths),
            "padding": padding, "norm": norm, "dropout": dropout,
        }  # fmt: skip
        if padding not in ("same", "valid"):
            raise ValueError(f"UNet: padding={padding!r} is unknown; use 'same' or 'valid'")
        if norm not in ("batch", None):
            raise ValueError(f"UNet: norm={norm!r} is unknown; use 'batch' or None")

        def double_conv(inside: int, outside: int) -> nn.Sequential:
            return nn.Sequential(*conv(inside, outside), *conv(outside, outside))

        def conv(inside: int, outside: int) -> list[nn.Module]:
            layer = nn.Conv2d(inside, outside, 3, padding=padding, bias=norm is None)
            return [layer, nn.ReLU()] if norm is None else [layer, nn.BatchNorm2d(outside), nn.ReLU()]

        *levels, bottom = self.widths
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([in_channels, *levels], levels, strict=False))
        self.pool = nn.MaxPool2d(2)
        self.bottom = double_conv(levels[-1] if levels else in_channels, bottom)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(self.widths[:0:-1], levels[::-1], strict=True)
        )
        self.merge = nn.ModuleList(double_conv(2 * width, width) for width in reversed(levels))
        self.head = nn.Conv2d(self.widths[0], num_classes, 1)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        copies = []
        for block in self.down:
            x = block(x)
            copies.append(x)
            x = self.pool(x)
        x = self.dropout(self.bottom(x))
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            copy = center_crop(copies.pop(), x.shape[2:])
            x = merge(cat([copy, x], dim=1))
        return self.head(x)

    def reset_parameters(self) -> None:
        """He initialisation, which the paper asks for: N(0, 2 / N) with N the number of inputs of a unit."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    # ---- sizes ----

    @property
    def size_divisor(self) -> int:
        """With padding="same", heights and widths must be multiples of this."""
        return 2**self.depth

    def output_size(self, size: int) -> int | None:
        """The height (or width) of the scores for an image height (or width), None if the network cannot take it."""
        loss = 0 if self.padding == "same" else 4  # two 3x3 convolutions lose 4 pixels
        for _ in range(self.depth):
            size -= loss
            if size <= 0 or size % 2:
                return None
            size //= 2
        size -= loss
        for _ in range(self.depth):
            size = 2 * size - loss
        return size if size > 0 else None

    def _check(self, x: Tensor) -> None:
        step = 2**self.depth
        rule = f"it must be a multiple of 2^{self.depth} = {step}"
        if self.padding == "valid":
            rest = next(n for n in range(step, 40 * step) if self.output_size(n)) % step
            rule = f"valid convolutions and {self.depth} poolings need n = {rest} mod {step}, and something left at the end"
        require_image("UNet", x, self.in_channels, lambda n: self.output_size(n) is not None, step, rule)


def _widths(widths: Sequence[int] | int, depth: int | None) -> tuple[int, ...]:
    if isinstance(widths, int):
        return tuple(widths * 2**level for level in range((4 if depth is None else depth) + 1))
    result = tuple(widths)
    if not result or (depth is not None and depth != len(result) - 1):
        raise ValueError(
            f"UNet: widths={result} has {len(result)} levels, but depth={depth} needs {(depth or 0) + 1}; leave depth out"
        )
    return result
