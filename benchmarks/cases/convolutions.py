"""One convolution, forward and backward: the gradients of input, weight and bias are all computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Step, Target, Work

WIDE = Target(0.9, 1.3)
OTHER = Target(1.5, 2.5)


def convolution(
    name: str,
    groups: tuple[str, ...],
    shape: tuple[int, int, int, int],
    out_channels: int,
    kernel: int,
    target: Target,
    *,
    stride: int = 1,
    padding: int | None = None,
    dilation: int = 1,
    transposed: bool = False,
    input_gradient: bool = True,
    peer: bool = False,
) -> Case:
    """A convolution of an input (N, C, H, W); "same" padding unless told otherwise."""
    batch, channels, height, width = shape
    if padding is None:
        padding = 0 if transposed else dilation * (kernel - 1) // 2
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    if transposed:
        out = tuple((n - 1) * stride - 2 * padding + kernel for n in (height, width))
        weight_shape = (channels, out_channels, kernel, kernel)
    else:
        out = tuple((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for n in (height, width))
        weight_shape = (out_channels, channels, kernel, kernel)

    def arrays(rng: np.random.Generator) -> Arrays:
        scale = (channels * kernel * kernel) ** -0.5
        return {
            "x": rng.standard_normal(shape, np.float32),
            "weight": scale * rng.standard_normal(weight_shape, np.float32),
            "bias": rng.standard_normal(out_channels, np.float32),
            "dy": rng.standard_normal((batch, out_channels, *out), np.float32),
        }

    def build(torch: Any, arrays: Arrays) -> Step:
        x, weight, bias, dy = (torch.from_numpy(arrays[key]) for key in ("x", "weight", "bias", "dy"))
        conv = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d
        wanted = {"grad weight": weight.requires_grad_(), "grad bias": bias.requires_grad_()}
        if input_gradient:
            wanted["grad x"] = x.requires_grad_()

        def step() -> dict[str, Any]:
            for tensor in wanted.values():
                tensor.grad = None
            y = conv(x, weight, bias, **settings)
            y.backward(dy)
            return {"y": y, **{key: tensor.grad for key, tensor in wanted.items()}}

        return step

    def work() -> Work:
        x, y = np.prod(shape), batch * out_channels * np.prod(out)
        passes = 3 if input_gradient else 2
        positions = x if transposed else y
        per_position = (out_channels if transposed else channels) * kernel**2
        # forward reads x and w and writes y; the gradients read dy twice, x and w again, and write dx and dw
        moved = (passes - 1) * y + passes * x + passes * np.prod(weight_shape)
        return Work(float(passes * 2 * positions * per_position), float(4 * (moved + y)))

    kind = f"transposed {kernel}x{kernel}" if transposed else f"{kernel}x{kernel}"
    extras = "".join(f", {key} {settings[key]}" for key in ("stride", "dilation") if settings[key] != 1)
    title = f"{kind} conv{extras}, {batch} x {channels} x {height} x {width} -> {out_channels}"
    title += "" if input_gradient else ", no dx"
    plain = peer and not transposed and dilation == 1 and input_gradient
    asked = {"work": "conv", "stride": stride, "padding": padding} if plain else None
    return Case(name, groups, title, arrays, build, work, target, peer=asked)


def _cases() -> list[Case]:
    cases = []
    for channels, size in ((64, 128), (128, 64), (256, 32), (512, 16)):
        shape = (4, channels, size, size)
        cases.append(convolution(f"conv3x3-{channels}", ("conv3x3", "conv", "peers"), shape, channels, 3, WIDE, peer=True))
    for channels, shape in ((64, (1, 64, 125, 187)), (128, (2, 128, 61, 45)), (256, (1, 256, 63, 63)), (512, (1, 512, 31, 17))):
        cases.append(convolution(f"conv3x3-odd-{channels}", ("conv3x3", "conv"), shape, channels, 3, WIDE))

    few = ("conv3x3-few", "conv")
    cases += [
        convolution("conv3x3-few-16", (*few, "peers"), (4, 16, 128, 128), 16, 3, OTHER, peer=True),
        convolution("conv3x3-few-32", few, (4, 32, 128, 128), 32, 3, OTHER),
        convolution("conv3x3-few-3-64", (*few, "peers"), (4, 3, 128, 128), 64, 3, OTHER, peer=True),
        convolution("conv3x3-few-3-64-first", few, (4, 3, 128, 128), 64, 3, OTHER, input_gradient=False),
        convolution("conv3x3-few-16-odd", few, (1, 16, 93, 61), 16, 3, OTHER),
        convolution("conv3x3-few-32-odd", few, (3, 32, 47, 63), 32, 3, OTHER),
        convolution("conv3x3-few-3-64-odd", few, (1, 3, 125, 187), 64, 3, OTHER),
    ]

    other = ("conv-other", "conv")
    for channels, size in ((64, 64), (256, 32)):
        shape, half = (4, channels, size, size), channels // 2
        cases += [
            convolution(f"conv1x1-{channels}", other, shape, channels, 1, OTHER),
            convolution(f"conv3x3-s2-{channels}", other, shape, channels, 3, OTHER, stride=2),
            convolution(f"conv3x3-d2-{channels}", other, shape, channels, 3, OTHER, dilation=2),
            convolution(f"transposed2x2-{channels}", other, shape, half, 2, OTHER, stride=2, transposed=True),
        ]
    cases += [
        convolution("conv1x1-64-21", other, (2, 64, 128, 128), 21, 1, OTHER),
        convolution("conv7x7-3-64", other, (2, 3, 128, 128), 64, 7, OTHER),
        convolution("conv7x7-32", other, (2, 32, 64, 64), 32, 7, OTHER),
        convolution("conv7x7-s2-3-64", other, (2, 3, 224, 224), 64, 7, OTHER, stride=2),
        convolution("conv7x7-s2-32", other, (2, 32, 64, 64), 32, 7, OTHER, stride=2),
        convolution("transposed4x4-21", other, (2, 21, 32, 32), 21, 4, OTHER, stride=2, padding=1, transposed=True),
        convolution("transposed4x4-64", other, (2, 64, 32, 32), 64, 4, OTHER, stride=2, padding=1, transposed=True),
        convolution("conv3x3-s2-odd", other, (1, 48, 61, 93), 96, 3, OTHER, stride=2),
        convolution("conv3x3-d3-odd", other, (1, 40, 61, 45), 40, 3, OTHER, dilation=3),
        convolution("transposed2x2-odd", other, (1, 128, 31, 17), 64, 2, OTHER, stride=2, transposed=True),
        convolution("conv1x1-odd", other, (3, 96, 31, 45), 48, 1, OTHER),
    ]  # fmt: skip
    return cases


CASES = _cases()
