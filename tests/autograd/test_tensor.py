"""Tensor as a Python object: numbers, NumPy, printing, copying, devices."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minivision import backend
from minivision.autograd import Tensor
from minivision.functions.convolution import conv2d
from minivision.functions.loss import cross_entropy
from minivision.functions.unpooling import max_unpool2d
from tests.helpers import assert_close, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def test_what_it_is(device):
    x = tensor(np.zeros((2, 3, 4)), device)
    assert (x.shape, x.size(), x.size(1), x.ndim, x.dim(), x.numel(), len(x)) == ((2, 3, 4), (2, 3, 4), 3, 3, 3, 24, 2)
    assert x.dtype == np.float64
    assert x.is_floating_point()
    assert x.is_contiguous()
    assert not x.permute(2, 0, 1).is_contiguous()
    assert x.T.shape == (4, 3, 2)
    assert x.mT.shape == (2, 4, 3)
    assert x.is_cuda == (device == "cuda")
    assert x.device == device


def test_numbers(device):
    one = tensor([[2.5]], device)
    assert (one.item(), float(one), int(one), bool(one)) == (2.5, 2.5, 2, True)
    assert isinstance(one.item(), float)
    assert f"{one:.2f}" == "2.50"
    assert not tensor(0, device)
    three = Tensor(to_device(np.array(3), device))
    assert [10, 20, 30, 40][three] == 40
    assert isinstance(three.item(), int)
    assert list(range(three)) == [0, 1, 2]
    assert tensor([[1, 2], [3, 4]], device).tolist() == [[1, 2], [3, 4]]
    assert 3 in tensor([1, 2, 3], device)
    assert 4 not in tensor([1, 2, 3], device)
    assert [float(v) for v in tensor([1, 2], device)] == [1.0, 2.0]
    _, second = tensor([[1, 2], [3, 4]], device)
    assert second.tolist() == [3, 4]
    assert abs(tensor([-1], device)).item() == 1


def test_identity_hash():
    a, b = tensor([1]), tensor([1])
    assert len({a, b, a}) == 2
    assert {a: "a"}[a] == "a"


ERRORS = [
    (lambda x: bool(x), ValueError, ["(2, 3)", "ambiguous", ".any()"]),
    (lambda x: x.item(), ValueError, ["item", "(2, 3)", "6 elements"]),
    (lambda x: float(x), ValueError, ["item", "(2, 3)"]),
    (lambda x: len(x.sum()), TypeError, ["0-d"]),
    (lambda x: list(x.sum()), TypeError, ["0-d"]),
    (lambda x: [1, 2][x.sum()], TypeError, ["index", "float64"]),
    (lambda x: np.asarray(x), RuntimeError, ["(2, 3)", ".detach().numpy()", "stack"]),
    (lambda x: np.zeros((2, 3)).__setitem__(..., x), RuntimeError, ["(2, 3)", ".detach().numpy()"]),
    (lambda x: np.array([x, x]), (RuntimeError, TypeError), ["numpy"]),
    (lambda x: copy.deepcopy(x * 2), RuntimeError, ["leaves", "clone"]),
    (lambda x: x + None, TypeError, ["add", "None", "tensor"]),
    (lambda x: np.sin(x), TypeError, ["ufunc"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3)), requires_grad=True))
    for word in words:
        assert word.lower() in str(error.value).lower()


def test_beside_numpy():
    """NumPy arrays and numbers are constants on either side of an operator."""
    x, a = Tensor(np.ones(3), requires_grad=True), np.arange(3.0)
    for y in (x + a, a + x, x * a, a * x, a - x, a / x, x @ a, a @ x, np.float64(2) * x, x * np.float64(2), a**x, x > a, a > x):
        assert isinstance(y, Tensor)
    (a * x).sum().backward()
    assert_close(x.grad, a)
    a += Tensor(np.ones(3)).numpy()
    assert a.tolist() == [1, 2, 3]
    assert np.asarray(Tensor(np.ones(2))).tolist() == [1, 1]
    assert x.numpy() is x.array
    losses = np.zeros(2)
    losses[1] = x.sum()  # one element is a number, as in float(x)
    assert losses.tolist() == [0, 3]


def test_numpy_scalars_do_not_promote(device):
    x = Tensor(to_device(np.ones(3, np.float32), device))
    for y in (
        x * np.float64(2),
        np.float64(2) * x,
        x + np.int64(1),
        x * 2.0,
        1 / x,
        x**0.5,
        x.sum() * np.float64(2),
        x.mean() / 3,
    ):
        assert y.dtype == np.float32


def test_repr(device):
    place = ", device='cuda:0'" if device == "cuda" else ""
    assert repr(tensor([1, 2.5], device)) == f"tensor([1. , 2.5], dtype=float64{place})"
    x = Tensor(to_device(np.ones(2, np.float32), device), requires_grad=True)
    assert repr(x) == f"tensor([1., 1.]{place}, requires_grad=True)"
    assert repr(x * 2) == f"tensor([2., 2.]{place}, grad_fn=<Mul>)"
    assert str(Tensor([1])) == "tensor([1])"


def test_copying(device):
    x = tensor([1, 2], device, requires_grad=True)
    (x * 3).sum().backward()
    twin = copy.deepcopy(x)
    assert_close(twin, x)
    assert twin.requires_grad
    assert_close(twin.grad, [3.0, 3])
    assert twin.array is not x.array
    assert copy.deepcopy([x, x])[0] is not x
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    if device == "cpu":
        assert pickle.loads(pickle.dumps(x)).tolist() == [1, 2]


def test_scalars_are_arrays(device):
    """Arithmetic on 0-d arrays gives 0-d arrays, never NumPy numbers."""
    x = Tensor(to_device(np.array(2, np.float32), device), requires_grad=True)
    kind = type(x.array)
    for y in (x + 1, x * x, -x, x.exp(), x**2, x / 3, x.relu(), x.sigmoid(), x > 1, x.isnan(), abs(x), x.clamp(0, 1)):
        assert type(y.array) is kind
        assert y.dtype in (np.float32, np.bool_)
    (x * x * x).backward()
    assert type(x.grad.array) is kind
    assert_close(x.grad, np.array(12, np.float32))
    assert x.grad.dtype == np.float32


# ---- devices ----


@pytest.fixture
def gpu(monkeypatch, request):
    """A second device, the strict stand-in unless a real one was asked for."""
    from tests.strict_cupy import strict_cupy

    if request.config.getoption("--device") != "cuda":
        monkeypatch.setattr(backend, "cupy", lambda: strict_cupy)
    return "cuda"


MIXED = [
    (lambda c, g: c + g, ["add", "input is on cpu", "other is on cuda:0", "other.to('cpu')"]),
    (lambda c, g: g * c, ["mul", "input is on cuda:0", "other is on cpu", "other.to('cuda:0')"]),
    (lambda c, g: g @ c, ["matmul", "input is on cuda:0", "other is on cpu", "other.to('cuda:0')"]),
    (lambda c, g: g * np.ones((2, 2)), ["mul", "other is on cpu"]),
    (lambda c, g: conv2d(g.reshape(1, 1, 2, 2), c.reshape(1, 1, 2, 2)),
     ["conv2d", "input is on cuda:0", "weight is on cpu", "weight.to('cuda:0')"]),
    (lambda c, g: cross_entropy(g, c.sum(1).long() * 0), ["cross_entropy", "target is on cpu", "target.to('cuda:0')"]),
    (lambda c, g: cross_entropy(g, g.sum(1).long() * 0, c[0]), ["cross_entropy", "weight is on cpu", "weight.to('cuda:0')"]),
    (lambda c, g: max_unpool2d(g.reshape(1, 1, 2, 2), c.reshape(1, 1, 2, 2).long(), 2), ["max_unpool2d", "indices is on cpu"]),
    (lambda c, g: g[c > 0], ["x[index]", "index is on cpu", "x is on cuda:0"]),
    (lambda c, g: g.add_(c), ["add", "other is on cpu"]),
    (lambda c, g: g.__setitem__(..., c.array), ["x[index] = value", "value is on cpu"]),
    (lambda c, g: g.__setitem__(0, c[0]), ["x[index] = value", "value is on cpu"]),
    (lambda c, g: (g.requires_grad_() * 1).backward(c), ["backward", "gradient is on cpu", "gradient.to('cuda:0')"]),
    (lambda c, g: g == c, ["eq", "other is on cpu"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), MIXED)
def test_mixed_devices_are_named(call, words, gpu):
    """Nothing is copied silently; the message names the argument and the call that fixes it."""
    with pytest.raises(RuntimeError) as error:
        call(tensor(np.ones((2, 2))), tensor(np.ones((2, 2))).to(gpu))
    for word in words:
        assert word in str(error.value)


def test_arrays_of_two_devices(gpu):
    with pytest.raises(TypeError, match=r"different devices \(cpu, cuda\); bring them together with .to\(device\)"):
        backend.xp_of(np.ones(2), to_device(np.ones(2), gpu))
    assert backend.xp_of() is np
    assert backend.xp_of(1.5, None) is np


def test_device_names():
    assert str(backend.Device("cuda", 1)) == "cuda:1"
    assert backend.Device("cuda") == backend.Device("cuda:0") == "cuda"
    assert backend.Device("cuda:1") != "cuda"
    assert backend.Device("cpu") != "cuda"
    assert repr(backend.Device("cuda:1")) == "device('cuda:1')"
    assert len({backend.Device("cuda"), backend.Device("cuda:0"), backend.Device("cpu")}) == 2
    for name in ("gpu", "cuda:x", "cpu:"):
        if name == "cpu:":
            assert backend.Device(name).type == "cpu"
        else:
            with pytest.raises(ValueError, match="is unknown; use 'cpu', 'cuda' or 'cuda:0'"):
                backend.Device(name)


def test_values_travel(gpu):
    x = tensor([[1, 2], [3, 4]])
    there = x.to(gpu)
    assert there.device == "cuda"
    assert not isinstance(there.array, np.ndarray)
    assert_close(there.cpu(), x)
    assert to_numpy(there * 2).tolist() == [[2, 4], [6, 8]]
    assert isinstance(there.numpy(), np.ndarray)
    assert_close(tensor(np.zeros((2, 2))).copy_(there), x)  # the one method that crosses over, as loading weights needs it
    assert_close(there.copy_(x + 1), [[2.0, 3], [4, 5]])
