"""Between dtypes, devices and memory orders."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.functions.conversion import clone, contiguous, to, type_as
from tests.helpers import assert_close, layouts, to_device, to_numpy


@pytest.mark.parametrize(
    ("method", "dtype"),
    [("half", "float16"), ("float", "float32"), ("double", "float64"), ("int", "int32"), ("long", "int64"), ("bool", "bool"),
     ("byte", "uint8")],
)  # fmt: skip
def test_casts(method, dtype, device):
    x = Tensor(to_device(np.array([0.0, 1.5, 2.0]), device))
    y = getattr(x, method)()
    assert_close(y, np.array([0.0, 1.5, 2.0]).astype(dtype))
    assert y.dtype == dtype
    assert str(y.device) == str(x.device)
    assert getattr(y, method)() is y


def test_gradients_come_back_in_the_old_dtype(device):
    x = Tensor(to_device(np.ones(3, np.float32), device), requires_grad=True)
    (x.double() * Tensor(to_device(np.array([1.0, 2, 3]), device))).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert_close(x.grad, np.array([1, 2, 3], np.float32))
    assert not x.long().requires_grad


def test_between_devices(device):
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    y = x.to(device)
    (y * 2).sum().backward()
    assert x.grad is not None
    assert isinstance(x.grad.array, np.ndarray)
    assert_close(x.grad, np.full((2, 3), 2.0))
    assert x.to("cpu") is x
    assert y.cpu().device == "cpu"
    assert to(x, dtype=np.float32, device=device).dtype == np.float32
    assert type_as(x, Tensor(to_device(np.ones(1, np.float32), device))).device == y.device
    assert x.to(device, np.float16, non_blocking=True).dtype == np.float16


def test_no_gpu_is_said(monkeypatch):
    monkeypatch.setattr("minivision.backend.cupy", lambda: None)
    for call in (lambda x: x.to("cuda"), lambda x: x.cuda(), lambda x: x.to("cuda:1")):
        with pytest.raises(RuntimeError, match=r"device 'cuda.*': no GPU answers .*use device='cpu'"):
            call(Tensor(np.ones(2)))
    with pytest.raises(ValueError, match="device 'gpu' is unknown; use 'cpu', 'cuda' or 'cuda:0'"):
        Tensor(np.ones(2)).to("gpu")
    with pytest.raises(TypeError, match=r"to: unknown arguments \['divice'\]"):
        Tensor(np.ones(2)).to(divice="cpu")


def test_clone_and_contiguous(rng, device):
    values = rng.standard_normal((2, 3, 4))
    for name, arranged in layouts(values):
        x = Tensor(to_device(arranged, device), requires_grad=True)
        copy = clone(x)
        assert_close(copy, values)
        dense = contiguous(x)
        assert_close(dense, values)
        assert dense.is_contiguous()
        assert (dense is x) == (name == "contiguous")
        (copy + dense).sum().backward()
        assert_close(x.grad, np.full((2, 3, 4), 2.0))
        assert copy.array is not x.array
    assert to_numpy(clone(Tensor(to_device(np.arange(3), device)))).tolist() == [0, 1, 2]
