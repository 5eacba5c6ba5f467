"""Regions of interest (RoIs): a box of any size becomes a grid of features of a fixed size.

RoIPool snaps the box to cells of the feature map and takes maxima. RoIAlign leaves the box where it is and samples the map, read
as a bilinear surface; PrRoIPool integrates that surface exactly. Both are separable: one matrix per axis and box,

    y[k, c] = A_y[k] @ x[image of k, c] @ A_x[k]^T

and only the matrices depend on the box, so the gradient reaches the features and the coordinates in closed form, without scatter.
A Function here takes the features x (N, C, H, W) and the boxes (K, 4) as x1, y1, x2, y2; which image a box lies on is a setting.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, to_numpy, xp_of
from minivision.functions.layout import channels_first, channels_last
from minivision.functions.operands import (
    LARGEST,
    as_tensor,
    check_choice,
    check_flags,
    integer,
    need_float,
    need_ndim,
    positive,
    shown,
)
from minivision.functions.roi_axes import BinIntegrals, BinSamples
from minivision.functions.shape import cat
from minivision.functions.strips import MemoryOrder
from minivision.threads import for_each, get_num_threads, in_turn, spans


class RoIPool(Function):
    """y[k,c,p,q] = max of x over the cells of bin (p, q);  dy goes to the first maximum in row-major order.

    The corners are rounded to cells (halves away from zero), the last cell included; bin p spans floor(p b) .. ceil((p + 1) b)
    with b = cells / bins, so neighbours may share a cell. A bin without cells gives 0. The output does not change when a corner
    moves within its cell and jumps when it leaves it: the gradient to the boxes is 0, and no descent can move them.
    """

    def __init__(self, images: np.ndarray, output_size: tuple[int, int], spatial_scale: float = 1.0):
        self.images, self.output_size, self.spatial_scale = images, output_size, spatial_scale

    def forward(self, x: Array, boxes: Array) -> Array:
        xp = xp_of(x, boxes)
        self.shape, self.boxes = x.shape, (boxes.shape, boxes.dtype)
        batch, channels, height, width = x.shape
        cells = channels_last(x).reshape(batch * height * width, channels)
        image = xp.asarray(self.images)[:, None, None]
        top, bottom = self._bins(boxes[:, 1], boxes[:, 3], self.output_size[0], height)  # (K, P)
        left, right = self._bins(boxes[:, 0], boxes[:, 2], self.output_size[1], width)  # (K, Q)
        y = xp.full((len(boxes), *self.output_size, channels), -np.inf, x.dtype)
        self.winner = xp.full(y.shape, -1, np.int64)  # (K, P, Q, C): the flat position in the H x W plane
        # position by position within the bins, all bins at once
        for down in range(_largest(bottom - top)):
            for across in range(_largest(right - left)):
                row, column = (top + down)[:, :, None], (left + across)[:, None, :]
                inside = (row < bottom[:, :, None]) & (column < right[:, None, :])
                place = xp.where(inside, row * width + column, 0)
                value = xp.take(cells, place + image * (height * width), axis=0)
                better = inside[..., None] & (value > y)
                xp.copyto(y, value, where=better)
                xp.copyto(self.winner, xp.broadcast_to(place[..., None], y.shape), where=better)
        empty = (bottom <= top)[:, :, None] | (right <= left)[:, None, :]
        return channels_first(xp.where(empty[..., None], xp.zeros_like(y), y))

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        batch, channels, height, width = self.shape
        dx = dboxes = None
        if self.needs_input_grad[0]:
            image = xp.asarray(self.images)[:, None, None, None]
            target = (image * (height * width) + self.winner) * channels + xp.arange(channels)
            won = self.winner >= 0
            flat = xp.zeros(batch * height * width * channels, dy.dtype)
            scatter_add(flat, target[won], channels_last(dy)[won])
            dx = channels_first(flat.reshape(batch, height, width, channels))
        if self.needs_input_grad[1]:
            dboxes = xp.zeros(*self.boxes)
        return dx, dboxes

    def decisions(self) -> dict[str, Array]:
        return {"winner": channels_first(self.winner)}

    def _bins(self, low: Array, high: Array, bins: int, length: int) -> tuple[Array, Array]:
        """The first cell of each bin and the one after its last, clipped to the map: (K, bins) each."""
        xp = xp_of(low)
        start, end = _round_half_away(low * self.spatial_scale), _round_half_away(high * self.spatial_scale)
        step = (xp.maximum(end - start + 1, 1) / bins)[:, None]
        number = xp.arange(bins, dtype=low.dtype)
        first = xp.floor(number * step) + start[:, None]
        after = xp.ceil((number + 1) * step) + start[:, None]
        return xp.clip(first, 0, length).astype(np.int64), xp.clip(after, 0, length).astype(np.int64)


def _round_half_away(x: Array) -> Array:
    """Rounding as C's `round` does it: halves away from zero, where NumPy takes the even neighbour."""
    xp = xp_of(x)
    whole = xp.trunc(x)
    return whole + xp.sign(x) * (abs(x - whole) >= 0.5)


