"""Comparisons whose failures say in words what differs: the kind of object, the shape, the dtype, and then where and by how much.

    expect.equal("out", out, right)          # the same values, as for a maximum, a copy, indices
    expect.close("dx", dx, right)            # up to rounding
    expect.shape("out", out, (2, 3, 4, 5))
    expect.that(0 <= iou <= 1, f"an IoU lies between 0 and 1, but here it is {iou}")

Each raises AssertionError with one sentence. `right` decides the shape and the dtype. What the student returned is looked at as
plain numbers: objects that only claim to be equal to everything are no arrays, and are named as what they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

RTOL = 1e-7
_NUMBERS = (bool, int, float, complex)


def equal(name: str, actual: Any, expected: Any) -> None:
    """Every entry is the same number; NaN equals NaN, and -0 equals 0."""
    given, right = _comparable(name, actual, expected)
    same = (given == right) | ((given != given) & (right != right))
    if not same.all():
        raise AssertionError(_difference(name, given, right, ~same))


def close(name: str, actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Every entry is the same number up to rounding: |actual - expected| <= atol + rtol |expected|.

    Unless given, rtol is 1e-7 (1e-4 for float32), and atol is rtol times the largest expected number.
    """
    given, right = _comparable(name, actual, expected)
    if rtol is None:
        rtol = 1e-4 if right.dtype == np.float32 else RTOL
    size = np.abs(right[np.isfinite(right)]).max(initial=0.0) if right.dtype.kind in "fc" else np.abs(right).max(initial=0)
    limit = (rtol * size if atol is None else atol) + rtol * np.abs(right)
    with np.errstate(all="ignore"):
        same = (given == right) | ((given != given) & (right != right))
        same |= np.isfinite(right) & (np.abs(_float(given) - _float(right)) <= limit)
    if not same.all():
        raise AssertionError(_difference(name, given, right, ~same))


def shape(name: str, actual: Any, expected: tuple[int, ...]) -> None:
    """An array of this shape; None stands for any length."""
    given = array(name, actual)
    fits = given.ndim == len(expected) and all(n in (None, m) for n, m in zip(expected, given.shape, strict=True))
    if not fits:
        wanted = str(tuple(expected)).replace("None", "any")
        raise AssertionError(f"{name} has shape {given.shape} where {wanted} is right{_axes(given.ndim, len(expected))}")


def that(condition: Any, sentence: str) -> None:
    """The condition is true; `sentence` says what is wrong if it is not."""
    if type(condition) not in (bool, np.bool_):
        raise TypeError(f"expect.that: the condition is {_kind(condition)}, but must be True or False; use .all() or .any()")
    if not condition:
        raise AssertionError(sentence)


def array(name: str, actual: Any) -> np.ndarray:
    """What the student returned, as a plain array; AssertionError unless it is an array or a number."""
    kind = type(actual)
    if kind is np.ndarray:
        return actual
    if kind in _NUMBERS or (isinstance(actual, np.generic) and kind.__module__ == "numpy"):
        return np.array(actual)
    advice = ""
    if actual is None:
        advice = "; does the function end with return?"
    elif kind in (tuple, list):
        advice = f" of {len(actual)} entries; return np.array(...)" if kind is list else f" of {len(actual)} entries"
    elif kind.__name__ == "Tensor":
        advice = "; this exercise is about arrays: use tensor.numpy()"
    raise AssertionError(f"{name} is {_kind(actual)} where a NumPy array is right{advice}")


