"""Convolution and transposed convolution: values against the loops, fixtures of the literature, adjoints, costs, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.convolution import (
    Convolution,
    TransposedConvolution,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    faces,
    im2col,
)
from minivision.functions.convolution.choice import conv_algorithm
from minivision.threads import get_num_threads, set_num_threads
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


SETTINGS = [
    # stride, padding, dilation, groups
    ((1, 1), (0, 0), (1, 1), 1),
    ((2, 1), (1, 0), (1, 1), 1),
    ((1, 3), (2, 1), (2, 1), 1),
    ((3, 2), (0, 3), (1, 2), 2),
    ((2, 2), (1, 1), (1, 1), 4),
]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
def test_conv2d_is_its_definition(stride, padding, dilation, groups, rng, device):
    x, w, b = rng.standard_normal((2, 4, 5, 7)), rng.standard_normal((8, 4 // groups, 3, 2)), rng.standard_normal(8)
    expected = reference.conv(x, w, b, stride, padding, dilation, groups)
    for (_, xs), (_, ws) in itertools.product(layouts(x), layouts(w)):
        arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        assert_close(conv2d(tensor(xs, device), tensor(ws, device), tensor(b, device), **arguments), expected, atol=1e-11)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
@pytest.mark.parametrize("extra", [(0, 0), (1, 1)])
def test_conv_transpose2d_is_its_definition(stride, padding, dilation, groups, extra, rng, device):
    extra = tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation, strict=True))
    x, w, b = rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((4, 2, 3, 4)), rng.standard_normal(2 * groups)
    expected = reference.conv_transpose(x, w, b, stride, padding, extra, groups, dilation)
    for (_, xs), (_, ws) in itertools.product(layouts(x), layouts(w)):
        y = conv_transpose2d(tensor(xs, device), tensor(ws, device), tensor(b, device), stride, padding, extra, groups, dilation)
        assert_close(y, expected, atol=1e-11)


def test_one_and_three_axes(rng, device):
    x, w = rng.standard_normal((2, 3, 9)), rng.standard_normal((4, 3, 3))
    assert_close(conv1d(tensor(x, device), tensor(w, device), stride=2, padding=1), reference.conv(x, w, None, 2, 1))
    x, w = rng.standard_normal((2, 3, 4)), rng.standard_normal((3, 2, 3))
    y = conv_transpose1d(tensor(x, device), tensor(w, device), stride=2, padding=1, output_padding=1)
    assert_close(y, reference.conv_transpose(x, w, None, 2, 1, 1))
    x, w = rng.standard_normal((1, 2, 3, 4, 2)), rng.standard_normal((3, 2, 2, 3, 1))
    assert_close(conv3d(tensor(x, device), tensor(w, device)), reference.conv(x, w))
    w = rng.standard_normal((2, 3, 2, 3, 1))
    y = conv_transpose3d(tensor(x, device), tensor(w, device), stride=(1, 2, 1))
    assert_close(y, reference.conv_transpose(x, w, None, (1, 2, 1)))


def test_many_blocks_give_the_same(rng, device, monkeypatch):
    """The window matrix is worked off in blocks; their size changes nothing."""
    x, w = rng.standard_normal((3, 2, 6, 5)), rng.standard_normal((4, 2, 3, 3))
    arguments = {"stride": (2, 1), "padding": 1}
    results = []
    for elements in (1, 50, 400, 1 << 20):
        monkeypatch.setattr(im2col, "CPU_BLOCK", elements)
        monkeypatch.setattr(im2col, "CPU_PIECE", elements)
        monkeypatch.setattr(im2col, "GPU_PIECE", elements)
        monkeypatch.setattr(im2col, "FEW_POSITIONS", 1)
        monkeypatch.setattr(im2col, "NOT_SHARED_OUT", 1)
        a, b = tensor(x, device, requires_grad=True), tensor(w, device, requires_grad=True)
        y = conv2d(a, b, **arguments)
        y.backward(tensor(np.arange(y.numel()).reshape(y.shape), device))
        results.append([to_numpy(v) for v in (y, a.grad, b.grad)])
    for result in results[:-1]:
        for part, expected in zip(result, results[-1], strict=True):
            assert_close(part, expected, atol=1e-10)


def test_products_in_pieces(rng, device, monkeypatch):
    """im2col multiplies some rows of a block at a time; the last piece is smaller, and counts like the others."""
    monkeypatch.setattr(im2col, "FEWEST_ROWS", 1)
    x, w, dy = (rng.standard_normal(s) for s in ((2, 3, 7, 9), (4, 3, 3, 3), (2, 4, 7, 9)))
    dx, dw, _ = reference.conv_backward(dy, x, w, padding=1)
    for multiplications in (108 * 5, 108 * 11, 108 * 63):  # 5, 11 and 63 of 126 positions at a time
        monkeypatch.setattr(im2col, "AT_ONCE", multiplications)
        a, b = tensor(x, device, requires_grad=True), tensor(w, device, requires_grad=True)
        with conv_algorithm("im2col"):
            y = conv2d(a, b, padding=1)
        y.backward(tensor(dy, device))
        assert_close(y, reference.conv(x, w, padding=1))
        assert_close(a.grad, dx, atol=1e-10)
        assert_close(b.grad, dw, atol=1e-10)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("x", "w", "settings"),
    [
        ((2, 3, 4, 3), (64, 3, 3, 3), {"padding": 1}),  # more filters than positions: shared out by filters
        ((1, 20, 3, 5), (40, 20, 3, 3), {"padding": 1}),
        ((1, 20, 3, 5), (40, 20, 1, 1), {}),
        ((3, 2, 9, 7), (40, 2, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),  # few channels: the gradient is stamped
        ((2, 2, 13, 11), (24, 2, 3, 3), {"dilation": 2, "padding": 3}),
        ((2, 4, 7, 9), (64, 2, 3, 3), {"stride": 3, "groups": 2}),
        ((1, 3, 20, 21), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
        ((2, 8, 20, 13), (8, 8, 3, 3), {"stride": 2, "padding": 1, "dilation": 2}),  # phases that no tap meets
        ((2, 8, 20, 13), (6, 8, 2, 2), {"stride": 3}),
    ],
)
def test_every_way_through_im2col(x, w, settings, threads, rng, device, monkeypatch):
    monkeypatch.setattr(im2col, "NOT_SHARED_OUT", 0)
    x, w = rng.standard_normal(x), rng.standard_normal(w)
    before = get_num_threads()
    set_num_threads(threads)
    try:
        a, b = tensor(x, device, requires_grad=True), tensor(w, device, requires_grad=True)
        with conv_algorithm("im2col"):
            y = conv2d(a, b, **settings)
        dy = rng.standard_normal(y.shape)
        y.backward(tensor(dy, device))
    finally:
        set_num_threads(before)
    assert_close(y, reference.conv(x, w, **settings))
    dx, dw, _ = reference.conv_backward(dy, x, w, **settings)
    assert_close(a.grad, dx, atol=1e-10)
    assert_close(b.grad, dw, atol=1e-10)


def test_lecture_matrix(device):
    """A 2x2 kernel on a 3x3 image as a matrix: the rows are the kernel, shifted."""
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
    matrix = np.stack(
        [to_numpy(conv2d(tensor(e.reshape(1, 1, 3, 3), device), tensor(kernel[None, None], device))).ravel() for e in np.eye(9)],
        1,
    )
    a, b, c, d = kernel.ravel()
    np.testing.assert_array_equal(
        matrix,
        [[a, b, 0, c, d, 0, 0, 0, 0], [0, a, b, 0, c, d, 0, 0, 0], [0, 0, 0, a, b, 0, c, d, 0], [0, 0, 0, 0, a, b, 0, c, d]],
    )


RIBBON = [
    ({"stride": 2}, [1, 2, 13, 20, 30]),
    ({"stride": 2, "padding": 1}, [2, 13, 20]),
    ({"stride": 2, "padding": 1, "output_padding": 1}, [2, 13, 20, 30]),
]


@pytest.mark.parametrize(("arguments", "expected"), RIBBON)
def test_transposed_ribbon(arguments, expected, device):
    y = conv_transpose1d(tensor([[[1, 10]]], device), tensor([[[1, 2, 3]]], device), **arguments)
    assert_close(y, [[expected]])


STAMPS = [
    ([[0, 1], [2, 3]], [[0, 1], [2, 3]], {}, [[0, 0, 1], [0, 4, 6], [4, 12, 9]]),
    ([[0, 1], [2, 3]], [[0, 1], [2, 3]], {"padding": 1}, [[4]]),
    ([[0, 1], [2, 3]], [[0, 1], [2, 3]], {"stride": 2}, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]),
    ([[1, 2], [3, 4]], np.ones((3, 3)), {"stride": 2, "padding": 1}, [[1, 3, 2], [4, 10, 6], [3, 7, 4]]),
    (
        [[1, 2], [3, 4]],
        np.ones((3, 3)),
        {"stride": 2, "padding": 1, "output_padding": 1},
        [[1, 3, 2, 2], [4, 10, 6, 6], [3, 7, 4, 4], [3, 7, 4, 4]],
    ),
]


@pytest.mark.parametrize(("x", "w", "arguments", "expected"), STAMPS)
def test_transposed_stamps(x, w, arguments, expected, device):
    y = conv_transpose2d(tensor([[x]], device), tensor([[np.array(w, float)]], device), **arguments)
    assert_close(y, np.array([[expected]], float))


def test_transposed_size_of_the_lecture(device):
    """3x3, stride 2, padding 1, 2x2 -> 4x4 needs output_padding=1; without it the size is 3x3."""
    x, w = tensor(np.ones((1, 1, 2, 2)), device), tensor(np.ones((1, 1, 3, 3)), device)
    assert conv_transpose2d(x, w, stride=2, padding=1).shape == (1, 1, 3, 3)
    assert conv_transpose2d(x, w, stride=2, padding=1, output_padding=1).shape == (1, 1, 4, 4)
    assert to_numpy(conv_transpose2d(tensor([[[[1, 2], [3, 4]]]], device), w, stride=2))[0, 0, 2, 2] == 10


@pytest.mark.parametrize(
    ("k", "s", "interior"), [(3, 2, [1, 2, 1, 2]), (4, 2, [2, 2, 2, 2]), (2, 2, [1, 1, 1, 1]), (5, 2, [2, 3, 2, 3])]
)
def test_overlap_counts(k, s, interior, device):
    """How often stamps overlap: uneven unless the stride divides the kernel, which is the checkerboard."""
    y = to_numpy(conv_transpose1d(tensor(np.ones((1, 1, 12)), device), tensor(np.ones((1, 1, k)), device), stride=s))[0, 0]
    assert sorted(y[8:12].tolist()) == sorted(interior)
    assert y[8:10].tolist() == y[10:12].tolist()


def test_dilated_kernel_at_the_limit(rng, device):
    """It spans (3 - 1) 4 + 1 = 9 of 10 positions: two windows."""
    x, w = rng.standard_normal((1, 1, 10)), rng.standard_normal((1, 1, 3))
    y = to_numpy(conv1d(tensor(x, device), tensor(w, device), dilation=4))[0, 0]
    assert_close(y, [x[0, 0, [0, 4, 8]] @ w[0, 0], x[0, 0, [1, 5, 9]] @ w[0, 0]])


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 2), (4, 5)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_same_padding(kernel, dilation, rng, device):
    """The output has the input's size; an odd remainder is padded at the bottom and right."""
    x, w = rng.standard_normal((1, 2, 6, 5)), rng.standard_normal((1, 2, *kernel))
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    around = np.pad(x, [(0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)])
    y = conv2d(tensor(x, device), tensor(w, device), padding="same", dilation=dilation)
    assert y.shape[2:] == (6, 5)
    assert_close(y, reference.conv(around, w, None, (1, 1), (0, 0), dilation), atol=1e-11)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