def _largest(counts: Array) -> int:
    return int(counts.max()) if counts.size else 0


class _SeparableRoI(Function):
    """y[k,c] = A_y[k] x[image of k, c] A_x[k]^T;  dx = A_y^T dy A_x,  dA_y = dy A_x x^T,  dA_x = dy^T A_y x"""

    axes: tuple[Any, Any]  # along y and along x: an object with `matrix()` and `pull(gradient of the matrix)`

    def __init__(self, images: np.ndarray, output_size: tuple[int, int], spatial_scale: float = 1.0, aligned: bool = False):
        self.images, self.output_size, self.spatial_scale, self.aligned = images, output_size, spatial_scale, aligned

    def project(self, x: Array) -> Array:
        """(N, C, H, W) -> (K, P, Q, C)"""
        xp = xp_of(x)
        self.shape, self.matrices = x.shape, [axis.matrix() for axis in self.axes]
        self.x = x if self.needs_input_grad[1] else None
        a_y, a_x = self.matrices
        self.crops = _crops(a_y, a_x) if type(x) is np.ndarray else None
        if self.crops is not None:
            return self._project_crops(x, self.crops)
        features = channels_last(x)
        y = xp.zeros((len(a_y), a_y.shape[1], a_x.shape[1], x.shape[1]), x.dtype)
        for n, own in self._boxes_of_images(xp):
            rows = xp.tensordot(a_y[own], features[n], axes=1)  # (K P, H) @ (H, W C) -> (K, P, W, C)
            y[own] = a_x[own][:, None] @ rows  # (K, 1, Q, W) @ (K, P, W, C) -> (K, P, Q, C)
        return y

    def pull(self, dy: Array) -> tuple[Array | None, Array | None]:
        """The gradients to x and to the boxes, from that of `project`."""
        xp = xp_of(dy)
        a_y, a_x = self.matrices
        if self.crops is not None:
            return self._pull_crops(dy, self.crops)
        dx = dboxes = None
        if self.needs_input_grad[1]:
            d_ay, d_ax = xp.zeros_like(a_y), xp.zeros_like(a_x)
        if self.needs_input_grad[0]:
            batch, channels, height, width = self.shape
            dx = xp.zeros((batch, height, width, channels), dy.dtype)
        for n, own in self._boxes_of_images(xp):
            spread = a_x[own].swapaxes(1, 2)[:, None] @ dy[own]  # (K, 1, W, Q) @ (K, P, Q, C) -> (K, P, W, C)
            if dx is not None:
                dx[n] = xp.tensordot(a_y[own], spread, axes=((0, 1), (0, 1)))  # (H, K P) @ (K P, W C)
            if self.x is not None:
                features = channels_last(self.x)[n]
                d_ay[own] = xp.tensordot(spread, features, axes=((2, 3), (1, 2)))  # (K P, W C) @ (W C, H)
                rows = xp.tensordot(a_y[own], features, axes=1)
                d_ax[own] = (dy[own] @ rows.swapaxes(2, 3)).sum(axis=1)  # (K, P, Q, C) @ (K, P, C, W), summed over P
        if self.needs_input_grad[1]:
            dboxes = self._pull_matrices(d_ay, d_ax)
        return None if dx is None else channels_first(dx), dboxes

    def _pull_matrices(self, d_ay: Array, d_ax: Array) -> Array:
        """The gradient to the boxes (K, 4), from those of the matrices."""
        (y1, y2), (x1, x2) = (axis.pull(d) for axis, d in zip(self.axes, (d_ay, d_ax), strict=True))
        return xp_of(d_ay).stack([x1, y1, x2, y2], axis=1)

    # ---- the same, box by box, with the part of the map that its matrices reach ----

    def _project_crops(self, x: np.ndarray, crops: list[Crop]) -> np.ndarray:
        (a_y, a_x), features = self.matrices, MemoryOrder(planes=False).arranged(x)
        y = np.zeros((len(a_y), a_y.shape[1], a_x.shape[1], x.shape[1]), x.dtype)

        def project(boxes: slice) -> None:
            for k in range(boxes.start, boxes.stop):
                down, across = crops[k]
                rows = _rows(a_y[k, :, down], features[self.images[k], down, across])  # (P, h) @ (h, w C) -> (P, w, C)
                np.matmul(a_x[k, :, across], rows, out=y[k])  # (Q, w) @ (P, w, C) -> (P, Q, C)

        (for_each if self._threads() > 1 else in_turn)(project, spans(len(a_y), BOXES_AT_ONCE))
        return y

    def _pull_crops(self, dy: np.ndarray, crops: list[Crop]) -> tuple[np.ndarray | None, np.ndarray | None]:
        a_y, a_x = self.matrices
        dy = np.ascontiguousarray(dy)
        dx = dboxes = None
        threads = self._threads()
        share_out = for_each if threads > 1 else in_turn
        if self.needs_input_grad[0]:
            batch, channels, height, width = self.shape
            total = np.zeros((batch, height, width, channels), dy.dtype)

            def spread(job: tuple[int, slice]) -> None:
                n, some = job
                for k in np.flatnonzero(self.images == n):
                    down, across = crops[k]
                    columns = a_x[k, :, across].T @ dy[k, :, :, some]  # (w, Q) @ (P, Q, C) -> (P, w, C)
                    total[n, down, across, some] += _rows(a_y[k, :, down].T, columns)  # (h, P) @ (P, w C) -> (h, w, C)

            # boxes of one image overlap, so there the threads share out the channels
            parts = spans(channels, 64, aligned=16) if batch < threads else [slice(0, channels)]
            share_out(spread, [(n, some) for n in range(batch) for some in parts])
            dx = channels_first(total)
        if self.x is not None:
            features = MemoryOrder(planes=False).arranged(self.x)
            d_ay, d_ax = np.zeros_like(a_y), np.zeros_like(a_x)

            def compare(boxes: slice) -> None:
                for k in range(boxes.start, boxes.stop):
                    down, across = crops[k]
                    cells = features[self.images[k], down, across]
                    if not cells.size:
                        continue
                    columns = (a_x[k, :, across].T @ dy[k]).reshape(len(dy[k]), -1)  # (w, Q) @ (P, Q, C) -> (P, w C)
                    d_ay[k, :, down] = columns @ cells.reshape(len(cells), -1).T  # (P, w C) @ (w C, h)
                    rows = _rows(a_y[k, :, down], cells)
                    d_ax[k, :, across] = (dy[k] @ rows.swapaxes(1, 2)).sum(axis=0)  # (P, Q, C) @ (P, C, w), summed over P

            share_out(compare, spans(len(a_y), BOXES_AT_ONCE))
            dboxes = self._pull_matrices(d_ay, d_ax)
        return dx, dboxes

    def _threads(self) -> int:
        """As many as allowed where a box is so much work that they seldom meet at Python's lock, else the caller alone."""
        cells = sum((down.stop - down.start) * (across.stop - across.start) for down, across in self.crops or ())
        return get_num_threads() if cells * self.shape[1] >= LARGE_BOX * len(self.matrices[0]) else 1

    def _boxes_of_images(self, xp: Any) -> Iterator[tuple[int, Any]]:
        """Each image that has boxes, and which ones: a slice where they follow each other."""
        for n in range(self.shape[0]):
            own = np.flatnonzero(self.images == n)
            if len(own):
                first, last = int(own[0]), int(own[-1])
                yield n, slice(first, last + 1) if last - first + 1 == len(own) else xp.asarray(own)


