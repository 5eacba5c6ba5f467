"""RoIPool, and RoIAlign to the features and to the boxes. A box is (image, x1, y1, x2, y2)."""

from __future__ import annotations

import numpy as np

from minivision.check import tie_free
from tests.mutants.exercise import Exercise

# ---- RoIPool ----


def bins(box, scale, size, shape):
    """(i, j, rows, columns) of each bin, on the map."""
    _n, x1, y1, x2, y2 = box
    left, top, right, bottom = (int(np.round(v * scale)) for v in (x1, y1, x2, y2))
    h, w = max(bottom - top + 1, 1) / size, max(right - left + 1, 1) / size
    for i in range(size):
        for j in range(size):
            rows = np.clip([top + int(np.floor(i * h)), top + int(np.ceil((i + 1) * h))], 0, shape[2])
            columns = np.clip([left + int(np.floor(j * w)), left + int(np.ceil((j + 1) * w))], 0, shape[3])
            yield i, j, slice(*rows), slice(*columns)


def roi_pool(x, boxes, scale, size):
    y = np.zeros((len(boxes), x.shape[1], size, size))
    for k, box in enumerate(boxes):
        for i, j, rows, columns in bins(box, scale, size, x.shape):
            region = x[int(box[0]), :, rows, columns]
            if region.size:
                y[k, :, i, j] = region.max(axis=(1, 2))
    return y, (x, boxes, scale, size)


def each_bin(cache):
    x, boxes, scale, size = cache
    for k, box in enumerate(boxes):
        for i, j, rows, columns in bins(box, scale, size, x.shape):
            for c in range(x.shape[1]):
                if x[0, 0, rows, columns].size:
                    yield k, c, i, j, int(box[0]), rows, columns


def roi_pool_backward(dout, cache, *, add=True, pick=np.argmax, image=lambda n: n):
    x = cache[0]
    dx = np.zeros_like(x)
    for k, c, i, j, n, rows, columns in each_bin(cache):
        region = x[n, c, rows, columns]
        a, e = np.unravel_index(pick(region), region.shape)
        old = dx[image(n), c, rows.start + a, columns.start + e]
        dx[image(n), c, rows.start + a, columns.start + e] = dout[k, c, i, j] + (old if add else 0)
    return dx


BOXES = np.array([[0, 1, 0, 9, 7], [1, 2, 3, 11, 9], [0, 0, 0, 13, 11], [1, 5, 1, 8, 6]])
pool = Exercise("RoIPool", roi_pool, tie_free(2, 2, 6, 7), BOXES, 0.5, 2)
pool.accepts()(roi_pool_backward)


@pool.accepts()
def with_a_flat_index(dout, cache):
    x, _boxes, _scale, _size = cache
    flat = np.zeros(x.size)
    numbers = np.arange(x.size).reshape(x.shape)
    for k, c, i, j, n, rows, columns in each_bin(cache):
        flat[numbers[n, c, rows, columns].ravel()[x[n, c, rows, columns].argmax()]] += dout[k, c, i, j]
    return flat.reshape(x.shape)


pool.with_kinks(np.round(5 * tie_free(2, 2, 6, 7)), BOXES, 0.5, 2)


@pool.rejects("= where += belongs")
def pool_overwritten(dout, cache):
    return roi_pool_backward(dout, cache, add=False)


@pool.rejects("every entry")
def pool_to_every_entry(dout, cache):
    dx = np.zeros_like(cache[0])
    for k, c, i, j, n, rows, columns in each_bin(cache):
        dx[n, c, rows, columns] += dout[k, c, i, j]
    return dx


@pool.rejects("average")
def pool_the_average_rule(dout, cache):
    dx = np.zeros_like(cache[0])
    for k, c, i, j, n, rows, columns in each_bin(cache):
        region = dx[n, c, rows, columns]
        region += dout[k, c, i, j] / region.size
    return dx


@pool.rejects("image 0|first image|batch index")
def pool_the_image_forgotten(dout, cache):
    return roi_pool_backward(dout, cache, image=lambda n: 0)


@pool.rejects("smallest|minimum")
def pool_to_the_minimum(dout, cache):
    return roi_pool_backward(dout, cache, pick=np.argmin)


@pool.rejects("only", "box|sample")
def pool_of_one_box(dout, cache):
    g = np.zeros_like(dout)
    g[-1] = dout[-1]
    return roi_pool_backward(g, cache)


