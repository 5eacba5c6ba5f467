"""The other layers of a segmentation network, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Step, Target, Work

LAYER = Target(1.5, 3.0)

Shape = tuple[int, ...]
Forward = Callable[..., Any]


def layer(
    name: str,
    title: str,
    inputs: dict[str, Shape],
    output: Shape,
    function: Callable[[Any, Arrays], Forward],
    *,
    fixed: Callable[[np.random.Generator], Arrays] | None = None,
    peer: dict[str, Any] | None = None,
    flops_per_output: float = 1.0,
) -> Case:
    """`function(torch, arrays)` returns the layer; it is called with the inputs, of which all gradients are computed.

    `fixed` are further arrays, without a gradient.
    """

    def arrays(rng: np.random.Generator) -> Arrays:
        made = {key: rng.standard_normal(shape, np.float32) for key, shape in inputs.items()}
        return {**made, "dy": rng.standard_normal(output, np.float32), **(fixed(rng) if fixed else {})}

    def build(torch: Any, arrays: Arrays) -> Step:
        forward = function(torch, arrays)
        tensors = {key: torch.from_numpy(arrays[key]).requires_grad_() for key in inputs}
        dy = torch.from_numpy(arrays["dy"])

        def step() -> dict[str, Any]:
            for tensor in tensors.values():
                tensor.grad = None
            y = forward(*tensors.values())
            y.backward(dy)
            return {"y": y, **{f"grad {key}": tensor.grad for key, tensor in tensors.items()}}

        return step

    def work() -> Work:
        x, y = sum(math.prod(shape) for shape in inputs.values()), math.prod(output)
        return Work(3 * flops_per_output * y, 4.0 * (2 * x + 2 * y))  # forward reads x and writes y; backward reads dy, writes dx

    groups = ("layers", "peers") if peer else ("layers",)
    return Case(name, groups, title, arrays, build, work, LAYER, peer=peer)


def max_pool(name: str, shape: Shape) -> Case:
    n, c, h, w = shape

    def function(torch: Any, arrays: Arrays) -> Forward:
        return lambda x: torch.nn.functional.max_pool2d(x, 2, return_indices=True)[0]

    title = f"max pool 2x2 with indices, {_size(shape)}"
    peer = {"work": "max_pool"} if name == "max-pool" else None
    return layer(name, title, {"x": shape}, (n, c, h // 2, w // 2), function, peer=peer)


def max_unpool(name: str, shape: Shape) -> Case:
    n, c, h, w = shape
    pooled = (n, c, h // 2, w // 2)

    def fixed(rng: np.random.Generator) -> Arrays:
        i, j = 2 * np.arange(h // 2)[:, None] + rng.integers(0, 2, pooled), 2 * np.arange(w // 2) + rng.integers(0, 2, pooled)
        return {"indices": i * w + j}

    def function(torch: Any, arrays: Arrays) -> Forward:
        indices = torch.from_numpy(arrays["indices"])
        return lambda x: torch.nn.functional.max_unpool2d(x, indices, 2, output_size=(h, w))

    return layer(name, f"max unpool 2x2 to {_size(shape)}", {"x": pooled}, shape, function, fixed=fixed)


def bilinear(name: str, shape: Shape, align_corners: bool = False) -> Case:
    n, c, h, w = shape

    def function(torch: Any, arrays: Arrays) -> Forward:
        interpolate = torch.nn.functional.interpolate
        return lambda x: interpolate(x, scale_factor=2, mode="bilinear", align_corners=align_corners)

    corners = ", align_corners" if align_corners else ""
    return layer(name, f"bilinear x2{corners}, {_size(shape)}", {"x": shape}, (n, c, 2 * h, 2 * w), function, flops_per_output=7)


def batch_norm(name: str, shape: Shape) -> Case:
    channels = shape[1]

    def function(torch: Any, arrays: Arrays) -> Forward:
        mean, var = torch.zeros(channels), torch.ones(channels)
        return lambda x, weight, bias: torch.nn.functional.batch_norm(x, mean, var, weight, bias, training=True)

    inputs = {"x": shape, "weight": (channels,), "bias": (channels,)}
    return layer(name, f"batch norm, training, {_size(shape)}", inputs, shape, function, flops_per_output=4)


def group_norm(name: str, shape: Shape, groups: int = 8) -> Case:
    channels = shape[1]

    def function(torch: Any, arrays: Arrays) -> Forward:
        return lambda x, weight, bias: torch.nn.functional.group_norm(x, groups, weight, bias)

    inputs = {"x": shape, "weight": (channels,), "bias": (channels,)}
    return layer(name, f"group norm, {groups} groups, {_size(shape)}", inputs, shape, function, flops_per_output=4)


def cross_entropy(name: str, shape: Shape, ignored: bool = False) -> Case:
    def fixed(rng: np.random.Generator) -> Arrays:
        target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        if ignored:
            target[rng.random(target.shape) < 0.05] = 255
        return {"target": target}

    def function(torch: Any, arrays: Arrays) -> Forward:
        target = torch.from_numpy(arrays["target"])
        return lambda logits: torch.nn.functional.cross_entropy(logits, target, ignore_index=255)

    title = f"cross entropy over pixels{', 5 % ignored' if ignored else ''}, {_size(shape)}"
    return layer(name, title, {"logits": shape}, (), function, fixed=fixed, flops_per_output=5 * math.prod(shape))


def cat(name: str, first: Shape, second: Shape) -> Case:
    def function(torch: Any, arrays: Arrays) -> Forward:
        return lambda a, b: torch.cat([a, b], dim=1)

    output = (first[0], first[1] + second[1], *first[2:])
    return layer(name, f"cat, {_size(first)} and {_size(second)}", {"a": first, "b": second}, output, function)


def relu(name: str, shape: Shape) -> Case:
    return layer(name, f"ReLU, {_size(shape)}", {"x": shape}, shape, lambda torch, arrays: torch.nn.functional.relu)


def roi_align(name: str, shape: Shape, boxes: int) -> Case:
    n, c, h, w = shape

    def fixed(rng: np.random.Generator) -> Arrays:
        x, y = (np.sort(rng.uniform(0.5, size - 1.5, (boxes, 2)), axis=1) for size in (w, h))
        image = np.sort(rng.integers(0, n, boxes))
        return {"boxes": np.stack([image, x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype(np.float32)}

    def function(torch: Any, arrays: Arrays) -> Forward:
        align, table = _roi_align_of(torch), torch.from_numpy(arrays["boxes"])
        return lambda x: align(x, table, (7, 7), sampling_ratio=2)

    title = f"RoIAlign, {boxes} boxes, {_size(shape)}"
    return layer(name, title, {"x": shape}, (boxes, c, 7, 7), function, fixed=fixed, flops_per_output=32)


def torchvision_roi_align() -> Any:
    """torchvision's, which is compiled; None where torchvision is missing or was built for another PyTorch."""
    try:
        from torchvision.ops import roi_align
    except (ImportError, RuntimeError, OSError):
        return None
    return roi_align


