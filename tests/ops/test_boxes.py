"""Boxes: areas, overlaps and their losses against formulas for one pair at a time; conversion, clipping, degenerate boxes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from minivision import ops
from minivision.autograd import Tensor
from minivision.functions.roi import roi_align
from tests.helpers import assert_close, layouts, numerical_gradient, to_device, to_numpy

A = np.array([[0.1, 0.3, 4.2, 5.1], [2.0, 1.0, 3.5, 2.2], [-3.1, -2.2, -1.4, 0.7], [1.1, 1.2, 9.3, 2.4]])
B = np.array([[1.3, 2.1, 5.6, 4.3], [2.1, 1.1, 3.2, 2.05], [6.2, 7.1, 8.3, 9.4]])


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def measures(a, b, eps=0.0, ratio_eps=0.0):
    """IoU, generalized, distance and complete IoU of two boxes, as the papers have them."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    intersection = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection
    iou = intersection / (union + ratio_eps)
    hull_w, hull_h = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    giou = iou - (hull_w * hull_h - union) / (hull_w * hull_h + ratio_eps)
    apart = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    diou = iou - apart / (hull_w**2 + hull_h**2 + eps)
    angles = [math.atan((c[2] - c[0]) / (c[3] - c[1])) for c in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = v / (1 - iou + v + eps)
    return {"iou": iou, "giou": giou, "diou": diou, "ciou": diou - alpha * v, "alpha": alpha, "v": v}


PAIRWISE = [
    (ops.box_iou, "iou"),
    (ops.generalized_box_iou, "giou"),
    (ops.distance_box_iou, "diou"),
    (ops.complete_box_iou, "ciou"),
]


@pytest.mark.parametrize(("op", "name"), PAIRWISE)
def test_every_pair(op, name, device):
    eps = 1e-7 if name in ("diou", "ciou") else 0.0
    expected = [[measures(a, b, eps)[name] for b in B] for a in A]
    for (_, a), (_, b) in zip(layouts(A), layouts(B), strict=True):
        assert_close(op(tensor(a, device), tensor(b, device)), expected)


@pytest.mark.parametrize(("op", "name"), PAIRWISE[:3])
def test_gradient_of_pairs(op, name, rng, device):
    dy = rng.standard_normal((4, 3))
    a, b = tensor(A, device, requires_grad=True), tensor(B, device, requires_grad=True)
    op(a, b).backward(tensor(dy, device))
    eps = 1e-7 if name == "diou" else 0.0
    for leaf, values, fn in (
        (a, A, lambda x: np.array([[measures(p, q, eps)[name] for q in B] for p in x])),
        (b, B, lambda x: np.array([[measures(p, q, eps)[name] for q in x] for p in A])),
    ):
        assert_close(leaf.grad, numerical_gradient(fn, values, dy), rtol=1e-6, atol=1e-8)


LOSSES = [
    (ops.generalized_box_iou_loss, "giou"),
    (ops.distance_box_iou_loss, "diou"),
    (ops.complete_box_iou_loss, "ciou"),
]


@pytest.mark.parametrize(("op", "name"), LOSSES)
def test_losses(op, name, device):
    b = np.concatenate([B, A[:1] + 0.37])
    each = np.array([1 - measures(p, q, 1e-7, 1e-7)[name] for p, q in zip(A, b, strict=True)])
    assert_close(op(tensor(A, device), tensor(b, device)), each, rtol=1e-9)
    assert_close(op(tensor(A, device), tensor(b, device), "mean"), each.mean(), rtol=1e-9)
    assert_close(op(tensor(A, device), tensor(b, device), reduction="sum", eps=1e-7), each.sum(), rtol=1e-9)
    assert_close(op(tensor(A[0], device), tensor(b[0], device)), each[0], rtol=1e-9)


@pytest.mark.parametrize(("op", "name"), LOSSES)
def test_gradient_of_losses(op, name, rng, device):
    """Against differences of the formula; the weight of the aspect term is held constant, as the paper asks."""
    b = np.concatenate([B, A[:1] + 0.37])
    dy = rng.standard_normal(4)
    fixed = [measures(p, q, 1e-7, 1e-7)["alpha"] for p, q in zip(A, b, strict=True)]

    def loop(x):
        found = [measures(p, q, 1e-7, 1e-7) for p, q in zip(x, b, strict=True)]
        if name == "ciou":
            return np.array([1 - m["diou"] + alpha * m["v"] for m, alpha in zip(found, fixed, strict=True)])
        return np.array([1 - m[name] for m in found])

    a = tensor(A, device, requires_grad=True)
    op(a, tensor(b, device)).backward(tensor(dy, device))
    assert_close(a.grad, numerical_gradient(loop, A, dy), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("op", "name"), LOSSES)
def test_losses_of_nothing_and_of_points(op, name, device):
    """No boxes: 0, with a gradient. Boxes without area, equal or apart: finite values and gradients."""
    none = tensor(np.zeros((0, 4)), device, requires_grad=True)
    loss = op(none, tensor(np.zeros((0, 4)), device), "mean")
    loss.backward()
    assert_close(loss, 0.0)
    assert none.grad.shape == (0, 4)
    a = tensor([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 2, 0]], device, requires_grad=True)
    op(a, tensor([[1, 1, 1, 1], [2, 2, 3, 3], [0, 0, 0, 2]], device), "sum").backward()
    assert np.isfinite(to_numpy(a.grad)).all()


