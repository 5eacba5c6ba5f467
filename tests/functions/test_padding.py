"""Padding and cropping."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.padding import pad
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


@pytest.mark.parametrize(
    ("amounts", "pairs"),
    [
        ((1, 2), [(0, 0), (0, 0), (1, 2)]),
        ((1, 0, 2, 3), [(0, 0), (2, 3), (1, 0)]),
        ((-1, 2, 0, -2), [(0, 0), (0, -2), (-1, 2)]),
        ((0, 0, 0, 0, 3, 1), [(3, 1), (0, 0), (0, 0)]),
        ((), [(0, 0)] * 3),
        ((-2, -2), [(0, 0), (0, 0), (-2, -2)]),
    ],
)
def test_constant(amounts, pairs, rng, device):
    x = rng.standard_normal((2, 3, 4))
    for _, arranged in layouts(x):
        assert_close(pad(tensor(arranged, device), amounts), reference.pad(x, pairs))
        assert_close(pad(tensor(arranged, device), amounts, value=2.5), reference.pad(x, pairs, value=2.5))


@pytest.mark.parametrize(
    ("amounts", "pairs"),
    [
        ((1, 2), [(0, 0), (0, 0), (1, 2)]),
        ((4, 4, 2, 0), [(0, 0), (2, 0), (4, 4)]),
        ((0, 0), [(0, 0)] * 3),
        ((2, -1), [(0, 0), (0, 0), (2, -1)]),
    ],
)
def test_reflect(amounts, pairs, rng, device):
    x = rng.standard_normal((2, 3, 5))
    for _, arranged in layouts(x):
        y = pad(tensor(arranged, device), amounts, mode="reflect")
        if amounts == (2, -1):  # crop first, then mirror what is left
            assert_close(y, reference.pad(x[..., :-1], [(0, 0), (0, 0), (2, 0)], "reflect"))
        else:
            assert_close(y, reference.pad(x, pairs, "reflect"))


def test_reflect_fixture(device):
    assert_close(pad(tensor([[1, 2, 3]], device), (2, 2), mode="reflect"), [[3.0, 2, 1, 2, 3, 2, 1]])


def test_nothing_to_add(device):
    """Reflecting nothing gives a view of the input, which shares its version."""
    x = tensor([[1, 2]], device)
    assert pad(x, (0, 0), mode="reflect")._version is x._version
    assert pad(x, (0, 0))._version is not x._version


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_adjoint_identity(mode, rng, device):
    x = tensor(rng.standard_normal((2, 3, 4, 5)), device, requires_grad=True)
    y = pad(x, (2, 1, 0, 3), mode=mode)
    dy = rng.standard_normal(y.shape)
    y.backward(tensor(dy, device))
    assert abs(np.vdot(to_numpy(y), dy) - np.vdot(to_numpy(x), to_numpy(x.grad))) < 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_dtype_and_empty_batch(dtype, device):
    x = Tensor(to_device(np.ones((0, 2, 3), dtype), device))
    assert pad(x, (1, 1)).shape == (0, 2, 5)
    assert pad(x, (1, 1)).dtype == dtype
    assert pad(x, (1, 1), mode="reflect").shape == (0, 2, 5)


ERRORS = [
    (lambda x: pad(x, (1,)), ValueError, ["pad", "(1,)", "two numbers", "(2, 3, 4)"]),
    (lambda x: pad(x, (1,) * 8), ValueError, ["pad", "(2, 3, 4)"]),
    (lambda x: pad(x, (-3, -2)), ValueError, ["pad", "(-3, -2)", "(2, 3, 4)"]),
    (lambda x: pad(x, (4, 0), mode="reflect"), ValueError, ["pad", "4 positions", "has 4", "(2, 3, 4)"]),
    (lambda x: pad(x, (1, 1), mode="mirror"), ValueError, ["pad", "'mirror'", "'reflect'"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3, 4))))
    for word in words:
        assert word in str(error.value)