@pool.rejects("corner|first entry|top left|top-left")
def pool_to_the_corner(dout, cache):
    return roi_pool_backward(dout, cache, pick=lambda region: 0)


@pool.rejects("offset|corner of the box|in the window|in the bin")
def pool_the_offset_of_the_bin_forgotten(dout, cache):
    dx = np.zeros_like(cache[0])
    for k, c, i, j, n, rows, columns in each_bin(cache):
        region = cache[0][n, c, rows, columns]
        a, e = np.unravel_index(np.argmax(region), region.shape)
        dx[n, c, a, e] += dout[k, c, i, j]
    return dx


@pool.rejects("sign")
def pool_sign(dout, cache):
    return -roi_pool_backward(dout, cache)


@pool.rejects("ones|upstream")
def pool_without_the_upstream(dout, cache):
    return roi_pool_backward(np.ones_like(dout), cache)


@pool.rejects("dout", "transposed|(0, 1, 3, 2)")
def pool_bins_transposed(dout, cache):
    return roi_pool_backward(dout.swapaxes(2, 3), cache)


@pool.rejects("spatial_scale|scale")
def pool_without_the_scale(dout, cache):
    x, boxes, _scale, size = cache
    dx = np.zeros_like(x)
    for k, c, i, j, n, rows, columns in each_bin((x, boxes, 1.0, size)):
        region = x[n, c, rows, columns]
        a, e = np.unravel_index(np.argmax(region), region.shape)
        dx[n, c, rows.start + a, columns.start + e] += dout[k, c, i, j]
    return dx


# ---- RoIAlign ----


def samples(box, scale, size, ratio, aligned):
    """The corner and the size of a bin on the map, and the sampling points relative to them, as fractions of the box."""
    offset = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = box[1:] * scale - offset
    w, h = x2 - x1, y2 - y1
    if not aligned:
        w, h = max(w, 1.0), max(h, 1.0)
    t = (np.arange(size)[:, None] + (np.arange(ratio) + 0.5) / ratio) / size
    return y1, x1, h, w, t  # y = y1 + h t


def corners(v, length):
    """Lower neighbour, upper neighbour, weight of the upper one, whether it counts; as in Detectron2."""
    if v < -1 or v > length:
        return 0, 0, 0.0, False
    v = max(v, 0.0)
    low = int(v)
    if low >= length - 1:
        return length - 1, length - 1, 0.0, True
    return low, low + 1, v - low, True


def taps(cache):
    """(box, i, j, image, y, x, y0, y1, x0, x1, fy, fx, ty, tx) for each sample that lies on the map."""
    x, boxes, scale, size, ratio, aligned = cache
    for k, box in enumerate(boxes):
        top, left, h, w, t = samples(box, scale, size, ratio, aligned)
        for i, j, a, e in np.ndindex(size, size, ratio, ratio):
            y0, y1, fy, seen_y = corners(top + h * t[i, a], x.shape[2])
            x0, x1, fx, seen_x = corners(left + w * t[j, e], x.shape[3])
            if seen_y and seen_x:
                yield k, i, j, int(box[0]), y0, y1, x0, x1, fy, fx, t[i, a], t[j, e]


def roi_align(x, boxes, scale, size, ratio, aligned):
    y = np.zeros((len(boxes), x.shape[1], size, size))
    for k, i, j, n, y0, y1, x0, x1, fy, fx, _, _ in taps((x, boxes, scale, size, ratio, aligned)):
        f = x[n]
        upper, lower = (1 - fx) * f[:, y0, x0] + fx * f[:, y0, x1], (1 - fx) * f[:, y1, x0] + fx * f[:, y1, x1]
        y[k, :, i, j] += ((1 - fy) * upper + fy * lower) / ratio**2
    return y, (x, boxes, scale, size, ratio, aligned)


def align_backward(dout, cache, *, add=True, swap=False, mean=True, image=lambda n: n):
    x = cache[0]
    dx = np.zeros_like(x)
    for k, i, j, n, y0, y1, x0, x1, fy, fx, _, _ in taps(cache):
        g = dout[k, :, i, j] / (cache[4] ** 2 if mean else 1)
        if swap:
            fy, fx = fx, fy
        for row, column, weight in (
            (y0, x0, (1 - fy) * (1 - fx)),
            (y0, x1, (1 - fy) * fx),
            (y1, x0, fy * (1 - fx)),
            (y1, x1, fy * fx),
        ):
            old = dx[image(n), :, row, column]
            dx[image(n), :, row, column] = g * weight + (old if add else 0)
    return dx