BOXES_AT_ONCE = 32  # in one job of a thread
LARGE_BOX = 1 << 16  # numbers of the feature map below a box; with fewer, one thread is as quick as two
Crop = tuple[slice, slice]


def _crops(a_y: np.ndarray, a_x: np.ndarray) -> list[Crop] | None:
    """The rows and columns of the map that the matrices of each box reach, and one more on each side, which a moved box may need.

    None where most of the map is reached anyway: then one large matrix product for all boxes is faster than many small ones.
    """
    spans_of_axes = []
    for matrix in (a_y, a_x):
        reached, length = (matrix != 0).any(axis=1), matrix.shape[2]
        first = np.maximum(reached.argmax(axis=1) - 1, 0)
        stop = np.minimum(length - reached[:, ::-1].argmax(axis=1) + 1, length)
        spans_of_axes.append((first, np.where(reached.any(axis=1), stop, first)))
    (top, bottom), (left, right) = spans_of_axes
    if ((bottom - top) * (right - left)).sum() > 0.5 * len(a_y) * a_y.shape[2] * a_x.shape[2]:
        return None
    edges = zip(top.tolist(), bottom.tolist(), left.tolist(), right.tolist(), strict=True)
    return [(slice(t, b), slice(e, r)) for t, b, e, r in edges]