def _roi_align_of(torch: Any) -> Any:
    if torch.__name__ == "minivision":
        return torch.ops.roi_align
    return torchvision_roi_align() or (lambda *args, **settings: roi_align_by_grid_sample(torch, *args, **settings))


def roi_align_by_grid_sample(torch: Any, x: Any, boxes: Any, output_size: tuple[int, int], sampling_ratio: int) -> Any:
    """RoIAlign as one writes it without torchvision: all points of an image's boxes in one `grid_sample`, then means.

    For boxes inside the image; grid_sample and RoIAlign differ outside.
    """
    (p, q), g = output_size, sampling_ratio
    n, c, h, w = x.shape
    pooled = []
    for image in range(n):
        _, x1, y1, x2, y2 = boxes[boxes[:, 0] == image].unbind(1)
        ys, xs = _points(torch, y1, y2, p * g), _points(torch, x1, x2, q * g)  # (R, p g) and (R, q g), in pixels
        grid = torch.stack(
            [
                ((2 * xs + 1) / w - 1)[:, None, :].expand(-1, p * g, -1),
                ((2 * ys + 1) / h - 1)[:, :, None].expand(-1, -1, q * g),
            ],
            dim=-1,
        ).reshape(1, -1, q * g, 2)
        samples = torch.nn.functional.grid_sample(x[image : image + 1], grid, align_corners=False)  # (1, c, R p g, q g)
        pooled.append(samples.reshape(c, -1, p, g, q, g).mean((3, 5)).transpose(0, 1))
    return torch.cat(pooled)


def _points(torch: Any, start: Any, end: Any, number: int) -> Any:
    """(R, number): so many points, evenly spread over the intervals from start (R,) to end (R,), each at least 1 long."""
    length = (end - start).clamp(min=1)
    return start[:, None] + length[:, None] * (torch.arange(number) + 0.5) / number


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape))


CASES = [
    max_pool("max-pool", (4, 64, 128, 128)),
    max_pool("max-pool-odd", (1, 32, 125, 187)),
    max_unpool("max-unpool", (4, 64, 128, 128)),
    max_unpool("max-unpool-odd", (1, 32, 61, 93)),
    bilinear("bilinear", (4, 64, 64, 64)),
    bilinear("bilinear-corners", (4, 64, 64, 64), align_corners=True),
    bilinear("bilinear-odd", (1, 21, 61, 93)),
    batch_norm("batch-norm", (4, 64, 128, 128)),
    batch_norm("batch-norm-odd", (1, 96, 61, 45)),
    group_norm("group-norm", (4, 64, 128, 128)),
    group_norm("group-norm-odd", (1, 96, 61, 45)),
    cross_entropy("cross-entropy", (4, 21, 128, 128)),
    cross_entropy("cross-entropy-2", (8, 2, 252, 252)),
    cross_entropy("cross-entropy-ignored", (1, 21, 125, 187), ignored=True),
    cat("cat", (4, 64, 128, 128), (4, 64, 128, 128)),
    cat("cat-odd", (1, 48, 61, 93), (1, 16, 61, 93)),
    relu("relu", (4, 64, 128, 128)),
    roi_align("roi-align", (2, 256, 50, 68), 128),
    roi_align("roi-align-small", (1, 32, 31, 45), 16),
]
