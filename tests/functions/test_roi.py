"""RoIPool, RoIAlign, PrRoIPool: against their definitions in loops, and what the boxes receive."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions import roi
from minivision.functions.roi import RoIAlign, RoIPool, prroi_pool, ps_roi_align, roi_align, roi_pool
from tests.helpers import assert_close, layouts, numerical_gradient, tie_free, to_device, to_numpy

pytestmark = pytest.mark.filterwarnings("ignore:.*which ends before it begins")

RAMP = np.arange(25.0).reshape(1, 1, 5, 5)
ONE = np.array([[0, 1, 1, 3, 3.0]])

# On maps of 7 x 5 cells (H, W) at scale 1: inside, partly and wholly outside, without area, inverted, one cell, the whole map
BOXES = np.array(
    [
        [1, 0.6, 1.2, 3.9, 5.7],
        [0, -2.4, -1.7, 2.3, 3.1],
        [2, 3.2, 4.4, 8.9, 11.3],
        [1, 20.5, 21.0, 30.0, 33.0],
        [0, -9.0, -8.0, -3.0, -2.0],
        [1, 3, 3, 3, 3],
        [2, 2.5, 2.5, 2.5, 6.0],
        [0, 3.7, 5.2, 1.1, 2.4],
        [2, 1.0, 2.0, 2.0, 3.0],
        [0, 0, 0, 5, 7],
        [0, -0.9, 6.2, 4.7, 7.9],
    ]
)


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


# ---- RoIAlign ----


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3, 0, -1])
@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_align_is_its_definition(reduction, sampling_ratio, aligned, scale, rng, device):
    x = rng.standard_normal((3, 2, 7, 5))
    expected = reference.roi_align(x, BOXES, (3, 2), scale, sampling_ratio, aligned, reduction)
    for _, arranged in layouts(x):
        y = roi_align(tensor(arranged, device), tensor(BOXES, device), (3, 2), scale, sampling_ratio, aligned, reduction)
        assert_close(y, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("images", [1, 4])
def test_align_by_several_threads(images, number_of_threads, monkeypatch, rng):
    """Boxes are shared out, and for the gradient images, or channels where there are more threads than images."""
    monkeypatch.setattr(roi, "LARGE_BOX", 0)
    monkeypatch.setattr(roi, "BOXES_AT_ONCE", 3)
    x, corners = rng.standard_normal((images, 70, 16, 19)), rng.uniform(0, 8, (10, 2))
    boxes = np.hstack([rng.integers(0, images, (10, 1)), corners, corners + rng.uniform(1, 6, (10, 2))])
    features, places = tensor(x, requires_grad=True), tensor(boxes, requires_grad=True)
    y = roi_align(features, places, (3, 2), sampling_ratio=2, aligned=True)
    assert y.grad_fn.crops is not None
    assert_close(y, reference.roi_align(x, boxes, (3, 2), 1.0, 2, True, "mean"), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    y.backward(tensor(dy))
    for leaf, array in ((features, x), (places, boxes)):
        direction = rng.standard_normal(array.shape)
        if leaf is places:
            direction[:, 0] = 0
        moved = [
            reference.roi_align(*(v + step * direction if v is array else v for v in (x, boxes)), (3, 2), 1.0, 2, True, "mean")
            for step in (1e-6, -1e-6)
        ]
        assert_close((leaf.grad.array * direction).sum(), ((moved[0] - moved[1]) * dy).sum() / 2e-6, rtol=1e-6)


def test_small_boxes_are_left_to_one_thread(set_threads):
    def threads(side, channels):
        places = tensor([[0, 1, 1, 1 + side, 1 + side]])
        return roi_align(tensor(np.ones((1, channels, 60, 70)), requires_grad=True), places, 3).grad_fn._threads()

    set_threads(2)
    assert [threads(8, 64), threads(8, 1024), threads(26, 64), threads(26, 128)] == [1, 2, 1, 2]
    set_threads(1)
    assert threads(26, 128) == 1


def test_align_random_boxes(rng, device):
    """Hundreds of boxes, many of them across the border, with bins larger and smaller than a cell."""
    x = rng.standard_normal((2, 1, 6, 9))
    rois = np.column_stack([rng.integers(0, 2, 200), rng.uniform(-4, 12, (200, 4))])
    for aligned in (False, True):
        y = roi_align(tensor(x, device), tensor(rois, device), (2, 3), 1.0, -1, aligned)
        assert_close(y, reference.roi_align(x, rois, (2, 3), 1.0, -1, aligned), rtol=1e-11, atol=1e-12)


def test_align_fixtures(device):
    """A plane is reproduced: detectron2's test, and ONNX's, whose own answer is the misaligned one."""
    steps = np.arange(4)
    y = roi_align(tensor(RAMP, device), tensor(ONE, device), 4, 1.0, 2, False)
    assert_close(y[0, 0], 7.5 + 2.5 * steps[:, None] + 0.5 * steps)
    y = roi_align(tensor(RAMP, device), tensor(ONE, device), 4, 1.0, 2, True)
    assert_close(y[0, 0], 4.5 + 2.5 * steps[:, None] + 0.5 * steps)
    ten = 10.0 * np.arange(10)[:, None] + np.arange(10)
    y = roi_align(tensor(ten[None, None], device), tensor(ONE, device), 4, 1.0, -1, True)
    assert_close(y[0, 0], 8.25 + 5 * steps[:, None] + 0.5 * steps)


def test_a_sample_of_the_lecture(rng, device):
    """f(6.5, 5.8) = .1 f(6, 5) + .1 f(7, 5) + .4 f(6, 6) + .4 f(7, 6), with (x, y) and pixel centres at integers."""
    f = rng.standard_normal((9, 9))
    box = tensor([[0, 6.0, 5.3, 7.0, 6.3]], device)
    y = roi_align(tensor(f[None, None], device), box, 1, sampling_ratio=1)
    assert_close(y, [[[[0.1 * f[5, 6] + 0.1 * f[5, 7] + 0.4 * f[6, 6] + 0.4 * f[6, 7]]]]])


@pytest.mark.parametrize("aligned", [False, True])
def test_box_gradient_fixture(aligned, device):
    boxes = tensor(ONE, device, requires_grad=True)
    roi_align(tensor(RAMP, device), boxes, 4, 1.0, 2, aligned).sum().backward()
    assert_close(boxes.grad, [[0, 8, 40, 8, 40]])


# samples well away from centres of cells and from the border rules, for every setting below
SMOOTH = np.array(
    [[0, 0.63, 0.31, 4.27, 5.94], [1, -2.13, 1.57, 3.02, 2.87], [1, 2.91, 1.37, 3.44, 1.72], [0, 2.2, 3.3, 9.71, 9.13]]
)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3, -1])
@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_align_box_gradient_by_differences_of_the_loop(reduction, sampling_ratio, aligned, rng, device):
    x, dy = tie_free((2, 2, 7, 5), rng), rng.standard_normal((4, 2, 3, 2))
    features, boxes = tensor(x, device, requires_grad=True), tensor(SMOOTH, device, requires_grad=True)
    roi_align(features, boxes, (3, 2), 1.0, sampling_ratio, aligned, reduction).backward(tensor(dy, device))

    def loop(b):
        return reference.roi_align(x, np.column_stack([SMOOTH[:, 0], b]), (3, 2), 1.0, sampling_ratio, aligned, reduction)

    assert_close(boxes.grad[:, 1:], numerical_gradient(loop, SMOOTH[:, 1:], dy), rtol=1e-6, atol=1e-8)
    assert_close(boxes.grad[:, 0], np.zeros(4))


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 3, -1])
def test_align_gradients_are_those_of_the_definition(sampling_ratio, aligned, scale, rng, device):
    """To features and boxes, degenerate boxes and kinks included: both follow the same conventions there."""
    x, dy = rng.standard_normal((3, 2, 7, 5)), rng.standard_normal((11, 2, 3, 2))
    dx, dboxes = reference.roi_align_backward(dy, x, BOXES, (3, 2), scale, sampling_ratio, aligned)
    for _, arranged in layouts(x):
        features, boxes = tensor(arranged, device, requires_grad=True), tensor(BOXES, device, requires_grad=True)
        roi_align(features, boxes, (3, 2), scale, sampling_ratio, aligned).backward(tensor(dy, device))
        assert_close(features.grad, dx, rtol=1e-11, atol=1e-12)
        assert_close(boxes.grad, dboxes, rtol=1e-11, atol=1e-12)


def away_from_kinks(op, x, rois, *settings, h=1e-5):
    """Whether no box takes another decision when any coordinate moves by h to either side: (K,)."""
    steady = np.ones(len(rois), bool)
    images, corners = rois[:, 0].astype(int), rois[:, 1:]

    def decide(boxes):
        function = op(images, (3, 2), 1.0, *settings)
        function.forward(x, boxes)
        return function.decisions()

    here = decide(corners)
    for coordinate, step in itertools.product(range(4), (-h, h)):
        there = decide(corners + step * (np.arange(4) == coordinate))
        for name in here:
            if here[name].shape != there[name].shape:
                return np.zeros(len(rois), bool)
            steady &= (here[name] == there[name]).reshape(len(rois), -1).all(axis=1)
    return steady


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 5])
def test_align_box_gradient_on_random_boxes(sampling_ratio, aligned, rng, device):
    """Against central differences, wherever no sample crosses the centre of a cell or a border rule within the step."""
    x, rois = rng.standard_normal((2, 2, 6, 9)), np.column_stack([rng.integers(0, 2, 300), rng.uniform(-5, 13, (300, 4))])
    rois = rois[away_from_kinks(RoIAlign, x, rois, sampling_ratio, aligned)]
    rois = rois[(abs(rois[:, 3:] - rois[:, 1:3] - 1) > 1e-3).all(axis=1)]  # where the enlarging to one cell begins
    assert len(rois) > 150
    dy = rng.standard_normal((len(rois), 2, 3, 2))
    boxes = tensor(rois, device, requires_grad=True)
    roi_align(tensor(x, device), boxes, (3, 2), 1.0, sampling_ratio, aligned).backward(tensor(dy, device))
    assert_close(boxes.grad[:, 1:], box_differences(roi_align, x, rois, dy, 1.0, sampling_ratio, aligned), rtol=1e-6, atol=1e-8)


def box_differences(op, x, rois, dy, *settings, h=1e-6):
    """Central differences of every box at once, as the boxes do not know each other: (K, 4)."""
    columns = []
    for coordinate in range(1, 5):
        step = h * (np.arange(5) == coordinate)
        above, below = (to_numpy(op(tensor(x), tensor(rois + s), (3, 2), *settings)) for s in (step, -step))
        columns.append((dy * (above - below)).sum(axis=(1, 2, 3)) / (2 * h))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("aligned", [False, True])
def test_prroi_box_gradient_on_random_boxes(aligned, rng, device):
    """Its gradient is continuous, so no box needs to be left out but those that are about to lose their area."""
    low = rng.uniform(-4, 9, (300, 2))
    rois = np.column_stack([rng.integers(0, 2, 300), low, low + rng.uniform(0.01, 8, (300, 2))])
    rois[:40, 1:] = rois[:40, 1:].round()  # edges on the centres of cells
    rois = rois[(rois[:, 3:] > rois[:, 1:3]).all(axis=1)]
    x, dy = rng.standard_normal((2, 2, 6, 9)), rng.standard_normal((len(rois), 2, 3, 2))
    boxes = tensor(rois, device, requires_grad=True)
    prroi_pool(tensor(x, device), boxes, (3, 2), 0.9, aligned).backward(tensor(dy, device))
    assert_close(boxes.grad[:, 1:], box_differences(prroi_pool, x, rois, dy, 0.9, aligned), rtol=1e-5, atol=1e-7)


def test_samples_beyond_counting(device):
    """A box that ran away would need more samples than memory holds; the error says so before anything is computed."""
    x, far = tensor(RAMP, device), tensor([[0, 1, 1, 3, 3], [0, 0, 0, 1e9, 4]], device)
    words = "box 1 reaches over 1e+09 cells of a map of 5, which takes 500000000 samples in each of its 2 bins; clip the boxes"
    with pytest.raises(ValueError, match=re.escape(words)):
        roi_align(x, far, 2)
    assert np.isfinite(to_numpy(roi_align(x, far, 2, sampling_ratio=2))).all()
    for op in (roi_pool, roi_align, prroi_pool):
        with pytest.raises(ValueError, match=r"box 0 is .* coordinates must be finite, and below 2147483647"):
            op(x, tensor([[0, 0, 0, 1e30, 4]], device), 2)
    long = roi_align(x, tensor([[0, 0, 0, 300, 200]], device), 1)  # few of its samples lie on the map, by the definition:
    assert_close(long, reference.roi_align(RAMP, np.array([[0, 0, 0, 300, 200]]), 1), rtol=1e-10)


def test_gradient_at_the_centre_of_a_cell_is_the_right_hand_one(device):
    x = tensor([[[[0.0, 1.0, 5.0, 6.0]] * 4]], device)
    boxes = tensor([[0, 0.5, 0.5, 1.5, 1.5]], device, requires_grad=True)  # its one sample lies at (1, 1)
    roi_align(x, boxes, 1, sampling_ratio=1).sum().backward()
    assert_close(boxes.grad, [[0, 2, 0, 2, 0]])  # the step from 1 to 5, half for each end


def test_decisions_name_the_cell_of_each_sample(device):
    f = RoIAlign(np.array([0]), (1, 2), sampling_ratio=1)
    f.forward(to_device(RAMP, device), to_device(np.array([[0.0, 1.2, 7.0, 3.4]]), device))
    made = {name: to_numpy(a).tolist() for name, a in f.decisions().items()}
    # y = 1.2 + 2.2 / 2; x = 3.5 / 2 and 10.5 / 2, which lies outside the last centre at 4 and takes its value
    assert made == {"cell y": [[[2]]], "valid y": [[[True]]], "cell x": [[[1], [4]]], "valid x": [[[True], [False]]]}


# ---- RoIPool ----


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("size", [(3, 2), (1, 1), (4, 7)])
def test_pool_is_its_definition(size, scale, rng, device):
    x = rng.integers(-3, 3, (3, 2, 7, 5)).astype(float)  # many ties
    expected, winners = reference.roi_pool(x, BOXES, size, scale)
    dy = rng.standard_normal(expected.shape)
    dx = reference.roi_pool_backward(dy, winners, BOXES, x.shape)
    for _, arranged in layouts(x):
        features = tensor(arranged, device, requires_grad=True)
        y = roi_pool(features, tensor(BOXES, device), size, scale)
        assert_close(y, expected)
        y.backward(tensor(dy, device))
        assert_close(features.grad, dx)


def test_corners_are_rounded_away_from_zero(device):
    """0.5 -> 1 and 2.5 -> 3, where NumPy rounds to the even 0 and 2; -0.5 -> -1."""
    x = tensor(RAMP, device)
    assert_close(roi_pool(x, tensor([[0, 0.5, 0.5, 0.5, 0.5]], device), 1), [[[[6.0]]]])
    assert_close(roi_pool(x, tensor([[0, 0, 0, 2.5, 2.5]], device), 1), [[[[18.0]]]])
    assert_close(roi_pool(x, tensor([[0, -0.5, -0.5, -0.5, -0.5]], device), 1), [[[[0.0]]]])
    below = np.nextafter(0.5, 0)
    assert_close(roi_pool(x, tensor([[0, below, below, below, below]], device), 1), [[[[0.0]]]])


def test_a_small_shift_changes_nothing_or_a_whole_cell(device):
    """What RoIPool's snapping costs: it ignores .3 of a cell, then jumps; RoIAlign follows."""
    x = tensor(RAMP, device)
    shifts = (0.0, 0.3, 0.6)
    boxes = tensor([[0, 1 + s, 1, 2 + s, 2] for s in shifts], device)
    assert_close(roi_pool(x, boxes, 1), [[[[12.0]]], [[[12.0]]], [[[13.0]]]])
    assert_close(roi_align(x, boxes, 1, aligned=True), [[[[6.0 + s]]] for s in shifts])


