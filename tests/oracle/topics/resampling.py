"""Interpolation, adaptive pooling, unpooling, unfolding, padding, shuffling and grid sampling."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Fixed, Given, Normal, Row, table

SHAPES = {1: (2, 2, 5), 2: (1, 2, 4, 5), 3: (1, 2, 3, 2, 4)}


def interpolation() -> Iterator[Row]:
    sizes = ((1, 1), (3, 4), (8, 9), (5, 3), (4, 5), (13, 2))
    for mode, size in itertools.product(("nearest-exact", "area"), sizes):
        yield "interpolate", [SHAPES[2]], {"size": size, "mode": mode}
    for size, align, antialias in itertools.product(sizes, (False, True), (False, True)):
        yield "interpolate", [SHAPES[2]], {"size": size, "mode": "bicubic", "align_corners": align, "antialias": antialias}
        if antialias:
            yield "interpolate", [SHAPES[2]], {"size": size, "mode": "bilinear", "align_corners": align, "antialias": True}
    for factor, recompute in itertools.product((2, 1.5, 0.6, (2.0, 0.75), 3, 0.25), (None, True, False)):
        yield "interpolate", [SHAPES[2]], {"scale_factor": factor, "mode": "nearest-exact", "recompute_scale_factor": recompute}
        yield "interpolate", [SHAPES[2]], {"scale_factor": factor, "mode": "area", "recompute_scale_factor": recompute}
        for mode, antialias in (("bicubic", False), ("bicubic", True), ("bilinear", True)):
            yield "interpolate", [SHAPES[2]], {"scale_factor": factor, "mode": mode, "antialias": antialias,
                                               "recompute_scale_factor": recompute}  # fmt: skip
    for axes, mode in itertools.product((1, 3), ("nearest", "nearest-exact", "area")):
        for size in (3, 7):
            yield "interpolate", [SHAPES[axes]], {"size": size, "mode": mode}
        yield "interpolate", [SHAPES[axes]], {"scale_factor": 1.7, "mode": mode}
    yield "interpolate", [(0, 2, 3, 4)], {"size": (5, 2), "mode": "bicubic"}
    yield "interpolate", [(1, 2, 1, 1)], {"size": (3, 4), "mode": "bicubic"}
    yield "interpolate", [(1, 1, 31, 17)], {"size": (5, 4), "mode": "bicubic", "antialias": True}
    yield "interpolate", [(1, 1, 31, 17)], {"size": (5, 4), "mode": "bilinear", "antialias": True}
    for arguments in ({"size": (3, 7)}, {"scale_factor": 2}, {"scale_factor": 1.5, "mode": "bilinear"},
                      {"size": 6, "mode": "bilinear", "align_corners": True}):  # fmt: skip
        yield "upsample", [SHAPES[2]], arguments
    for arguments in ({"size": (3, 7)}, {"scale_factor": 2}, {"size": 6}):
        yield "upsample_nearest", [SHAPES[2]], arguments
        yield "upsample_bilinear", [SHAPES[2]], arguments


def adaptive() -> Iterator[Row]:
    outputs = {1: (1, 2, 5, 8), 2: (1, 3, (4, 1), (None, 2), (5, 7), (2, 3)), 3: (1, (2, 1, 3), (None, 2, None), (4, 3, 5))}
    for axes, sizes in outputs.items():
        for size, single in itertools.product(sizes, (False, True)):
            shape = SHAPES[axes][1:] if single else SHAPES[axes]
            yield f"adaptive_avg_pool{axes}d", [shape, Given(size)], {}
            yield f"adaptive_max_pool{axes}d", [shape, Given(size)], {"return_indices": True}
            yield f"adaptive_max_pool{axes}d", [shape, Given(size)], {}
    ties = Fixed([[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]]]])
    for size in (1, 2, 3):
        yield "adaptive_max_pool2d", [ties, Given(size)], {"return_indices": True}
    for op in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        yield op, [(0, 2, 4, 4), Given(2)], {}
        yield op, [Fixed([[[0.0, np.nan], [1.0, 2.0]]]), Given(1)], {}


def pooling() -> Iterator[Row]:
    for axes in (1, 2, 3):
        for k, s, p, ceil in itertools.product((2, 3), (1, 2), (0, 1), (False, True)):
            arguments: dict[str, Any] = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": ceil}
            if axes != 2 and min(SHAPES[axes][2:]) >= k:
                yield f"max_pool{axes}d", [SHAPES[axes]], {**arguments, "return_indices": True}
                yield f"avg_pool{axes}d", [SHAPES[axes]], {**arguments, "count_include_pad": False}
                yield f"avg_pool{axes}d", [SHAPES[axes][1:]], arguments
        for p in (1, 2, 3.0, float("inf"), -float("inf")):
            for ceil in (False, True):
                shape = Normal(SHAPES[axes], 0.2, 2.0)
                yield f"lp_pool{axes}d", [shape, Given(p)], {"kernel_size": 2, "ceil_mode": ceil}
                yield f"lp_pool{axes}d", [shape, Given(p)], {"kernel_size": 2, "stride": 1, "ceil_mode": ceil}
    yield "lp_pool2d", [SHAPES[2], Given(2), Given((2, 3))], {}
    yield "lp_pool2d", [SHAPES[2], Given(1), Given((2, 3))], {}
    yield "lp_pool1d", [Fixed([[[0.0, 0.0, 1.0, -1.0, 2.0, 3.0]]]), Given(1), Given(2)], {}
    yield "avg_pool2d", [SHAPES[2], Given(2), Given(())], {}
    yield "avg_pool3d", [SHAPES[3], Given(2)], {"divisor_override": -3}
    for axes, (k, s, p) in itertools.product((1, 2, 3), ((2, 2, 0), (2, None, 0), (2, 2, 1), (2, 3, 0))):
        whole = {1: (2, 2, 6), 2: (1, 2, 5, 6), 3: (1, 2, 4, 5, 6)}[axes]
        for shape in (whole, whole[1:]):
            arguments = {"kernel_size": k, "stride": s, "padding": p}
            yield pool_and_unpool, [shape], {"axes": axes, **arguments, "output_size": whole[2:]}
            if p == 0 and s != 3:  # the default size is the right one where the windows tile the input
                yield pool_and_unpool, [(*shape[:-axes], *(4,) * axes)], {"axes": axes, **arguments}


def pool_and_unpool(library: Any, x: Any, axes: int, output_size: Any = None, **arguments: Any) -> Any:
    y, indices = library.find(f"max_pool{axes}d")(x, **arguments, return_indices=True)
    return library.find(f"max_unpool{axes}d")(y * y, indices, **arguments, output_size=output_size)


def windows() -> Iterator[Row]:
    settings: list[dict[str, Any]] = [
        {"kernel_size": 1},
        {"kernel_size": (2, 3)},
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 0), "stride": (2, 1)},
        {"kernel_size": 3, "padding": 2, "stride": (1, 3)},
        {"kernel_size": (4, 5)},
    ]
    for arguments, shape in itertools.product(settings, ((2, 3, 4, 5), (3, 4, 5), (0, 3, 4, 5))):
        yield "unfold", [shape], arguments
        yield unfold_and_fold, [shape], arguments
    yield "fold", [(2, 12, 9), Given((4, 4)), Given(2)], {}
    yield "fold", [(12, 4), Given((4, 4)), Given(2)], {"stride": 2}
    yield "fold", [(2, 6, 4), Given(5), Given((3, 2))], {"stride": 2, "dilation": (1, 2)}
    yield "fold", [(1, 4, 9), Given((4, 4)), Given([2, 2])], {"padding": 1, "stride": 2}
    for dimension, size, step in ((0, 2, 1), (1, 3, 2), (-1, 4, 3), (2, 1, 2), (1, 5, 1)):
        yield sections, [(2, 5, 7)], {"dimension": dimension, "size": size, "step": step}
    yield sections, [()], {"dimension": 0, "size": 1, "step": 1}


def unfold_and_fold(library: Any, x: Any, **arguments: Any) -> Any:
    columns = library.unfold(x, **arguments)
    return library.fold(columns * columns, tuple(x.shape[-2:]), **arguments)


def sections(library: Any, x: Any, **arguments: Any) -> Any:
    return x.unfold(**arguments)


def padding() -> Iterator[Row]:
    amounts: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((2, 3, 4), (1, 2)), ((3, 4), (2, 0)), ((2, 3, 4), (3, 0)), ((2, 3, 4), (-1, 2)), ((2, 3, 4), (2, -3)),
        ((0, 3, 4), (1, 1)),
        ((2, 3, 4, 5), (1, 2, 3, 0)), ((3, 4, 5), (0, 4, 1, 1)), ((2, 3, 4, 5), (-1, 1, 2, -2)),
        ((1, 2, 3, 4, 2), (1, 0, 2, 3, 1, 2)),
        ((2, 3, 4, 3), (1, -1, 0, 0, 2, -1)),
    ]  # fmt: skip
    for mode, (shape, pad) in itertools.product(("reflect", "replicate", "circular"), amounts):
        if (mode, pad) != ("circular", (2, -3)):  # one position left to go round: PyTorch reads uninitialised memory
            yield "pad", [shape, Given(pad)], {"mode": mode}
    yield "pad", [(2, 3, 4), Given((7, 9))], {"mode": "replicate"}
    yield "pad", [(2, 2, 4, 4), Given((-4, 5, 0, 0))], {"mode": "replicate"}
    yield "pad", [(2, 2, 4, 4), Given((5, -4, -4, 3))], {"mode": "replicate"}
    yield "pad", [(2, 3, 4), Given((4, 4))], {"mode": "circular"}
    yield "pad", [(2, 3, 4), Given(())], {}
    yield "pad", [(3,), Given((1, 1))], {}
    yield "pad", [(2, 0), Given((1, 1))], {"value": 2.0}
    yield "pad", [Given(np.arange(6).reshape(2, 3)), Given((1, 1))], {"value": 7}
    yield "pad", [Given(np.arange(6).reshape(2, 3) > 2), Given((1, -1))], {"value": 1}
    yield "constant_pad_nd", [(2, 3, 4), Given((1, -1, 0, 2))], {"value": 0.5}
    yield "constant_pad_nd", [(2, 3, 4), Given((1, 1))], {}


def shuffling() -> Iterator[Row]:
    for shape, r in (((1, 8, 2, 3), 2), ((9, 2, 2), 3), ((2, 1, 4, 2, 1), 2), ((1, 2, 3, 4), 1)):
        yield "pixel_shuffle", [shape, Given(r)], {}
    for shape, r in (((1, 2, 4, 6), 2), ((1, 6, 3), 3), ((2, 1, 2, 2, 4), 2), ((1, 2, 3, 4), 1)):
        yield "pixel_unshuffle", [shape, Given(r)], {}
    for shape, groups in (((1, 6, 2, 3), 2), ((2, 6, 3), 3), ((1, 4, 2, 1, 2), 4), ((1, 4, 2, 2), 1)):
        yield "channel_shuffle", [shape, Given(groups)], {}


def sampling() -> Iterator[Row]:
    for mode, outside, align in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    ):
        arguments = {"mode": mode, "padding_mode": outside, "align_corners": align}
        yield "grid_sample", [(2, 3, 4, 5), Normal((2, 3, 4, 2), -1.2, 1.2)], arguments
        yield "grid_sample", [(1, 2, 3, 4), Normal((1, 4, 3, 2), -6.0, 6.0)], arguments
        yield "grid_sample", [(1, 2, 1, 3), Normal((1, 2, 3, 2), -3.0, 3.0)], arguments
        corners = Fixed([[[[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [-1.0, 1.0], [0.5, -0.5], [3.0, -3.0]]]])
        yield "grid_sample", [(1, 2, 4, 4), corners], arguments
        if mode != "bicubic":
            yield "grid_sample", [(2, 2, 3, 4, 2), Normal((2, 2, 3, 2, 3), -2.0, 2.0)], arguments
    yield "grid_sample", [(2, 3, 4, 5), Normal((2, 0, 4, 2))], {"align_corners": False}
    yield "grid_sample", [(0, 3, 4, 5), Normal((0, 2, 4, 2))], {"align_corners": False}
    for align in (False, True):
        for size in ((2, 3, 4, 5), (2, 1, 1, 3), (2, 1, 2, 1)):
            yield "affine_grid", [(2, 2, 3), Given(size)], {"align_corners": align}
        yield "affine_grid", [(1, 3, 4), Given((1, 2, 2, 3, 4))], {"align_corners": align}
        yield transformed, [(2, 2, 4, 5), (2, 2, 3)], {"align_corners": align}


def transformed(library: Any, x: Any, theta: Any, align_corners: bool) -> Any:
    grid = library.affine_grid(theta, (x.shape[0], x.shape[1], 3, 4), align_corners=align_corners)
    return library.grid_sample(x, grid, align_corners=align_corners)


def convolutions() -> Iterator[Row]:
    for k, d in itertools.product((2, 3, 4), (1, 2)):
        yield "conv1d", [(2, 2, 7), (3, 2, k), (3,)], {"padding": "same", "dilation": d}
        yield "conv2d", [(2, 2, 7, 8), (2, 1, k, k)], {"padding": "same", "dilation": d, "groups": 2}
    yield "conv3d", [(1, 2, 5, 4, 6), (2, 2, 2, 3, 4), (2,)], {"padding": "same", "dilation": (2, 1, 1)}
    yield "conv1d", [(0, 2, 7), (4, 1, 3), (4,)], {"groups": 2, "stride": 3}
    yield "conv3d", [(0, 2, 3, 3, 3), (1, 2, 2, 2, 2)], {"padding": (1, 0, 2)}
    yield "conv3d", [(2, 3, 3, 3), (1, 2, 2, 2, 2)], {"padding": "valid"}
    yield "conv_transpose1d", [(2, 4), (2, 3, 3), (3,)], {"stride": (3,), "output_padding": (2,)}
    yield "conv_transpose1d", [(0, 2, 4), (2, 3, 3)], {"stride": 2, "padding": 1}
    yield "conv_transpose2d", [(4, 3, 3), (4, 1, 2, 3), (2,)], {"groups": 2, "stride": (2, 3), "output_padding": (1, 2)}
    yield "conv_transpose3d", [(2, 2, 3, 2), (2, 2, 2, 2, 2)], {"stride": 2, "dilation": 2, "output_padding": 1, "padding": 1}
    yield "conv_transpose3d", [(1, 4, 2, 2, 2), (4, 1, 3, 2, 1)], {"groups": 4, "stride": (1, 2, 3), "output_padding": (0, 1, 2)}


CASES = table(interpolation, adaptive, pooling, windows, padding, shuffling, sampling, convolutions)

IMAGE = (1, 2, 5, 5)
REJECTED = [
    Case(f"{number:02d} {op if isinstance(op, str) else op.__name__}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("interpolate", [IMAGE], {"size": 3, "mode": "area", "align_corners": False}),
            ("interpolate", [IMAGE], {"size": 3, "mode": "nearest-exact", "align_corners": True}),
            ("interpolate", [(1, 2, 5)], {"size": 3, "mode": "bicubic"}),
            ("interpolate", [IMAGE], {"size": 3, "mode": "nearest", "antialias": True}),
            ("interpolate", [IMAGE], {"size": 3, "mode": "bicubic", "recompute_scale_factor": True}),
            ("interpolate", [IMAGE], {"scale_factor": (2.0, 2.0, 2.0)}),
            ("interpolate", [(1, 2, 0, 5)], {"size": 3, "mode": "bicubic"}),
            ("adaptive_avg_pool2d", [IMAGE, Given((2, 3, 4))], {}),
            ("adaptive_avg_pool3d", [IMAGE[1:], Given(2)], {}),
            ("adaptive_max_pool2d", [(1, 2, 0, 5), Given(2)], {}),
            ("adaptive_max_pool1d", [IMAGE, Given(2)], {}),
            ("max_unpool2d", [IMAGE, Given(np.zeros((1, 2, 5, 4), np.int64)), Given(2)], {}),
            ("max_unpool1d", [(1, 1, 2), Given(np.array([[[0, 9]]])), Given(2)], {}),
            ("max_unpool3d", [(1, 1, 1, 1, 2), Given(np.zeros((1, 1, 1, 1, 2), np.int64)), Given(2)], {"output_size": (2, 2, 9)}),
            ("unfold", [IMAGE], {"kernel_size": 6}),
            ("unfold", [(5, 5)], {"kernel_size": 2}),
            ("unfold", [IMAGE], {"kernel_size": 2, "stride": 0}),
            ("fold", [(1, 7, 9), Given((4, 4)), Given(2)], {}),
            ("fold", [(1, 8, 8), Given((4, 4)), Given(2)], {}),
            ("fold", [IMAGE, Given((4, 4)), Given(2)], {}),
            ("pad", [IMAGE, Given((6, 0))], {"mode": "circular"}),
            ("pad", [IMAGE, Given((1, 0))], {"mode": "mirror"}),
            ("pad", [(1, 2, 0), Given((1, 0))], {"mode": "replicate"}),
            ("pad", [(1, 2, 3), Given((1, 1))], {"mode": "reflect", "value": 1.0}),
            ("pixel_shuffle", [(1, 6, 2, 2), Given(2)], {}),
            ("pixel_shuffle", [(4, 2), Given(2)], {}),
            ("pixel_shuffle", [(1, 4, 2, 2), Given(0)], {}),
            ("pixel_unshuffle", [(1, 4, 3, 2), Given(2)], {}),
            ("channel_shuffle", [(1, 5, 2, 2), Given(2)], {}),
            ("channel_shuffle", [(1, 4), Given(2)], {}),
            ("grid_sample", [IMAGE, (1, 2, 2, 3)], {"align_corners": False}),
            ("grid_sample", [IMAGE, (2, 2, 2, 2)], {"align_corners": False}),
            ("grid_sample", [IMAGE, (1, 2, 2, 2)], {"mode": "linear", "align_corners": False}),
            ("grid_sample", [IMAGE, (1, 2, 2, 2)], {"padding_mode": "circular", "align_corners": False}),
            ("grid_sample", [(1, 1, 2, 2, 2), (1, 2, 2, 2, 3)], {"mode": "bicubic", "align_corners": False}),
            ("affine_grid", [(2, 2, 3), Given((1, 1, 2, 2))], {"align_corners": False}),
            ("affine_grid", [(1, 2, 2), Given((1, 1, 2, 2))], {"align_corners": False}),
            ("affine_grid", [(1, 2, 3), Given((1, 1, 0, 2))], {"align_corners": False}),
            ("lp_pool2d", [IMAGE, Given(2), Given(6)], {}),
            ("max_pool1d", [(1, 2, 5)], {"kernel_size": 2, "padding": -1}),
            ("conv1d", [(1, 2, 5), (3, 2, 3)], {"padding": "same", "stride": 2}),
            ("conv_transpose1d", [(1, 2, 5), (2, 3, 3), (4,)], {}),
        ]
    )
]  # fmt: skip
