"""The definitions in loops: against numbers worked out on paper, the fast operations, and for their gradients differences."""

from __future__ import annotations

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.matrix import conv_matrix, linear_matrix
from minivision.functions.upsampling import bed_of_nails
from minivision.ops import bottom_pool, left_pool, prroi_pool, ps_roi_align, right_pool, roi_pool, top_pool
from tests.helpers import assert_close, numerical_gradient, tie_free

SETTINGS = [
    # stride, padding, dilation, groups
    (1, 0, 1, 1),
    (2, 1, 1, 1),
    ((1, 3), (2, 1), (2, 1), 1),
    ((3, 2), (0, 3), (1, 2), 2),
    (2, 1, 1, 4),
]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
def test_conv2d_in_three_tiers(stride, padding, dilation, groups, rng):
    x, w, b = rng.standard_normal((2, 4, 5, 7)), rng.standard_normal((8, 4 // groups, 3, 2)), rng.standard_normal(8)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    definition = reference.conv2d(x, w, b, **settings)
    leaves = [Tensor(a, requires_grad=True) for a in (x, w, b)]
    fast = F.conv2d(*leaves, **settings)
    c = conv_matrix(w, (5, 7), **settings)
    assert_close(fast.detach(), definition, atol=1e-11)
    assert_close((c @ x.reshape(2, -1).T).T.reshape(definition.shape) + b[:, None, None], definition, atol=1e-11)

    dy = rng.standard_normal(definition.shape)
    dx, dw, db = reference.conv2d_backward(dy, x, w, **settings)
    fast.backward(Tensor(dy))
    for gradient, leaf in zip((dx, dw, db), leaves, strict=True):
        assert_close(leaf.grad, gradient, atol=1e-11)
    assert_close((c.T @ dy.reshape(2, -1).T).T.reshape(x.shape), dx, atol=1e-11)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
@pytest.mark.parametrize("extra", [0, 1])
def test_conv_transpose2d_in_three_tiers(stride, padding, dilation, groups, extra, rng):
    reach = [max(a, b) for a, b in zip(np.broadcast_to(stride, 2), np.broadcast_to(dilation, 2), strict=True)]
    extra = tuple(min(extra, int(r) - 1) for r in reach)
    x, w, b = rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((4, 2, 3, 4)), rng.standard_normal(2 * groups)
    settings = {"stride": stride, "padding": padding, "groups": groups, "dilation": dilation}
    definition = reference.conv_transpose2d(x, w, b, output_padding=extra, **settings)
    leaves = [Tensor(a, requires_grad=True) for a in (x, w, b)]
    fast = F.conv_transpose2d(*leaves, output_padding=extra, **settings)
    assert_close(fast.detach(), definition, atol=1e-11)
    matrix = mv.conv_transpose_matrix(w, (3, 5), output_padding=extra, **settings)
    assert_close(matrix @ x[1].ravel() + np.repeat(b, definition[0, 0].size), definition[1].ravel(), atol=1e-11)

    dy = rng.standard_normal(definition.shape)
    fast.backward(Tensor(dy))
    for gradient, leaf in zip(reference.conv_transpose2d_backward(dy, x, w, **settings), leaves, strict=True):
        assert_close(leaf.grad, gradient, atol=1e-11)


def test_conv1d_and_conv_transpose1d(rng):
    x, w, b = rng.standard_normal((2, 3, 9)), rng.standard_normal((4, 3, 3)), rng.standard_normal(4)
    for stride, padding, dilation in ((1, 0, 1), (2, 1, 2), (4, 3, 1)):
        fast = F.conv1d(Tensor(x), Tensor(w), Tensor(b), stride, padding, dilation)
        assert_close(reference.conv1d(x, w, b, stride, padding, dilation), fast)
        w_t = w[:3]
        fast = F.conv_transpose1d(Tensor(x), Tensor(w_t), Tensor(b[:3]), stride, padding, stride - 1, 1, dilation)
        assert_close(reference.conv_transpose1d(x, w_t, b[:3], stride, padding, stride - 1, 1, dilation), fast)


def test_numbers_of_the_literature():
    """The slides' pooling, Dumoulin & Visin's sizes, d2l's stamps, the ribbon of the transposed convolution."""
    slide = np.array([[[[1.0, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]]]])
    y, indices = reference.max_pool2d(slide, 2)
    assert y.tolist() == [[[[5, 6], [7, 8]]]]
    unpooled = reference.max_unpool2d(np.array([[[[1.0, 2], [3, 4]]]]), indices, 4)
    assert unpooled.tolist() == [[[[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]]]
    square = np.array([[[[0.0, 1], [2, 3]]]])
    assert reference.conv_transpose2d(square, square, stride=2).tolist() == [
        [[[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]]
    ]
    ribbon = reference.conv_transpose1d(np.array([[[1.0, 10]]]), np.array([[[1.0, 2, 3]]]), stride=2)
    assert ribbon.tolist() == [[[1, 2, 13, 20, 30]]]
    assert reference.conv2d(np.arange(9.0).reshape(1, 1, 3, 3), square).tolist() == [[[[19, 25], [37, 43]]]]
    assert reference.bed_of_nails(square, 2).tolist() == [[[[0, 0, 1, 0], [0, 0, 0, 0], [2, 0, 3, 0], [0, 0, 0, 0]]]]


POOLS = [(2, None, 0, 1), ((3, 2), (1, 2), 1, 1), ((2, 3), (3, 1), (0, 1), (2, 1)), (3, 2, 1, 1), (1, (2, 3), 0, 1)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), POOLS)
def test_max_pool2d(kernel, stride, padding, dilation, rng):
    x = rng.integers(-2, 3, (2, 3, 6, 7)).astype(float)  # many ties
    values, indices = reference.max_pool2d(x, kernel, stride, padding, dilation)
    leaf = Tensor(x, requires_grad=True)
    y, where = F.max_pool2d(leaf, kernel, stride, padding, dilation, return_indices=True)
    assert_close(y.detach(), values)
    assert_close(where, indices)
    dy = rng.standard_normal(values.shape)
    y.backward(Tensor(dy))
    assert_close(leaf.grad, reference.max_pool2d_backward(dy, indices, (6, 7)))
    if stride is None:
        unpooled = F.max_unpool2d(y.detach(), where, kernel, output_size=(6, 7))
        assert_close(unpooled, reference.max_unpool2d(values, indices, (6, 7)))


def test_max_pool2d_rules():
    """NaN wins, padding never does, the gradient of overlapping windows adds up."""
    x = np.full((1, 1, 3, 3), -1.0)
    assert (reference.max_pool2d(x, 3, 2, 1)[0] == -1).all()
    x[0, 0, 1, 1] = np.nan
    assert np.isnan(reference.max_pool2d(x, 2, 1)[0]).all()
    x[0, 0, 1, 1] = 5
    y, indices = reference.max_pool2d(x, 2, 1)
    assert reference.max_pool2d_backward(np.ones_like(y), indices, 3)[0, 0].tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]


def test_bed_of_nails(rng):
    """A transposed convolution with a one-hot kernel, and the transpose of taking every second pixel."""
    x, one_hot = rng.standard_normal((2, 1, 3, 4)), np.zeros((1, 1, 2, 3))
    one_hot[..., 0, 0] = 1
    definition = reference.bed_of_nails(x, (2, 3))
    assert_close(F.conv_transpose2d(Tensor(x), Tensor(one_hot), stride=(2, 3)), definition)
    assert_close(bed_of_nails(Tensor(x), (2, 3)), definition)
    np.testing.assert_array_equal(linear_matrix(lambda v: bed_of_nails(v, (2, 3)), x.shape) @ x.ravel(), definition.ravel())


def test_interpolate_numbers():
    x = np.array([[[[1.0, 2, 4]]]])
    assert_close(reference.interpolate(x, (1, 6), "bilinear")[0, 0, 0], [1, 1.25, 1.75, 2.5, 3.5, 4])
    assert_close(reference.interpolate(x, (1, 6), "bilinear", True)[0, 0, 0], [1, 1.4, 1.8, 2.4, 3.2, 4])
    assert_close(reference.interpolate(x, (1, 5))[0, 0, 0], [1, 1, 2, 2, 4])
    with pytest.raises(ValueError, match="'lanczos' is unknown"):
        reference.interpolate(x, 4, "lanczos")


def test_bilinear_sampling():
    """A worked example of the lecture: the weights of f(6.5, 5.8) are .1 .1 .4 .4."""
    image = np.zeros((8, 9))
    image[5, 6], image[5, 7], image[6, 6], image[6, 7] = 1, 10, 100, 1000
    assert_close(reference.bilinear(image, 5.8, 6.5), 0.1 * 1 + 0.1 * 10 + 0.4 * 100 + 0.4 * 1000)
    assert reference.bilinear(image, 6, 7) == 1000
    assert reference.bilinear(np.array([[1.0, 2], [3, 4]]), -0.7, 5) == 2


def test_roi_align_on_ramps():
    """detectron2's and ONNX's fixtures: on a ramp, a bin's value is the ramp at its centre."""
    ramp, box = np.arange(25.0).reshape(1, 1, 5, 5), np.array([[0, 1, 1, 3, 3]])
    columns, rows = np.array([0, 0.5, 1, 1.5]), np.array([[0], [2.5], [5], [7.5]])
    assert_close(reference.roi_align(ramp, box, 4)[0, 0], 7.5 + rows + columns)
    assert_close(reference.roi_align(ramp, box, 4, aligned=True)[0, 0], 4.5 + rows + columns)
    y, x = np.indices((10, 10))
    expected = 8.25 + np.array([[0], [5], [10], [15]]) + columns
    assert_close(reference.roi_align((10.0 * y + x)[None, None], box, 4, aligned=True)[0, 0], expected)


def test_roi_align_at_the_borders(rng):
    x = rng.standard_normal((2, 1, 4, 6))
    outside = np.array([[1, -40, -40, -20, -20], [0, 2, 1, 2, 1]])
    y = reference.roi_align(x, outside, 2, aligned=True)
    assert (y == 0).all()  # far outside; and a box without area, in which no sample lies
    point = reference.roi_align(x, outside[1:], 1, sampling_ratio=1)  # at least one pixel large: its centre is (1.5, 2.5)
    assert_close(point[0, 0, 0, 0], x[0, 0, 1:3, 2:4].mean())
    scaled = reference.roi_align(x, np.array([[1, 2, 2, 10, 6]]), (2, 3), spatial_scale=0.5, sampling_ratio=2)
    assert_close(scaled, reference.roi_align(x, np.array([[1, 1, 1, 5, 3]]), (2, 3), sampling_ratio=2))


def test_softmax_and_cross_entropy(rng):
    scores, target = 3 * rng.standard_normal((2, 4, 3, 5)), rng.integers(0, 4, (2, 3, 5))
    target[0, 0, :2] = -100
    weight = rng.uniform(0.5, 2, 4)
    assert_close(F.softmax(Tensor(scores), dim=1), reference.softmax(scores))
    assert_close(F.log_softmax(Tensor(scores), dim=1), reference.log_softmax(scores))
    for w in (None, weight):
        given = None if w is None else Tensor(w)
        for reduction in ("mean", "sum", "none"):
            fast = F.cross_entropy(Tensor(scores), Tensor(target), given, reduction=reduction)
            assert_close(fast, reference.cross_entropy(scores, target, w, reduction=reduction))
        leaf = Tensor(scores, requires_grad=True)
        F.cross_entropy(leaf, Tensor(target), given).backward()
        assert_close(leaf.grad, reference.cross_entropy_backward(scores, target, w))


def test_cross_entropy_numbers():
    scores, target = np.array([[1.0, 2, 3], [1, 0, -1], [0, 0, 0]]), np.array([2, -100, 0])
    assert reference.cross_entropy(scores, target) == pytest.approx(0.753109, abs=5e-7)
    assert reference.cross_entropy(scores, target, [1, 2, 3]) == pytest.approx(0.580358, abs=5e-7)
    assert_close(reference.cross_entropy(scores, target, [1, 2, 3], reduction="none"), [1.222818, 0, 1.098612], rtol=1e-6)
    assert_close(reference.softmax(np.array([[1000.0, 1000.0]])), [[0.5, 0.5]])
    assert reference.log_softmax(np.array([[0.0, -1000.0]]))[0, 1] == -1000


def test_batch_norm(rng):
    x, weight, bias = rng.standard_normal((3, 2, 4, 5)), rng.standard_normal(2), rng.standard_normal(2)
    leaves = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    fast = F.batch_norm(leaves[0], None, None, *leaves[1:], training=True)
    assert_close(fast.detach(), reference.batch_norm(x, weight, bias))
    assert_close(F.batch_norm(Tensor(x[:, :, 0, 0]), None, None, training=True), reference.batch_norm(x[:, :, 0, 0]))
    dy = rng.standard_normal(x.shape)
    fast.backward(Tensor(dy))
    gradients = reference.batch_norm_backward(dy, x, weight)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert_close(leaf.grad, gradient, rtol=1e-9, atol=1e-12)
    for gradient, values, fn in (
        (gradients[0], x, lambda v: reference.batch_norm(v, weight, bias)),
        (gradients[1], weight, lambda v: reference.batch_norm(x, v, bias)),
        (gradients[2], bias, lambda v: reference.batch_norm(x, weight, v)),
    ):
        assert_close(gradient, numerical_gradient(fn, values, dy), rtol=1e-6, atol=1e-8)


def test_group_and_instance_norm(rng):
    x, weight, bias = rng.standard_normal((3, 4, 3, 5)), rng.standard_normal(4), rng.standard_normal(4)
    for groups in (1, 2, 4):
        fast = F.group_norm(Tensor(x), groups, Tensor(weight), Tensor(bias))
        assert_close(fast, reference.group_norm(x, groups, weight, bias))
    assert_close(F.instance_norm(Tensor(x), weight=Tensor(weight), bias=Tensor(bias)), reference.instance_norm(x, weight, bias))
    groups = [(n, slice(2 * g, 2 * g + 2)) for n in range(3) for g in range(2)]
    dy = rng.standard_normal(x.shape)
    leaf = Tensor(x, requires_grad=True)
    F.group_norm(leaf, 2, Tensor(weight)).backward(Tensor(dy))
    assert_close(leaf.grad, reference.standardize_backward(dy, x, groups, weight)[0], rtol=1e-9, atol=1e-12)


CORNERS = [
    (reference.top_pool, top_pool, lambda x, i, j: x[i:, j]),
    (reference.bottom_pool, bottom_pool, lambda x, i, j: x[: i + 1, j]),
    (reference.left_pool, left_pool, lambda x, i, j: x[i, j:]),
    (reference.right_pool, right_pool, lambda x, i, j: x[i, : j + 1]),
]


@pytest.mark.parametrize(("definition", "fast", "line"), CORNERS, ids=["top", "bottom", "left", "right"])
def test_corner_pooling(definition, fast, line, rng):
    x = rng.integers(-2, 3, (2, 2, 4, 6)).astype(float)  # many ties
    y, indices = definition(x)
    for n, c, i, j in np.ndindex(x.shape):
        assert y[n, c, i, j] == line(x[n, c], i, j).max()
        assert x[n, c].flat[indices[n, c, i, j]] == y[n, c, i, j]
    leaf = Tensor(x, requires_grad=True)
    out = fast(leaf)
    assert_close(out.detach(), y)
    dy = rng.standard_normal(x.shape)
    out.backward(Tensor(dy))
    assert_close(leaf.grad, reference.max_pool2d_backward(dy, indices, (4, 6)))


def test_regions_of_interest(rng):
    """RoIPool with its winners, PrRoIPool and ps_roi_align, against the fast ones."""
    x, dy = rng.integers(-2, 3, (2, 4, 6, 7)).astype(float), rng.standard_normal((3, 4, 3, 2))
    boxes = np.array([[0, 0.6, 1.2, 3.9, 5.7], [1, -2.4, -1.5, 2.5, 3.1], [1, 20, 21, 30, 33]])
    y, winners = reference.roi_pool(x, boxes, (3, 2), 0.9)
    leaf = Tensor(x, requires_grad=True)
    fast = roi_pool(leaf, Tensor(boxes), (3, 2), 0.9)
    assert_close(fast.detach(), y)
    fast.backward(Tensor(dy))
    assert_close(leaf.grad, reference.roi_pool_backward(dy, winners, boxes, x.shape))
    assert (winners[2] == -1).all()
    assert_close(prroi_pool(Tensor(x), Tensor(boxes), (3, 2), 0.9), reference.prroi_pool(x, boxes, (3, 2), 0.9), atol=1e-12)
    sensitive = reference.ps_roi_align(x, boxes, 2, 0.9, 2)
    assert_close(ps_roi_align(Tensor(x), Tensor(boxes), 2, 0.9, 2), sensitive, atol=1e-12)


def test_prroi_pool_is_the_mean_of_many_points(rng):
    """The exact integral against 400 x 400 points in each bin, of the surface that falls to 0 outside."""
    x, fine = rng.standard_normal((1, 1, 4, 5)), 400
    framed, box = np.pad(x[0, 0], 1), np.array([[0, -1.7, 0.4, 2.6, 4.3]])
    y = reference.prroi_pool(x, box, 1)[0, 0, 0, 0]
    rows = 0.4 + 3.9 * (np.arange(fine) + 0.5) / fine + 1
    cols = -1.7 + 4.3 * (np.arange(fine) + 0.5) / fine + 1
    weights = [np.maximum(1 - abs(u[:, None] - np.arange(n)), 0) for u, n in ((rows, 6), (cols, 7))]  # 0 outside the frame
    assert_close(y, (weights[0] @ framed @ weights[1].T).mean(), rtol=0, atol=1e-5)


def test_padding_modes(rng):
    x, amounts = rng.standard_normal((2, 4, 5)), [(0, 0), (2, 1), (3, 4)]
    for mode in ("constant", "reflect", "replicate", "circular"):
        assert_close(F.pad(Tensor(x), (3, 4, 2, 1), mode), reference.pad(x, amounts, mode))
    assert_close(F.pad(Tensor(x), (-1, 2, 0, -3), value=2.5), reference.pad(x, [(0, 0), (0, -3), (-1, 2)], value=2.5))


def test_adaptive_avg_pool(rng):
    x = rng.standard_normal((2, 3, 7, 5))
    for size in (1, (2, 3), (7, 5), (9, 4)):
        assert_close(F.adaptive_avg_pool2d(Tensor(x), size), reference.adaptive_avg_pool2d(x, size))


def test_the_written_out_gradients_are_the_derivatives(rng):
    """Without the fast tier: the backward loops against differences of the forward loops."""
    x, w = rng.standard_normal((1, 2, 4, 3)), rng.standard_normal((2, 1, 2, 2))
    settings = {"stride": (2, 1), "padding": 1, "groups": 2}
    y = reference.conv2d(x, w, np.zeros(2), **settings)
    dy = rng.standard_normal(y.shape)
    dx, dw, db = reference.conv2d_backward(dy, x, w, **settings)
    assert_close(dx, numerical_gradient(lambda v: reference.conv2d(v, w, **settings), x, dy), rtol=1e-6, atol=1e-8)
    assert_close(dw, numerical_gradient(lambda v: reference.conv2d(x, v, **settings), w, dy), rtol=1e-6, atol=1e-8)
    assert_close(db, dy.sum(axis=(0, 2, 3)))
    dy = rng.standard_normal(reference.conv_transpose2d(x, w, **settings).shape)
    dx, dw, _ = reference.conv_transpose2d_backward(dy, x, w, **settings)
    assert_close(dx, numerical_gradient(lambda v: reference.conv_transpose2d(v, w, **settings), x, dy), rtol=1e-6, atol=1e-8)
    assert_close(dw, numerical_gradient(lambda v: reference.conv_transpose2d(x, v, **settings), w, dy), rtol=1e-6, atol=1e-8)
    x, boxes = rng.standard_normal((2, 1, 5, 6)), np.array([[0, 0.63, 0.31, 4.27, 3.94], [1, -2.13, 1.57, 3.02, 2.87]])
    dy = rng.standard_normal((2, 1, 3, 2))
    dx, dboxes = reference.roi_align_backward(dy, x, boxes, (3, 2), 0.9, 2)
    assert_close(dx, numerical_gradient(lambda v: reference.roi_align(v, boxes, (3, 2), 0.9, 2), x, dy), rtol=1e-6, atol=1e-8)
    by_differences = numerical_gradient(
        lambda v: reference.roi_align(x, np.column_stack([boxes[:, 0], v]), (3, 2), 0.9, 2), boxes[:, 1:], dy
    )
    assert_close(dboxes[:, 1:], by_differences, rtol=1e-6, atol=1e-8)
    x = tie_free((1, 1, 4, 5), rng)
    y, indices = reference.max_pool2d(x, 3, 1, 1)
    dy = rng.standard_normal(y.shape)
    gradient = numerical_gradient(lambda v: reference.max_pool2d(v, 3, 1, 1)[0], x, dy)
    assert_close(reference.max_pool2d_backward(dy, indices, (4, 5)), gradient, rtol=1e-6, atol=1e-8)


def test_it_knows_numpy_alone():
    """An oracle shares no code with what it judges: nothing of minivision outside this room is imported."""
    import ast
    from pathlib import Path

    for path in Path(reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert (
                    node.module.split(".")[0] in ("__future__", "typing", "collections") or "minivision.reference" in node.module
                )
            elif isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= {"numpy", "math", "itertools"}