def test_pool_gives_the_boxes_a_gradient_of_zero(device):
    boxes = tensor(ONE, device, requires_grad=True)
    roi_pool(tensor(RAMP, device), boxes, 2).sum().backward()
    assert_close(boxes.grad, np.zeros((1, 5)))


def test_pool_decisions(device):
    f = RoIPool(np.array([0, 0]), (1, 1))
    f.forward(to_device(RAMP, device), to_device(np.array([[1.0, 1, 2, 3], [9, 9, 9, 9]]), device))
    assert to_numpy(f.decisions()["winner"]).ravel().tolist() == [17, -1]


# ---- PrRoIPool, ps_roi_align ----


def integral_loop(plane, box, bins):
    """The mean over each bin from the midpoints of many small squares, of the surface that is 0 outside the map."""
    x1, y1, x2, y2 = box
    fine = 400
    result = np.zeros(bins)
    padded = np.pad(plane, 1)
    for p, q in np.ndindex(bins):
        u = y1 + (y2 - y1) * (p + (np.arange(fine) + 0.5) / fine) / bins[0] + 1
        v = x1 + (x2 - x1) * (q + (np.arange(fine) + 0.5) / fine) / bins[1] + 1
        inside_u = (u > 0) & (u < padded.shape[0] - 1)
        inside_v = (v > 0) & (v < padded.shape[1] - 1)
        u, v = np.where(inside_u, u, 0), np.where(inside_v, v, 0)
        i, j = u.astype(int), v.astype(int)
        s, t = (u - i)[:, None], (v - j)[None]
        i, j = i[:, None], j[None]
        value = (1 - s) * ((1 - t) * padded[i, j] + t * padded[i, j + 1])
        value += s * ((1 - t) * padded[i + 1, j] + t * padded[i + 1, j + 1])
        result[p, q] = (value * inside_u[:, None] * inside_v).mean()
    return result


