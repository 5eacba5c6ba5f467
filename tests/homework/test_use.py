"""A student's operation inside the library's networks: the same numbers, forward and backward, and errors that name it."""

from __future__ import annotations

import functools
import threading

import numpy as np
import pytest

import minivision
from minivision import check, homework, models, nn
from minivision.autograd import Function, Tensor
from minivision.backend import manual_seed
from minivision.homework.use import OPERATIONS
from minivision.nn import functional as F
from minivision.ops import roi_align
from minivision.optim import SGD

# ---- operations as students write them, in NumPy, slow and plain ----


def conv_forward(x, w, b, stride, padding):
    n, _, height, width = x.shape
    f, _, kh, kw = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    out = np.zeros((n, f, (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = padded[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            out[:, :, i, j] = np.einsum("nckl,fckl->nf", window, w) + b
    return out, (x, w, stride, padding)


def conv_backward(dout, cache):
    x, w, stride, padding = cache
    kh, kw = w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = slice(i * stride, i * stride + kh), slice(j * stride, j * stride + kw)
            dpadded[:, :, rows, columns] += np.einsum("nf,fckl->nckl", dout[:, :, i, j], w)
            dw += np.einsum("nf,nckl->fckl", dout[:, :, i, j], padded[:, :, rows, columns])
    dx = dpadded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]].copy()
    return dx, dw, dout.sum(axis=(0, 2, 3))


def transposed_forward(x, w, b, stride, padding):
    n, _, height, width = x.shape
    _, f, kh, kw = w.shape
    full = np.zeros((n, f, (height - 1) * stride + kh, (width - 1) * stride + kw), x.dtype)
    for i in range(height):
        for j in range(width):
            full[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] += np.einsum("nc,cfkl->nfkl", x[:, :, i, j], w)
    out = full[:, :, padding : full.shape[2] - padding, padding : full.shape[3] - padding] + b[:, None, None]
    return out, (x, w, stride, padding)


def transposed_backward(dout, cache):
    x, w, stride, padding = cache
    kh, kw = w.shape[2:]
    full = np.pad(dout, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            window = full[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            dx[:, :, i, j] = np.einsum("nfkl,cfkl->nc", window, w)
            dw += np.einsum("nc,nfkl->cfkl", x[:, :, i, j], window)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def pool_forward(x, size, stride):
    n, c, height, width = x.shape
    out = np.zeros((n, c, (height - size) // stride + 1, (width - size) // stride + 1), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size].max(axis=(2, 3))
    return out, (x, size, stride)


def pool_backward(dout, cache):
    x, size, stride = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        window = x[n, c, i * stride : i * stride + size, j * stride : j * stride + size]
        k, m = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * stride + k, j * stride + m] += dout[n, c, i, j]
    return dx


class Relu:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


def norm_forward(x, gamma, beta, eps):
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    normal = (x - mean) / np.sqrt(var + eps)
    return gamma[:, None, None] * normal + beta[:, None, None], (normal, gamma, var, eps)


def norm_backward(dout, cache):
    normal, gamma, var, eps = cache
    axes = (0, 2, 3)
    dnormal = dout * gamma[:, None, None]
    centred = dnormal - dnormal.mean(axis=axes, keepdims=True) - normal * (dnormal * normal).mean(axis=axes, keepdims=True)
    return centred / np.sqrt(var + eps), (dout * normal).sum(axis=axes), dout.sum(axis=axes)


def softmax_forward(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    p = e / e.sum(axis=axis, keepdims=True)
    return p, (p, axis)


def softmax_backward(dout, cache):
    p, axis = cache
    return p * (dout - (dout * p).sum(axis=axis, keepdims=True))


def log_softmax_forward(x, axis):
    p = softmax_forward(x, axis)[0]
    return np.log(p), (p, axis)


def log_softmax_backward(dout, cache):
    p, axis = cache
    return dout - p * dout.sum(axis=axis, keepdims=True)


def entropy_forward(scores, target):
    p = softmax_forward(scores, 1)[0]
    right = np.take_along_axis(p, target[:, None], 1)
    return -np.log(right).mean(), (p, target)


def entropy_backward(dout, cache):
    p, target = cache
    d = p.copy()
    np.put_along_axis(d, target[:, None], np.take_along_axis(p, target[:, None], 1) - 1, 1)
    return dout * d / target.size


def cat_forward(arrays, axis):
    return np.concatenate(arrays, axis), ([a.shape[axis] for a in arrays], axis)


def cat_backward(dout, cache):
    lengths, axis = cache
    return np.split(dout, np.cumsum(lengths)[:-1], axis)


MINE = {
    "conv2d": (conv_forward, conv_backward),
    "conv_transpose2d": (transposed_forward, transposed_backward),
    "max_pool2d": (pool_forward, pool_backward),
    "relu": Relu,
    "batch_norm": (norm_forward, norm_backward),
    "cross_entropy": (entropy_forward, entropy_backward),
    "cat": (cat_forward, cat_backward),
}


def unet(dtype=np.float64):
    manual_seed(0)
    return models.UNet(3, 4, widths=(4, 6)).to(dtype)


def batch(dtype=np.float64):
    rng = np.random.default_rng(0)
    return Tensor(rng.standard_normal((2, 3, 8, 12)).astype(dtype)), Tensor(rng.integers(0, 4, (2, 8, 12)))


def gradients(model, images, labels):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in model.named_parameters()}


@pytest.mark.parametrize("which", [("conv2d",), ("relu", "max_pool2d"), tuple(MINE)], ids=" ".join)
def test_a_unet_on_the_students_operations_has_the_same_gradients(which):
    images, labels = batch()
    mine, library = unet(), unet()
    expected_loss, expected = gradients(library, images, labels)
    with homework.use(**{name: MINE[name] for name in which}):
        loss, found = gradients(mine, images, labels)
    assert loss == pytest.approx(expected_loss, abs=1e-12)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-10, err_msg=name)
    for a, b in zip(mine.buffers(), library.buffers(), strict=True):  # the running statistics too
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)


def test_a_unet_trains_on_the_students_operations_in_float32():
    images, labels = batch(np.float32)
    model = unet(np.float32)
    optimizer = SGD(model.parameters(), lr=0.1)
    losses = []
    with homework.use(**MINE):
        for _ in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[3] < losses[2] < losses[1] < losses[0]
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_the_students_code_really_runs():
    calls = []

    def forward(x):
        calls.append("forward")
        return np.maximum(x, 0), x

    def backward(dout, x):
        calls.append("backward")
        return 3 * dout * (x > 0)  # wrong, and seen

    x = Tensor(np.array([-1.0, 2.0]), requires_grad=True)
    with homework.use(relu=(forward, backward)):
        nn.ReLU()(x).sum().backward()
    assert calls == ["forward", "backward"]
    assert x.grad.tolist() == [0.0, 3.0]
    calls.clear()
    nn.ReLU()(x).sum().backward()
    assert calls == []


# ---- every operation ----

rng = np.random.default_rng(1)
X, LARGE = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((2, 3, 12, 14))
BOXES = np.array([[0.0, 0.5, 0.5, 5.0, 4.0], [1.0, 1.0, 1.0, 4.0, 5.0]])


def avg_forward(x, size, stride):
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]
    return views.mean(axis=(4, 5)), (x, size, stride)


def avg_backward(dout, cache):
    x, size, stride = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, i * stride : i * stride + size, j * stride : j * stride + size] += dout[:, :, i, j, None, None] / size**2
    return dx


def unpool_forward(x, indices, size):
    out = np.zeros((*x.shape[:2], size[0] * size[1]), x.dtype)
    np.put_along_axis(out, indices.reshape(*x.shape[:2], -1), x.reshape(*x.shape[:2], -1), 2)
    return out.reshape(*x.shape[:2], *size), indices


def unpool_backward(dout, indices):
    return np.take_along_axis(dout.reshape(*dout.shape[:2], -1), indices.reshape(*dout.shape[:2], -1), 2).reshape(indices.shape)


def linear_forward(x, w, b):
    return x @ w.T + b, (x, w)


def linear_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout.sum(axis=0)


def nearest_forward(x, size):
    rows, columns = (np.arange(n) * old // n for n, old in zip(size, x.shape[2:], strict=True))
    return x[:, :, rows][..., columns], (x.shape, rows, columns)


def nearest_backward(dout, cache):
    shape, rows, columns = cache
    dx = np.zeros(shape)
    np.add.at(dx, (slice(None), slice(None), rows[:, None], columns), dout)
    return dx


def align_forward(x, boxes, output_size, scale, samples):
    out = OPERATIONS["roi_align"].original(Tensor(x), Tensor(boxes), output_size, scale, samples).numpy()
    return out, (x, boxes, output_size, scale, samples)


def align_backward(dout, cache):
    x, *settings = cache
    leaf = Tensor(x, requires_grad=True)
    OPERATIONS["roi_align"].original(leaf, Tensor(settings[0]), *settings[1:]).backward(Tensor(dout))
    return leaf.grad.numpy(), None


CALLS = {
    "conv2d": (MINE["conv2d"], lambda x, w: F.conv2d(x, w, None, 2, 1), (3, 3, 2, 3)),
    "conv_transpose2d": (MINE["conv_transpose2d"], lambda x, w: F.conv_transpose2d(x, w, None, 2, 1), (3, 4, 3, 2)),
    "max_pool2d": (MINE["max_pool2d"], lambda x: F.max_pool2d(x, 3, 2), None),
    "avg_pool2d": ((avg_forward, avg_backward), lambda x: F.avg_pool2d(x, (2, 2)), None),
    "max_unpool2d": (
        (unpool_forward, unpool_backward),
        lambda x: F.max_unpool2d(x, F.max_pool2d(Tensor(LARGE), 2, return_indices=True)[1], 2),
        None,
    ),
    "relu": (Relu, lambda x: F.relu(x), None),
    "linear": ((linear_forward, linear_backward), lambda x, w: F.linear(x[:, :, 0, 0], w), (5, 3)),
    "softmax": ((softmax_forward, softmax_backward), lambda x: F.softmax(x, 1), None),
    "log_softmax": ((log_softmax_forward, log_softmax_backward), lambda x: F.log_softmax(x, -1), None),
    "batch_norm": (MINE["batch_norm"], lambda x, w: F.batch_norm(x, None, None, w, None, training=True), (3,)),
    "cross_entropy": (MINE["cross_entropy"], lambda x: F.cross_entropy(x, Tensor(np.arange(84).reshape(2, 6, 7) % 3)), None),
    "interpolate": ((nearest_forward, nearest_backward), lambda x: F.interpolate(x, scale_factor=2), None),
    "roi_align": ((align_forward, align_backward), lambda x: roi_align(x, Tensor(BOXES), (2, 3), 0.5, 2), None),
    "cat": (MINE["cat"], lambda x: minivision.cat([x, x * 2], 1), None),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_forward_and_backward(name):
    mine, call, weight = CALLS[name]
    values = [X] if weight is None else [X, np.random.default_rng(2).standard_normal(weight)]

    def run():
        leaves = [Tensor(v, requires_grad=True) for v in values]
        y = call(*leaves)
        (y * Tensor(np.random.default_rng(4).standard_normal(y.shape))).sum().backward()
        return [y.numpy(), *(leaf.grad.numpy() for leaf in leaves)]

    expected = run()
    called = []
    if isinstance(mine, tuple):
        forward, backward = mine
        counted = functools.wraps(forward)(lambda *a, **k: called.append(1) or forward(*a, **k)), backward
    else:
        counted = type("Counted", (mine,), {"forward": lambda self, *a: called.append(1) or mine.forward(self, *a)})
    with homework.use(**{name: counted}):
        found = run()
    assert called
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# (operation, exercise, its pair, how the library is called)
EXERCISES = [
    ("linear", "affine", "affine", lambda x, w, b: F.linear(x[:, :, 0, 0], w[:, :, 0, 0], b)),
    ("relu", "relu", "relu", lambda x, w, b: F.relu(x)),
    ("conv2d", "convolution", "conv", lambda x, w, b: F.conv2d(x, w, b)),
    ("conv2d", "convolution-im2col", "conv", lambda x, w, b: F.conv2d(x, w, b)),
    ("conv2d", "strided-convolution", "conv", lambda x, w, b: F.conv2d(x, w, b, 2, 1)),
    ("conv_transpose2d", "transposed-convolution", "conv_transpose", lambda x, w, b: F.conv_transpose2d(x, w, None, 2, 1)),
    ("max_pool2d", "max-pooling", "max_pool", lambda x, w, b: F.max_pool2d(x, 3, 2)),
    (
        "max_unpool2d", "max-unpooling", "max_unpool",
        lambda x, w, b: F.max_unpool2d(x, F.max_pool2d(Tensor(LARGE), 2, return_indices=True)[1], 2),
    ),
    ("interpolate", "nearest-upsampling", "nearest", lambda x, w, b: F.interpolate(x, scale_factor=2)),
    ("interpolate", "bilinear-upsampling", "bilinear", lambda x, w, b: F.interpolate(x, (11, 9), mode="bilinear")),
    ("batch_norm", "batch-norm", "batch_norm", lambda x, w, b: F.batch_norm(x, None, None, b, b, training=True)),
    (
        "cross_entropy", "softmax-cross-entropy", "softmax_cross_entropy",
        lambda x, w, b: F.cross_entropy(x[:, :, 0, 0], LABELS[:, 0, 0]),
    ),
    (
        "cross_entropy", "pixel-cross-entropy", "pixel_cross_entropy",
        lambda x, w, b: F.cross_entropy(x, LABELS, b**2, ignore_index=2),
    ),
]  # fmt: skip
LABELS = Tensor(np.arange(84).reshape(2, 6, 7) % 3)


@pytest.mark.parametrize(("operation", "name", "pair", "call"), EXERCISES, ids=[row[1] for row in EXERCISES])
def test_what_the_exercises_ask_for_fits_into_networks(operation, name, pair, call):
    """The solutions, put into `use` as they are, agree with the library, forward and backward."""
    functions = {}
    for cell in homework.load(name).cells(solution=True):
        if cell.kind == "code" and not set(cell.tags) & {"figure", "check"}:
            exec(cell.text, functions)
    given = functions[f"{pair}_forward"], functions[f"{pair}_backward"]
    weight = np.random.default_rng(7).standard_normal((3, 3, 2, 3))

    def run():
        x, w = Tensor(X, requires_grad=True), Tensor(weight, requires_grad=True)
        y = call(x, w, Tensor(np.array([0.5, -1.0, 2.0])))
        (y * Tensor(np.random.default_rng(4).standard_normal(y.shape))).sum().backward()
        return y.numpy(), x.grad.numpy(), None if w.grad is None else w.grad.numpy()

    expected = run()
    with homework.use(**{operation: given}):
        found = run()
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_function_of_tensors():
    def leaky(input, inplace=False):
        return F.relu(input) - 0.1 * F.relu(-input)  # the library's relu inside

    with homework.use(relu=leaky):
        y = nn.ReLU()(Tensor(np.array([-1.0, 2.0])))
    assert y.tolist() == [-0.1, 2.0]


def test_a_subclass_of_function_with_settings():
    class Pool(Function):
        def __init__(self, size, stride):
            self.settings = size, stride

        def forward(self, x):
            out, self.cache = pool_forward(x, *self.settings)
            return out

        def backward(self, dout):
            return pool_backward(dout, self.cache)

    x = Tensor(X, requires_grad=True)
    with homework.use(max_pool2d=Pool):
        nn.MaxPool2d(3, 2)(x).sum().backward()
    mine, x.grad = x.grad, None
    nn.MaxPool2d(3, 2)(x).sum().backward()
    assert mine.tolist() == x.grad.tolist()


def test_a_pair_without_a_cache_and_keyword_settings():
    seen = {}

    def forward(x, w, b, stride, padding, dilation):
        seen.update(stride=stride, padding=padding, dilation=dilation, b=b)
        assert dilation == 2
        wide = np.zeros((*w.shape[:2], 5, 5))
        wide[:, :, ::2, ::2] = w
        return conv_forward(x, wide, b, stride, padding)[0]

    layer = nn.Conv2d(3, 4, 3, padding="same", dilation=2, bias=False).to(np.float64)
    expected = layer(Tensor(X)).numpy()
    with homework.use(conv2d=(forward, lambda dout, *inputs: None)):
        found = layer(Tensor(X)).numpy()
    np.testing.assert_allclose(found, expected)
    assert (seen["stride"], seen["padding"], seen["dilation"]) == (1, 2, 2)
    assert seen["b"].tolist() == [0.0] * 4


def test_every_name_and_method_is_replaced_and_put_back():
    from minivision.nn.functional import relu

    before = {name: vars(F)[name] for name in OPERATIONS if name in vars(F)}
    twice = (lambda x: (2 * x, None), lambda dout, cache: 2 * dout)
    x = Tensor(np.array([1.0]))
    globals()["relu_imported_here"] = relu
    with homework.use(relu=twice, softmax=lambda *a: Tensor(np.array([7.0]))):
        assert [y.item() for y in (F.relu(x), minivision.relu(x), x.relu(), relu_imported_here(x))] == [2.0] * 4  # noqa: F821
        assert x.softmax(0).item() == 7.0
        assert F.relu is not before["relu"]
    assert {name: vars(F)[name] for name in before} == before
    assert minivision.relu is relu_imported_here is relu  # noqa: F821
    assert Tensor.relu is relu


def test_blocks_nest_and_end_with_errors():
    one = (lambda x: (x + 1, None), lambda dout, cache: dout)
    two = (lambda x: (x + 2, None), lambda dout, cache: dout)
    x = Tensor(np.array([1.0]))
    with homework.use(relu=one):
        with homework.use(relu=two):
            assert F.relu(x).item() == 3.0
        assert F.relu(x).item() == 2.0
        with pytest.raises(ZeroDivisionError), homework.use(relu=two):
            1 / 0  # noqa: B018
        assert F.relu(x).item() == 2.0
    assert F.relu(x).item() == 1.0


def test_other_threads_keep_the_library():
    found = []
    x = Tensor(np.array([-1.0]))
    with homework.use(relu=(lambda x: (x, None), lambda dout, cache: dout)):
        thread = threading.Thread(target=lambda: found.append(F.relu(x).item()))
        thread.start()
        thread.join()
        found.append(F.relu(x).item())
    assert found == [0.0, -1.0]


def test_evaluation_of_batch_norm_stays_the_librarys():
    layer = nn.BatchNorm2d(3).to(np.float64)
    layer.eval()
    expected = layer(Tensor(X)).numpy()
    with homework.use(batch_norm=(lambda *a: 1 / 0, lambda *a: None)):
        assert layer(Tensor(X)).numpy().tolist() == expected.tolist()


# ---- errors ----


def backward_of_relu(dout, x):
    return dout * (x > 0)


WRONG = {
    "a wrong shape": (
        {"relu": (lambda x: (x[:1], x), backward_of_relu)}, ValueError,
        "relu: your <lambda> returned out of shape (1, 3, 6, 7), but (2, 3, 6, 7) is right",
    ),
    "a wrong dtype": (
        {"relu": (lambda x: (x.astype(np.float32), x), backward_of_relu)}, TypeError,
        "returned out as float32, but float64 is right; allocate in the dtype of the input",
    ),
    "nothing": ({"relu": (lambda x: None, backward_of_relu)}, TypeError, "returned out as a NoneType"),
    "a list": ({"relu": (lambda x: ([1], x), backward_of_relu)}, TypeError, "returned out as a list"),
    "a gradient of a wrong shape": (
        {"relu": (lambda x: (x, x), lambda dout, x: dout[0])}, ValueError,
        "relu: your <lambda>: backward returned dx of shape (3, 6, 7), but (2, 3, 6, 7) is right",
    ),
    "no gradient": ({"relu": (lambda x: (x, x), lambda dout, x: None)}, TypeError, "backward returned None for dx"),
    "too many gradients": (
        {"relu": (lambda x: (x, x), lambda dout, x: (dout, dout))}, ValueError,
        "backward returned 2 gradients, but must return 1: dx",
    ),
    "arrays from a function of Tensors": ({"relu": lambda x: np.zeros(3)}, TypeError, "give NumPy functions as a pair"),
    "a Tensor of a wrong shape": ({"relu": lambda x: x.sum()}, ValueError, "returned out of shape ()"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_results_are_named(name):
    operations, error, words = WRONG[name]
    with homework.use(**operations), pytest.raises(error) as raised:
        F.relu(Tensor(X, requires_grad=True)).sum().backward()
    assert words in str(raised.value)


def test_settings_that_the_students_code_does_not_take():
    def forward(x, w, b):
        return conv_forward(x, w, b, 1, 0)

    x, w = Tensor(X), Tensor(rng.standard_normal((4, 3, 3, 3)))
    with homework.use(conv2d=(forward, conv_backward)):
        assert F.conv2d(x, w).shape == (2, 4, 4, 5)
        with pytest.raises(
            ValueError, match="conv2d: your forward takes no padding, but the network asks for padding=1, and 0 is"
        ):
            F.conv2d(x, w, padding=1)
        with pytest.raises(ValueError, match="takes no stride"):
            F.conv2d(x, w, stride=2)
        with pytest.raises(ValueError, match="takes no dilation, but the network asks for dilation=2"):
            F.conv2d(x, w, dilation=2)
        with pytest.raises(ValueError, match=r"gets images \(N, C, H, W\), but the input has shape \(3, 6, 7\)"):
            F.conv2d(x[0], w)
        with pytest.raises(ValueError, match=r"input has 2 channels"):  # the library's own errors come first
            F.conv2d(x[:, :2], w)


def test_labels_to_be_ignored_need_a_parameter():
    labels = Tensor(np.full((2, 6, 7), 255))
    with homework.use(cross_entropy=MINE["cross_entropy"]):
        F.cross_entropy(Tensor(X), Tensor(np.zeros((2, 6, 7), int)), ignore_index=255)
        with pytest.raises(ValueError, match="takes no ignore_index, but the network asks for ignore_index=255"):
            F.cross_entropy(Tensor(X), labels, ignore_index=255)


def test_indices_that_are_asked_for():
    x = Tensor(X)
    with (
        homework.use(max_pool2d=(pool_forward, pool_backward)),
        pytest.raises(TypeError, match=r"forward must return \(\(out, indices\), cache\)"),
    ):
        F.max_pool2d(x, 2, return_indices=True)


@pytest.mark.parametrize(
    ("operations", "error", "words"),
    [
        ({}, ValueError, "at least one operation"),
        ({"conv7d": conv_forward}, ValueError, "'conv7d' cannot be replaced; there are conv2d, "),
        ({"relu": 3}, TypeError, "relu=3 is no operation"),
        ({"relu": (conv_forward,)}, TypeError, "must be a pair"),
        ({"relu": int}, TypeError, "relu=int must have the methods forward and backward"),
        ({"relu": minivision.functions.ReLU()}, TypeError, "serves a single call; pass the class itself"),
    ],
)
def test_what_is_no_operation(operations, error, words):
    with pytest.raises(error) as raised:
        homework.use(**operations)
    assert words in str(raised.value)


def test_the_pairs_above_are_right():
    """The oracle's oracle: the checker agrees with the naive convolution that the networks run on."""
    w, b = np.random.default_rng(5).standard_normal((4, 3, 2, 3)), np.zeros(4)
    assert check.backward(conv_forward, conv_backward, X, w, b, 2, 1)
