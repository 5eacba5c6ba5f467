"""Every linear operation of the library: its backward is its transpose, to 1e-12, whatever the memory layout.

First by name, with the settings of lectures. Then every Function that is linear in one of its inputs, or in all of them together:
which those are is measured, so a new one has to be entered in `LISTED`, and is then checked with every entry that the table of
gradient checks has for it.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision import ops
from minivision.autograd import Function, Tensor
from minivision.check import adjoint
from minivision.functions.upsampling import bed_of_nails
from tests.functions.cases import GradientCase, collected
from tests.helpers import layouts, to_device, to_numpy


def values(*shape):
    return np.random.default_rng(7).standard_normal(shape)


def on(x, array):
    return Tensor(to_device(array, x.device.type))


INDICES = np.array([[[[3, 2], [8, 20]], [[0, 24], [7, 11]]]])  # (1, 2, 2, 2) into a 5 x 5 plane
BOXES = np.array([[0, 1.3, 0.4, 9.1, 7.7], [1, -2.2, 3.1, 5.9, 14.2], [0, 4, 4, 4, 4]])  # image, x1, y1, x2, y2
GRID = 1.3 * np.random.default_rng(1).uniform(-1, 1, (2, 3, 4, 2))


class Arranged(Function):
    """y = x, in another memory layout; dy too is handed on in that layout."""

    def __init__(self, layout: str):
        self.layout = layout

    def forward(self, x: Any) -> Any:
        array = to_numpy(x)
        return to_device(dict(layouts(array)).get(self.layout, array), "cuda" if hasattr(x, "get") else "cpu")

    def backward(self, dy: Any) -> Any:
        return self.forward(dy)


def check_adjoint(op: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: str) -> None:
    """In every layout: of x on its way in, and of dy on its way back."""
    for layout in ("contiguous", "channels_last", "strided"):
        report = adjoint(lambda x, m=layout: Arranged(m)(op(Arranged(m)(x))), None, shape, device=device, tolerance=1e-12)
        assert report, f"{layout}: {report}"


# ---- the operations by name ----


def convolutions():
    for k, s, p, d, g in itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (1, 2), (1, 2)):
        name, key = f"k{k} s{s} p{p} d{d} g{g}", {"stride": (s, 1), "padding": p, "dilation": d, "groups": g}
        w = values(4, 2 // g, k, 2)
        yield f"conv2d {name}", lambda x, w=w, key=key: F.conv2d(x, on(x, w), **key), (1, 2, 7, 5)
        if k > 1:
            w = values(2, 2, k, 3)
            yield f"conv_transpose2d {name}", lambda x, w=w, key=key: F.conv_transpose2d(x, on(x, w), **key), (1, 2, 4, 3)


def others():
    w1, w3 = values(3, 2, 4), values(2, 2, 2, 1, 2)
    yield "conv1d same", lambda x: F.conv1d(x, on(x, w1), padding="same"), (2, 2, 7)
    yield "conv3d", lambda x: F.conv3d(x, on(x, w3), stride=(1, 2, 1), padding=(0, 0, 1)), (1, 2, 3, 4, 2)
    yield "conv_transpose1d", lambda x: F.conv_transpose1d(x, on(x, w1), stride=3, output_padding=2), (2, 3, 5)
    yield "conv_transpose3d", lambda x: F.conv_transpose3d(x, on(x, w3), stride=2), (1, 2, 2, 1, 3)
    x, x4 = values(2, 3, 5, 7), values(4, 3)
    yield "conv2d in its weight", lambda w: F.conv2d(on(w, x), w, stride=2, padding=1), (4, 3, 3, 2)
    yield "conv_transpose2d in its weight", lambda w: F.conv_transpose2d(on(w, x), w, stride=2, padding=1), (3, 4, 3, 2)
    yield "avg_pool1d", lambda x: F.avg_pool1d(x, 3, 2, 1), (1, 2, 7)
    yield "avg_pool2d", lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 0)), (1, 2, 5, 4)
    yield "avg_pool2d overlapping, ceil", lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), (1, 2, 6, 5)
    yield "avg_pool2d divisor", lambda x: F.avg_pool2d(x, 2, divisor_override=3), (1, 2, 5, 4)
    yield "avg_pool3d", lambda x: F.avg_pool3d(x, 2, 1), (1, 1, 3, 2, 4)
    yield "adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, (3, 5)), (2, 2, 7, 4)
    yield "max_unpool2d", lambda x: F.max_unpool2d(x, to_device(INDICES, x.device.type), 2, output_size=(5, 5)), (1, 2, 2, 2)
    yield "nearest", lambda x: F.interpolate(x, size=(7, 3)), (1, 2, 3, 5)
    yield "nearest 1d", lambda x: F.interpolate(x, scale_factor=1.7), (1, 2, 6)
    for corners in (False, True):
        yield f"linear {corners}", lambda x, c=corners: F.interpolate(x, size=9, mode="linear", align_corners=c), (2, 1, 4)
        yield (
            f"bilinear {corners}",
            lambda x, c=corners: F.interpolate(x, size=(7, 3), mode="bilinear", align_corners=c),
            (1, 2, 3, 5),
        )
        yield (
            f"trilinear {corners}",
            lambda x, c=corners: F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=c),
            (1, 1, 2, 3, 2),
        )
    yield "nearest-exact", lambda x: F.interpolate(x, size=(7, 3), mode="nearest-exact"), (1, 2, 3, 5)
    yield "bicubic", lambda x: F.interpolate(x, size=(7, 3), mode="bicubic"), (1, 2, 3, 5)
    yield "bicubic, antialias", lambda x: F.interpolate(x, size=(2, 6), mode="bicubic", antialias=True), (1, 2, 5, 9)
    yield "area", lambda x: F.interpolate(x, size=(2, 4), mode="area"), (1, 2, 5, 9)
    for aligned in (False, True):
        yield f"roi_align {aligned}", lambda x, a=aligned: ops.roi_align(x, on(x, BOXES), 3, 0.5, -1, a), (2, 2, 6, 7)
        yield f"prroi_pool {aligned}", lambda x, a=aligned: ops.prroi_pool(x, on(x, BOXES), (2, 3), 0.5, a), (2, 2, 6, 7)
    yield "ps_roi_align", lambda x: ops.ps_roi_align(x, on(x, BOXES), 2, 0.5), (2, 4, 6, 7)
    yield "pad", lambda x: F.pad(x, (1, 2, -1, 3)), (2, 3, 4)
    yield "pad reflect", lambda x: F.pad(x, (3, 2, 1, 1), mode="reflect"), (2, 3, 4)
    yield "bed_of_nails", lambda x: bed_of_nails(x, (2, 3)), (1, 2, 3, 2)
    yield "center_crop", lambda x: F.center_crop(x, (2, 3)), (2, 5, 6)
    yield "matmul left", lambda x: x @ on(x, x4), (2, 5, 4)
    yield "matmul right", lambda x: on(x, x4) @ x, (2, 3, 5)
    yield "linear", lambda x: F.linear(x, on(x, x4)), (5, 3)
    yield "permute", lambda x: x.permute(2, 0, 1), (2, 3, 4)
    yield "transpose", lambda x: x.transpose(0, 2), (2, 3, 4)
    yield "reshape", lambda x: x.reshape(4, 6), (2, 3, 4)
    yield "expand", lambda x: x.expand(2, 3, 4), (3, 1)
    yield "index", lambda x: x[1:, ::2], (3, 5)
    yield "gather rows", lambda x: x[[2, 0, 2]], (3, 4)
    yield "flip", lambda x: x.flip((0, 2)), (2, 3, 4)
    yield "cat", lambda x: mv.cat([x, 2 * x, x], dim=1), (2, 3)
    yield "stack", lambda x: mv.stack([x, -x]), (2, 3)
    yield "split", lambda x: mv.split(x, 2, dim=1)[1], (2, 5)
    yield "sum", lambda x: x.sum(dim=(0, 2)), (2, 3, 4)
    yield "sum of all", lambda x: x.sum(), (2, 3)
    yield "mean", lambda x: x.mean(dim=1, keepdim=True), (2, 3, 4)
    yield "neg, add, sub, div", lambda x: -x + x / 3 - 5 * x, (3, 4)
    yield "mul", lambda x: x * on(x, values(3, 1)), (2, 3, 4)
    yield "unfold", lambda x: F.unfold(x, (2, 3), 1, 1, 2), (2, 3, 4, 5)
    yield "fold", lambda x: F.fold(x, (4, 5), (2, 3), stride=(2, 1)), (2, 12, 6)
    yield "pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), (2, 8, 3, 2)
    yield "pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), (1, 3, 4, 6)
    yield "channel_shuffle", lambda x: F.channel_shuffle(x, 3), (2, 6, 2, 3)
    yield "grid_sample", lambda x: F.grid_sample(x, on(x, GRID), align_corners=False), (2, 3, 4, 5)
    yield "grid_sample bicubic", lambda x: F.grid_sample(x, on(x, GRID), "bicubic", "reflection", False), (2, 3, 4, 5)
    for mode in ("replicate", "circular"):
        yield f"pad {mode}", lambda x, m=mode: F.pad(x, (3, 2, 1, 1), mode=m), (2, 3, 4)
    for mode in ("nearest", "bilinear", "bicubic"):
        yield f"{mode} by a factor", lambda x, m=mode: F.interpolate(x, scale_factor=(1.7, 0.6), mode=m), (1, 2, 4, 7)
    yield "bilinear, antialias", lambda x: F.interpolate(x, size=(2, 6), mode="bilinear", antialias=True), (1, 2, 5, 9)
    yield "adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 4), (2, 2, 7)
    yield "cumsum", lambda x: x.cumsum(1), (2, 5)
    yield "einsum", lambda x: mv.einsum("nij,jk->nki", x, on(x, x4)), (2, 5, 4)
    yield "gather", lambda x: x.gather(1, mv.tensor([[0, 2, 2], [1, 1, 0]], device=x.device)), (2, 4)
    yield "roll", lambda x: x.roll((1, -2), (0, 1)), (3, 5)
    yield "where", lambda x: mv.where(on(x, values(3, 4)) > 0, x, 0.0), (3, 4)


LINEAR = {name: (op, shape) for name, op, shape in [*convolutions(), *others()]}


@pytest.mark.parametrize("name", LINEAR)
def test_backward_is_the_transpose(name, device):
    op, shape = LINEAR[name]
    check_adjoint(op, shape, device)


# ---- every Function ----

ALL = "all inputs together"
# the inputs in which a Function is linear, with the others held (for some only with the settings of one of its cases, such as a
# scatter in which nothing meets): names of Functions
LISTED: dict[tuple[Any, ...], str] = {
    (ALL,): (
        "Add BlockDiagonal Cat IndexAdd IndexCopy IndexPut MaskedScatter Scatter ScatterAdd ScatterMax "
        "ScatterMean ScatterMin ScatterSum Sub Where"
    ),
    (0, ALL): (
        "ScatterProduct"
    ),
    (0, 1): (
        "Convolution Correlation Cross KernelCorrelation Linear MatMul Mul TransposedConvolution "
        "TransposedCorrelation"
    ),
    (0, 1, 2): (
        "Bilinear Einsum"
    ),
    (0,): (
        "AdaptiveAvgPool AvgPool BedOfNails Cast CircularPad Clone ConstantPad Contiguous CumSum Diagonal "
        "DiagonalMatrix Diff Div Dropout Embedding Expand Flip Fold Gather GridSample Index Interpolate "
        "LinearMap MaxUnpool Mean NanToNum Neg NegativeLogLikelihood Permute PrRoIPool ReflectPad "
        "ReplicatePad Reshape RoIAlign Roll Sum Transfer Tril Triu Unfold XLogY"
    ),
    (1, ALL): (
        "Overwrite"
    ),
    (1,): (
        "GroupNorm RMSNorm SoftCrossEntropy"
    ),
    (2,): (
        "Attention"
    ),
}  # fmt: skip
LINEAR_IN = {name: inputs for inputs, names in LISTED.items() for name in names.split()}

CASES = collected()


def name_of(case: GradientCase) -> str:
    return type(case.make(np.asarray)).__name__


def measured(case: GradientCase, rng: np.random.Generator) -> set[Any]:
    """The inputs in which the Function of this case is linear, found by f(0) = 0 and f(-7 a + b) = -7 f(a) + f(b)."""
    inputs = case.inputs(rng)
    return {
        which
        for which in (*range(len(inputs)), *([ALL] if len(inputs) > 1 else []))
        if is_linear(lambda vary, which=which: outputs(case, vary, inputs, which), inputs, rng)
    }


def outputs(case: GradientCase, vary: list[np.ndarray], inputs: list[np.ndarray], which: Any) -> list[np.ndarray]:
    """What the Function gives when the inputs `which` are those of `vary`, and the others stay."""
    arguments = [v if which in (i, ALL) else x for i, (v, x) in enumerate(zip(vary, inputs, strict=True))]
    result = case.make(np.asarray).forward(*arguments)
    return [np.asarray(y) for y in (result if isinstance(result, tuple) else (result,)) if y.dtype.kind == "f"]


def is_linear(f: Callable[[list[np.ndarray]], list[np.ndarray]], inputs: list[np.ndarray], rng: np.random.Generator) -> bool:
    """Several times, as a median of the sum may happen to be the sum of the medians."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return all(_adds_up(f, inputs, [rng.standard_normal(x.shape) for x in inputs]) for _ in range(5))
        except (ValueError, TypeError):  # outside its domain
            return False