@pytest.mark.parametrize("box", [(0.6, 1.2, 3.9, 5.7), (-2.4, -1.7, 2.3, 3.1), (3.2, 4.4, 8.9, 11.3), (2.1, 2.2, 2.3, 2.4)])
def test_prroi_is_the_integral(box, rng, device):
    x = rng.standard_normal((1, 1, 7, 5))
    y = prroi_pool(tensor(x, device), [tensor([box], device)], (2, 3))
    assert_close(y[0, 0], integral_loop(x[0, 0], box, (2, 3)), rtol=0, atol=2e-4)


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("aligned", [False, True])
def test_prroi_is_its_definition(aligned, scale, rng, device):
    x = rng.standard_normal((3, 2, 7, 5))
    expected = reference.prroi_pool(x, BOXES, (3, 2), scale, aligned)
    for _, arranged in layouts(x):
        y = prroi_pool(tensor(arranged, device), tensor(BOXES, device), (3, 2), scale, aligned)
        assert_close(y, expected, rtol=1e-12, atol=1e-13)


def test_prroi_on_boxes_smaller_than_a_rounding(rng, device):
    """A bin of a thousandth of a cell, in single precision: the value is that of the surface there, the gradient its slope."""
    x, box = rng.standard_normal((1, 1, 7, 9)), np.array([[0, 5.25, 3.5, 5.2539, 3.5039]], np.float32)
    single = Tensor(to_device(box, device), requires_grad=True)
    y = prroi_pool(Tensor(to_device(x.astype(np.float32), device)), single, 2)
    exact = tensor(box, device, requires_grad=True)
    expected = prroi_pool(tensor(x, device), exact, 2)
    y.sum().backward()
    expected.sum().backward()
    assert_close(y, expected, rtol=1e-5, atol=1e-6)
    assert_close(single.grad, exact.grad, rtol=1e-4, atol=1e-5)


