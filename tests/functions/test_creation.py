"""New tensors."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.backend import Generator, manual_seed
from minivision.functions import creation as F
from tests.helpers import assert_close, to_device, to_numpy


@pytest.mark.parametrize(
    ("data", "dtype"),
    [([1.0, 2], "float32"), ([1, 2], "int64"), (1.5, "float32"), (3, "int64"), (True, "bool"), ([[True]], "bool"),
     (np.ones(2), "float64"), (np.ones(2, np.uint8), "uint8"), (np.float64(2), "float64"), ([], "float32")],
)  # fmt: skip
def test_dtype_of_data(data, dtype, device):
    x = F.tensor(data, device=device)
    assert x.dtype == dtype
    assert_close(x, np.asarray(data, dtype))
    assert F.tensor(data, dtype=np.float64).dtype == np.float64


def test_copies_and_shares():
    array = np.zeros(3)
    copied, shared, also_shared = F.tensor(array), F.from_numpy(array), F.as_tensor(array)
    array[0] = 1
    assert copied.tolist() == [0, 0, 0]
    assert shared.tolist() == also_shared.tolist() == [1, 0, 0]
    assert F.as_tensor(shared) is shared


def test_filled_and_counted(device):
    assert_close(F.zeros(2, 3, device=device), np.zeros((2, 3), np.float32))
    assert_close(F.ones((2, 3), device=device), np.ones((2, 3), np.float32))
    assert_close(F.full((2,), 7, device=device), np.array([7, 7]))
    assert F.full((2,), 7.0).dtype == np.float32
    assert F.empty(2, 0).shape == (2, 0)
    assert_close(F.eye(2, 3, device=device), np.eye(2, 3, dtype=np.float32))
    assert_close(F.arange(3, device=device), np.arange(3))
    assert_close(F.arange(1, 7, 2), np.array([1, 3, 5]))
    assert_close(F.arange(0, 1, 0.25), np.array([0, 0.25, 0.5, 0.75], np.float32))
    assert_close(F.linspace(0, 1, 5, dtype=np.float64), np.array([0, 0.25, 0.5, 0.75, 1]))
    assert F.ones(2, requires_grad=True).requires_grad


def test_like_another(device):
    x = Tensor(to_device(np.ones((2, 3)), device))
    for function in (F.zeros_like, F.ones_like, F.empty_like, F.rand_like, F.randn_like):
        y = function(x)
        assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
        assert function(x, dtype=np.float32, device="cpu").dtype == np.float32
    assert_close(F.full_like(x, 3), np.full((2, 3), 3.0))


def test_random_repeats(device):
    for draw in (
        lambda g: F.rand(3, 4, generator=g, device=device),
        lambda g: F.randn(3, 4, generator=g, device=device),
        lambda g: F.randint(0, 9, (3, 4), generator=g, device=device),
        lambda g: F.randperm(9, generator=g, device=device),
    ):
        assert to_numpy(draw(Generator(3))).tolist() == to_numpy(draw(Generator(3))).tolist()
        assert to_numpy(draw(Generator(3))).tolist() != to_numpy(draw(Generator(4))).tolist()
    manual_seed(5)
    first = F.randn(3).tolist()
    manual_seed(5)
    assert F.randn(3).tolist() == first
    generator = Generator(1)
    state = generator.get_state()
    first = F.rand(2, generator=generator).tolist()
    generator.set_state(state)
    assert F.rand(2, generator=generator).tolist() == first


def test_random_distributions():
    draws = F.rand(10_000, generator=Generator(0))
    assert draws.dtype == np.float32
    assert 0 <= to_numpy(draws).min() < to_numpy(draws).max() < 1
    assert abs(to_numpy(draws).mean() - 0.5) < 5 * np.sqrt(1 / 12 / 10_000)
    normal = to_numpy(F.randn(10_000, generator=Generator(0)))
    assert abs(normal.mean()) < 0.05
    assert abs(normal.std() - 1) < 0.05
    assert sorted(F.randperm(20, generator=Generator(0)).tolist()) == list(range(20))
    assert set(F.randint(3, (1000,), generator=Generator(0)).tolist()) == {0, 1, 2}


ERRORS = [
    (lambda: F.tensor([[1, 2], [3]]), ValueError, "lists do not form a regular array"),
    (lambda: F.tensor("abc"), TypeError, "str is not numeric"),
    (lambda: F.tensor([1j]), TypeError, "complex128"),
    (lambda: F.tensor(None), TypeError, "NoneType is not numeric"),
    (
        lambda: F.tensor([1, 2], requires_grad=True),
        RuntimeError,
        r"only floating tensors can require a gradient, not int64 \(2,\)",
    ),
    (lambda: F.from_numpy([1, 2]), TypeError, "from_numpy: expects a NumPy array, not list"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