rng = np.random.default_rng(10)
REGIONS = np.array([[0, 1.3, 0.4, 9.1, 7.7], [1, 2.2, 3.1, 10.9, 9.2], [0, 3.3, 2.1, 11.7, 10.4]])
align = Exercise("RoIAlign", roi_align, rng.standard_normal((2, 2, 6, 7)), REGIONS, 0.5, 2, 2, True, wrt="x")
legacy = Exercise("RoIAlign, not aligned", roi_align, rng.standard_normal((2, 2, 6, 7)), REGIONS, 0.5, 2, 2, False, wrt="x")


def keep_only_features(backward):
    """Solutions for the features return None for the boxes."""
    return lambda dout, cache: (backward(dout, cache), None)


def one(op, *words, right=False):
    def keep(backward):
        only = keep_only_features(backward)
        only.__name__ = backward.__name__
        (op.accepts() if right else op.rejects(*words))(only)
        return backward

    return keep


for op in (align, legacy):
    aligned = op.inputs[5]
    one(op, right=True)(align_backward)

    @one(op, right=True)
    def by_a_matrix(dout, cache):
        """The map from x to y is linear: its matrix, transposed."""
        _x, rest = cache[0], cache[1:]
        plane = np.stack([roi_align(e.reshape(2, 1, 6, 7), *rest)[0].ravel() for e in np.eye(84)], axis=1)
        g = dout.transpose(0, 2, 3, 1).reshape(-1, dout.shape[1])
        return (plane.T @ g).reshape(2, 6, 7, -1).transpose(0, 3, 1, 2)

    @one(op, "aligned|half a pixel")
    def the_other_offset(dout, cache, aligned=aligned):
        return align_backward(dout, (*cache[:5], not aligned))

    @one(op, "sum", "mean|samples")
    def a_sum_over_the_samples(dout, cache):
        return align_backward(dout, cache, mean=False)

    @one(op, "x and y|swapped")
    def weights_of_x_and_y_swapped(dout, cache):
        return align_backward(dout, cache, swap=True)

    @one(op, "spatial_scale|scale")
    def without_the_scale(dout, cache):
        return align_backward(dout, (*cache[:2], 1.0, *cache[3:]))

    @one(op, "= where += belongs")
    def align_overwritten(dout, cache):
        return align_backward(dout, cache, add=False)

    @one(op, "image 0|first image|batch index")
    def align_the_image_forgotten(dout, cache):
        return align_backward(dout, cache, image=lambda n: 0)

    @one(op, "nearest")
    def to_the_nearest_pixel(dout, cache):
        dx = np.zeros_like(cache[0])
        for k, i, j, n, y0, y1, x0, x1, fy, fx, _, _ in taps(cache):
            dx[n, :, y1 if fy >= 0.5 else y0, x1 if fx >= 0.5 else x0] += dout[k, :, i, j] / cache[4] ** 2
        return dx

    @one(op, "sampling|one sample|1 sample")
    def one_sample_for_each_bin(dout, cache):
        return align_backward(dout, (*cache[:4], 1, cache[5]))

    @one(op, "sign")
    def align_sign(dout, cache):
        return -align_backward(dout, cache)

    @one(op, "ones|upstream")
    def align_without_the_upstream(dout, cache):
        return align_backward(np.ones_like(dout), cache)

    @one(op, "only", "box|sample")
    def align_of_one_box(dout, cache):
        g = np.zeros_like(dout)
        g[0] = dout[0]
        return align_backward(g, cache)

    @one(op, "dout", "transposed|(0, 1, 3, 2)")
    def align_bins_transposed(dout, cache):
        return align_backward(dout.swapaxes(2, 3), cache)

    @one(op, "x and y", "box|coordinates")
    def boxes_read_as_y_and_x(dout, cache):
        x, boxes, *rest = cache
        return align_backward(dout, (x, boxes[:, [0, 2, 1, 4, 3]], *rest))


# ---- RoIAlign, the gradient to the boxes ----


def of_boxes(x, boxes, scale, size, ratio, image):
    """The boxes without the number of the image, so that every column has a gradient."""
    whole = np.concatenate([image[:, None], boxes], axis=1)
    y, cache = roi_align(x, whole, scale, size, ratio, True)
    return y, (*cache, boxes)