def test_prroi_by_hand(device):
    """Over cells 1 .. 3 of [0, 0, 6, 0, 0] the hat at 2 has its whole area, 6; on a ramp the mean is the value in the middle."""
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, :, 2] = 6
    assert_close(prroi_pool(tensor(x, device), tensor(ONE, device), 1), [[[[3.0]]]])
    assert_close(prroi_pool(tensor(RAMP, device), tensor([[0, 0.3, 1.1, 2.9, 2.3]], device), 1), [[[[5 * 1.7 + 1.6]]]])
    assert_close(prroi_pool(tensor(RAMP, device), tensor([[0, 1, 1, 1, 3], [0, 3, 3, 1, 1]], device), 1), np.zeros((2, 1, 1, 1)))


def test_prroi_edges_of_the_box(device):
    """d/dx2 = (mean along the right edge - mean) / width, and the other edges likewise."""
    boxes = tensor([[0, 0.5, 1, 2.5, 3]], device, requires_grad=True)
    prroi_pool(tensor(RAMP, device), boxes, 1).sum().backward()
    assert_close(boxes.grad, [[0, 0.5, 2.5, 0.5, 2.5]])


def test_position_sensitive(rng, device):
    x = rng.standard_normal((3, 2 * 3 * 2, 7, 5))
    expected = reference.ps_roi_align(x, BOXES, (3, 2), 0.9, 2)
    assert_close(ps_roi_align(tensor(x, device), tensor(BOXES, device), (3, 2), 0.9, 2), expected, rtol=1e-11)