def _rows(matrix: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(P, h) @ (h, w, C) -> (P, w, C)"""
    height, width, channels = cells.shape
    return (matrix @ cells.reshape(height, width * channels)).reshape(len(matrix), width, channels)


class RoIAlign(_SeparableRoI):
    """y[k,c,p,q] = the mean (or maximum) of x, bilinearly interpolated, at g x g samples in bin (p, q).

    Row p of A_y is the mean of the interpolation weights of the samples' y; `BinSamples` has the formulas. The maximum is no
    matrix: it takes matrices with a row for each sample, and dy goes to the first largest sample.
    """

    def __init__(
        self, images: np.ndarray, output_size: tuple[int, int], spatial_scale: float = 1.0, sampling_ratio: int = -1,
        aligned: bool = False, reduction: str = "mean",
    ):  # fmt: skip
        super().__init__(images, output_size, spatial_scale, aligned)
        self.sampling_ratio, self.reduction = sampling_ratio, reduction

    def forward(self, x: Array, boxes: Array) -> Array:
        settings = (self.spatial_scale, self.aligned, self.sampling_ratio, self.reduction == "mean")
        self.axes = (
            BinSamples(boxes[:, 1], boxes[:, 3], self.output_size[0], x.shape[2], *settings),
            BinSamples(boxes[:, 0], boxes[:, 2], self.output_size[1], x.shape[3], *settings),
        )
        y = self.project(x)
        return channels_first(y if self.reduction == "mean" else self._largest_sample(y))

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        dy = channels_last(dy)
        return self.pull(dy if self.reduction == "mean" else self._to_the_largest(dy))

    def decisions(self) -> dict[str, Array]:
        along = zip("yx", self.axes, strict=True)
        made = {f"{kind} {name}": getattr(axis, kind) for name, axis in along for kind in ("cell", "valid")}
        return made if self.reduction == "mean" else {**made, "winner": channels_first(self.winner[:, :, :, 0])}

    def _largest_sample(self, y: Array) -> Array:
        """(K, P g, Q g, C) -> (K, P, Q, C); the winner is a number in row-major order of the samples of its bin."""
        xp = xp_of(y)
        (p, q), (down, across) = self.output_size, (axis.most for axis in self.axes)
        self.sampled = (len(y), p, down, q, across, y.shape[3])
        bins = y.reshape(self.sampled).transpose(0, 1, 3, 2, 4, 5)
        taken = self.axes[0].used[:, :, None, :, None] & self.axes[1].used[:, None, :, None, :]  # (K, 1, 1, g, g)
        bins = xp.where(taken[..., None], bins, xp.full_like(bins, -np.inf))
        bins = bins.reshape(len(y), p, q, down * across, y.shape[3])
        self.any = taken.any(axis=(3, 4))[..., None]
        self.winner = xp.expand_dims(bins.argmax(axis=3), 3)
        best = xp.take_along_axis(bins, self.winner, axis=3)[:, :, :, 0]
        return xp.where(self.any, best, xp.zeros_like(best))

    def _to_the_largest(self, dy: Array) -> Array:
        xp = xp_of(dy)
        boxes, p, down, q, across, channels = self.sampled
        bins = xp.zeros((boxes, p, q, down * across, channels), dy.dtype)
        xp.put_along_axis(bins, self.winner, (dy * self.any)[:, :, :, None], axis=3)
        bins = bins.reshape(boxes, p, q, down, across, channels).transpose(0, 1, 3, 2, 4, 5)
        return bins.reshape(boxes, p * down, q * across, channels)


class PrRoIPool(_SeparableRoI):
    """y[k,c,p,q] = (integral of x, as a bilinear surface, over bin (p, q)) / (area of the bin), 0 for a bin without area.

    Outside the map the surface falls to 0 within one cell. No samples, no rounding: the gradient is a continuous function of the
    box, as long as it has an area. `BinIntegrals` has the formulas.
    Source: Jiang et al., Acquisition of Localization Confidence for Accurate Object Detection, ECCV 2018.
    """

    def forward(self, x: Array, boxes: Array) -> Array:
        settings = (self.spatial_scale, self.aligned)
        self.axes = (
            BinIntegrals(boxes[:, 1], boxes[:, 3], self.output_size[0], x.shape[2], *settings),
            BinIntegrals(boxes[:, 0], boxes[:, 2], self.output_size[1], x.shape[3], *settings),
        )
        return channels_first(self.project(x))

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        return self.pull(channels_last(dy))


# ---- what users call ----


def roi_pool(input: Any, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Tensor:
    """The maximum of each bin of each box, with the box snapped to cells of the map (Fast R-CNN), as torchvision.ops.roi_pool.

    Parameters
    ----------
    input: (N, C, H, W).
    boxes: (K, 5) rows of image index, x1, y1, x2, y2; or a list with one (L, 4) tensor per image.
    output_size: the number of bins, an int or (h, w).
    spatial_scale: cells of the map per unit of the boxes, 1/16 for boxes in pixels and a map of stride 16.

    Returns (K, C, h, w). A bin outside the map is 0, the first maximum takes the gradient, and the gradient to the boxes is 0,
    because the snapped box does not change with the coordinates: `roi_align` and `prroi_pool` have one.
    Raises ValueError for boxes of another shape, that are not finite, or on an image that does not exist; warns of a box that
    ends before it begins.
    """
    x, images, corners, size, scale = _regions("roi_pool", input, boxes, output_size, spatial_scale)
    return RoIPool(images, size, scale)(x, corners)


def roi_align(
    input: Any, boxes: Any, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1, aligned: bool = False,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean of bilinear samples in each bin of each box (Mask R-CNN), as torchvision.ops.roi_align; differentiates the boxes.

    Parameters
    ----------
    input, boxes, output_size, spatial_scale: as in `roi_pool`.
    sampling_ratio: samples per bin and axis; 0 or less takes ceil(bin size) of them, so about one per cell.
    aligned: True places the centre of cell j at j + 1/2, as the boxes' coordinates mean it; False is torchvision's older rule,
        half a cell off, which also enlarges boxes to at least one cell.
    reduction: "mean" as in torchvision, or "max" over the samples of a bin, as some lectures teach it.

    Returns (K, C, h, w). A sample more than one cell outside the map counts as 0; nearer ones take the border's value. The boxes
    receive a gradient too, which torchvision's kernel does not give. At its kinks: zero for clamped samples, the right-hand one
    where a sample meets the centre of a cell; a box that was enlarged moves with x1, y1 alone; the number of samples is taken as
    constant. An inverted box (x2 < x1) has no samples, and gives 0, when their number adapts.
    Raises ValueError for boxes of another shape, that are not finite, or on an image that does not exist.
    """
    return _aligned("roi_align", input, boxes, output_size, spatial_scale, sampling_ratio, aligned, reduction)


def _aligned(
    op: str, input: Any, boxes: Any, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool, reduction: str
) -> Tensor:
    check_choice(op, "reduction", reduction, ("mean", "max"))
    check_flags(op, aligned=aligned)
    ratio = integer(op, "sampling_ratio", sampling_ratio, meaning="an int (0 or less adapts it to the size of the bins)")
    x, images, corners, size, scale = _regions(op, input, boxes, output_size, spatial_scale)
    return RoIAlign(images, size, scale, ratio, aligned, reduction)(x, corners)


def prroi_pool(input: Any, boxes: Any, output_size: Any, spatial_scale: float = 1.0, aligned: bool = False) -> Tensor:
    """Precise RoI pooling: the exact mean of the bilinear surface over each bin, with gradients to features and boxes.

    Arguments as in `roi_align`; there is nothing to sample. A box without area gives 0 and has no gradient.
    Source: Jiang et al., ECCV 2018 (IoU-Net).
    """
    op = "prroi_pool"
    check_flags(op, aligned=aligned)
    x, images, corners, size, scale = _regions(op, input, boxes, output_size, spatial_scale)
    return PrRoIPool(images, size, scale, aligned)(x, corners)


def ps_roi_align(input: Any, boxes: Any, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1) -> Tensor:
    """Position-sensitive RoIAlign (Light-Head R-CNN): bin (p, q) of output channel c reads input channel (c h + p) w + q alone.

    Input (N, C h w, H, W), the rest as in `roi_align` with aligned=True. Returns (K, C, h, w).
    Raises ValueError when the channels are no multiple of h w.
    """
    op = "ps_roi_align"
    x, (h, w) = _feature_map(op, input), number_of_bins(op, output_size)
    if x.shape[1] % (h * w):
        raise ValueError(
            f"{op}: input {x.shape} has {x.shape[1]} channels, which must be a multiple of the {h} x {w} bins = {h * w}"
        )
    y = _aligned(op, x, boxes, (h, w), spatial_scale, sampling_ratio, aligned=True, reduction="mean")
    y = y.reshape(y.shape[0], x.shape[1] // (h * w), h, w, h, w)
    p, q = np.arange(h)[:, None], np.arange(w)
    xp = xp_of(x.array)
    p, q = xp.asarray(p), xp.asarray(q)
    return y[:, :, p, q, p, q]


def _regions(
    op: str, input: Any, boxes: Any, output_size: Any, spatial_scale: Any
) -> tuple[Tensor, np.ndarray, Tensor, tuple[int, int], float]:
    """The checked arguments: features, the image of each box (on the host), boxes (K, 4), the number of bins, and the scale."""
    x, size = _feature_map(op, input), number_of_bins(op, output_size)
    scale = positive(op, "spatial_scale", spatial_scale)
    images, corners = _from_list(op, x, boxes) if isinstance(boxes, (list, tuple)) else _from_rows(op, x, boxes)
    _check_corners(op, corners.array, scale)
    return x, images, corners, size, scale


def _feature_map(op: str, input: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    need_ndim(op, "input", x, (4,), "(N, C, H, W)")
    if 0 in x.shape[1:]:
        raise ValueError(f"{op}: input has shape {x.shape}; the feature map (C, H, W) must not be empty")
    return x


def number_of_bins(op: str, output_size: Any) -> tuple[int, int]:
    """`output_size` as (h, w)."""
    several, legal = isinstance(output_size, (tuple, list)), "a positive int, or two of them (h, w)"
    sizes = tuple(output_size) if several else (output_size,) * 2
    if len(sizes) != 2:
        raise ValueError(f"{op}: output_size={shown(output_size)} has {len(sizes)} entries, but must be {legal}")
    for n in sizes:
        if integer(op, "output_size", n, meaning=legal) < 1:
            raise ValueError(f"{op}: output_size={shown(output_size)} must be {legal}")
    return int(sizes[0]), int(sizes[1])


def _check_corners(op: str, corners: Array, scale: float) -> None:
    """Raise ValueError for coordinates that are not finite or absurdly large, and warn where a box ends before it begins."""
    finite = (abs(corners) < LARGEST / scale).all(axis=1)  # false for NaN
    inverted = (corners[:, 2:] < corners[:, :2]).any(axis=1)
    if bool((finite & ~inverted).all()):  # one answer from the GPU
        return
    rows, finite, inverted = to_numpy(corners), to_numpy(finite), to_numpy(inverted)
    if not finite.all():
        row = int(finite.argmin())
        raise ValueError(f"{op}: box {row} is {rows[row].tolist()}; coordinates must be finite, and below {LARGEST} once scaled")
    row = int(inverted.argmax())
    warnings.warn(
        f"{op}: box {row} is {rows[row].tolist()}, which ends before it begins; boxes are x1, y1, x2, y2: "
        "ops.box_convert(boxes, 'xywh', 'xyxy') turns sizes into corners",
        stacklevel=5,
    )


def _from_list(op: str, x: Tensor, boxes: Sequence[Any]) -> tuple[np.ndarray, Tensor]:
    per_image = [as_tensor(op, f"boxes[{n}]", b) for n, b in enumerate(boxes)]
    if len(per_image) != x.shape[0]:
        raise ValueError(f"{op}: boxes is a list of {len(per_image)}, but input {x.shape} has {x.shape[0]} images; give one each")
    for n, b in enumerate(per_image):
        if b.ndim != 2 or b.shape[1] != 4:
            raise ValueError(f"{op}: boxes[{n}] has shape {b.shape}, but must be (L, 4) as x1, y1, x2, y2; (0, 4) for no box")
    need_float(op, input=x, **{f"boxes[{n}]": b for n, b in enumerate(per_image)})
    images = np.repeat(np.arange(len(per_image)), [b.shape[0] for b in per_image])
    return images, cat(per_image) if per_image else Tensor._wrap(xp_of(x.array).zeros((0, 4), x.dtype))


def _from_rows(op: str, x: Tensor, boxes: Any) -> tuple[np.ndarray, Tensor]:
    rows = as_tensor(op, "boxes", boxes)
    if rows.ndim != 2 or rows.shape[1] != 5:
        raise ValueError(
            f"{op}: boxes has shape {rows.shape}, but must be (K, 5) rows of image index, x1, y1, x2, y2; or pass a list "
            "with one (L, 4) tensor per image"
        )
    need_float(op, input=x, boxes=rows)
    given = to_numpy(rows.array[:, 0])
    with np.errstate(invalid="ignore"):
        images = given.astype(np.int64)
    wrong = np.flatnonzero((images != given) | (images < 0) | (images >= x.shape[0]))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{op}: boxes[{row}, 0] = {given[row].item()} is not the index of one of the {x.shape[0]} images of input {x.shape}; "
            "rows are (image index, x1, y1, x2, y2)"
        )
    return images, rows[:, 1:]
