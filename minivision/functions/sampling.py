"""Random draws whose distribution is given by tensors; always on the host, so that a seed means the same on every device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Array, Generator, to_numpy, xp_of
from minivision.functions.activation import softmax
from minivision.functions.operands import (
    LARGEST_ARRAY,
    as_tensor,
    axis,
    check_broadcast,
    check_flags,
    float_tensor,
    integer,
    lengths,
    need_float,
    number,
    rng_of,
)


def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Numbers drawn from normal distributions: one for each element of `mean` and `std` (broadcast), or `size` of one.

    Raises ValueError for a negative standard deviation.
    """
    m, s = as_tensor("normal", "mean", mean), as_tensor("normal", "std", std)
    name, reference = ("mean", m) if isinstance(mean, Tensor) or not isinstance(std, Tensor) else ("std", s)
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        need_float("normal", **{name: reference})
    check_broadcast("normal", [m.shape, s.shape], ("mean", "std"))
    shape = np.broadcast_shapes(m.shape, s.shape) if size is None else lengths("normal", "size", (size,), minimum=0)
    if size is not None and (m.ndim or s.ndim):
        raise ValueError(
            f"normal: size={shape} is for one distribution, but mean has shape {m.shape} and std {s.shape}, which give the shape"
        )
    if math.prod(shape) * 8 > LARGEST_ARRAY:
        raise ValueError(f"normal: size={shape} has {math.prod(shape)} elements, more than memory can address")
    if not bool((s.array >= 0).all()):
        raise ValueError("normal: std has negative values or NaN, but a standard deviation is at least 0")
    dtype = reference.dtype if reference.is_floating_point() else np.dtype(np.float32)
    draw = rng_of("normal", generator).normal(to_numpy(m.array), to_numpy(s.array), shape)
    return Tensor._wrap(_like(reference.array, np.asarray(draw, dtype)))


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that `input` holds (or `p` everywhere), else 0, in the shape and dtype of `input`."""
    x = float_tensor("bernoulli", "input", input) if p is None else as_tensor("bernoulli", "input", input)
    chance = to_numpy(x.array) if p is None else np.full(x.shape, number("bernoulli", "p", p), np.float64)
    if not bool(((chance >= 0) & (chance <= 1)).all()):
        name = "input has values" if p is None else "p is"
        span = f"{chance.min():.4g} .. {chance.max():.4g}" if p is None else p
        raise ValueError(f"bernoulli: {name} {span}, but probabilities must lie in 0 .. 1")
    return Tensor._wrap(_like(x.array, np.asarray(rng_of("bernoulli", generator).random(x.shape) < chance, x.dtype)))


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """`num_samples` class numbers for each row of weights (classes,) or (rows, classes), int64; weights need not add up to 1.

    Raises ValueError for negative or all-zero weights, and when more are asked for than have weight, without `replacement`.
    """
    op = "multinomial"
    x, count = float_tensor(op, "input", input), integer(op, "num_samples", num_samples, 1)
    check_flags(op, replacement=replacement)
    if x.ndim not in (1, 2):
        raise ValueError(f"{op}: input has shape {x.shape}, but must hold weights (classes,) or (rows, classes)")
    weights = to_numpy(x.array).astype(np.float64)
    if not bool(((weights >= 0) & np.isfinite(weights)).all()):
        raise ValueError(f"{op}: input of shape {x.shape} has weights that are negative, NaN or infinite; use softmax for logits")
    rows = weights.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    fewest = int((rows > 0).sum(axis=1).min(initial=x.shape[-1]))
    if fewest < (1 if replacement else count):
        way_out = "" if replacement or not fewest else ", unless replacement=True"
        raise ValueError(f"{op}: a row has {fewest} classes with weight, too few for {count} samples{way_out}")
    rng = rng_of(op, generator)
    drawn = [rng.choice(len(w), count, replacement, w / w.sum()) for w in rows]
    result = np.asarray(drawn, np.int64).reshape(*x.shape[:-1], count)
    return Tensor._wrap(_like(x.array, result))


def _like(reference: Array, drawn: np.ndarray) -> Array:
    """What was drawn on the host, on the device of the reference."""
    return xp_of(reference).asarray(drawn)


def gumbel_softmax(
    logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1, *, generator: Generator | None = None
) -> Tensor:
    """A draw from the classes along `dim` that has a gradient: softmax((logits + g) / tau), with Gumbel noise g = -ln(-ln u).

    The smaller tau, the nearer to one-hot. With `hard` the result is one-hot, with the gradient of the soft one. `eps` plays no
    part, as in PyTorch. Jang et al. 2017 (arXiv:1611.01144). Raises ValueError unless tau is positive.
    """
    op = "gumbel_softmax"
    x = float_tensor(op, "logits", logits)
    check_flags(op, hard=hard)
    tau = number(op, "tau", tau)
    if tau <= 0:
        raise ValueError(f"{op}: tau={tau} is a temperature and must be positive")
    along = axis(op, dim, x.shape)
    noise = Tensor._wrap(_like(x.array, np.asarray(rng_of(op, generator).gumbel(size=x.shape), x.dtype)))
    soft = softmax((x + noise) / tau, along)
    if not hard or not x.ndim or not x.numel():
        return soft
    winner = soft.array.argmax(axis=along, keepdims=True)
    one_hot = xp_of(x.array).zeros_like(soft.array)
    xp_of(x.array).put_along_axis(one_hot, winner, one_hot.dtype.type(1), axis=along)
    return soft + Tensor._wrap(one_hot - soft.array)
