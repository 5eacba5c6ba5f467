"""Memory order. Shapes are always (N, C, *spatial); the memory underneath may be channels-last.

The spatial operations work on a channels-last *view*, so that copying a window moves whole runs of channels; what they return
is channels-last in memory, and elementwise operations keep it so.
"""

from __future__ import annotations

from collections.abc import Sequence

from minivision.backend import Array, xp_of

Pair = tuple[int, int]  # (before, after)


def channels_last(x: Array) -> Array:
    """(N, C, *spatial) -> (N, *spatial, C), as a view."""
    return x.transpose(0, *range(2, x.ndim), 1)


def channels_first(x: Array) -> Array:
    """(N, *spatial, C) -> (N, C, *spatial), as a view."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def lies_in_planes(x: Array) -> bool:
    """Whether in each image (C, *spatial) of x the channels lie one after the other, as in row-major memory."""
    expected = x.itemsize
    for n, step in zip(reversed(x.shape[1:]), reversed(x.strides[1:]), strict=True):
        if n > 1 and step != expected:
            return False
        expected *= n
    return True


def joined(x: Array, first: int, last: int) -> Array | None:
    """x with its axes first..last joined to one, as a view; None where they do not lie in memory as one."""
    for axis in range(first, last):
        if x.shape[axis] != 1 and x.strides[axis] != x.strides[axis + 1] * x.shape[axis + 1]:
            return None
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :]) if x.size else None


def copy_across(target: Array, source: Array) -> None:
    """`target[...] = source`, fast also where the last axis of one is the first of the other in memory.

    Such a copy jumps through the source. In slices of 16 of the target's last axis, 64 bytes of float32, what one jump fetches is
    still in the cache when the next value beside it is wanted.
    """
    if source.strides[-1] == source.itemsize or target.shape[-1] <= 16:
        target[...] = source
        return
    for start in range(0, target.shape[-1], 16):
        part = (..., slice(start, start + 16))
        target[part] = source[part]


def channel_sums(x: Array) -> Array:
    """(N, C, *size) -> (C,): the sum over everything but the channels.

    On channels-last memory it is a row of ones times a (positions, C) matrix, which BLAS does about twenty times faster than a
    reduction that steps over the channels.
    """
    rows = channels_last(x)
    if not rows.flags.c_contiguous:
        return x.sum(axis=(0, *range(2, x.ndim)))
    rows = rows.reshape(-1, x.shape[1]) if rows.size else rows.reshape(0, x.shape[1])
    return xp_of(x).ones(rows.shape[0], x.dtype) @ rows


def padded(x: Array, padding: Sequence[Pair], value: float = 0) -> Array:
    """x (N, *spatial, C) with `value` around the spatial axes; negative amounts crop. A copy only where something is added."""
    if any(amount < 0 for pair in padding for amount in pair):
        crop = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(padding, x.shape[1:-1], strict=True))
        x = x[(slice(None), *crop)]
        padding = [(max(a, 0), max(b, 0)) for a, b in padding]
    if not any(amount for pair in padding for amount in pair):
        return x
    xp = xp_of(x)
    size = [n + a + b for n, (a, b) in zip(x.shape[1:-1], padding, strict=True)]
    result = xp.full((x.shape[0], *size, x.shape[-1]), value, x.dtype)
    result[unpadded_region(padding, size)] = x
    return result


def unpadded_region(padding: Sequence[Pair], size: Sequence[int]) -> tuple[slice, ...]:
    """The index that takes the unpadded part out of a padded (N, *size, C) array."""
    return (slice(None), *(slice(a, n - b) for (a, b), n in zip(padding, size, strict=True)))
