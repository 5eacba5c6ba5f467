"""The adjoint test itself, and with it every linear operation of the library: backward is the transpose of forward."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision import ops
from minivision.autograd import Tensor
from minivision.check import adjoint
from minivision.functions import matrix
from minivision.functions.upsampling import bed_of_nails
from tests.helpers import to_device

# ---- the test itself ----


def test_a_matrix_and_its_transpose(rng):
    a = rng.standard_normal((3, 5))
    report = adjoint(lambda x: a @ x, lambda y: a.T @ y, (5,), arrays=True)
    assert report.ok
    assert report
    x, y = (g := np.random.default_rng(0)).standard_normal(5), g.standard_normal(3)
    assert report.left == pytest.approx(y @ a @ x, rel=1e-14)
    assert report.right == pytest.approx(y @ a @ x, rel=1e-14)
    assert report.relative_difference < 1e-15
    assert (report.x_shape, report.y_shape) == ((5,), (3,))
    assert str(report).startswith("adjoint: <A x, y> = ")


def test_a_wrong_transpose_is_seen(rng):
    a = rng.standard_normal((4, 4))
    report = adjoint(lambda x: a @ x, lambda y: a @ y, (4,), arrays=True)
    assert not report
    assert report.relative_difference > 1e-3
    assert str(report).startswith("NOT adjoint: ")
    assert "> 1e-12" in str(report)


def test_the_seed_decides():
    def run(seed):
        return adjoint(lambda x: 2 * x, None, (3,), seed=seed).left

    assert run(1) == run(1) != run(2)


def test_nan_does_not_pass():
    assert not adjoint(lambda x: x * np.where(x == 0, 0, np.nan), lambda y: y, (3,), arrays=True)


def test_nothing_at_all_passes():
    assert adjoint(lambda x: x, None, (0, 3)).ok
    assert adjoint(lambda x: 0 * x, lambda y: 0 * y, (3,), arrays=True).relative_difference == 0


class Wrong(mv.Function):
    """A forward whose backward forgets the factor."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return dy


def test_a_wrong_backward_is_seen():
    assert not adjoint(lambda x: Wrong()(x), None, (3,))


ERRORS = [
    (lambda: adjoint(lambda x: x[:2], lambda y: y, (5,), arrays=True), ["x (5,) to y (2,)", "gives (2,)"]),
    (lambda: adjoint(lambda x: x[:2], None, ((5,), (3,))), ["op maps x (5,) to (2,)", "y is (3,)"]),
    (lambda: adjoint(lambda x: x + 1, None, (5,)), ["op maps zeros to values up to 1", "not linear", "bias"]),
    (lambda: adjoint(lambda x: x, lambda y: y - 2, (5,)), ["op_transpose maps zeros to values up to 2"]),
    (lambda: adjoint(lambda x: x, None, (5,), arrays=True), ["op_transpose=None", "arrays"]),
    (lambda: adjoint(lambda x: x, None, "five"), ["shapes='five'", "two shapes"]),
]


@pytest.mark.parametrize(("call", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, words):
    with pytest.raises(ValueError, match="adjoint") as error:
        call()
    for word in words:
        assert word in str(error.value)


# ---- pairs that the lectures call each other's transpose ----


def values(*shape):
    return np.random.default_rng(7).standard_normal(shape)


WEIGHT, GROUPED = values(4, 2, 3, 2), values(4, 1, 2, 3)
INDICES = np.array([[[[3, 2], [8, 20]], [[0, 24], [7, 11]]]])  # (1, 2, 2, 2) into a 5 x 5 plane
BOXES = np.array([[0, 1.3, 0.4, 9.1, 7.7], [1, -2.2, 3.1, 5.9, 14.2], [0, 4, 4, 4, 4]])  # image, x1, y1, x2, y2
BED = np.array([[[[1.0, 0], [0, 0]]]])


def nails(x):
    """Bed of nails: a transposed convolution with a one-hot kernel."""
    return F.conv_transpose2d(x, Tensor(to_device(BED, x.device.type)), stride=2)


def on(x, array):
    return Tensor(to_device(array, x.device.type))


PAIRS = {
    "conv2d and conv_transpose2d": (
        lambda x: F.conv2d(x, on(x, WEIGHT), stride=(2, 1), padding=(1, 0)),
        lambda y: F.conv_transpose2d(y, on(y, WEIGHT), stride=(2, 1), padding=(1, 0), output_padding=(1, 0)),
        (2, 2, 6, 5),
    ),
    "nearest and the mean": (lambda x: F.interpolate(x, scale_factor=3), lambda y: 9 * F.avg_pool2d(y, 3), (1, 2, 3, 2)),
    "nails and slicing": (nails, lambda y: y[..., ::2, ::2], (1, 1, 3, 4)),
    "unpooling and gathering": (
        lambda x: F.max_unpool2d(x, to_device(INDICES, x.device.type), 2, output_size=(5, 5)),
        lambda y: mv.stack([y.reshape(2, 25)[c][on(y, INDICES)[0, c].reshape(-1)] for c in (0, 1)]).reshape(1, 2, 2, 2),
        (1, 2, 2, 2),
    ),
    "padding and cropping": (lambda x: F.pad(x, (2, 1, 0, 3)), lambda y: y[..., :3, 2:6], (2, 3, 4)),
    "sum and expand": (lambda x: x.sum(dim=(0, 2)), lambda y: y.reshape(1, 3, 1).expand(2, 3, 4), (2, 3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name, device):
    op, op_transpose, shape = PAIRS[name]
    report = adjoint(op, op_transpose, shape, device=device)
    assert report, report


def test_the_matrix_and_the_layer():
    c = matrix.conv_matrix(GROUPED, (5, 6), stride=2, padding=1, dilation=(1, 2), groups=2)
    report = adjoint(
        lambda x: F.conv2d(Tensor(x), GROUPED, stride=2, padding=1, dilation=(1, 2), groups=2).numpy(),
        lambda y: (c.T @ y.ravel()).reshape(1, 2, 5, 6),
        (1, 2, 5, 6),
        arrays=True,
    )
    assert report, report


# ---- every linear operation: its backward is its transpose ----


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
    yield "where", lambda x: mv.where(on(x, values(3, 4)) > 0, x, 0.0), (3, 4)


LINEAR = {name: (op, shape) for name, op, shape in [*convolutions(), *others()]}


@pytest.mark.parametrize("name", LINEAR)
def test_backward_is_the_transpose(name, device):
    op, shape = LINEAR[name]
    report = adjoint(op, None, shape, device=device)
    assert report, report
