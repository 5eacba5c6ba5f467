"""The adjoint test itself: what it finds, what it says, and the pairs that lectures call each other's transpose."""

from __future__ import annotations

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision.autograd import Tensor
from minivision.check import adjoint
from minivision.functions import matrix
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


KERNEL = np.arange(1.0, 7).reshape(1, 1, 2, 3)

LAST_HALVED, NOT_A_NUMBER = mv.tensor([1.0, 1.0, 0.5]).double(), mv.tensor(float("nan")).double()
HINTS = {
    "a factor": (
        lambda x: F.avg_pool2d(x, 2), lambda y: F.interpolate(y, scale_factor=2), (1, 1, 4, 6),
        ["op_transpose is 4 times the transpose of op", "factor"],
    ),
    "itself": (lambda x: mv.cumsum(x, 0), lambda y: mv.cumsum(y, 0), (4,), ["op_transpose is op itself"]),
    "the kernel turned": (
        lambda x: F.conv2d(x, mv.tensor(KERNEL)),
        lambda y: F.conv_transpose2d(y, mv.tensor(KERNEL[..., ::-1, ::-1].copy())),
        (1, 1, 4, 5), ["kernel turned round"],
    ),
    "shifted": (
        lambda x: x[::2], lambda y: F.pad(y, (0, 2)), (4,),
        ["2 of 8 weights differ (1 are 0 in op_transpose alone)", "x[1] enters y[1] with weight 0, but", "back to x[1] with 1"],
    ),
    "one weight": (
        lambda x: x.sum(), lambda y: y * LAST_HALVED, (3,),
        ["1 of 3 weights differ (0 are", "x[2] enters y with weight 1, but op_transpose sends y back to x[2] with 0.5"],
    ),
    "too large": (lambda x: x.repeat(2), lambda y: y[:3000], (3000,), ["pass smaller shapes"]),
    "NaN": (lambda x: x, lambda y: mv.where(y == 0, y, NOT_A_NUMBER), (2,), ["NaN among the weights of op_transpose"]),
}  # fmt: skip


@pytest.mark.parametrize(("op", "op_transpose", "shape", "words"), HINTS.values(), ids=HINTS)
def test_the_report_says_what_to_look_at(op, op_transpose, shape, words):
    report = adjoint(op, op_transpose, shape)
    assert not report
    assert str(report).splitlines() == [str(report).splitlines()[0], report.hint]
    for word in words:
        assert word in report.hint


def test_a_good_pair_needs_no_hint():
    report = adjoint(lambda x: 2 * x, None, (3,))
    assert report.hint == ""
    assert len(str(report).splitlines()) == 1


@pytest.mark.parametrize("op", [F.relu, lambda x: F.max_pool2d(x, 3, 1, 1), lambda x: F.dropout(x, 0.5), F.normalize])
def test_what_is_not_linear_has_no_transpose(op):
    """The products of ReLU and its gradient agree, but at that x alone."""
    mv.manual_seed(0)
    with pytest.raises(ValueError, match=r"op is not linear: op\(a \+ b\) and op\(a\) \+ op\(b\) are up to .* apart"):
        adjoint(op, None, (1, 1, 4, 4))
    with pytest.raises(ValueError, match="op_transpose is not linear"):
        adjoint(lambda x: x, op, (1, 1, 4, 4))


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
