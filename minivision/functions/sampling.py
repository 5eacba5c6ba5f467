"""Random draws whose distribution is given by tensors; always on the host, so that a seed means the same on every device."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Array, Generator, default_generator, to_numpy, xp_of
from minivision.functions.operands import as_tensor, check_broadcast, float_tensor


def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Numbers drawn from normal distributions: one for each element of `mean` and `std` (broadcast), or `size` of one.

    Raises ValueError for a negative standard deviation.
    """
    m, s = as_tensor("normal", "mean", mean), as_tensor("normal", "std", std)
    check_broadcast("normal", [m.shape, s.shape])
    shape = np.broadcast_shapes(m.shape, s.shape) if size is None else tuple(size)
    if bool((s.array < 0).any()):
        raise ValueError("normal: std has negative values, but a standard deviation is at least 0")
    reference = m if isinstance(mean, Tensor) else s
    dtype = reference.dtype if reference.is_floating_point() else np.dtype(np.float32)
    draw = _rng(generator).normal(to_numpy(m.array), to_numpy(s.array), shape)
    return Tensor._wrap(_like(reference.array, np.asarray(draw, dtype)))


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that `input` holds (or `p` everywhere), else 0, in the shape and dtype of `input`."""
    x = float_tensor("bernoulli", "input", input)
    chance = to_numpy(x.array) if p is None else np.full(x.shape, p)
    if not bool(((chance >= 0) & (chance <= 1)).all()):
        raise ValueError("bernoulli: the probabilities must lie in 0 .. 1")
    return Tensor._wrap(_like(x.array, np.asarray(_rng(generator).random(x.shape) < chance, x.dtype)))


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """`num_samples` class numbers for each row of weights (classes,) or (rows, classes), int64; weights need not add up to 1.

    Raises ValueError for negative or all-zero weights, and when more are asked for than have weight, without `replacement`.
    """
    x = float_tensor("multinomial", "input", input)
    weights = to_numpy(x.array).astype(np.float64)
    if x.ndim not in (1, 2) or num_samples < 1 or not bool((weights >= 0).all()):
        raise ValueError(
            f"multinomial: input has shape {x.shape}; it must hold weights (classes,) or (rows, classes), none negative, and "
            f"num_samples={num_samples} must be positive"
        )
    rows = weights.reshape(-1, x.shape[-1])
    fewest = int((rows > 0).sum(axis=1).min(initial=x.shape[-1]))
    if fewest < (1 if replacement else num_samples):
        raise ValueError(f"multinomial: a row has {fewest} classes with weight, too few for {num_samples} samples")
    rng = _rng(generator)
    drawn = [rng.choice(len(w), num_samples, replacement, w / w.sum()) for w in rows]
    result = np.asarray(drawn, np.int64).reshape(*x.shape[:-1], num_samples)
    return Tensor._wrap(_like(x.array, result))


def _rng(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).rng


def _like(reference: Array, drawn: np.ndarray) -> Array:
    """What was drawn on the host, on the device of the reference."""
    return xp_of(reference).asarray(drawn)