def test_adjoint_identity(stride, padding, dilation, groups, rng, device):
    """<C x, y> = <x, C^T y>, where C^T is conv_transpose2d with the same weight, told the size of x by output_padding."""
    x, w = rng.standard_normal((2, 4, 6, 7)), rng.standard_normal((8, 4 // groups, 3, 2))
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    cx = conv2d(tensor(x, device), tensor(w, device), **arguments)
    y = rng.standard_normal(cx.shape)
    smallest = [(o - 1) * s - 2 * p + d * (k - 1) + 1
                for o, s, p, d, k in zip(cx.shape[2:], stride, padding, dilation, w.shape[2:], strict=True)]  # fmt: skip
    extra = tuple(n - m for n, m in zip(x.shape[2:], smallest, strict=True))
    cty = conv_transpose2d(tensor(y, device), tensor(w, device), output_padding=extra, **arguments)
    assert cty.shape == x.shape
    assert abs(np.vdot(to_numpy(cx), y) - np.vdot(x, to_numpy(cty))) < 1e-12 * np.linalg.norm(x) * np.linalg.norm(y) * 10


def test_gradient_of_convolution_is_the_transposed_one(rng, device):
    x, w, dy = rng.standard_normal((2, 3, 5, 5)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal((2, 4, 3, 3))
    leaf = tensor(x, device, requires_grad=True)
    conv2d(leaf, tensor(w, device), stride=2, padding=1).backward(tensor(dy, device))
    expected = reference.conv_transpose(dy, w, None, 2, 1)
    assert_close(leaf.grad, expected, atol=1e-11)
    leaf = tensor(dy, device, requires_grad=True)
    upstream = rng.standard_normal((2, 3, 5, 5))
    conv_transpose2d(leaf, tensor(w, device), stride=2, padding=1).backward(tensor(upstream, device))
    assert_close(leaf.grad, reference.conv(upstream, w, None, 2, 1), atol=1e-11)


@given(data=st.data())
def test_any_legal_convolution(data, rng, device):
    """Sizes drawn from the definition: legal is whatever leaves room for one window."""
    k, s, d = (data.draw(st.integers(1, n)) for n in (4, 4, 3))
    p = data.draw(st.integers(0, 3))
    n = data.draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 12))
    x, w = rng.standard_normal((2, 2, n)), rng.standard_normal((3, 2, k))
    y = conv1d(tensor(x, device), tensor(w, device), stride=s, padding=p, dilation=d)
    assert_close(y, reference.conv(x, w, None, s, p, d), atol=1e-11)


@given(data=st.data())
def test_any_legal_transposed_convolution(data, rng, device):
    k, s, d, n = (data.draw(st.integers(1, m)) for m in (4, 4, 3, 4))
    extra = data.draw(st.integers(0, max(s, d) - 1))
    p = data.draw(st.integers(0, ((n - 1) * s + d * (k - 1) + extra) // 2))
    x, w = rng.standard_normal((2, 3, n)), rng.standard_normal((3, 2, k))
    a, b = tensor(x, device, requires_grad=True), tensor(w, device, requires_grad=True)
    y = conv_transpose1d(a, b, stride=s, padding=p, dilation=d, output_padding=extra)
    assert_close(y, reference.conv_transpose(x, w, None, s, p, extra, 1, d), atol=1e-11)
    dy = rng.standard_normal(y.shape)
    y.backward(tensor(dy, device))
    assert abs(np.vdot(to_numpy(a.grad), x) - np.vdot(to_numpy(y), dy)) < 1e-10  # linear in x
    assert abs(np.vdot(to_numpy(b.grad), w) - np.vdot(to_numpy(y), dy)) < 1e-10  # and in w


def test_empty_batch_and_single_sample(rng, device):
    w, b = rng.standard_normal((4, 3, 2, 3)), rng.standard_normal(4)
    x, weight = tensor(np.zeros((0, 3, 5, 6)), device, requires_grad=True), tensor(w, device, requires_grad=True)
    y = conv2d(x, weight, tensor(b, device))
    assert y.shape == (0, 4, 4, 4)
    y.backward(tensor(np.zeros((0, 4, 4, 4)), device))
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert_close(weight.grad, np.zeros_like(w))
    image = rng.standard_normal((3, 5, 6))
    assert_close(conv2d(tensor(image, device), tensor(w, device)), reference.conv(image[None], w)[0])
    single = conv_transpose2d(tensor(image, device), tensor(w.swapaxes(0, 1), device))
    assert_close(single, reference.conv_transpose(image[None], w.swapaxes(0, 1))[0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept(dtype, device):
    x, w, b = (Tensor(to_device(np.ones(s, dtype), device)) for s in ((2, 3, 5, 4), (2, 3, 3, 2), (2,)))
    assert conv2d(x, w, b).dtype == dtype
    assert conv_transpose2d(x, Tensor(to_device(np.ones((3, 2, 2, 3), dtype), device)), b, stride=2).dtype == dtype


def test_unwanted_gradients_cost_nothing(rng, device, monkeypatch):
    """The first layer of a network needs no gradient to the image: no transposed convolution is run for it."""
    called = []
    for name in ("correlate", "correlate_transposed", "correlate_kernel"):
        original = getattr(faces, name)
        monkeypatch.setattr(faces, name, lambda *a, f=original, n=name: called.append(n) or f(*a))
    x, w = rng.standard_normal((1, 2, 4, 4)), rng.standard_normal((2, 2, 3, 3))
    for function, face in ((conv2d, "correlate_transposed"), (conv_transpose2d, "correlate")):
        called.clear()
        function(tensor(x, device), tensor(w, device, requires_grad=True)).sum().backward()
        assert called == ["correlate_kernel"]
        called.clear()
        function(tensor(x, device, requires_grad=True), tensor(w, device)).sum().backward()
        assert called == [face]


def test_backward_never_loops_over_positions(rng, device, monkeypatch):
    """Python iterations go over phases and blocks: at 40x40 no more than at 8x8."""
    counts = {}
    original = im2col.WindowMatrix._gathered
    for n in (8, 40):
        calls = []
        monkeypatch.setattr(im2col.WindowMatrix, "_gathered", lambda *a, calls=calls: calls.append(1) or original(*a))
        x, w = tensor(rng.standard_normal((1, 2, n, n)), device, requires_grad=True), tensor(np.ones((2, 2, 3, 3)), device)
        conv2d(x, w, stride=2, padding=1).sum().backward()
        counts[n] = len(calls)
    assert counts[8] == counts[40] == 1 + 4  # forward, and the four phases of a stride of 2


def test_by_hand_names_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"convolution: input has 3 channels .*expects 2"):
        Convolution(stride=2).forward(np.ones((1, 3, 5, 5)), np.ones((4, 2, 3, 3)))
    with pytest.raises(ValueError, match=r"transposed convolution: output_padding 2 along height"):
        TransposedConvolution(stride=2, output_padding=2).forward(np.ones((1, 3, 5, 5)), np.ones((3, 2, 3, 3)))


def test_by_hand_refuses_a_gradient_of_another_size(rng):
    f = Convolution()
    f.forward(rng.standard_normal((1, 2, 5, 5)), rng.standard_normal((3, 2, 3, 3)))
    with pytest.raises(ValueError, match="do not fit"):
        f.backward(rng.standard_normal((1, 3, 4, 4)))


X, W = np.ones((1, 3, 5, 5)), np.ones((8, 3, 3, 3))
ERRORS = [
    (lambda x, w: conv2d(x, w[:, :2]), ValueError,
     ["conv2d", "input has 3 channels", "(1, 3, 5, 5)", "weight", "(8, 2, 3, 3)", "expects 2"]),
    (lambda x, w: conv2d(x, w, stride=2, dilation=3), ValueError,
     ["conv2d", "height", "5 + 0 + 0 = 5", "3*(3 - 1) + 1 = 7", "(5, 5)", "(3, 3)"]),
    (lambda x, w: conv2d(x, w, bias=np.ones(3)), ValueError, ["conv2d", "bias", "(3,)", "(8, 3, 3, 3)", "8 output channels"]),
    (lambda x, w: conv2d(x, w, groups=2), ValueError, ["conv2d", "groups=2", "3 channels"]),
    (lambda x, w: conv2d(x, w[:, :1], groups=2), ValueError, ["conv2d", "groups=2"]),
    (lambda x, w: conv2d(x[0, 0], w), ValueError, ["conv2d", "input", "(5, 5)", "(N, C, H, W)"]),
    (lambda x, w: conv2d(x, w[0]), ValueError, ["conv2d", "weight", "(3, 3, 3)", "4 axes"]),
    (lambda x, w: conv2d(x, w, padding="same", stride=2), ValueError, ["conv2d", "padding='same'", "stride"]),
    (lambda x, w: conv2d(x, w, padding="full"), ValueError, ["conv2d", "'full'", "'same'", "'valid'"]),
    (lambda x, w: conv2d(x, w, stride=(1, 2, 3)), ValueError, ["conv2d", "stride=(1, 2, 3)", "2 ints"]),
    (lambda x, w: conv2d(x, w, stride=0), ValueError, ["conv2d", "stride=0", "at least 1"]),
    (lambda x, w: conv2d(x, w, padding=0.5), TypeError, ["conv2d", "padding=0.5"]),
    (lambda x, w: conv2d(x.long(), w), TypeError, ["conv2d", "input", "int64", ".float()"]),
    (lambda x, w: conv2d(x.float(), w), TypeError, ["conv2d", "float32", "float64", "weight"]),
    (lambda x, w: conv2d("image", w), TypeError, ["conv2d", "input", "str"]),
    (lambda x, w: conv_transpose2d(x, w), ValueError, ["conv_transpose2d", "3 channels", "(8, 3, 3, 3)", "expects 8", "first"]),
    (lambda x, w: conv_transpose2d(x, w[:3], stride=2, output_padding=2), ValueError,
     ["conv_transpose2d", "output_padding 2", "height", "stride 2"]),
    (lambda x, w: conv_transpose2d(x, w[:3], padding=4), ValueError, ["conv_transpose2d", "padding 4", "(1, 3, 5, 5)"]),
    (lambda x, w: conv_transpose2d(x, w[:3], bias=np.ones(2)), ValueError, ["conv_transpose2d", "bias", "(2,)", "3 channels"]),
    (lambda x, w: conv_transpose2d(x, w[:3], groups=2), ValueError, ["conv_transpose2d", "groups=2", "3 channels"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(X), Tensor(W))
    for word in words:
        assert word in str(error.value)
    assert "np." not in str(error.value)
