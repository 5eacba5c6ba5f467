"""Interpolation along one axis as a sparse matrix: each output position is a weighted sum of a few input positions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.layout import joined
from minivision.memory import scratch


class Run(NamedTuple):
    """Outputs at equal distances whose sources are at equal distances too, so that slices reach them all at once."""

    outputs: range
    sources: tuple[range, ...]  # for each tap
    weights: tuple[float | np.ndarray, ...]  # for each tap: one for all outputs, or one each


class Band(NamedTuple):
    """Neighbouring outputs, and the few neighbouring sources that they need, as a small dense matrix."""

    outputs: slice
    sources: slice
    matrix: np.ndarray  # (outputs, sources)


@dataclass(frozen=True, eq=False)
class AxisMatrix:
    """A sparse (out, in) matrix, row by row: y[j] = sum over t of weights[j, t] * x[sources[j, t]].

    What it does to an axis is computed in one of three ways: `apply` gathers tap by tap; `apply_into` adds up taps run by run,
    where slices do the gathering; and `multiply_into` cuts the matrix into bands. Its weights lie around the diagonal, so that a
    few outputs need few sources, and BLAS takes the zeros between them along faster than NumPy leaves them out.
    """

    sources: np.ndarray  # (out, taps) int
    weights: np.ndarray  # (out, taps) float64
    columns: int  # the input length

    def dense(self) -> np.ndarray:
        """The (out, in) matrix written out."""
        matrix = np.zeros((len(self.sources), self.columns))
        np.add.at(matrix, (np.arange(len(self.sources))[:, None], self.sources), self.weights)
        return matrix

    def transposed(self) -> AxisMatrix:
        """The (in, out) matrix: which outputs each input took part in."""
        return self._transposed

    @functools.cached_property
    def _transposed(self) -> AxisMatrix:
        j, t = np.nonzero(self.weights)
        source, weight = self.sources[j, t], self.weights[j, t]
        order = np.argsort(source, kind="stable")
        j, source, weight = j[order], source[order], weight[order]
        uses = np.bincount(source, minlength=self.columns)
        place = np.arange(len(source)) - np.repeat(np.cumsum(uses) - uses, uses)  # 0, 1, ... within each source
        sources = np.zeros((self.columns, max(uses.max(initial=0), 1)), np.int64)
        weights = np.zeros(sources.shape)
        sources[source, place], weights[source, place] = j, weight
        return AxisMatrix(sources, weights, len(self.sources))

    @functools.cached_property
    def runs(self) -> list[Run]:
        """The rows of the matrix in as few runs as possible. Enlarging by 2, all even outputs are one run, but for the border."""
        return min((self._runs_of_every(step) for step in range(1, 9)), key=len)

    def _runs_of_every(self, step: int) -> list[Run]:
        runs = []
        for phase in range(min(step, len(self.sources))):
            sources, weights = self.sources[phase::step], self.weights[phase::step]
            moves = np.diff(sources, axis=0)
            start = 0
            while start < len(sources):
                stop = start + 1
                if start < len(moves) and (moves[start] >= 0).all():
                    same = (moves[start:] == moves[start]).all(axis=1)
                    stop += len(same) if same.all() else int(same.argmin())
                count = stop - start
                distances = moves[start] if count > 1 else np.ones(sources.shape[1], np.int64)
                runs.append(
                    Run(
                        range(phase + start * step, phase + (stop - 1) * step + 1, step),
                        tuple(
                            range(s, s + (count - 1) * d + 1, d) if d else range(s, s + 1)
                            for s, d in zip(sources[start].tolist(), distances.tolist(), strict=True)
                        ),
                        tuple(w[0].item() if (w == w[0]).all() else w for w in weights[start:stop].T),
                    )
                )
                start = stop
        return runs

    @functools.cached_property
    def bands(self) -> list[Band]:
        """The matrix in bands of at most 32 outputs that need at most 40 sources; empty where so few outputs need more."""
        counts = self.weights != 0
        first = np.where(counts, self.sources, self.columns).min(axis=1, initial=self.columns)
        last = np.where(counts, self.sources, -1).max(axis=1, initial=-1)
        bands, start = [], 0
        while start < len(first):
            low, high, stop = first[start], last[start], start + 1
            while stop < min(start + 32, len(first)) and max(high, last[stop]) - min(low, first[stop]) < 40:
                low, high, stop = min(low, first[stop]), max(high, last[stop]), stop + 1
            matrix = np.zeros((stop - start, max(int(high) + 1 - int(low), 0)))
            j, tap = np.nonzero(counts[start:stop])
            np.add.at(matrix, (j, self.sources[start + j, tap] - low), self.weights[start + j, tap])
            bands.append(Band(slice(start, stop), slice(int(low), int(low) + matrix.shape[1]), matrix))
            start = stop
        return bands if len(bands) * 8 <= len(first) + 7 else []

    @functools.cached_property
    def _bands_by_kind(self) -> dict[str, list[Band]]:
        return {}

    def bands_in(self, kind: str) -> list[Band]:
        """The bands in a dtype."""
        if kind not in self._bands_by_kind:
            self._bands_by_kind[kind] = [band._replace(matrix=band.matrix.astype(kind)) for band in self.bands]
        return self._bands_by_kind[kind]

    def multiply_into(self, y: np.ndarray, x: np.ndarray, axis: int, rows: slice) -> None:
        """`y[...] = apply(x, axis, rows)`, band by band; for finite x, since infinity times one of the zeros is no number."""
        innermost = axis == x.ndim - 1
        # the axes before the innermost one are rows of one matrix; those behind another one are columns
        together = (0, axis - 1) if innermost else (axis + 1, x.ndim - 1)
        if together[0] < together[1]:
            joined_x, joined_y = joined(x, *together), joined(y, *together)
            if joined_x is not None and joined_y is not None:
                x, y = joined_x, joined_y
            elif not innermost:
                x, y = np.moveaxis(x, axis, -2), np.moveaxis(y, axis, -2)
        for outputs, sources, matrix in self.bands_in(x.dtype.char):
            start, stop = max(outputs.start, rows.start), min(outputs.stop, rows.stop)
            if start >= stop:
                continue
            part, to = matrix[start - outputs.start : stop - outputs.start], slice(start - rows.start, stop - rows.start)
            if innermost:
                np.matmul(x[..., sources], part.T, out=y[..., to])
            else:
                np.matmul(part, x[..., sources, :], out=y[..., to, :])

    def apply(self, x: Array, axis: int, rows: slice | None = None) -> Array:
        """The matrix, or these rows of it, times x along one axis: tap by tap, each a gathered copy."""
        xp, sources, weights = xp_of(x), self.sources, self.weights
        if rows is not None:
            sources, weights = sources[rows], weights[rows]
        along = [-1 if i == axis else 1 for i in range(x.ndim)]
        y = None
        for tap in range(sources.shape[1]):
            taken = xp.take(x, xp.asarray(sources[:, tap]), axis=axis)
            if (weights[:, tap] != 1).any():
                taken *= xp.asarray(weights[:, tap].astype(x.dtype)).reshape(along)
            y = taken if y is None else y.__iadd__(taken)
        return y

    def apply_into(self, y: np.ndarray, x: np.ndarray, axis: int, rows: slice) -> None:
        """`y[...] = apply(x, axis, rows)`, run by run, without gathering; if the runs are so long that it pays."""
        beside = x.size // x.shape[axis]
        if len(self.runs) * SHORTEST > len(self.sources) * beside:
            y[...] = self.apply(x, axis, rows)
            return
        before = (slice(None),) * axis
        for run in self.runs:
            outputs = run.outputs
            first = max(0, -((outputs.start - rows.start) // outputs.step))
            count = min(len(outputs), -((outputs.start - rows.stop) // outputs.step)) - first
            if count <= 0:
                continue
            start = outputs[first] - rows.start
            part = y[(*before, slice(start, start + (count - 1) * outputs.step + 1, outputs.step))]
            # NumPy works best on long runs of memory: where the outputs are not next to each other, one copy at the end
            beside_each_other = outputs.step == 1 or axis == 0 or part[0, 0].flags.c_contiguous
            total = part if beside_each_other else scratch("sum of taps", part.shape, y.dtype)
            for tap, sources in enumerate(run.sources):
                within = sources[first : first + count] if len(sources) > 1 else sources
                source = x[(*before, slice(within[0], within[-1] + 1, within.step))]
                weight, share = run.weights[tap], total if tap == 0 else scratch("tap", part.shape, y.dtype)
                if isinstance(weight, np.ndarray):
                    each = weight[first : first + count].astype(x.dtype)
                    np.multiply(source, each.reshape(-1, *(1,) * (x.ndim - axis - 1)), out=share)
                elif weight == 1:
                    share[...] = source
                else:
                    np.multiply(source, weight, out=share)
                if tap:
                    total += share
            if total is not part:
                part[...] = total


SHORTEST = 1 << 11  # elements that a run has to have, on average, to be worth its calls


def nearest_weights(size: int, out: int, scale: float | None = None) -> AxisMatrix:
    """Output j takes input floor(j in/out), or floor(j / scale)."""
    j = np.arange(out)
    return _one_source(j * size // out if scale is None else _scaled_down(j, scale), size)


def nearest_exact_weights(size: int, out: int, scale: float | None = None) -> AxisMatrix:
    """Output j takes the input under its centre, floor((j + 1/2) in/out), or floor((j + 1/2) / scale)."""
    j = np.arange(out)
    return _one_source((2 * j + 1) * size // (2 * out) if scale is None else _scaled_down(j + 0.5, scale), size)


def _scaled_down(position: np.ndarray, scale: float) -> np.ndarray:
    """floor(position / scale), in single precision as in PyTorch: where it is nearly an integer, rounding decides."""
    return np.floor(position.astype(np.float32) * np.float32(1 / scale)).astype(np.int64)


def _one_source(sources: np.ndarray, size: int) -> AxisMatrix:
    return AxisMatrix(np.minimum(sources, size - 1)[:, None], np.ones((len(sources), 1)), size)


def source_positions(size: int, out: int, align_corners: bool, scale: float | None = None) -> np.ndarray:
    """Where each output pixel lies in the input.

    align_corners=False: pixels are cells, src = (j + 1/2) in/out - 1/2, or (j + 1/2) / scale - 1/2. align_corners=True: pixels
    are points, src = j (in - 1) / (out - 1), and a single output pixel is the first point.
    """
    j, step = np.arange(out), _step(size, out, align_corners, scale)
    return j * step if align_corners else (j + 0.5) * step - 0.5


def _step(size: int, out: int, align_corners: bool, scale: float | None) -> float:
    """How far apart the positions of two output pixels are in the input."""
    if align_corners:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return size / out if scale is None else 1 / scale


def linear_weights(size: int, out: int, align_corners: bool = False, scale: float | None = None) -> AxisMatrix:
    """Output j lies at `src` between two inputs, which share it: 1 - t for the left one, t for the right one.

    Positions outside the first and last centre take the border value.
    """
    source = np.maximum(source_positions(size, out, align_corners, scale), 0)
    left = np.minimum(np.floor(source).astype(np.int64), size - 1)
    right = np.minimum(left + 1, size - 1)
    t = np.where(right == left, 0.0, source - left)
    return AxisMatrix(np.stack([left, right], axis=1), np.stack([1 - t, t], axis=1), size)


def keys_kernel(t: Array, a: float) -> Array:
    """The cubic convolution kernel: (a+2)|t|^3 - (a+3)t^2 + 1 up to 1, a(|t|^3 - 5t^2 + 8|t| - 4) up to 2, then 0.

    R. Keys, Cubic convolution interpolation for digital image processing (1981). It is 1 at 0 and 0 at every other integer, so
    the pixels themselves are kept; a = -1/2 reproduces quadratics, a = -3/4 (PyTorch, OpenCV) is sharper and does not.
    """
    xp, d = xp_of(t), abs(t)
    inner = ((a + 2) * d - (a + 3)) * d * d + 1
    outer = a * (((d - 5) * d + 8) * d - 4)
    return xp.where(d <= 1, inner, outer * (d < 2))


def keys_slope(t: Array, a: float) -> Array:
    """The derivative of `keys_kernel` to t."""
    xp, d = xp_of(t), abs(t)
    inner = (3 * (a + 2) * d - 2 * (a + 3)) * d
    outer = a * ((3 * d - 10) * d + 8)
    return xp.sign(t) * xp.where(d <= 1, inner, outer * (d < 2))


def cubic_weights(size: int, out: int, align_corners: bool = False, scale: float | None = None) -> AxisMatrix:
    """Output j takes the four inputs around its position, by Keys' kernel with a = -3/4; the border pixel is repeated outwards.

    Unlike the linear one, the position itself is not clamped.
    """
    source = source_positions(size, out, align_corners, scale)
    near = np.floor(source).astype(np.int64)[:, None] + np.arange(-1, 3)
    return AxisMatrix(np.clip(near, 0, size - 1), keys_kernel(source[:, None] - near, -0.75), size)


def triangle_kernel(t: np.ndarray) -> np.ndarray:
    """1 - |t| up to 1, then 0: linear interpolation as a kernel."""
    return np.maximum(1 - np.abs(t), 0)


def antialiased_weights(
    size: int, out: int, kernel: Callable[[np.ndarray], np.ndarray], reach: int, align_corners: bool = False,
    scale: float | None = None,
) -> AxisMatrix:  # fmt: skip
    """Output j averages the inputs around its centre c by a kernel of half-width `reach`, widened by in/out when shrinking.

    weight[i] ~ kernel((i + 1/2 - c) / max(in/out, 1)), each row divided by its sum. Inputs outside the image are left out. So
    every input pixel counts, as in Pillow, where plain interpolation skips the pixels between its two or four.
    """
    step = _step(size, out, align_corners, scale)
    widening = max(step, 1.0)
    centre = step * (np.arange(out) + 0.5)
    first = np.maximum((centre - reach * widening + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + reach * widening + 0.5).astype(np.int64), size)
    sources = first[:, None] + np.arange(max((stop - first).max(), 1))
    weights = np.where(sources < stop[:, None], kernel((sources + 0.5 - centre[:, None]) / widening), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return AxisMatrix(np.minimum(sources, size - 1), weights / np.where(total == 0, 1, total), size)