def _comparable(name: str, actual: Any, expected: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, after shape and dtype were compared. A plain number stands for an array without axes."""
    right = np.asarray(expected)
    given = array(name, actual)
    if given.shape != right.shape:
        raise AssertionError(f"{name} has shape {given.shape} where {right.shape} is right{_axes(given.ndim, right.ndim)}")
    wrong_kind = given.dtype.kind != right.dtype.kind and not {given.dtype.kind, right.dtype.kind} <= {"i", "u"}
    # plain numbers have no choice of precision, and an int is as good as the float of its value
    plain = type(actual) in _NUMBERS or not isinstance(expected, (np.ndarray, np.generic))
    if plain and right.ndim == 0 and {given.dtype.kind, right.dtype.kind} <= {"i", "u", "f"}:
        return given, right
    if wrong_kind or (right.dtype.kind in "fc" and given.dtype != right.dtype):
        advice = ""
        if right.dtype.kind == "f" and given.dtype.kind == "f":
            advice = "; give the dtype of the input to what you allocate: np.zeros(shape, x.dtype), np.zeros_like(x)"
        raise AssertionError(f"{name} is {given.dtype} where {right.dtype} is right{advice}")
    return given, right


def _axes(given: int, right: int) -> str:
    if given == right:
        return ""
    return f" ({given} {'axis' if given == 1 else 'axes'} in place of {right})"


def _difference(name: str, given: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> str:
    """`out differs in 12 of 60 entries, only in the last row; at [0, 1, 2] it is 0.3 where 0.7 is right`, and what it is like."""
    if given.ndim == 0:
        return f"{name} is {_number(given[()])} where {_number(right[()])} is right{_resembles(given, right)}"
    count, where = int(wrong.sum()), _places(wrong)
    with np.errstate(all="ignore"):
        size = np.abs(_float(given) - _float(right))
    size = np.where(wrong, np.where(np.isfinite(size), size, np.inf), -1.0)
    at = tuple(int(i) for i in np.unravel_index(int(size.argmax()), size.shape))
    share = f"in all {count} entries" if count == wrong.size else f"in {count} of {wrong.size} entries"
    if wrong.size == 1:
        share = "in its only entry"
    index = ", ".join(map(str, at))
    text = f"{name} differs {share}{where}; at [{index}] it is {_number(given[at])} where {_number(right[at])} is right"
    return text + _resembles(given, right)


def _float(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def _number(value: Any) -> str:
    value = value.item()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _places(wrong: np.ndarray) -> str:
    """Where the wrong entries lie, if there is a pattern: `, only in the last row`."""
    if wrong.all():
        return ""
    slices = []
    for axis in range(wrong.ndim - 1, -1, -1):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        bad = np.flatnonzero(wrong.any(axis=others)).tolist()
        if len(bad) < wrong.shape[axis] and len(bad) <= max(1, wrong.shape[axis] // 2):
            slices.append((len(bad), f", only {_slice(axis, wrong.ndim, bad, wrong.shape[axis])}"))
    for count, words in slices:
        if count == 1:
            return words
    if wrong.ndim >= 2:
        border = np.zeros(wrong.shape, bool)
        border[..., [0, -1], :] = True
        border[..., [0, -1]] = True
        if not (wrong & ~border).any() and not border.all():
            return ", only at the border of the last two axes"
        if not (wrong & border).any():
            return ", only inside, not at the border of the last two axes"
    return min(slices)[1] if slices else ""


def _slice(axis: int, ndim: int, which: list[int], length: int) -> str:
    named = {ndim - 1: "column", ndim - 2: "row"} if ndim >= 2 else {0: "entry"}
    if ndim >= 4:
        named |= {0: "sample", 1: "channel"}
    what = named.get(axis)
    if what and which == [0]:
        return f"in the first {what}"
    if what and which == [length - 1]:
        return f"in the last {what}"
    listed = ", ".join(map(str, which)) if len(which) <= 5 else f"{which[0]} to {which[-1]}"
    return (
        f"where index {axis} is {listed}" if not what or what == "entry" else f"in {what}{'s' if len(which) > 1 else ''} {listed}"
    )


def _resembles(given: np.ndarray, right: np.ndarray) -> str:
    """What the wrong result is, if it is the right one changed as a whole: its sign, a factor, turned round, transposed."""
    if (
        given.dtype.kind not in "fiu"
        or right.dtype.kind not in "fiu"
        or not (np.isfinite(given).all() and np.isfinite(right).all())
    ):
        return ""
    given, right = _float(given), _float(right)
    scale = np.abs(right).max(initial=0.0)
    if scale == 0:
        return ""
    if not given.any():
        return " (it is 0 everywhere)" if given.size > 1 else ""

    def is_it(candidate: np.ndarray) -> bool:
        return candidate.shape == given.shape and bool((np.abs(given - candidate) <= 1e-6 * scale).all())

    if is_it(-right):
        return " (everywhere the sign is wrong)" if right.size > 1 else " (the sign is wrong)"
    if right.size > 1:
        factor = float((given * right).sum() / (right * right).sum())
        if is_it(factor * right) and factor:
            inverse = 1 / factor
            return (
                f" (it is {factor:.4g} times the right result)"
                if abs(factor) >= 1 or round(inverse) != inverse
                else f" (it is the right result divided by {inverse:.4g})"
            )
    for axes, words in (((-1,), "mirrored left to right"), ((-2,), "upside down"), ((-2, -1), "turned by 180 degrees")):
        if right.ndim >= len(axes) and right.ndim >= -min(axes) and is_it(np.flip(right, axes)):
            return f" (it is the right result {words})"
    if right.ndim >= 2 and is_it(np.swapaxes(right, -1, -2)):
        return " (it is the right result with its last two axes exchanged)"
    return ""


def _kind(value: Any) -> str:
    """`a list`, `an int`, `None`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