def boxes_backward(dout, cache, *, scale=None, columns=(0, 1, 2, 3), moving=True, size_too=True, mean=True, clip=None):
    x, boxes, true_scale, _size, ratio = cache[:5]
    scale = true_scale if scale is None else scale
    db = np.zeros((len(boxes), 4))
    for k, i, j, n, y0, y1, x0, x1, fy, fx, ty, tx in taps(cache[:6]):
        f = x[n]
        dy = (1 - fx) * (f[:, y1, x0] - f[:, y0, x0]) + fx * (f[:, y1, x1] - f[:, y0, x1])
        dx = (1 - fy) * (f[:, y0, x1] - f[:, y0, x0]) + fy * (f[:, y1, x1] - f[:, y1, x0])
        gy, gx = (np.dot(dout[k, :, i, j], d) * scale / (ratio**2 if mean else 1) for d in (dy, dx))
        stretch = (tx, ty) if size_too else (0.0, 0.0)
        db[k] += np.array([gx * (1 - stretch[0]), gy * (1 - stretch[1]), gx * stretch[0], gy * stretch[1]])[list(columns)]
    return db


IMAGE = np.array([0, 1, 0])
box = Exercise(
    "RoIAlign, boxes", of_boxes, rng.standard_normal((2, 2, 6, 7)), REGIONS[:, 1:].copy(), 0.5, 2, 2, IMAGE, wrt="boxes"
)


def to_boxes(*words, right=False):
    def keep(backward):
        def both(dout, cache):
            return None, backward(dout, cache)

        both.__name__ = backward.__name__
        (box.accepts() if right else box.rejects(*words))(both)
        return backward

    return keep


to_boxes(right=True)(boxes_backward)


@to_boxes(right=True)
def by_two_maps(dout, cache):
    x, boxes, scale, _size, ratio = cache[:5]
    db = np.zeros((len(boxes), 4))
    for k, i, j, n, y0, y1, x0, x1, fy, fx, ty, tx in taps(cache[:6]):
        rows, columns = x[n][:, [y0, y1]], np.array([1 - fx, fx])
        gy = dout[k, :, i, j] @ ((rows[:, 1] - rows[:, 0])[:, [x0, x1]] @ columns)
        gx = dout[k, :, i, j] @ (np.array([1 - fy, fy]) @ (rows[:, :, x1] - rows[:, :, x0]).T)
        db[k] += np.outer([1, 0], [gx, gy]).sum(0)[[0, 1, 0, 1]] * np.array([1 - tx, 1 - ty, tx, ty])
    return db * scale / ratio**2


@to_boxes("spatial_scale|scale")
def boxes_without_the_scale(dout, cache):
    return boxes_backward(dout, cache, scale=1.0)


@to_boxes("x and y|swapped|wrong order|columns")
def boxes_x_and_y_swapped(dout, cache):
    return boxes_backward(dout, cache, columns=(1, 0, 3, 2))


@to_boxes("first corner|x2|size|wrong order|corner|zero")
def boxes_only_moved(dout, cache):
    return boxes_backward(dout, cache, size_too=False)


@to_boxes("wrong order|exchanged|corners")
def boxes_corners_exchanged(dout, cache):
    return boxes_backward(dout, cache, columns=(2, 3, 0, 1))


@to_boxes("sum", "mean|samples")
def boxes_a_sum_over_the_samples(dout, cache):
    return boxes_backward(dout, cache, mean=False)


@to_boxes("sign")
def boxes_sign(dout, cache):
    return -boxes_backward(dout, cache)


@to_boxes("zero everywhere")
def boxes_zero(dout, cache):
    return np.zeros((3, 4))


@to_boxes("ones|upstream")
def boxes_without_the_upstream(dout, cache):
    return boxes_backward(np.ones_like(dout), cache)


@to_boxes("aligned|half a pixel")
def boxes_with_the_other_offset(dout, cache):
    return boxes_backward(dout, (*cache[:5], False, cache[6]))


@to_boxes("w, h|width|centre")
def boxes_as_corner_and_size(dout, cache):
    db = boxes_backward(dout, cache)
    return np.concatenate([db[:, :2] + db[:, 2:], db[:, 2:]], axis=1)


@to_boxes("channel|dout")
def boxes_of_the_first_channel(dout, cache):
    g = dout.copy()
    g[:, 1:] = 0
    return boxes_backward(g, cache)


@to_boxes("None")
def boxes_none(dout, cache):
    return None


EXERCISES = [pool, align, legacy, box]