def _adds_up(f: Callable[[list[np.ndarray]], list[np.ndarray]], a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    zero, fa, fb = f([0 * x for x in a]), f(a), f(b)
    both = f([-7 * x + y for x, y in zip(a, b, strict=True)])
    return any(y.any() for y in fa) and all(
        not z.any() and np.isfinite(w).all() and np.allclose(w, -7 * u + v, rtol=1e-9, atol=1e-9)
        for z, u, v, w in zip(zero, fa, fb, both, strict=True)
    )


def test_every_linear_function_is_listed(rng):
    """A new Function that is linear belongs into LISTED, and what is no longer linear out of it."""
    found: dict[str, set[Any]] = {}
    for case in CASES:
        linear_in = measured(case, rng)
        if linear_in:
            found.setdefault(name_of(case), set()).update(linear_in)
    assert found == {name: set(inputs) for name, inputs in LINEAR_IN.items()}


def function_checks() -> Iterator[Any]:
    for number, case in enumerate(CASES):
        for which in LINEAR_IN.get(name_of(case), ()):
            yield pytest.param(case, which, id=f"{name_of(case)} {case.name} {number} in {which}")


@pytest.mark.parametrize(("case", "which"), list(function_checks()))
def test_backward_of_every_linear_function_is_its_transpose(case, which, rng, device):
    """A case that is not linear in this input (for a bias beside it, say) is left out, but some case of the Function is."""
    if which not in measured(case, rng):
        assert any(which in measured(other, rng) for other in CASES if name_of(other) == name_of(case))
        return
    inputs = case.inputs(rng)

    def put(a: Any) -> Any:
        return to_device(a, device)

    if which == ALL:
        shapes = [x.shape for x in inputs]
        ends = np.cumsum([0, *(x.size for x in inputs)]).tolist()

        def op(x: Tensor) -> Tensor:
            parts = [x[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]
            return first(case.make(put)(*parts))

        shape: tuple[int, ...] = (ends[-1],)
    else:

        def op(x: Tensor) -> Tensor:
            return first(case.make(put)(*(x if i == which else Tensor(put(v)) for i, v in enumerate(inputs))))

        shape = inputs[which].shape
    check_adjoint(op, shape, device)


def first(result: Any) -> Tensor:
    return result[0] if isinstance(result, tuple) else result
