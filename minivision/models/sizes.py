"""Which image sizes a network accepts, and the error for the others."""

from __future__ import annotations

from collections.abc import Callable

from minivision.autograd import Tensor


def nearest_legal(size: int, is_legal: Callable[[int], bool], reach: int) -> tuple[int | None, int]:
    """The legal sizes next below and next above `size`; None where there is none below."""
    below = next((n for n in range(size, max(size - reach, 0), -1) if is_legal(n)), None)
    above = next(n for n in range(max(size, 1), size + 100 * reach) if is_legal(n))
    return below, above


def require_image(name: str, x: Tensor, channels: int, is_legal: Callable[[int], bool], reach: int, rule: str) -> None:
    """Raise ValueError unless x is (N, channels, H, W) with legal H and W; the message names the nearest legal sizes."""
    if x.ndim != 4:
        raise ValueError(
            f"{name}: input has shape {x.shape}, but must be images (N, C, H, W); add the batch axis with .unsqueeze(0)"
        )
    if x.shape[1] != channels:
        raise ValueError(
            f"{name}: input (N, C, H, W) = {x.shape} has {x.shape[1]} channels, but the network was built for {channels}"
        )
    for axis, size in zip(("height", "width"), x.shape[2:], strict=True):
        if not is_legal(size):
            below, above = nearest_legal(size, is_legal, reach)
            options = f"{above}" if below is None else f"{below} or {above}"
            raise ValueError(
                f"{name}: {axis} {size} of input {x.shape} does not fit: {rule}; the nearest legal sizes are {options}"
            )
