"""The adjoint test: is one linear operation the transpose of another?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import to_device
from minivision.check.numerical import as_numpy

Shape = tuple[int, ...]


@dataclass(frozen=True)
class AdjointReport:
    """What `adjoint` found; true in an `if` or `assert` when the two numbers agree.

    Attributes
    ----------
    left, right: <A x, y> and <x, A^T y>.
    relative_difference: |left - right| / max(|A x| |y|, |x| |A^T y|), the share of what the products could have been.
    tolerance: the largest difference that passes.
    x_shape, y_shape: of the input of A and of its output.
    """

    left: float
    right: float
    relative_difference: float
    tolerance: float
    x_shape: Shape
    y_shape: Shape

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
    probability 0.

    Parameters
    ----------
    op: x -> A x, linear. Gets a float64 Tensor, or a NumPy array with `arrays`.
    op_transpose: y -> A^T y; None for op's own backward, which is what has to be the transpose.
    shapes: the shape of x; or two shapes, of x and of y, to have the output's checked as well.
    seed: of x and y, which are standard normal.
    device: where the Tensors live.

    Returns an `AdjointReport`; print it, or `assert` it. Raises ValueError when the operations do not map the two shapes to each
    other, and when one of them maps zeros to something else, which no linear operation does.
    """
    if op_transpose is None and arrays:
        raise ValueError(
            "adjoint: op_transpose=None takes op's recorded backward, which plain arrays do not have; pass the transpose"
        )
    x_shape, y_shape = _two_shapes(shapes)
    rng = np.random.default_rng(seed)

    def given(values: np.ndarray) -> Any:
        return values.copy() if arrays else Tensor(to_device(values, device))

    x = rng.standard_normal(x_shape)
    ax = as_numpy(op(given(x)))
    if y_shape is not None and ax.shape != y_shape:
        raise ValueError(f"adjoint: op maps x {x_shape} to {ax.shape}, but shapes says that y is {y_shape}")
    y = rng.standard_normal(ax.shape)

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
    _maps_zero_to_zero("op", as_numpy(op(given(np.zeros(x_shape)))))
    _maps_zero_to_zero("op_transpose", transposed(np.zeros(y.shape)))

    left, right = float(np.vdot(ax, y)), float(np.vdot(x, aty))
    norm = np.linalg.norm
    scale = float(max(norm(ax) * norm(y), norm(x) * norm(aty)))
    difference = abs(left - right) / scale if scale else abs(left - right)
    return AdjointReport(left, right, difference, tolerance, x_shape, y.shape)


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
