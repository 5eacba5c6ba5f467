"""The adjoint test: is one linear operation the transpose of another?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import to_device
from minivision.check.numerical import as_numpy
from minivision.functions.operands import shown

Shape = tuple[int, ...]
Apply = Callable[[np.ndarray], np.ndarray]

MATRIX_UP_TO = 4000  # entries of x and y together, for the hint


@dataclass(frozen=True)
class AdjointReport:
    """What `adjoint` found; true in an `if` or `assert` when the two numbers agree.

    Attributes
    ----------
    left, right: <A x, y> and <x, A^T y>.
    relative_difference: |left - right| / max(|A x| |y|, |x| |A^T y|), the share of what the products could have been.
    tolerance: the largest difference that passes.
    x_shape, y_shape: of the input of A and of its output.
    hint: where the two do not agree, what to look at: a constant factor, or the weight that differs most.
    """

    left: float
    right: float
    relative_difference: float
    tolerance: float
    x_shape: Shape
    y_shape: Shape
    hint: str = ""

    @property
    def ok(self) -> bool:
        return self.relative_difference <= self.tolerance  # false for NaN

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "adjoint" if self.ok else "NOT adjoint"
        sign = "<=" if self.ok else ">"
        return (
            f"{verdict}: <A x, y> = {self.left:.15g}, <x, A^T y> = {self.right:.15g}, relative difference "
            f"{self.relative_difference:.1e} {sign} {self.tolerance:.0e}  (x {self.x_shape}, y {self.y_shape})"
            + (f"\n{self.hint}" if self.hint else "")
        )


def adjoint(
    op: Callable[[Any], Any],
    op_transpose: Callable[[Any], Any] | None,
    shapes: Any,
    *,
    seed: int = 0,
    tolerance: float = 1e-12,
    arrays: bool = False,
    device: str = "cpu",
) -> AdjointReport:
    """Test <A x, y> = <x, A^T y> with random x and y: the two linear operations are each other's transpose.

    It needs no step size and no matrix, and it is exact up to rounding: for random x and y a wrong transpose passes with
    probability 0. Backward of any linear operation is its transpose, so this is the gradient check for linear operations:

        print(check.adjoint(lambda x: F.conv2d(x, w), lambda y: F.conv_transpose2d(y, w), (1, 3, 8, 9)))
        assert check.adjoint(lambda x: F.avg_pool2d(x, 2), None, (1, 3, 8, 9))  # its own backward

    Parameters
    ----------
    op: x -> A x, linear. Gets a float64 Tensor, or a NumPy array with `arrays`.
    op_transpose: y -> A^T y; None for op's own backward, which is what has to be the transpose.
    shapes: the shape of x; or two shapes, of x and of y, to have the output's checked as well.
    seed: of x and y, which are standard normal.
    tolerance: how far the two numbers may be apart, relative to the lengths of the vectors; float64 rounds at 1e-16.
    device: where the Tensors live.

    Returns an `AdjointReport`; print it, or `assert` it. When the two are not adjoint, it says by how much; on small shapes (up
    to some thousand entries) it also compares the two matrices, and names the weight that differs most.

    Raises ValueError when the operations do not map the two shapes to each other, and when one of them is not linear: when it
    maps zeros to something else, or a sum to anything but the sum of what it makes of both parts.
    """
    for name, function in (("op", op), ("op_transpose", op_transpose)):
        if not callable(function) and not (name == "op_transpose" and function is None):
            raise TypeError(f"adjoint: {name}={shown(function)} must be a function of one argument")
    if op_transpose is None and arrays:
        raise ValueError(
            "adjoint: op_transpose=None takes op's recorded backward, which plain arrays do not have; pass the transpose"
        )
    x_shape, y_shape = _two_shapes(shapes)
    rng = np.random.default_rng(seed)

    def given(values: np.ndarray) -> Any:
        values = np.array(values)  # a copy, and an array where NumPy made a number of an array without axes
        return values if arrays else Tensor(to_device(values, device))

    def forward(values: np.ndarray) -> np.ndarray:
        return as_numpy(op(given(values)))

    x = np.asarray(rng.standard_normal(x_shape))
    ax = forward(x)
    if y_shape is not None and ax.shape != y_shape:
        raise ValueError(f"adjoint: op maps x {x_shape} to {ax.shape}, but shapes says that y is {y_shape}")
    y = np.asarray(rng.standard_normal(ax.shape))

    def transposed(values: np.ndarray) -> np.ndarray:
        if op_transpose is not None:
            return as_numpy(op_transpose(given(values)))
        leaf = given(x).requires_grad_()
        op(leaf).backward(given(values))
        return as_numpy(leaf.grad) if leaf.grad is not None else np.zeros(x_shape)

    aty = transposed(y)
    if aty.shape != x_shape:
        raise ValueError(
            f"adjoint: op maps x {x_shape} to y {y.shape}, so op_transpose must map y {y.shape} to {x_shape}, but gives "
            f"{aty.shape}"
        )
    _maps_zero_to_zero("op", forward(np.zeros(x_shape)))
    _maps_zero_to_zero("op_transpose", transposed(np.zeros(y.shape)))
    _maps_sums_to_sums("op", forward, x, ax, rng)
    _maps_sums_to_sums("op_transpose", transposed, y, aty, rng)

    left, right = float(np.vdot(ax, y)), float(np.vdot(x, aty))
    norm = np.linalg.norm
    scale = float(max(norm(ax) * norm(y), norm(x) * norm(aty)))
    difference = abs(left - right) / scale if scale else abs(left - right)
    report = AdjointReport(left, right, difference, tolerance, x_shape, y.shape)
    return report if report else replace(report, hint=_hint(forward, transposed, x_shape, y.shape))


def _two_shapes(shapes: Any) -> tuple[Shape, Shape | None]:
    """(3, 5) is the shape of x; ((3, 5), (4,)) are those of x and y."""
    if isinstance(shapes, int):
        return (shapes,), None
    given = tuple(shapes)
    if all(isinstance(n, (int, np.integer)) for n in given):
        return tuple(int(n) for n in given), None
    if len(given) == 2 and all(isinstance(s, (tuple, list)) for s in given):
        return tuple(given[0]), tuple(given[1])
    raise ValueError(f"adjoint: shapes={shapes!r} must be the shape of x, such as (1, 3, 5, 7), or two shapes (of x, of y)")


def _maps_zero_to_zero(name: str, result: np.ndarray) -> None:
    if np.any(result != 0):
        raise ValueError(
            f"adjoint: {name} maps zeros to values up to {np.max(np.abs(result)):.3g}, so it is not linear; leave out the bias "
            "(or whatever it adds), which has no part in the transpose"
        )


def _maps_sums_to_sums(name: str, apply: Apply, x: np.ndarray, ax: np.ndarray, rng: np.random.Generator) -> None:
    other = rng.standard_normal(x.shape)
    parts, whole = ax + apply(other), apply(x + other)
    apart, size = np.max(np.abs(whole - parts), initial=0), np.max(np.abs(parts), initial=0)
    if apart > 1e-9 * size:  # false for NaN, which the report shows
        raise ValueError(
            f"adjoint: {name} is not linear: {name}(a + b) and {name}(a) + {name}(b) are up to {apart:.3g} apart, as with "
            "a maximum, a ReLU, a normalisation or dropout; only a linear operation has a transpose"
        )


# ---- what to look at when they are not adjoint ----


def _hint(forward: Apply, backward: Apply, x_shape: Shape, y_shape: Shape) -> str:
    """Compare A with the matrix of op_transpose, transposed, entry by entry."""
    inputs, outputs = int(np.prod(x_shape)), int(np.prod(y_shape))
    if inputs + outputs > MATRIX_UP_TO:
        return f"pass smaller shapes (x and y of {MATRIX_UP_TO} entries together) to learn which weights differ"
    a = _columns(forward, x_shape, outputs)  # (outputs, inputs)
    b = _columns(backward, y_shape, inputs).T
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "there are infinities or NaN among the weights of " + ("op" if not np.isfinite(a).all() else "op_transpose")
    apart = np.abs(a - b) > 1e-9 * max(np.abs(a).max(), np.abs(b).max())
    count = int(apart.sum())
    for suspect, words in _suspects(a, b, x_shape, y_shape):
        if np.allclose(b, suspect, rtol=1e-9, atol=1e-9 * np.abs(a).max()):
            return words
    row, column = (int(i) for i in np.unravel_index(np.abs(a - b).argmax(), a.shape))
    x_at, y_at = _place("x", column, x_shape), _place("y", row, y_shape)
    missing = int((apart & (b == 0)).sum())
    return (
        f"{count} of {a.size} weights differ ({missing} are 0 in op_transpose alone); the most: {x_at} enters {y_at} with weight "
        f"{a[row, column]:.6g}, but op_transpose sends {y_at} back to {x_at} with {b[row, column]:.6g}"
    )


def _suspects(a: np.ndarray, b: np.ndarray, x_shape: Shape, y_shape: Shape) -> Iterator[tuple[np.ndarray, str]]:
    """What a wrong B^T often is, made from A, and in words."""
    if a.any() and b.any():
        factor = float(np.vdot(a, b) / np.vdot(a, a))
        yield factor * a, f"op_transpose is {factor:.6g} times the transpose of op: look for a factor forgotten or taken twice"
    if a.shape[0] == a.shape[1]:
        yield a.T, "op_transpose is op itself, not its transpose"
    spatial = [i for shape, first in ((y_shape, 0), (x_shape, len(y_shape))) for i in range(first + 2, first + len(shape))]
    if spatial:
        turned = np.flip(a.reshape(*y_shape, *x_shape), tuple(spatial)).reshape(a.shape)
        yield turned, "op_transpose has the kernel turned round: transposing already does that, so leave it as op has it"


def _columns(apply: Apply, shape: Shape, out: int) -> np.ndarray:
    """(out, in): what becomes of each unit vector."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([apply(unit).ravel() for unit in units], axis=1) if len(units) else np.zeros((out, 0))


def _place(name: str, flat: int, shape: Shape) -> str:
    return f"{name}[{', '.join(str(int(i)) for i in np.unravel_index(flat, shape))}]" if shape else name