def test_values_by_hand(device):
    a, b = tensor([[0, 0, 2, 2]], device), tensor([[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2], [4, 0, 6, 2]], device)
    assert_close(ops.box_iou(a, b), [[1 / 7, 1, 0, 0]])
    assert_close(ops.generalized_box_iou(a, b), [[1 / 7 - 2 / 9, 1, 0, -1 / 3]])
    assert_close(ops.distance_box_iou(a, b, eps=0.0), [[1 / 7 - 1 / 9, 1, -4 / 20, -16 / 40]])
    assert_close(ops.box_area(b), [4, 4, 4, 4])


@pytest.mark.parametrize(("op", "name"), PAIRWISE)
def test_boxes_without_area(op, name, device):
    """0 / 0 is defined as 0, and the gradient stays finite."""
    a = tensor([[1, 1, 1, 1], [2, 0, 2, 3]], device, requires_grad=True)
    y = op(a, tensor([[1, 1, 1, 1], [2, 0, 2, 3], [0, 0, 2, 2]], device))
    y.sum().backward()
    assert np.isfinite(to_numpy(y)).all()
    assert np.isfinite(to_numpy(a.grad)).all()
    if name == "iou":
        assert_close(y, np.zeros((2, 3)))


def test_no_boxes(device):
    none, some = tensor(np.zeros((0, 4)), device), tensor(B, device)
    for op, _ in PAIRWISE:
        assert op(none, some).shape == (0, 3)
        assert op(some, none).shape == (3, 0)
    assert ops.box_area(none).shape == (0,)
    assert ops.box_convert(none, "xyxy", "xywh").shape == (0, 4)
    assert ops.clip_boxes_to_image(none, (3, 4)).shape == (0, 4)
    assert ops.remove_small_boxes(none, 1).shape == (0,)


def test_integer_boxes(device):
    """uint8 would overflow in the product, float16 too."""
    boxes = np.array([[0, 0, 200, 100], [100, 0, 200, 100]])
    for dtype in (np.uint8, np.int16, np.int64, np.float16):
        x = Tensor(to_device(boxes.astype(dtype), device))
        assert to_numpy(ops.box_area(x)).tolist() == [20000, 10000]
        assert_close(ops.box_iou(x, x), [[1, 0.5], [0.5, 1]])


def test_conversion(device):
    forms = {"xyxy": [1, 2, 4, 8], "xywh": [1, 2, 3, 6], "cxcywh": [2.5, 5, 3, 6]}
    for source, x in forms.items():
        for target, expected in forms.items():
            y = ops.box_convert(tensor([[x]], device), source, target)
            assert_close(y, [[expected]])
    x = tensor([forms["xyxy"]], device, requires_grad=True)
    ops.box_convert(x, "xyxy", "cxcywh").backward(tensor([[1, 10, 100, 1000]], device))
    assert_close(x.grad, [[0.5 - 100, 5 - 1000, 0.5 + 100, 5 + 1000]])
    assert_close(ops.box_area(tensor([forms["cxcywh"]], device), fmt="cxcywh"), [18])
    one = tensor([forms["xywh"]], device)
    assert_close(ops.box_iou(one, one, fmt="xywh"), [[1]])


def test_clipping(device):
    boxes = tensor([[-1, -2, 3, 4], [2, 1, 9, 8], [10, 10, 12, 12]], device, requires_grad=True)
    y = ops.clip_boxes_to_image(boxes, (5, 7))
    assert_close(y, [[0, 0, 3, 4], [2, 1, 7, 5], [7, 5, 7, 5]])
    y.sum().backward()
    assert_close(boxes.grad, [[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])


def test_small_boxes(device):
    boxes = tensor([[0, 0, 2, 2], [0, 0, 1.9, 5], [1, 1, 3, 3.5], [4, 4, 3, 9]], device)
    kept = ops.remove_small_boxes(boxes, 2)
    assert to_numpy(kept).tolist() == [0, 2]
    assert kept.dtype == np.int64


def test_boxes_of_masks(device):
    """Indices of the first and last pixel, as torchvision gives them."""
    masks = np.zeros((3, 5, 7), bool)
    masks[0, 1:4, 2:6] = True
    masks[1, 4, 0] = True
    masks[2, 0, 3] = masks[2, 4, 6] = True
    for m in (masks, masks.astype(np.uint8), masks.astype(float)):
        y = ops.masks_to_boxes(Tensor(to_device(m, device)))
        assert_close(y, [[2, 1, 5, 3], [0, 4, 0, 4], [3, 0, 6, 4]])
        assert y.dtype == np.float32
    assert ops.masks_to_boxes(Tensor(to_device(masks[:0], device))).shape == (0, 4)
    masks[1] = False
    with pytest.raises(ValueError, match="mask 1 of 3 is empty and has no box"):
        ops.masks_to_boxes(Tensor(to_device(masks, device)))


# ---- focal loss ----


def focal(x, t, alpha, gamma):
    p = 1 / (1 + math.exp(-x))
    p_t, a = (p, alpha) if t else (1 - p, 1 - alpha)
    return -(1 if alpha == -1 else a) * (1 - p_t) ** gamma * math.log(p_t)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2), (-1, 2), (0.6, 0), (0.5, 1.5)])
