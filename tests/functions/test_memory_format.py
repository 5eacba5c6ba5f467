"""channels_last has a meaning: the memory under an image; values and gradients are the same."""

from __future__ import annotations

import numpy as np
import pytest

import minivision as mv
from minivision import nn
from minivision.autograd import Tensor
from tests.helpers import assert_close, to_device, to_numpy


@pytest.fixture
def image(rng, device):
    return Tensor(to_device(rng.standard_normal((2, 3, 5, 4)), device))


def of_nhwc(x: Tensor) -> bool:
    return bool(x.array.transpose(0, 2, 3, 1).flags.c_contiguous) and not x.array.flags.c_contiguous


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x, f: x.to(memory_format=f),
        lambda x, f: x.contiguous(memory_format=f),
        lambda x, f: x.clone(memory_format=f),
        lambda x, f: x.float(memory_format=f).double(),
        lambda x, f: x.to(mv.float32, memory_format=f).to(mv.float64),
    ],
)
def test_the_memory_is_rearranged_and_back(arrange, image, rng):
    image.requires_grad_()
    y = arrange(image, mv.channels_last)
    assert of_nhwc(y)
    assert y.is_contiguous(memory_format=mv.channels_last)
    assert not y.is_contiguous()
    assert_close(y, image, rtol=1e-6)
    back = arrange(y, mv.contiguous_format)
    assert back.is_contiguous()
    dy = rng.standard_normal(image.shape)
    back.backward(Tensor(to_device(dy, "cuda" if image.is_cuda else "cpu")))
    assert_close(image.grad, dy, rtol=1e-6)


def test_preserved_unless_said_otherwise(image):
    x = image.contiguous(memory_format=mv.channels_last)
    assert x.contiguous(memory_format=mv.channels_last) is x
    assert x.to(memory_format=mv.preserve_format) is x
    for y in (x.clone(), x.float(), mv.zeros_like(x), mv.ones_like(x), mv.rand_like(x), mv.full_like(x, 2)):
        assert of_nhwc(y)
    for make in (mv.zeros_like, mv.empty_like, mv.randn_like):
        assert of_nhwc(make(image, memory_format=mv.channels_last))
        assert make(x, memory_format=mv.contiguous_format).is_contiguous()


def test_the_layout_of_a_draw_does_not_change_its_numbers(image):
    mv.manual_seed(0)
    a = mv.randn_like(image)
    mv.manual_seed(0)
    assert_close(mv.randn_like(image, memory_format=mv.channels_last), a, rtol=0, atol=0)


def test_volumes(device):
    x = Tensor(to_device(np.arange(24.0).reshape(1, 2, 2, 3, 2), device)).contiguous(memory_format=mv.channels_last_3d)
    assert x.is_contiguous(memory_format=mv.channels_last_3d)
    assert_close(x, np.arange(24.0).reshape(1, 2, 2, 3, 2))


def test_a_module_arranges_its_images_and_computes_the_same(image):
    layer = nn.Conv2d(3, 4, 3).double().to(image.device)
    y = layer(image)
    layer.to(memory_format=mv.channels_last)
    assert of_nhwc(layer.weight)
    assert layer.bias.shape == (4,)
    assert_close(layer(image.to(memory_format=mv.channels_last)), y)


def test_copies_and_the_smaller_integers(image):
    assert image.to(copy=True) is not image
    assert image.to(image.dtype) is image
    assert image.short().dtype == np.int16
    assert image.char().dtype == np.int8
    assert image.new_zeros(2, 3).dtype == image.dtype
    assert image.new_full((2,), 0.1).array.dtype == np.float64
    assert to_numpy(image.new_tensor([1, 2])).tolist() == [1.0, 2.0]
    assert image.new_ones((2, 2)).device == image.device
    assert mv.scalar_tensor(3).dtype == np.float32
