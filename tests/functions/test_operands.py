"""What operations accept as settings, and what a refused call leaves as it was."""

from __future__ import annotations

import numpy as np
import pytest

import minivision
from minivision import nn, ops
from minivision.autograd import Tensor
from tests.helpers import assert_close, to_device

F = nn.functional


def ones(device, *shape):
    return Tensor(to_device(np.ones(shape, np.float32), device), requires_grad=True)


NUMBERS = {
    "leaky_relu": lambda x, a: F.leaky_relu(x, a),
    "elu": lambda x, a: F.elu(x, a),
    "softplus": lambda x, a: F.softplus(x, a),
    "hardtanh": lambda x, a: F.hardtanh(x, -a, a),
    "softshrink": lambda x, a: F.softshrink(x, a),
    "threshold": lambda x, a: F.threshold(x, a, a),
    "huber_loss": lambda x, a: F.huber_loss(x, x * 0, delta=a),
    "smooth_l1_loss": lambda x, a: F.smooth_l1_loss(x, x * 0, beta=a),
    "local_response_norm": lambda x, a: F.local_response_norm(x, 2, a, a, a),
    "dropout": lambda x, a: F.dropout(x, a, generator=minivision.Generator().manual_seed(0)),
    "roi_align": lambda x, a: ops.roi_align(x, [ones(x.device, 1, 4)], 2, a),
    "cross_entropy": lambda x, a: F.cross_entropy(x, (x[:, 0] * 0).long(), label_smoothing=a),
    "batch_norm": lambda x, a: F.batch_norm(x, None, None, training=True, eps=a),
}


@pytest.mark.parametrize("call", NUMBERS.values(), ids=NUMBERS)
def test_a_setting_may_be_a_number_of_numpy_or_a_tensor_and_leaves_the_dtype(call, device):
    expected = call(ones(device, 1, 3, 4, 5), 0.25)
    for setting in (np.float64(0.25), np.float32(0.25), np.array(0.25), minivision.tensor(0.25)):
        x = ones(device, 1, 3, 4, 5)
        y = call(x, setting)
        y.sum().backward()
        assert y.dtype == x.grad.dtype == np.float32
        assert_close(y, expected, rtol=0)


def test_whole_numbers_may_be_of_numpy_or_tensors(device):
    x = ones(device, 1, 4, 6, 6)
    expected = F.avg_pool2d(x, 3, 2, 1)
    for three, two, one in ((np.int64(3), np.int32(2), np.uint8(1)), map(minivision.tensor, (3, 2, 1))):
        assert_close(F.avg_pool2d(x, three, two, one), expected, rtol=0)


def test_a_refused_call_leaves_the_running_statistics(device):
    x, mean = ones(device, 4, 3, 2), Tensor(to_device(np.zeros(3, np.float32), device))
    integers = Tensor(to_device(np.ones(3, np.int64), device))
    for call in (lambda: F.batch_norm(x, mean, integers, training=True), lambda: F.instance_norm(x, mean, integers)):
        with pytest.raises(TypeError, match="running_var is an int64 tensor"):
            call()
    assert_close(mean, np.zeros(3, np.float32), rtol=0)


def test_a_box_that_ends_before_it_begins_is_told(device):
    """A box given as x, y, width, height looks like that."""
    x, boxes = ones(device, 1, 2, 8, 8), Tensor(to_device(np.array([[0, 5, 5, 2, 2]], np.float32), device))
    for op in (ops.roi_align, ops.roi_pool, ops.prroi_pool):
        with pytest.warns(UserWarning, match=rf"{op.__name__}: box 0 is \[5.0, 5.0, 2.0, 2.0\], which ends before it begins"):
            op(x, boxes, 2)


def test_a_mask_may_be_the_target_of_a_regression(device):
    x, mask = ones(device, 2, 3), Tensor(to_device(np.array([[True, False, True]] * 2), device))
    assert_close(F.mse_loss(x, mask), F.mse_loss(x, mask.float()), rtol=0)