# ---- what they share ----

EVERY = pytest.mark.parametrize("op", [roi_pool, roi_align, prroi_pool, ps_roi_align], ids=lambda f: f.__name__)


@EVERY
def test_boxes_per_image_or_in_rows(op, rng, device):
    """A list with one tensor per image is the same as rows with the index; each tensor receives its own gradient."""
    x = tensor(rng.standard_normal((3, 4, 7, 5)), device)
    rows = np.array([[0, 0.6, 1.2, 3.9, 5.7], [0, 1.1, 0.2, 4.4, 3.3], [2, 0.3, 2.2, 3.7, 6.1]])
    together = tensor(rows, device, requires_grad=True)
    apart = [tensor(b, device, requires_grad=True) for b in (rows[:2, 1:], np.zeros((0, 4)), rows[2:, 1:])]
    y, z = op(x, together, 2), op(x, apart, 2)
    assert_close(y, z, rtol=0)
    y.sum().backward()
    z.sum().backward()
    assert_close(np.concatenate([to_numpy(b.grad) for b in apart if b.grad is not None]), together.grad[:, 1:])


@EVERY
def test_images_in_any_order(op, rng, device):
    x = tensor(rng.standard_normal((3, 4, 7, 5)), device)
    rows = BOXES[[0, 2, 1, 3, 9]]
    y = op(x, tensor(rows, device), 2)
    for k in range(len(rows)):
        assert_close(y[k : k + 1], op(x, tensor(rows[k : k + 1], device), 2))


