"""Operations that follow one another, computed as one.

Each of these gives what its parts give one after the other, value by value and gradient by gradient, but goes over memory once
where they go twice, and keeps no array between them. `nn.Sequential` uses them where nobody can tell; see `nn/fusing.py`.

- `ConvolutionReLU`: convolution, bias and ReLU.
- `BatchNormReLU`, `GroupNormReLU`, `FixedNormReLU` (in `normalization.py`): normalisation and ReLU.
- `CrossEntropy` (in `loss.py`): softmax, logarithm and the choice of the label.
- `ConvolutionNorm`: convolution, batch norm in evaluation, and ReLU if there is one.
"""

from __future__ import annotations

from typing import Any

from minivision.backend import Array, xp_of
from minivision.blocks import in_blocks
from minivision.functions.convolution.direct import Convolution
from minivision.functions.convolution.finishing import Finishing
from minivision.functions.selecting import BLOCK, keep_only
from minivision.memory import empty_like


class ConvolutionReLU(Convolution):
    """y = max(z, 0), with z the convolution of x and w, plus b

    dz = dy where y > 0, which is where z > 0, else 0; from dz on, backward is the convolution's. Kept is y, which the next layer
    keeps as its input anyway.
    """

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.y = super().forward(x, w, b)
        return self.y

    def finishing(self, b: Array | None) -> Finishing:
        return Finishing(b, relu=True)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return super().backward(_passed(dy, self.y))

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.y > 0}


class ConvolutionNorm(Convolution):
    """y = s z + t, with z the convolution of x and w, plus b; with `relu`, y = max(s z + t, 0)

    It is batch norm in evaluation that makes s = weight / sqrt(var + eps) and t = bias - mean s, all of which are constants here.
    So dz = s dy, where y > 0 with `relu`; from dz on, backward is the convolution's.
    """

    def __init__(
        self, mean: Array, var: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5,
        relu: bool = False, settings: tuple[Any, ...] = (),
    ):  # fmt: skip
        # settings: the convolution's, in its order
        self.y: Any = None
        super().__init__(*settings)
        xp = xp_of(mean, var, weight, bias)
        inverse_std = 1 / xp.sqrt(var.astype("float64") + eps)
        self.scale = inverse_std if weight is None else weight * inverse_std
        self.shift = -mean * self.scale if bias is None else bias - mean * self.scale
        self.relu = relu

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        y = super().forward(x, w, b)
        if self.relu:
            self.y = y
        return y

    def finishing(self, b: Array | None) -> Finishing:
        shift = self.shift if b is None else self.shift + b * self.scale
        return Finishing(shift.astype(self.w.dtype), self.scale.astype(self.w.dtype), self.relu)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        scale = self.scale.astype(dy.dtype).reshape(-1, *(1,) * (dy.ndim - 2))
        return super().backward((_passed(dy, self.y) if self.relu else dy) * scale)

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.y > 0} if self.relu else {}


def _passed(dy: Array, y: Array) -> Array:
    """What ReLU lets through of the gradient: dy where its output y is positive."""
    dz = empty_like(y)
    in_blocks(lambda y, dy, dz: keep_only(y > 0, dy, dz), y, dy, dz, block=BLOCK)
    return dz
