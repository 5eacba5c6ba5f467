"""For each linear operation that lectures teach: definition in loops = matrix = fast, and backward = the matrix transposed.

x goes through all three, on several memory layouts; a random dy goes back through the loops of the definition's gradient, through
the transposed matrix, and through the recorded backward.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import minivision.nn.functional as F
from minivision import ops, reference
from minivision.autograd import Tensor
from minivision.functions.matrix import conv_matrix, conv_transpose_matrix, linear_matrix, transposed_convolution_three_ways
from minivision.functions.upsampling import bed_of_nails
from minivision.reference.convolution import conv_transpose_size
from tests.helpers import assert_close, layouts


class Tiers(NamedTuple):
    """`fast` takes a Tensor; `forward` and `backward` are loops; `matrix` is made from `fast` unless the library has its own."""

    name: str
    shape: tuple[int, ...]
    fast: Callable[[Tensor], Tensor]
    forward: Callable[[np.ndarray], np.ndarray]
    backward: Callable[[np.ndarray], np.ndarray]
    matrix: Callable[[], Any] | None = None


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape)


def convolution() -> Iterator[Tiers]:
    """Stride below and above the kernel, padding, dilation, groups; signals and images with H != W."""
    for s, p, d, g in itertools.product((1, 2, 4), (0, 1, 3), (1, 2), (1, 2)):
        for size, kernel in (((9,), (3,)), ((5, 8), (3, 2))):
            key, axes = {"stride": s, "padding": p, "dilation": d, "groups": g}, len(size)
            w, nothing, name = values(4, 2 // g, *kernel), np.zeros((1, 2, *size)), f"s{s} p{p} d{d} g{g}"
            fast = (F.conv1d, F.conv2d)[axes - 1]
            yield Tiers(
                f"conv{axes}d {name}", (1, 2, *size),
                lambda x, f=fast, w=w, key=key: f(x, Tensor(w), **key),
                lambda x, w=w, key=key: reference.conv(x, w, **key),
                lambda dy, x=nothing, w=w, key=key: reference.conv_backward(dy, x, w, **key)[0],
                lambda w=w, size=size, key=key: conv_matrix(w, size, **key),
            )  # fmt: skip
            small, extra = tuple(n // 2 for n in size), max(s, d) - 1
            if min(conv_transpose_size(small, kernel, s, p, extra, d)) < 1:
                continue  # the padding cuts off everything
            nothing, w = np.zeros((1, 4, *small)), values(4, 4 // g, *kernel)
            fast = (F.conv_transpose1d, F.conv_transpose2d)[axes - 1]
            yield Tiers(
                f"conv_transpose{axes}d {name}", (1, 4, *small),
                lambda x, f=fast, w=w, e=extra, key=key: f(x, Tensor(w), output_padding=e, **key),
                lambda x, w=w, e=extra, key=key: reference.conv_transpose(x, w, output_padding=e, **key),
                lambda dy, x=nothing, w=w, key=key: reference.conv_transpose_backward(dy, x, w, **key)[0],
                lambda w=w, size=small, e=extra, key=key: conv_transpose_matrix(w, size, output_padding=e, **key),
            )  # fmt: skip


def convolution_in_its_weight() -> Iterator[Tiers]:
    """The same products, read as a linear operation on the kernel."""
    for s, p, d in itertools.product((1, 2), (0, 1), (1, 2)):
        key, x, none = {"stride": s, "padding": (p, 0), "dilation": (1, d)}, values(2, 2, 5, 6), np.zeros((3, 2, 2, 3))
        yield Tiers(
            f"weight of conv2d s{s} p{p} d{d}", none.shape,
            lambda w, x=x, key=key: F.conv2d(Tensor(x), w, **key),
            lambda w, x=x, key=key: reference.conv2d(x, w, **key),
            lambda dy, x=x, w=none, key=key: reference.conv2d_backward(dy, x, w, **key)[1],
        )  # fmt: skip
        x, none = values(2, 3, 3, 2), np.zeros((3, 2, 2, 3))
        yield Tiers(
            f"weight of conv_transpose2d s{s} p{p} d{d}", none.shape,
            lambda w, x=x, key=key: F.conv_transpose2d(Tensor(x), w, **key),
            lambda w, x=x, key=key: reference.conv_transpose2d(x, w, **key),
            lambda dy, x=x, w=none, key=key: reference.conv_transpose2d_backward(dy, x, w, **key)[1],
        )  # fmt: skip


def pooling() -> Iterator[Tiers]:
    for k, s, p in ((2, None, 0), (3, 1, 1), (3, 2, 1), (2, 3, 0)):
        for size in ((7,), (6, 7)):
            fast = (F.avg_pool1d, F.avg_pool2d)[len(size) - 1]
            yield Tiers(
                f"avg_pool{len(size)}d k{k} s{s} p{p}", (2, 1, *size),
                lambda x, f=fast, k=k, s=s, p=p: f(x, k, s, p),
                lambda x, k=k, s=s, p=p: reference.avg_pool(x, k, s, p),
                lambda dy, size=size, k=k, s=s, p=p: reference.avg_pool_backward(dy, size, k, s, p),
            )  # fmt: skip
    yield Tiers(
        "avg_pool2d, ceiling, without the padding", (1, 2, 6, 7),
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, ceil_mode=True, count_include_pad=False),
        lambda x: reference.avg_pool2d(x, (3, 2), 2, 1, True, False),
        lambda dy: reference.avg_pool2d_backward(dy, (6, 7), (3, 2), 2, 1, False),
    )  # fmt: skip


def unpooling() -> Iterator[Tiers]:
    """The indices are given: then it is linear."""
    for size, kernel in (((9,), 2), ((5, 7), 2), ((6, 9), 3)):
        _, indices = reference.max_pool(values(2, 2, *size), kernel)
        fast = (F.max_unpool1d, F.max_unpool2d)[len(size) - 1]
        yield Tiers(
            f"max_unpool{len(size)}d {kernel}", indices.shape,
            lambda x, f=fast, i=indices, k=kernel, size=size: f(x, Tensor(i), k, output_size=size),
            lambda x, i=indices, size=size: reference.max_unpool(x, i, size),
            lambda dy, i=indices: reference.max_unpool_backward(dy, i),
        )  # fmt: skip
    for size, step in (((4,), 3), ((2, 3), (2, 3)), ((3, 2), 1)):
        yield Tiers(
            f"bed_of_nails {size} {step}", (1, 2, *size),
            lambda x, step=step: bed_of_nails(x, step),
            lambda x, step=step: reference.bed_of_nails(x, step),
            lambda dy, step=step: reference.bed_of_nails_backward(dy, step),
        )  # fmt: skip


def interpolation() -> Iterator[Tiers]:
    modes = {"nearest": (None,), "nearest-exact": (None,), "bilinear": (False, True), "bicubic": (False, True)}
    for size, (mode, choices) in itertools.product(((7, 3), (6, 10), (1, 1), (3, 5), (4, 1), (2, 9)), modes.items()):
        for corners in choices:
            yield Tiers(
                f"{mode} {size} corners={corners}", (2, 1, 3, 5),
                lambda x, o=size, m=mode, c=corners: F.interpolate(x, o, mode=m, align_corners=c),
                lambda x, o=size, m=mode, c=corners: reference.interpolate(x, o, m, bool(c)),
                lambda dy, m=mode, c=corners: reference.interpolate_backward(dy, (3, 5), m, bool(c)),
            )  # fmt: skip
    for out, corners in itertools.product((1, 3, 4, 9), (False, True)):
        yield Tiers(
            f"linear {out} corners={corners}", (2, 2, 4),
            lambda x, o=out, c=corners: F.interpolate(x, o, mode="linear", align_corners=c),
            lambda x, o=out, c=corners: reference.interpolate(x, o, "linear", c),
            lambda dy, c=corners: reference.interpolate_backward(dy, 4, "linear", c),
        )  # fmt: skip


BOXES = np.array(
    [[0, 1.3, 0.4, 9.1, 7.7], [1, -2.2, 3.1, 5.9, 14.2], [0, 4, 4, 4, 4], [1, 30, 30, 40, 50], [1, 2, 2, 8, 6], [0, 3, 1, 3.5, 9]]
)  # inside, across the border, a point, outside, whole numbers, narrow


def regions() -> Iterator[Tiers]:
    for ratio, aligned, scale in itertools.product((-1, 1, 3), (False, True), (0.5, 0.7)):
        key = {"spatial_scale": scale, "sampling_ratio": ratio, "aligned": aligned}
        yield Tiers(
            f"roi_align {ratio} {aligned} {scale}", (2, 1, 6, 7),
            lambda x, key=key: ops.roi_align(x, Tensor(BOXES), (3, 2), **key),
            lambda x, key=key: reference.roi_align(x, BOXES, (3, 2), **key),
            lambda dy, key=key: reference.roi_align_backward(dy, np.zeros((2, 1, 6, 7)), BOXES, (3, 2), **key)[0],
        )  # fmt: skip


TABLE = [
    *convolution(), *convolution_in_its_weight(), *pooling(), *unpooling(), *interpolation(), *regions(),
]  # fmt: skip


@pytest.mark.parametrize("tiers", TABLE, ids=lambda t: t.name)
def test_definition_matrix_and_fast_agree(tiers, rng):
    x = rng.standard_normal(tiers.shape)
    definition = tiers.forward(x)
    dy = rng.standard_normal(definition.shape)
    gradient = tiers.backward(dy)
    matrix = linear_matrix(tiers.fast, tiers.shape)
    assert_close(matrix @ x.ravel(), definition.ravel(), atol=1e-11)
    assert_close(matrix.T @ dy.ravel(), gradient.ravel(), atol=1e-11)
    if tiers.matrix is not None:
        assert_close(tiers.matrix().toarray(), matrix.toarray(), rtol=0, atol=0)
    for (_, arranged), (_, upstream) in zip(layouts(x), layouts(dy), strict=True):
        leaf = Tensor(arranged, requires_grad=True)
        y = tiers.fast(leaf)
        assert_close(y.detach(), definition, atol=1e-11)
        y.backward(Tensor(upstream))
        assert_close(leaf.grad, gradient, atol=1e-11)


SETTINGS = list(itertools.product(((9,), (6, 7)), (1, 2, 3), (0, 1), (1, 2), (1, 2)))


@pytest.mark.parametrize(("size", "stride", "padding", "dilation", "groups"), SETTINGS)
def test_transposed_convolution_is_convolutions_backward_and_its_matrix_transposed(size, stride, padding, dilation, groups, rng):
    """C^T y = conv_transpose(y, w) = the gradient of conv to its input, and all of them are the loops' answer."""
    w = rng.standard_normal((4, 2 // groups, *(3, 2)[: len(size)]))
    key = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    out = reference.conv(np.zeros((1, 2, *size)), w, **key).shape
    y = rng.standard_normal(out)
    ways = transposed_convolution_three_ways(w, size, y, **key)
    backward = reference.conv_backward(y, np.zeros((1, 2, *size)), w, **key)[0]
    smallest = reference.conv_transpose(y, w, **key).shape[2:]
    extra = tuple(n - m for n, m in zip(size, smallest, strict=True))
    stamped = reference.conv_transpose(y, w, output_padding=extra, **key)
    for answer in (*ways, stamped[0]):
        assert_close(answer, backward[0], atol=1e-11)
