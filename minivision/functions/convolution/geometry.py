"""The size arithmetic of sliding windows, and the errors it leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minivision.autograd import Tensor
from minivision.functions.convolution.choice import asked_for
from minivision.functions.layout import Pair
from minivision.functions.operands import integer, shown

AXES = {1: "L", 2: "H, W", 3: "D, H, W"}
LEGAL = {
    1: "an int",
    2: "an int, or 2 ints, one for each spatial axis (height, width)",
    3: "an int, or 3 ints, one for each spatial axis (depth, height, width)",
}


class Window(NamedTuple):
    """How a kernel moves over an input: per spatial axis the stride, the padding (before, after) and the dilation."""

    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    algorithm: str | None = None  # what `conv_algorithm` asked for in forward, so that backward takes the same


def need_samples(op: str, x: Tensor, ndim: int) -> None:
    """Raise ValueError unless the input is a batch (N, C, *spatial) or a single sample (C, *spatial)."""
    if x.ndim not in (ndim + 1, ndim + 2):
        way_out = "; give it a channel axis with input.unsqueeze(0)" if x.ndim == ndim else ""
        legal = f"(N, C, {AXES[ndim]}), or (C, {AXES[ndim]}) for a single sample"
        raise ValueError(f"{op}: input has shape {x.shape}, but must be {legal}{way_out}")


def per_axis(op: str, name: str, value: Any, ndim: int, minimum: int = 0) -> tuple[int, ...]:
    """An int for all axes, or one int per axis, as a tuple."""
    if not isinstance(value, (tuple, list)):
        return (integer(op, name, value, minimum, LEGAL[ndim]),) * ndim
    if len(value) not in (1, ndim):
        raise ValueError(f"{op}: {name}={shown(value)} has {len(value)} entries, but must be {LEGAL[ndim]}")
    values = tuple(integer(op, f"{name}[{i}]", v, minimum) for i, v in enumerate(value))
    return values * ndim if len(values) == 1 else values


def symmetric(padding: Sequence[int]) -> tuple[Pair, ...]:
    """The same amount before and after, per axis."""
    return tuple((p, p) for p in padding)


def span(kernel: int, dilation: int) -> int:
    """How many input positions a dilated kernel reaches over: d (k - 1) + 1."""
    return dilation * (kernel - 1) + 1


def output_size(op: str, size: Sequence[int], kernel: Sequence[int], window: Window) -> tuple[int, ...]:
    """floor((n + p_before + p_after - d (k - 1) - 1) / s) + 1 per axis; a ValueError where the kernel does not fit."""
    sizes = []
    for axis, (n, k, s, (a, b), d) in enumerate(zip(size, kernel, window.stride, window.padding, window.dilation, strict=True)):
        out = (n + a + b - span(k, d)) // s + 1
        if out < 1:
            padded = f"{n} + {a} + {b} = {n + a + b}"
            reach = f"{d}*({k} - 1) + 1 = {span(k, d)}"
            raise ValueError(
                f"{op}: the kernel does not fit: along {axis_name(axis, len(size))} the padded input has {padded} positions, but "
                f"the kernel spans {reach}; input (spatial) is {tuple(size)}, kernel {tuple(kernel)}. Use a larger input, a "
                "smaller kernel or dilation, or more padding"
            )
        sizes.append(out)
    return tuple(sizes)


def transposed_output_size(size: Sequence[int], kernel: Sequence[int], window: Window) -> tuple[int, ...]:
    """(n - 1) s - p_before - p_after + d (k - 1) + 1 per axis: the smallest input size that the convolution maps to `size`."""
    return tuple(
        (n - 1) * s - a - b + span(k, d)
        for n, k, s, (a, b), d in zip(size, kernel, window.stride, window.padding, window.dilation, strict=True)
    )


def axis_name(axis: int, ndim: int) -> str:
    """What a spatial axis is called: height and width for images."""
    return {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}[ndim][axis]


def sliding_window(
    op: str, kernel: Sequence[int], stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Window:
    """The window that users mean by an int, one int per axis, or "same" / "valid" padding."""
    ndim = len(kernel)
    strides = per_axis(op, "stride", stride, ndim, minimum=1)
    dilations = per_axis(op, "dilation", dilation, ndim, minimum=1)
    paddings = _paddings(op, padding, kernel, strides, dilations)
    return Window(strides, paddings, dilations, integer(op, "groups", groups, minimum=1), asked_for())


def _paddings(op: str, padding: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[Pair, ...]:
    if not isinstance(padding, str):
        return symmetric(per_axis(op, "padding", padding, len(kernel)))
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise ValueError(f"{op}: padding={padding!r} is unknown; use an int, one per axis, 'same' or 'valid'")
    if any(s != 1 for s in stride):
        axis = next(i for i, s in enumerate(stride) if s != 1)
        raise ValueError(
            f"{op}: padding='same' needs stride 1, but the stride along {axis_name(axis, len(kernel))} is {stride[axis]}"
        )
    total = [span(k, d) - 1 for k, d in zip(kernel, dilation, strict=True)]
    return tuple((n // 2, n - n // 2) for n in total)