@EVERY
def test_no_boxes(op, device):
    x = tensor(np.ones((2, 4, 7, 5)), device, requires_grad=True)
    for boxes in (tensor(np.zeros((0, 5)), device), [tensor(np.zeros((0, 4)), device)] * 2):
        y = op(x, boxes, 2)
        assert y.shape == (0, 1 if op is ps_roi_align else 4, 2, 2)
        y.sum().backward()
        assert_close(x.grad, np.zeros((2, 4, 7, 5)))
    assert op(tensor(np.zeros((0, 4, 3, 3)), device), [], 2).shape[0] == 0


@EVERY
def test_single_precision(op, rng, device):
    x, rois = rng.standard_normal((3, 4, 7, 5)), BOXES[:3] + 0.03 * (np.arange(5) > 0)
    y = op(Tensor(to_device(x.astype(np.float32), device)), Tensor(to_device(rois.astype(np.float32), device)), 2)
    assert y.dtype == np.float32
    assert_close(y, op(tensor(x, device), tensor(rois, device), 2), rtol=1e-4, atol=1e-5)


@EVERY
@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (np.zeros((2, 4)), "boxes has shape (2, 4), but must be (K, 5) rows of image index"),
        (np.array([[2, 0, 0, 1, 1.0]]), "boxes[0, 0] = 2.0 is not the index of one of the 2 images"),
        (np.array([[0, 0, 0, 1, 1], [0.5, 0, 0, 1, 1]]), "boxes[1, 0] = 0.5"),
        (np.array([[np.nan, 0, 0, 1, 1]]), "boxes[0, 0] = nan"),
        (np.array([[0, 0, 0, 1, np.nan]]), "box 0 is [0.0, 0.0, 1.0, nan]; coordinates must be finite"),
        (np.array([[0, 0, 0, 1, np.inf]]), "coordinates must be finite"),
        ([np.zeros((1, 4))], "boxes is a list of 1, but input (2, 4, 5, 6) has 2 images"),
        ([np.zeros((1, 4)), np.zeros((1, 5))], "boxes[1] has shape (1, 5), but must be (L, 4)"),
    ],
)
def test_wrong_boxes(op, boxes, words, device):
    boxes = [tensor(b, device) for b in boxes] if isinstance(boxes, list) else tensor(boxes, device)
    with pytest.raises(ValueError, match=f"^{op.__name__}: .*{re.escape(words)}"):
        op(tensor(np.zeros((2, 4, 5, 6)), device), boxes, 2)


