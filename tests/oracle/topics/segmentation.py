"""The operations that U-Net and FCN need."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Constant, Fixed, Given, Labels, Normal, Row, table

POSITIVE = (0.2, 2.0)


def arithmetic() -> Iterator[Row]:
    pairs = [((3, 4), (3, 4)), ((2, 3, 4), (4,)), ((2, 1, 4), (3, 1)), ((), (2, 3)), ((3, 1), (1, 4)), ((0, 3), (1, 3))]
    for op, (a, b) in itertools.product(("add", "sub", "mul", "maximum", "minimum"), pairs):
        yield op, [a, b], {}
    for a, b in pairs:
        yield "div", [a, Normal(b, *POSITIVE)], {}
        yield "pow", [Normal(a, *POSITIVE), b], {}
    for op, number in itertools.product(("add", "sub", "mul", "div", "pow"), (2, -1, 0.5, 3.0)):
        yield op, [Normal((2, 3), *POSITIVE), Given(number)], {}
    yield "add", [(2, 3), (2, 3)], {"alpha": 3}
    yield "sub", [(2, 3), (3,)], {"alpha": -0.5}
    for base, exponent in [(0.0, 2.0), (0.0, 1.0), (0.0, 0.0), (-2.0, 3.0), (-2.0, 2.0), (0.0, 3.0), (-1.5, 0.0)]:
        yield "pow", [Fixed([base, 1.5]), Given(exponent)], {}
    for base, exponent in [(0.0, 2.0), (0.0, 0.0), (0.0, 0.5)]:
        yield "pow", [Fixed([1.5, 2.0]), Fixed([exponent, base])], {}
        yield rpow, [Fixed([exponent, 1.5])], {"base": base}
        yield rpow, [Fixed([exponent, 1.5])], {"base": 2}
    for op in ("neg", "exp", "abs", "sin", "cos", "square", "floor", "ceil", "round", "sign"):
        yield op, [(3, 5)], {}
    for op in ("log", "sqrt"):
        yield op, [Normal((3, 5), *POSITIVE)], {}
    yield "abs", [Fixed([-1.0, 0.0, 2.0])], {}
    yield "round", [Fixed([-1.5, -0.5, 0.5, 1.5, 2.5])], {}
    yield "maximum", [Fixed([1.0, 2.0, 3.0]), Fixed([1.0, 3.0, 2.0])], {}
    yield "minimum", [Fixed([1.0, 2.0, 3.0]), Fixed([1.0, 3.0, 2.0])], {}
    for low, high in [(-0.5, 0.5), (None, 0.5), (-0.5, None), (0.5, -0.5)]:
        yield "clamp", [Fixed([-1.0, -0.5, 0.0, 0.5, 2.0])], {"min": low, "max": high}
    yield where, [(2, 3, 4), (4,), Given(np.arange(24).reshape(2, 3, 4) % 3 == 0)], {}
    yield where, [(1, 3), (2, 1), Given(np.arange(6).reshape(2, 3) % 2 == 0)], {}
    yield where, [(2, 3), (2, 3), Given(np.array(True))], {}


def rpow(library: Any, x: Any, base: float) -> Any:
    return base**x


def where(library: Any, a: Any, b: Any, condition: Any) -> Any:
    return library.where(condition, a, b)


def reductions() -> Iterator[Row]:
    dims: list[dict[str, Any]] = [{}, {"dim": 0}, {"dim": -1}, {"dim": (0, 2)}, {"dim": 1, "keepdim": True},
                                  {"dim": (1, 2), "keepdim": True}]  # fmt: skip
    for op, arguments in itertools.product(("sum", "mean", "amax", "amin", "var", "std"), dims):
        yield op, [(2, 3, 4)], arguments
    for op, correction in itertools.product(("var", "std"), (0, 1, 2)):
        yield op, [(3, 4)], {"dim": 1, "correction": correction}
    yield "var", [(3, 4)], {"unbiased": False}
    for op, arguments in itertools.product(("max", "min"), ({}, {"dim": 0}, {"dim": -1}, {"dim": 1, "keepdim": True})):
        yield op, [(2, 3, 4)], arguments
        if op == "max":
            yield "argmax", [(2, 3, 4)], arguments
            yield "argmin", [(2, 3, 4)], arguments
    ties = Fixed([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    for op in ("max", "min", "amax", "amin"):
        yield op, [ties], {}
        yield op, [ties], {"dim": 1}
    yield "max", [(2, 3), (2, 3)], {}
    yield "logsumexp", [(2, 3, 4)], {"dim": 1}
    yield "logsumexp", [(2, 3, 4)], {"dim": (0, 2), "keepdim": True}
    yield "logsumexp", [Fixed([[1000.0, 1001.0], [-1000.0, -1001.0]])], {"dim": 1}
    for p, arguments in itertools.product((1, 2), ({}, {"dim": 1}, {"dim": (0, 1), "keepdim": True})):
        yield "norm", [(3, 4)], {"p": p, **arguments}
    yield "norm", [Fixed([[0.0, 0.0], [3.0, 4.0]])], {"dim": 1}
    for op in ("sum", "mean", "max", "amin", "logsumexp"):
        yield op, [()], {"dim": 0} if op == "logsumexp" else {}
    yield "sum", [(0, 3)], {}
    yield "sum", [(0, 3)], {"dim": 0}
    yield "sum", [(0, 3)], {"dim": 1}
    yield "sum", [Given(np.arange(6, dtype=np.int64).reshape(2, 3))], {"dim": 0}
    yield "sum", [Given(np.arange(6).reshape(2, 3) > 2)], {}
    yield "all", [Given(np.array([[True, False], [True, True]]))], {"dim": 1}
    yield "any", [Given(np.array([[True, False], [False, False]]))], {"dim": 1}


def shapes() -> Iterator[Row]:
    yield "reshape", [(2, 3, 4), Given((4, -1))], {}
    yield "reshape", [(2, 3, 4), Given((-1,))], {}
    yield "view", [(2, 3, 4), Given(6), Given(4)], {}
    yield "permute", [(2, 3, 4), Given((2, 0, 1))], {}
    yield "permute", [(2, 3, 4), Given((-1, 0, -2))], {}
    yield "transpose", [(2, 3, 4), Given(0), Given(-1)], {}
    yield "t", [(3, 4)], {}
    yield "flatten", [(2, 3, 4, 2)], {"start_dim": 1}
    yield "flatten", [(2, 3, 4, 2)], {"start_dim": 1, "end_dim": 2}
    yield "flatten", [()], {}
    yield "squeeze", [(1, 3, 1, 2)], {}
    yield "squeeze", [(1, 3, 1, 2)], {"dim": 2}
    yield "squeeze", [(1, 3, 1, 2)], {"dim": 1}
    yield "unsqueeze", [(3, 2)], {"dim": -1}
    yield "unsqueeze", [(3, 2)], {"dim": 1}
    yield "expand", [(3, 1), Given(2), Given(3), Given(4)], {}
    yield "expand", [(1, 3, 1), Given((2, -1, 5))], {}
    yield "repeat", [(2, 3), Given(2), Given(1)], {}
    yield "repeat", [(2, 3), Given((2, 3, 2))], {}
    yield "flip", [(2, 3, 4), Given((0, 2))], {}
    yield "narrow", [(5, 4)], {"dim": 0, "start": 1, "length": 3}
    for dim in (0, 1, -1):
        yield join, [(2, 3, 4)] * 3, {"dim": dim}
        yield pile, [(2, 3)] * 2, {"dim": dim}
    yield join, [(2, 1, 4), (2, 3, 4), (2, 2, 4)], {"dim": 1}
    yield join, [(2, 0, 4), (2, 3, 4)], {"dim": 1}
    yield join, [(0,), (2, 3)], {"dim": 1}
    yield twice_the_same, [(2, 3)], {}
    yield "split", [(7, 2), Given(3)], {}
    yield "split", [(2, 6), Given([1, 2, 3])], {"dim": 1}
    yield "chunk", [(7, 2), Given(3)], {}
    yield "unbind", [(3, 2)], {"dim": 1}
    everything, rows = slice(None), np.array([2, 0, 2])
    mask = np.arange(12).reshape(3, 4) % 5 == 1
    indices: list[Any] = [
        1, -1, slice(1, 3), slice(None, None, 2), (0, 2), (..., 1), (everything, None, 1), (None, ..., slice(1, None)), rows,
        (rows, np.array([0, 1, 0])), (everything, rows), (rows, everything), (rows[:, None], np.array([0, 1])), mask,
        (0, rows), (rows, 0), (slice(0, 0),), np.array([], np.int64), np.array([True, False, True]),
        (np.array([True, False, True]), 2),
        (None, mask), np.array(2), (everything, np.array([[0, 1], [1, 1]])), np.array([-1, 0]),
    ]  # fmt: skip
    for index in indices:
        yield take, [(3, 4), Given(index)], {}
    for index in [(rows, everything, rows), (everything, rows, rows), (1, everything, rows), (everything, mask[:, :3].T[:3]),
                  (slice(0, 2), rows, None), (..., rows, 1), (rows, None, rows)]:  # fmt: skip
        yield take, [(3, 3, 3), Given(index)], {}
    yield take_row_by_row, [(3, 4)], {}


def join(library: Any, *tensors: Any, dim: int) -> Any:
    return library.cat(tensors, dim=dim)


def pile(library: Any, *tensors: Any, dim: int) -> Any:
    return library.stack(tensors, dim=dim)


def twice_the_same(library: Any, x: Any) -> Any:
    return library.cat([x, x * 2, x], dim=1)


def take(library: Any, x: Any, index: Any) -> Any:
    return x[index]


def take_row_by_row(library: Any, x: Any) -> Any:
    return library.stack([row * row for row in x])


def products() -> Iterator[Row]:
    matrices = [((3, 4), (4, 2)), ((4,), (4,)), ((4,), (4, 2)), ((3, 4), (4,)), ((0, 4), (4, 2)), ((3, 0), (0, 2))]
    batches = [((2, 3, 4), (4, 2)), ((2, 3, 4), (2, 4, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))]
    for a, b in matrices + batches:
        yield "matmul", [a, b], {}
    yield "mm", [(3, 4), (4, 2)], {}
    yield "bmm", [(2, 3, 4), (2, 4, 5)], {}
    for x in [(5, 3), (3,), (2, 4, 3), (0, 3)]:
        yield "linear", [x, (4, 3), (4,)], {}
        yield "linear", [x, (4, 3)], {}


def activations() -> Iterator[Row]:
    kink = Fixed([-2.0, -0.0, 0.0, 3.0])
    for op in ("relu", "sigmoid", "tanh"):
        yield op, [(3, 5)], {}
        yield op, [kink], {}
    yield "sigmoid", [Fixed([-800.0, 800.0, 0.0])], {}
    for slope in (0.01, 0.2, -0.5):
        yield "leaky_relu", [(3, 5)], {"negative_slope": slope}
        yield "leaky_relu", [kink], {"negative_slope": slope}
    for op, dim in itertools.product(("softmax", "log_softmax"), (0, 1, -1)):
        yield op, [(2, 3, 4)], {"dim": dim}
    for op in ("softmax", "log_softmax"):
        yield op, [(2, 3, 2, 2)], {"dim": 1}
        yield op, [()], {"dim": 0}
        yield op, [Fixed([[1000.0, 999.0], [-1000.0, 0.0]])], {"dim": 1}
    yield "dropout", [(3, 4)], {"p": 0.4, "training": False}
    yield "dropout", [(3, 4)], {"p": 1.0, "training": True}


def _legal_conv(n: int, k: int, p: int, d: int) -> bool:
    return n + 2 * p >= d * (k - 1) + 1


def convolutions() -> Iterator[Row]:
    for k, s, p, d, g in itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (1, 2), (1, 2)):
        if _legal_conv(5, k, p, d):
            yield "conv2d", [(2, 2, 5, 6), (2, 2 // g, k, k), (2,)], {"stride": s, "padding": p, "dilation": d, "groups": g}
    settings: list[dict[str, Any]] = [
        {},
        {"stride": (2, 1)},
        {"padding": (2, 0)},
        {"dilation": (1, 2)},
        {"padding": "same"},
        {"padding": "valid"},
        {"padding": "same", "dilation": (2, 1)},
        {"stride": (3, 2), "padding": (0, 3), "dilation": (2, 1)},
    ]
    for arguments in settings:
        yield "conv2d", [(2, 3, 6, 5), (4, 3, 3, 2), (4,)], arguments
        yield "conv2d", [(3, 6, 5), (2, 3, 2, 3)], arguments
    yield "conv2d", [(1, 6, 5, 4), (6, 1, 3, 3), (6,)], {"groups": 6, "padding": 1}
    yield "conv2d", [(2, 6, 4, 4), (3, 2, 2, 2)], {"groups": 3, "stride": 2}
    yield "conv2d", [(0, 3, 5, 5), (2, 3, 3, 3), (2,)], {}
    yield "conv2d", [(2, 3, 4, 5), (2, 3, 4, 5), (2,)], {}
    yield "conv2d", [(1, 1, 10, 3), (1, 1, 3, 1)], {"dilation": (4, 1)}
    yield "conv2d", [(1, 1, 2, 2), (1, 1, 3, 3)], {"padding": 3}
    for s, p, d in itertools.product((1, 2, 4), (0, 2), (1, 3)):
        yield "conv1d", [(2, 3, 9), (2, 3, 3), (2,)], {"stride": s, "padding": p, "dilation": d}
    yield "conv1d", [(3, 9), (4, 3, 4), (4,)], {"padding": "same"}
    yield "conv3d", [(1, 2, 4, 3, 5), (3, 2, 2, 3, 2), (3,)], {"stride": (2, 1, 2), "padding": 1}
    yield "conv3d", [(2, 2, 4, 3, 3), (2, 1, 2, 2, 2)], {"groups": 2, "dilation": (2, 1, 1)}


def transposed() -> Iterator[Row]:
    for k, s, p, d, extra in itertools.product((1, 2, 3, 4), (1, 2, 3), (0, 1), (1, 2), (0, 1, 2)):
        size = 2 * s - 2 * p + d * (k - 1) + 1 + extra
        if extra < max(s, d) and size >= 1 and not (k == 1 and d == 2):
            yield (
                "conv_transpose1d",
                [(2, 2, 3), (2, 3, k), (3,)],
                {"stride": s, "padding": p, "dilation": d, "output_padding": extra},
            )
    for k, s, g in itertools.product(((2, 2), (3, 2), (1, 3)), (1, 2, (3, 1)), (1, 2)):
        yield "conv_transpose2d", [(2, 4, 3, 2), (4, 2, *k), (2 * g,)], {"stride": s, "groups": g}
    yield "conv_transpose2d", [(2, 3, 4), (2, 3, 3, 3)], {"stride": 2, "padding": 1, "output_padding": (1, 0)}
    yield "conv_transpose2d", [(2, 3, 3, 4), (3, 2, 4, 4), (2,)], {"stride": 2, "padding": 1}
    yield "conv_transpose2d", [(1, 2, 3, 4), (2, 2, 2, 2)], {"dilation": 3, "output_padding": 2}
    yield "conv_transpose2d", [(1, 2, 3, 3), (2, 2, 2, 3)], {"stride": 2, "dilation": (3, 4), "output_padding": (2, 3)}
    yield "conv_transpose2d", [(2, 2, 3, 3), (2, 2, 3, 3)], {"stride": 1, "padding": 2}
    yield "conv_transpose2d", [(0, 2, 3, 3), (2, 3, 2, 2), (3,)], {"stride": 2}
    yield "conv_transpose3d", [(1, 2, 2, 3, 2), (2, 2, 2, 2, 3), (2,)], {"stride": (1, 2, 2), "padding": (0, 1, 1)}


def pooling() -> Iterator[Row]:
    for k, s, p, ceil in itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (False, True)):
        if p <= k // 2:
            arguments = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": ceil}
            yield "max_pool2d", [(1, 2, 5, 7)], {**arguments, "return_indices": True}
            yield "avg_pool2d", [(1, 2, 5, 7)], arguments
    settings: list[dict[str, Any]] = [
        {"kernel_size": (3, 2)},
        {"kernel_size": 2, "dilation": 2},
        {"kernel_size": (2, 3), "stride": (3, 1), "padding": (1, 1)},
        {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True},
        {"kernel_size": 3, "dilation": (1, 2), "stride": 1},
    ]
    for arguments in settings:
        yield "max_pool2d", [(2, 2, 6, 7)], {**arguments, "return_indices": True}
        yield "max_pool2d", [(2, 6, 7)], arguments
    for include, ceil in itertools.product((False, True), repeat=2):
        yield "avg_pool2d", [(2, 1, 5, 6)], {"kernel_size": (3, 2), "padding": 1, "count_include_pad": include, "ceil_mode": ceil}
        yield (
            "avg_pool1d",
            [(2, 2, 6)],
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": include, "ceil_mode": ceil},
        )
    yield "avg_pool2d", [(2, 5, 6)], {"kernel_size": 2, "divisor_override": 3}
    yield "max_pool1d", [(2, 2, 7)], {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}
    yield "max_pool3d", [(1, 2, 4, 3, 5)], {"kernel_size": 2, "stride": (2, 1, 2), "return_indices": True}
    yield "avg_pool3d", [(1, 2, 4, 3, 5)], {"kernel_size": (2, 3, 2), "padding": (1, 0, 1)}
    ties = Fixed([[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]]]])
    for k, s in ((2, 2), (3, 1), (2, 1)):
        yield "max_pool2d", [ties], {"kernel_size": k, "stride": s, "return_indices": True}
    yield (
        "max_pool2d",
        [Fixed(np.full((1, 1, 3, 3), -1.0))],
        {"kernel_size": 3, "stride": 1, "padding": 1, "return_indices": True},
    )
    yield "max_pool2d", [Fixed([[[[0.0, np.nan, 1.0], [2.0, 3.0, 4.0], [np.nan, 5.0, np.nan]]]])], {"kernel_size": 2, "stride": 1}
    yield "max_pool2d", [(0, 2, 4, 4)], {"kernel_size": 2, "return_indices": True}
    yield "avg_pool2d", [(0, 2, 4, 4)], {"kernel_size": 2}
    for size in (1, 2, 3, (4, 1), (5, 7), (7, 9), (None, 2)):
        yield "adaptive_avg_pool2d", [(2, 1, 5, 7), Given(size)], {}
    yield "adaptive_avg_pool2d", [(2, 5, 7), Given((2, 3))], {}
    for shape, arguments in [((1, 2, 4, 6), {"kernel_size": 2}), ((1, 2, 5, 7), {"kernel_size": 2, "output_size": (5, 7)}),
                             ((2, 6, 6), {"kernel_size": 3}), ((1, 1, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1,
                                                                               "output_size": (6, 6)}),
                             ((1, 2, 6, 4), {"kernel_size": (3, 2), "stride": (3, 2)})]:  # fmt: skip
        yield pool_and_unpool, [shape], arguments


def pool_and_unpool(library: Any, x: Any, output_size: Any = None, **arguments: Any) -> Any:
    y, indices = library.max_pool2d(x, **arguments, return_indices=True)
    # scaled, so that the gradient through the values is visible beside the one through the places
    return library.max_unpool2d(y * y, indices, **arguments, **({} if output_size is None else {"output_size": output_size}))


def upsampling() -> Iterator[Row]:
    for size in ((1, 1), (3, 4), (8, 9), (5, 3), (4, 5), (13, 2)):
        yield "interpolate", [(2, 2, 4, 5)], {"size": size}
        for align in (False, True, None):
            yield "interpolate", [(1, 2, 4, 5)], {"size": size, "mode": "bilinear", "align_corners": align}
    for factor, recompute in itertools.product((2, 1.5, 0.6, (2.0, 0.75), 3), (None, True)):
        yield "interpolate", [(1, 2, 4, 5)], {"scale_factor": factor, "recompute_scale_factor": recompute}
        yield "interpolate", [(1, 2, 4, 5)], {"scale_factor": factor, "mode": "bilinear", "align_corners": False,
                                              "recompute_scale_factor": recompute}  # fmt: skip
        yield "interpolate", [(1, 2, 4, 5)], {"scale_factor": factor, "mode": "bilinear", "align_corners": True}
    for align in (False, True):
        yield "interpolate", [(2, 2, 5)], {"size": 8, "mode": "linear", "align_corners": align}
        yield "interpolate", [(1, 2, 2, 3, 2)], {"size": (3, 5, 4), "mode": "trilinear", "align_corners": align}
    yield "interpolate", [(2, 2, 5)], {"scale_factor": 1.5}
    yield "interpolate", [(1, 1, 2, 3, 2)], {"scale_factor": 2}
    yield "interpolate", [(1, 2, 1, 1)], {"size": (3, 4), "mode": "bilinear"}


def padding() -> Iterator[Row]:
    for amounts in ((1, 2), (1, 0, 2, 3), (-1, 2), (-1, -1, 1, -2), (0, 0, 0, 0, 1, 1), (1, 1, 1, 1, 1, 1, 0, 2)):
        yield "pad", [(2, 3, 4, 5), Given(amounts)], {}
    yield "pad", [(3, 4), Given((2, 1))], {"value": -1.5}
    yield "pad", [(3, 4), Given((-2, 1))], {"value": 2.0, "mode": "constant"}
    for amounts in ((1, 2, 2, 1), (0, 4, 3, 0), (1, 0, 0, 0)):
        yield "pad", [(2, 2, 4, 5), Given(amounts)], {"mode": "reflect"}
    yield "pad", [(2, 3, 6), Given((5, 2))], {"mode": "reflect"}
    yield "pad", [(2, 3, 4), Given((2, 1, 1, 2))], {"mode": "reflect"}


def normalization() -> Iterator[Row]:
    for shape in ((4, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 3, 2)):
        yield running_batch_norm, [shape, (3,), (3,), Constant((3,)), Constant((3,))], {"training": True}
        yield running_batch_norm, [shape, (3,), (3,), Constant((3,)), Constant((3,))], {"training": False}
    yield (
        running_batch_norm,
        [(2, 3, 4), (3,), (3,), Constant((3,)), Constant((3,))],
        {"training": True, "momentum": 0.3, "eps": 0.1},
    )
    yield plain_batch_norm, [(5, 3, 2)], {}
    for groups, shape in [(1, (2, 4, 3, 5)), (2, (2, 4, 3, 5)), (4, (2, 4, 3, 5)), (2, (3, 4, 6)), (2, (3, 6))]:
        yield "group_norm", [shape, Given(groups), (shape[1],), (shape[1],)], {}
        yield "group_norm", [shape, Given(groups)], {"eps": 0.01}
    yield plain_instance_norm, [(2, 3, 4, 5)], {}


def running_batch_norm(library: Any, x: Any, w: Any, b: Any, mean: Any, var: Any, **arguments: Any) -> Any:
    y = library.batch_norm(x, mean, var, w, b, **arguments)
    return y, mean, var


def plain_batch_norm(library: Any, x: Any) -> Any:
    return library.batch_norm(x, None, None, training=True)


def plain_instance_norm(library: Any, x: Any) -> Any:
    return library.instance_norm(x)


def losses() -> Iterator[Row]:
    for shape, classes in [((5, 4), 4), ((2, 3, 4, 5), 3), ((2, 3, 6), 3)]:
        target = (shape[0], *shape[2:])
        for reduction, weighted, smoothing, ignored in itertools.product(
            ("mean", "sum", "none"), (False, True), (0.0, 0.1), (None, -100, 255)
        ):
            if len(shape) == 3 and (reduction == "sum" or ignored == 255):
                continue
            arguments: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}
            if weighted:
                arguments["weight"] = Constant((classes,))
            if ignored is not None:
                arguments["ignore_index"] = ignored
            yield "cross_entropy", [shape, Labels(target, classes, ignored)], arguments
    yield "cross_entropy", [(5, 4), Labels((5,), 4, 1)], {"ignore_index": 1}
    yield "cross_entropy", [(4,), Labels((), 4)], {}
    yield "cross_entropy", [(4,), Labels((), 4)], {"reduction": "none", "label_smoothing": 0.2}
    for reduction, smoothing in itertools.product(("mean", "sum", "none"), (0.0, 0.2)):
        yield soft_targets, [(2, 3, 4), (2, 3, 4)], {"reduction": reduction, "label_smoothing": smoothing}
        yield soft_targets, [(4, 3), (4, 3)], {"reduction": reduction, "label_smoothing": smoothing, "weight": Constant((3,))}
    yield "cross_entropy", [Fixed([[1000.0, 0.0], [0.0, -1000.0]]), Given(np.array([1, 0]))], {}
    for op, reduction in itertools.product(("mse_loss", "l1_loss"), ("mean", "sum", "none")):
        yield op, [(3, 4), (3, 4)], {"reduction": reduction}


def soft_targets(library: Any, x: Any, t: Any, **arguments: Any) -> Any:
    return library.cross_entropy(x, library.softmax(t, dim=1), **arguments)


# ---- what must be refused ----

FLOATS = (1, 2, 5, 5)
CASES = table(
    arithmetic, reductions, shapes, products, activations, convolutions, transposed, pooling, upsampling, padding, normalization,
    losses,
)  # fmt: skip

REJECTED = [
    Case(f"{number:02d} {op if isinstance(op, str) else op.__name__}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("add", [(2, 3), (2, 4)], {}),
            ("mul", [(2, 3), (3, 3)], {}),
            ("maximum", [(4,), (3,)], {}),
            ("matmul", [(2, 3), (2, 3)], {}),
            ("matmul", [(2, 3), ()], {}),
            ("matmul", [(2, 2, 3), (3, 3, 2)], {}),
            ("mm", [(2, 3), (3,)], {}),
            ("bmm", [(2, 2, 3), (3, 3, 2)], {}),
            ("linear", [(2, 3), (4, 2)], {}),
            ("reshape", [(2, 3), Given((4, 2))], {}),
            ("reshape", [(2, 3), Given((-1, -1))], {}),
            ("permute", [(2, 3), Given((0, 0))], {}),
            ("permute", [(2, 3), Given((0,))], {}),
            ("transpose", [(2, 3), Given(0), Given(2)], {}),
            ("expand", [(2, 3), Given((2, 4))], {}),
            ("expand", [(2, 3), Given((3,))], {}),
            ("repeat", [(2, 3), Given((2,))], {}),
            ("unsqueeze", [(2, 3)], {"dim": 3}),
            ("flatten", [(2, 3, 4)], {"start_dim": 2, "end_dim": 1}),
            ("sum", [(2, 3)], {"dim": 2}),
            ("mean", [Given(np.arange(3))], {}),
            ("amax", [(0, 3)], {}),
            ("max", [(0, 3)], {"dim": 0}),
            ("split", [(5, 2), Given([2, 2])], {}),
            ("chunk", [(5, 2), Given(0)], {}),
            ("narrow", [(5, 2)], {"dim": 0, "start": 4, "length": 2}),
            (join, [(2, 3), (2, 4)], {"dim": 0}),
            (join, [()], {"dim": 0}),
            (pile, [(2, 3), (3, 2)], {"dim": 0}),
            (take, [(3, 4), Given(3)], {}),
            (take, [(3, 4), Given((0, 0, 0))], {}),
            ("softmax", [Given(np.arange(3))], {"dim": 0}),
            ("conv2d", [FLOATS, (3, 4, 3, 3)], {}),
            ("conv2d", [FLOATS, (3, 2, 6, 3)], {}),
            ("conv2d", [FLOATS, (3, 2, 3, 3), (2,)], {}),
            ("conv2d", [FLOATS, (3, 1, 3, 3)], {"groups": 2}),
            ("conv2d", [FLOATS, (3, 2, 3, 3)], {"stride": 0}),
            ("conv2d", [FLOATS, (3, 2, 3, 3)], {"padding": -1}),
            ("conv2d", [FLOATS, (3, 2, 3, 3)], {"padding": "same", "stride": 2}),
            ("conv2d", [FLOATS, (3, 2, 3, 3)], {"padding": "full"}),
            ("conv2d", [(1, 1, 2, 5, 5), (3, 2, 3, 3)], {}),
            ("conv_transpose2d", [FLOATS, (3, 2, 3, 3)], {}),
            ("conv_transpose2d", [FLOATS, (2, 2, 3, 3)], {"stride": 2, "output_padding": 2}),
            ("conv_transpose2d", [(1, 2, 1, 1), (2, 2, 2, 2)], {"padding": 1}),
            ("max_pool2d", [FLOATS], {"kernel_size": 6}),
            ("max_pool2d", [FLOATS], {"kernel_size": 2, "padding": 2}),
            ("max_pool2d", [(5, 5)], {"kernel_size": 2}),
            ("avg_pool2d", [FLOATS], {"kernel_size": 2, "divisor_override": 0}),
            (pool_and_unpool, [(1, 2, 6, 6)], {"kernel_size": 2, "output_size": (9, 6)}),
            ("interpolate", [FLOATS], {}),
            ("interpolate", [FLOATS], {"size": 3, "scale_factor": 2}),
            ("interpolate", [FLOATS], {"size": 3, "mode": "trilinear"}),
            ("interpolate", [FLOATS], {"size": 3, "mode": "nearest", "align_corners": True}),
            ("interpolate", [FLOATS], {"size": (3, 0), "mode": "bilinear"}),
            ("pad", [FLOATS, Given((1,))], {}),
            ("pad", [FLOATS, Given((5, 0, 0, 0))], {"mode": "reflect"}),
            ("pad", [FLOATS, Given((-6, 0))], {}),
            ("batch_norm", [(1, 3), Constant((3,)), Constant((3,))], {"training": True}),
            ("batch_norm", [(2, 3), Constant((2,)), Constant((3,))], {"training": True}),
            ("group_norm", [(2, 3, 4), Given(2)], {}),
            ("dropout", [FLOATS], {"p": 1.5}),
            ("cross_entropy", [(2, 3), Labels((3,), 3)], {}),
            ("cross_entropy", [(2, 3, 4, 4), Labels((2, 1, 4, 4), 3)], {}),
            ("cross_entropy", [(2, 3), Given(np.array([0, 3]))], {}),
            ("cross_entropy", [(2, 3), Given(np.array([0, -1]))], {}),
            ("cross_entropy", [(2, 3), Labels((2,), 3)], {"weight": Constant((2,))}),
            ("cross_entropy", [(2, 3), Labels((2,), 3)], {"reduction": "average"}),
        ]
    )
]