def test_focal_loss(alpha, gamma, rng, device):
    x, t, dy = rng.standard_normal((3, 4)) * 3, rng.integers(0, 2, (3, 4)), rng.standard_normal((3, 4))

    def loop(v):
        return np.array([[focal(*pair, alpha, gamma) for pair in zip(*rows, strict=True)] for rows in zip(v, t, strict=True)])

    leaf = tensor(x, device, requires_grad=True)
    y = ops.sigmoid_focal_loss(leaf, tensor(t, device), alpha, gamma)
    assert_close(y, loop(x))
    y.backward(tensor(dy, device))
    assert_close(leaf.grad, numerical_gradient(loop, x, dy), rtol=1e-6, atol=1e-8)
    for reduction, value in (("mean", loop(x).mean()), ("sum", loop(x).sum())):
        whole_numbers = Tensor(to_device(t, device))
        assert_close(ops.sigmoid_focal_loss(tensor(x, device), whole_numbers, alpha, gamma, reduction), value)


def test_focal_loss_far_out(device):
    """Scores that saturate the sigmoid: the loss is the score, or nothing; at 0 the gradient is that of the formula."""
    x = tensor([800.0, -800.0, 800.0, 0.0], device, requires_grad=True)
    y = ops.sigmoid_focal_loss(x, tensor([0, 0, 1, 1.0], device), alpha=-1)
    assert_close(y, [800, 0, 0, 0.25 * math.log(2)])
    y.sum().backward()
    assert_close(x.grad, [1, 0, 0, -0.125 - 0.25 * math.log(2)])


# ---- errors ----


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: ops.box_area(t(np.zeros((3, 5)))), "box_area: boxes has shape (3, 5), but must be (N, 4)"),
        (lambda t: ops.box_area(t(np.zeros(4))), "box_area: boxes has shape (4,)"),
        (lambda t: ops.box_iou(t(A), t(np.zeros((2, 3)))), "box_iou: boxes2 has shape (2, 3)"),
        (lambda t: ops.box_iou(t(A), t(B), fmt="yxyx"), "box_iou: fmt='yxyx' is unknown; use 'xyxy', 'xywh' or 'cxcywh'"),
        (lambda t: ops.box_convert(t(A), "xyxy", "xyhw"), "box_convert: out_fmt='xyhw' is unknown"),
        (lambda t: ops.clip_boxes_to_image(t(A), (3, 4, 5)), "size=(3, 4, 5) must be (height, width)"),
        (lambda t: ops.masks_to_boxes(t(np.zeros((3, 4)))), "masks has shape (3, 4), but must be (N, H, W)"),
        (lambda t: ops.distance_box_iou_loss(t(A), t(B)), "boxes1 has shape (4, 4), but boxes2 has (3, 4)"),
        (lambda t: ops.generalized_box_iou_loss(t(A), t(A), "avg"), "reduction='avg' is unknown; use 'none', 'mean' or 'sum'"),
        (lambda t: ops.sigmoid_focal_loss(t(A), t(B)), "inputs has shape (4, 4), but targets has (3, 4)"),
        (lambda t: ops.sigmoid_focal_loss(t(A), t(A), alpha=2), "alpha=2 must lie in 0 .. 1, or be -1"),
        (lambda t: ops.nms(t(A), t(np.zeros(3)), 0.5), "nms: boxes has shape (4, 4), so scores must be (4,)"),
        (lambda t: ops.nms(t(A * np.nan), t(np.zeros(4)), 0.5), "nms: boxes holds NaN"),
        (
            lambda t: ops.batched_nms(t(A), t(np.zeros(4)), t(np.zeros(2)), 0.5),
            "idxs has shape (2,), but must be (4,)",
        ),
    ],
)
def test_errors(call, words, device):
    with pytest.raises(ValueError, match=re.escape(words)):
        call(lambda a: tensor(a, device))


def test_names_of_torchvision():
    assert ops.roi_align is roi_align
    assert set(ops.__all__) <= set(dir(ops))