@EVERY
def test_wrong_arguments(op, device):
    x, boxes = tensor(np.zeros((1, 4, 5, 6)), device), tensor(ONE, device)
    with pytest.raises(ValueError, match=r"input has shape \(4, 5, 6\), but must be \(N, C, H, W\)"):
        op(tensor(np.zeros((4, 5, 6)), device), boxes, 2)
    with pytest.raises(ValueError, match="must not be empty"):
        op(tensor(np.zeros((1, 4, 0, 6)), device), boxes, 2)
    for size, kind in ((0, ValueError), ((2, -1), ValueError), ((2, 2, 2), ValueError), (1.5, TypeError), ("2", TypeError)):
        with pytest.raises(kind, match="must be a positive int, or two of them"):
            op(x, boxes, size)
    with pytest.raises(TypeError, match=r"input is float64, but boxes is float32"):
        op(x, Tensor(to_device(ONE.astype(np.float32), device)), 2)


def test_wrong_settings(device):
    x, boxes = tensor(np.zeros((1, 3, 5, 6)), device), tensor(ONE, device)
    with pytest.raises(ValueError, match="reduction='sum' is unknown; use 'mean' or 'max'"):
        roi_align(x, boxes, 2, reduction="sum")
    with pytest.raises(TypeError, match=r"sampling_ratio=1\.5 must be an int"):
        roi_align(x, boxes, 2, sampling_ratio=1.5)
    with pytest.raises(ValueError, match="has 3 channels, which must be a multiple of the 2 x 2 bins"):
        ps_roi_align(x, boxes, 2)


def test_descent_on_a_box(device):
    """The use of it: a box finds a bright square by climbing its own mean response; RoIPool's stays where it is.

    To half a cell: with one sample per cell the response is piecewise linear around the best place.
    """
    x = np.zeros((1, 1, 20, 24))
    x[0, 0, 8:14, 10:16] = 1
    blurred = sum(np.roll(x, (i, j), (2, 3)) for i in range(-3, 4) for j in range(-3, 4)) / 49
    for op, moves in ((roi_align, True), (roi_pool, False)):
        box = np.array([[0, 8.0, 6.0, 13.0, 11.0]])
        for _ in range(60):
            leaf = tensor(box, device, requires_grad=True)
            op(tensor(blurred, device), leaf, 5).mean().backward()
            step = to_numpy(leaf.grad).copy()
            step[:, 1::2] = step[:, 1::2].mean()  # the size stays
            step[:, 2::2] = step[:, 2::2].mean()
            box = box + 30 * step
        centre = (box[0, 1:3] + box[0, 3:5]) / 2
        assert_close(centre, [12.5, 10.5] if moves else [10.5, 8.5], rtol=0, atol=0.5 if moves else 0)
