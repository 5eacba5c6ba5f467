"""What a sample says about its distribution: quantiles, the mode, covariance and correlation, counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Array, check_same_device, xp_of
from minivision.functions.arithmetic import sqrt, where
from minivision.functions.clamping import clamp
from minivision.functions.elementwise import lerp
from minivision.functions.gathering import gather
from minivision.functions.linear import matmul
from minivision.functions.operands import as_tensor, axis, check_choice, integer, need_float, need_same_device, promoted
from minivision.functions.rearranging import movedim
from minivision.functions.reduction import ValuesIndices
from minivision.functions.reduction import sum as sum_
from minivision.functions.shape import reshape
from minivision.functions.sorting import Median, _selected, _Selection, sort

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


class NanMedianAlong(_Selection):
    """y = the middle one of the values along an axis that are not NaN, of two the smaller; NaN where there is none"""

    def locate(self, x: Array) -> Array:
        xp = xp_of(x)
        numbers = (x == x).sum(axis=self.axis, keepdims=True)
        rank = (xp.maximum(numbers, 1) - 1) // 2  # NaN is sorted to the end
        return xp.take_along_axis(self.order(x), rank, axis=self.axis)


class NanMedian(Median):
    """y = the middle one of all values that are not NaN, of two the smaller;  values that equal it share the gradient evenly"""

    def middle(self, x: Array) -> Array:
        return NanMedianAlong(0).forward(x)[0]


class Mode(_Selection):
    """y = the most frequent value along an axis, of several the smallest, and the last place where it stands"""

    def locate(self, x: Array) -> Array:
        xp = xp_of(x)
        order = self.order(x)
        y = xp.take_along_axis(x, order, axis=self.axis)
        shape = [-1 if a == self.axis else 1 for a in range(x.ndim)]
        place = xp.zeros(x.shape, np.int64) + xp.arange(x.shape[self.axis]).reshape(shape)
        # in the sorted values a run of equal ones starts where the value differs from the one before
        starts = xp.ones(x.shape, bool)
        later, earlier = self.section(y, 1, x.shape[self.axis]), self.section(y, 0, x.shape[self.axis] - 1)
        starts[(slice(None),) * self.axis + (slice(1, None),)] = later != earlier
        first = self.running_maximum(xp.where(starts, place, 0))
        length = place - first + 1  # of the run up to here: the longest ends where this is largest
        longest = length.max(axis=self.axis, keepdims=True)
        at_end = xp.expand_dims((length == longest).argmax(axis=self.axis), self.axis)
        return xp.take_along_axis(order, at_end, axis=self.axis)

    def running_maximum(self, places: Array) -> Array:
        """At each place the largest number up to there."""
        xp, reach = xp_of(places), 1
        while reach < places.shape[self.axis]:
            head = self.section(places, 0, reach)
            rest = xp.maximum(
                self.section(places, reach, places.shape[self.axis]),
                self.section(places, 0, places.shape[self.axis] - reach),
            )
            places = xp.concatenate([head, rest], axis=self.axis)
            reach *= 2
        return places


# ---- what users call: order ----


def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """As `median`, of the values that are not NaN; NaN where there is none."""
    x = as_tensor("nanmedian", "input", input)
    if dim is None:
        return NanMedian()(x) if x.numel() else Tensor._wrap(xp_of(x.array).full((), float("nan"), x.dtype))
    if not (x.shape or (1,))[axis("nanmedian", dim, x.shape)]:
        raise IndexError(f"nanmedian: axis {dim} of input {x.shape} has no elements, and nothing has no median")
    return _selected("nanmedian", NanMedianAlong, x, dim, keepdim)


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """(values, indices) of the most frequent value along `dim`, of several the smallest; the index is its last place."""
    x = as_tensor("mode", "input", input)
    if not (x.shape or (1,))[axis("mode", dim, x.shape)]:
        raise IndexError(f"mode: axis {dim} of input {x.shape} has no elements, and nothing has no mode")
    return _selected("mode", Mode, x, dim, keepdim)


def quantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """The value below which the share q of the values along `dim` (or of all) lies: at place q (n - 1) of the sorted ones.

    Parameters
    ----------
    q: a number, or a vector (k,) of them, in 0 .. 1. Results for a vector stand along a new first axis.
    interpolation: what holds between two places: "linear", "lower", "higher", "midpoint" or "nearest".

    NaN where the values contain one. Raises ValueError for q out of range and for an empty input, TypeError for integers.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, skip_nan=False)


def nanquantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """As `quantile`, of the values that are not NaN; NaN where there is none."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, skip_nan=True)


def _quantile(op: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool) -> Tensor:
    x = as_tensor(op, "input", input)
    share = q if isinstance(q, Tensor) else Tensor._wrap(xp_of(x.array).asarray(q, x.dtype))
    need_float(op, input=x, q=share)
    check_choice(op, "interpolation", interpolation, INTERPOLATIONS)
    if share.ndim > 1:
        raise ValueError(f"{op}: q has shape {share.shape}, but must be a number or a vector")
    if share.numel() and not bool(((share.array >= 0) & (share.array <= 1)).all()):
        raise ValueError(f"{op}: q has values {float(share.array.min()):g} .. {float(share.array.max()):g}, but legal are 0 .. 1")
    along = 0 if dim is None else axis(op, dim, x.shape)
    rows = reshape(x, -1) if dim is None or not x.ndim else movedim(x, along, -1)  # (..., n)
    if not rows.shape[-1]:
        raise ValueError(f"{op}: input {x.shape} has no values along {'any axis' if dim is None else f'dim {dim}'}")
    ordered = sort(rows, -1).values

    # the places between the sorted values, and the values on both sides of them: (..., k)
    unknown = rows.array != rows.array
    count = (~unknown).sum(axis=-1, keepdims=True)
    last = xp_of(x.array).maximum(count - 1, 0).astype(x.dtype)
    place = reshape(share, -1) * Tensor._wrap(last)
    if not skip_nan:  # NaN is sorted to the end
        place = where(Tensor._wrap(unknown.any(axis=-1, keepdims=True)), float(rows.shape[-1] - 1), place)
    y = _between(ordered, place, interpolation)

    y = movedim(y, -1, 0) if share.ndim else y.squeeze(-1)
    if keepdim:
        kept = [1 if dim is None or a == along else n for a, n in enumerate(x.shape)]
        y = reshape(y, (*share.shape, *kept))
    return y


def _between(ordered: Tensor, place: Tensor, interpolation: str) -> Tensor:
    """The values at places along the last axis that need not be whole."""
    xp = xp_of(place.array)
    if interpolation in ("lower", "higher", "nearest"):
        rounding = {"lower": xp.floor, "higher": xp.ceil, "nearest": xp.rint}[interpolation]
        return gather(ordered, -1, Tensor._wrap(rounding(place.array).astype(np.int64)))
    below = Tensor._wrap(xp.floor(place.array))
    above = Tensor._wrap(xp.ceil(place.array).astype(np.int64))
    weight: Any = 0.5 if interpolation == "midpoint" else place - below
    if interpolation == "midpoint":
        weight = Tensor._wrap(xp.where(xp.ceil(place.array) == below.array, 0.0, 0.5).astype(place.dtype))
    return lerp(gather(ordered, -1, below.to(np.int64)), gather(ordered, -1, above), weight)


# ---- what users call: variables that vary together ----


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """The covariance matrix of variables (rows) over observations (columns): (variables, variables); a number for one variable.

    Parameters
    ----------
    correction: the sum of squares is divided by the number of observations minus this.
    fweights: (observations,) integers, how often each observation occurs.
    aweights: (observations,) floats, how much each observation counts.
    """
    op = "cov"
    x = promoted(op, input)
    if x.ndim > 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (variables, observations) or (observations,)")
    rows = reshape(x, 1, -1) if x.ndim < 2 else x
    weights = _observation_weights(op, rows, fweights, aweights)
    if weights is None:
        count: Any = rows.shape[1]
        mean = sum_(rows, 1, keepdim=True) / max(count, 1)
        degrees: Any = max(count - correction, 0)
        centred = scaled = rows - mean
    else:
        w, a = weights
        total = sum_(w)
        mean = sum_(rows * w, 1, keepdim=True) / total
        # aweights say how reliable an observation is, so that fewer of them count: West 1979
        degrees = total - correction if a is None or correction == 0 else total - correction * sum_(w * a) / total
        degrees = clamp(degrees, min=0)
        centred = rows - mean
        scaled = centred * w
    product = matmul(scaled, centred.T) / degrees  # (V, N) @ (N, V) -> (V, V)
    return product if rows.shape[0] != 1 else reshape(product, ())


def _observation_weights(op: str, rows: Tensor, fweights: Any, aweights: Any) -> tuple[Tensor, Tensor | None] | None:
    """The weight of each observation, and aweights by themselves, both of the dtype of the data."""
    found: list[Tensor | None] = []
    for name, value, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        w = None if value is None else as_tensor(op, name, value)
        if w is not None:
            need_same_device(op, input=rows, **{name: w})
            if w.dtype.kind not in kinds:
                raise TypeError(f"{op}: {name} is {w.dtype}, but must hold {'integers' if kinds == 'iu' else 'floats'}")
            if w.shape != (rows.shape[1],):
                raise ValueError(f"{op}: {name} has shape {w.shape}, but input has {rows.shape[1]} observations")
            if bool((w.array < 0).any()):
                raise ValueError(f"{op}: {name} has negative values, but a weight is at least 0")
            w = w.to(rows.dtype)
        found.append(w)
    frequency, reliability = found
    if frequency is None and reliability is None:
        return None
    if frequency is None:
        assert reliability is not None
        return reliability, reliability
    return frequency if reliability is None else frequency * reliability, reliability


def corrcoef(input: Any) -> Tensor:
    """The correlation, in -1 .. 1, of each two variables (rows) over observations (columns): `cov` over standard deviations."""
    x = promoted("corrcoef", input)
    if x.ndim > 2:
        raise ValueError(f"corrcoef: input has shape {x.shape}, but must be (variables, observations) or (observations,)")
    c = cov(x)
    if not c.ndim:
        return c / c
    deviation = sqrt(c.diagonal())
    return clamp(c / reshape(deviation, -1, 1) / deviation, -1, 1)


# ---- what users call: counts, without gradient ----


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each number 0 .. max occurs in a vector of integers, or the sum of the `weights` at its places.

    At least `minlength` counts, int64; with weights float64, or float32 for those. A confusion matrix is the
    `bincount` of classes * target + prediction. Raises ValueError for negative numbers.
    """
    op = "bincount"
    x = as_tensor(op, "input", input)
    minlength = integer(op, "minlength", minlength, minimum=0)
    if x.dtype.kind not in "iu" or x.ndim != 1:
        raise TypeError(f"{op}: input is {x.dtype} {x.shape}, but must be a vector of integers; use .long() and .flatten()")
    if x.numel() and int(x.array.min()) < 0:
        raise ValueError(f"{op}: input has negative values, the smallest {int(x.array.min())}; only 0, 1, 2, .. can be counted")
    xp = xp_of(x.array)
    if weights is None:
        return Tensor._wrap(xp.bincount(x.array.astype(np.int64), minlength=minlength).astype(np.int64))
    w = as_tensor(op, "weights", weights)
    check_same_device(op, {"input": x.array, "weights": w.array})
    if w.shape != x.shape:
        raise ValueError(f"{op}: weights have shape {w.shape}, but input has {x.shape}; each number needs a weight")
    dtype = w.dtype if w.dtype == np.float32 else np.dtype(np.float64)
    if not x.numel():
        return Tensor._wrap(xp.zeros(minlength, dtype))
    sums = xp.bincount(x.array.astype(np.int64), weights=w.array.astype(np.float64), minlength=minlength)
    return Tensor._wrap(sums.astype(dtype))


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many values lie in each of `bins` equal parts of min .. max; those outside do not count. In the dtype of the input.

    The upper border belongs to the last part. With min = max = 0 the range is that of the values.
    """
    op = "histc"
    x = as_tensor(op, "input", input)
    bins = integer(op, "bins", bins, minimum=1)
    need_float(op, input=x)
    values = x.array.reshape(-1)
    low, high = float(min), float(max)
    if low == high and values.size:
        low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ValueError(f"{op}: the range {low:g} .. {high:g} must be finite, with min at most max")
    xp = xp_of(values)
    inside = values[(values >= low) & (values <= high)]
    place = ((inside - x.dtype.type(low)) * bins / x.dtype.type(high - low)).astype(np.int64)
    counts = xp.bincount(xp.minimum(place, bins - 1), minlength=bins)
    return Tensor._wrap(counts.astype(x.dtype))
