"""Linear operations as matrices: the convolution matrix of the lectures, and the matrix of anything linear, column by column.

An input is flattened in row-major order, channels first, as `x.ravel()` does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision.autograd import Tensor, no_grad
from minivision.backend import Array, to_numpy
from minivision.functions.convolution import (
    Convolution,
    TransposedConvolution,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from minivision.functions.convolution.geometry import Window, output_size, per_axis, sliding_window, transposed_output_size
from minivision.functions.operands import as_tensor, check_flags, integer, integers, need_float, shown

COLUMNS_AT_ONCE = 256  # unit vectors that go through a batched function together


def conv_matrix(
    weight: Any, input_size: int | Sequence[int], stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    dense: bool = False,
) -> Any:  # fmt: skip
    """The matrix C of a convolution: `C @ x.ravel()` is the convolution of one sample x, `C.T @ y.ravel()` the transposed one.

    Each row is the kernel, laid over the positions of the input that one output position sees; the rows of one channel are
    shifted copies of each other (a Toeplitz matrix, in blocks for images).

    Parameters
    ----------
    weight: (F, C/groups, *kernel) with one, two or three spatial axes, a Tensor or an array of any numeric dtype.
    input_size: the spatial size, (H, W); an int for all axes.
    stride, padding, dilation, groups: those of `conv2d`, "same" and "valid" included.
    dense: a NumPy array in place of a SciPy sparse one (CSR). It needs no SciPy, and F H' W' C H W numbers.

    Returns (F H' W', C H W), in the dtype of the weight, on the CPU.

    Raises ValueError where conv2d does, and ImportError, with the line that installs it, when SciPy is missing. See Dumoulin &
    Visin (arXiv:1603.07285), section 4.1.
    """
    op = "conv_matrix"
    check_flags(op, dense=dense)
    return _convolution_matrix(op, weight, input_size, stride, padding, dilation, groups, dense)


def _convolution_matrix(
    op: str, weight: Any, input_size: Any, stride: Any, padding: Any, dilation: Any, groups: int, dense: bool
) -> Any:
    w = _kernel(op, weight, "(out, in/groups, *kernel)")
    size = per_axis(op, "input_size", input_size, w.ndim - 2, minimum=1)
    window = sliding_window(op, w.shape[2:], stride, padding, dilation, groups)
    Convolution(groups=groups, op=op).check_channels((1, w.shape[1] * groups, *size), w.shape, None)
    return matrix_of_window(op, w, size, window, dense)


def conv_transpose_matrix(
    weight: Any, input_size: int | Sequence[int], stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1, dense: bool = False,
) -> Any:  # fmt: skip
    """The matrix of a transposed convolution: the transpose of the `conv_matrix` that leads from its output to its input.

    Parameters
    ----------
    weight: (C, F/groups, *kernel), the input channels first, as in `conv_transpose2d`.
    input_size: the spatial size of the (small) input, (H, W); an int for all axes.
    stride, padding, output_padding, groups, dilation: those of `conv_transpose2d`.
    dense: as in `conv_matrix`.

    Returns (F H' W', C H W). Raises ValueError where conv_transpose2d does.
    """
    op = "conv_transpose_matrix"
    check_flags(op, dense=dense)
    w = _kernel(op, weight, "(in, out/groups, *kernel)")
    size = per_axis(op, "input_size", input_size, w.ndim - 2, minimum=1)
    function = TransposedConvolution(stride, padding, output_padding, groups, dilation, op)
    function.check_channels((1, w.shape[0], *size), w.shape, None)
    window, out = function.geometry((1, w.shape[0], *size), w.shape)
    matrix = matrix_of_window(op, w, out, window, dense)
    return matrix.T if dense else matrix.T.tocsr()


def _kernel(op: str, weight: Any, layout: str) -> np.ndarray:
    w = as_tensor(op, "weight", weight).numpy()
    if w.ndim not in (3, 4, 5) or 0 in w.shape:
        raise ValueError(
            f"{op}: weight has shape {w.shape}, but must be {layout} with 1 to 3 spatial axes; give a bare kernel its two "
            "channel axes with kernel[None, None]"
        )
    return w


def matrix_of_window(op: str, w: np.ndarray, size: Sequence[int], window: Window, dense: bool) -> Any:
    """The entry in row (f, o), column (c, s o + d k - p) is w[f, c, k]."""
    kernel, groups = w.shape[2:], window.groups
    out = output_size(op, size, kernel, window)
    outputs, inputs, (out_channels, per_group) = math.prod(out), math.prod(size), w.shape[:2]

    # for each tap k (row) and output position o (column): the flat input position that they meet, and whether it is real
    taps, places = np.indices(kernel).reshape(len(kernel), -1, 1), np.indices(out).reshape(len(out), 1, -1)
    meets = np.zeros((taps.shape[1], outputs), np.int64)
    real = np.ones(meets.shape, bool)
    for k, o, n, s, (p, _), d in zip(taps, places, size, window.stride, window.padding, window.dilation, strict=True):
        at = s * o + d * k - p
        real &= (at >= 0) & (at < n)
        meets = meets * n + at

    f, c, k, o = np.ogrid[:out_channels, :per_group, : taps.shape[1], :outputs]
    channel = f // (out_channels // groups) * per_group + c
    shape = (out_channels, per_group, *meets.shape)
    rows = np.broadcast_to(f * outputs + o, shape)[..., real]
    columns = np.broadcast_to(channel * inputs + meets[k, o], shape)[..., real]
    values = np.broadcast_to(w.reshape(out_channels, per_group, -1, 1), shape)[..., real]
    return _assemble(op, values, rows, columns, (out_channels * outputs, per_group * groups * inputs), dense)


def _assemble(op: str, values: Array, rows: Array, columns: Array, shape: tuple[int, int], dense: bool) -> Any:
    if dense:
        matrix = np.zeros(shape, values.dtype)
        matrix[rows.ravel(), columns.ravel()] = values.ravel()
        return matrix
    try:
        from scipy import sparse
    except ImportError as error:
        raise ImportError(f"{op} needs scipy: pip install 'minivision[train]', or pass dense=True") from error
    if values.dtype == np.float16:
        raise TypeError(f"{op}: weight is float16, which sparse matrices cannot hold; convert it with .float()")
    return sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape)


# ---- the matrix of anything linear ----


def linear_matrix(
    fn: Callable[[Tensor], Any], input_size: int | Sequence[int], batched: bool = False, dense: bool = False, seed: int = 0
) -> Any:
    """The matrix A of any linear operation: `A @ x.ravel()` is `fn(x).ravel()`. Column i is what fn makes of unit vector i.

        linear_matrix(lambda x: F.avg_pool2d(x, 2), (1, 3, 4, 4))
        linear_matrix(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (1, 1, 3, 3))

    Parameters
    ----------
    fn: gets a float64 Tensor of exactly `input_size` and returns one Tensor (or array). Constants in it must be float64 too.
    input_size: the whole shape of an input, its batch axis included.
    batched: fn works sample by sample along the first axis; it then gets (B, *input_size) and many unit vectors go through at
        once. `input_size` is the shape of one sample, without the batch axis.
    dense: a NumPy array in place of a SciPy sparse one.
    seed: of the random inputs with which linearity is checked.

    Returns (entries of the output, entries of the input), float64.

    Raises ValueError if fn is not linear, saying which property fails: fn(0) = 0, fn(a x) = a fn(x), fn(x + y) = fn(x) + fn(y),
    or the same answer when asked twice.
    """
    op = "linear_matrix"
    legal = "the lengths of an input's axes, or an int for a vector"
    check_flags(op, batched=batched, dense=dense)
    if not callable(fn):
        raise TypeError(f"{op}: fn={shown(fn)} must be a function from a tensor to a tensor")
    several = isinstance(input_size, (tuple, list))
    size = integers(op, "input_size", input_size, legal, 1) if several else (integer(op, "input_size", input_size, 1, legal),)
    if not size:
        raise ValueError(f"{op}: input_size={input_size!r} must name at least one axis, each of length 1 or more")
    count = math.prod(size)

    def apply(block: np.ndarray) -> np.ndarray:
        """(B, *size) -> (B, *out)"""
        with no_grad():
            results = [fn(Tensor(block))] if batched else [fn(Tensor(x)) for x in block]
        arrays = [r.numpy() if isinstance(r, Tensor) else r for r in results]
        for array in arrays:
            if not hasattr(array, "dtype"):
                raise TypeError(f"{op}: fn must return one tensor, but returned {type(array).__name__}")
        result = to_numpy(arrays[0]) if batched else np.stack([to_numpy(a) for a in arrays])
        if len(result) != len(block):
            raise ValueError(
                f"{op}: fn maps a batch {block.shape} to {result.shape}; with batched=True the first axis must be kept"
            )
        return result

    _check_linear(op, apply, size, np.random.default_rng(seed))
    columns, rows, values = [], [], []
    for start in range(0, count, COLUMNS_AT_ONCE):
        indices = np.arange(start, min(start + COLUMNS_AT_ONCE, count))
        units = np.zeros((len(indices), count))
        units[np.arange(len(indices)), indices] = 1
        responses = apply(units.reshape(-1, *size))
        out = math.prod(responses.shape[1:])
        i, j = np.nonzero(responses.reshape(len(indices), out))
        columns.append(indices[i])
        rows.append(j)
        values.append(responses.reshape(len(indices), out)[i, j])
    matrix = _assemble(op, np.concatenate(values), np.concatenate(rows), np.concatenate(columns), (out, count), dense)

    x = np.random.default_rng(seed + 1).standard_normal(size)
    _compare(op, "fn(x) is not the sum of x[i] times what it makes of unit vector i", apply(x[None]).ravel(), matrix @ x.ravel())
    return matrix


def _check_linear(op: str, apply: Callable[[np.ndarray], np.ndarray], size: tuple[int, ...], rng: np.random.Generator) -> None:
    at_zero = apply(np.zeros((1, *size)))
    if np.any(at_zero != 0):
        raise ValueError(
            f"{op}: fn is not linear: fn(0) is not 0 but reaches {np.max(np.abs(at_zero)):.4g}. If it is linear plus a constant "
            "(a bias), take that off: lambda x: fn(x) - fn(0 * x)"
        )
    x, y = rng.standard_normal((2, 1, *size))
    fx = apply(x)
    _compare(op, "it answers the same input differently when asked twice; put dropout into eval()", apply(x), fx)
    _compare(op, "fn(-1000 x) is not -1000 fn(x), as with a ReLU, a clamp or a normalisation", apply(-1000 * x), -1000 * fx)
    _compare(op, "fn(x + y) is not fn(x) + fn(y), as with a maximum", apply(x + y), fx + apply(y))


def _compare(op: str, complaint: str, actual: np.ndarray, expected: np.ndarray) -> None:
    tolerance = 1e-9 * max(np.max(np.abs(expected), initial=0), np.max(np.abs(actual), initial=0))
    wrong = ~(np.abs(actual - expected) <= tolerance)  # true for NaN
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{op}: fn is not linear: {complaint} ({actual[first]:.6g} against {expected[first]:.6g}, and {int(wrong.sum())} of "
            f"{wrong.size} entries differ)"
        )


# ---- the theorem ----


class ThreeWays(NamedTuple):
    """One array (C, *input_size), computed in three ways."""

    by_matrix: np.ndarray
    by_conv_transpose: np.ndarray
    by_gradient: np.ndarray


def transposed_convolution_three_ways(
    weight: Any, input_size: int | Sequence[int], y: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, seed: int = 0,
) -> ThreeWays:  # fmt: skip
    """Transposed convolution is the transpose of convolution's matrix, and it is convolution's backward: see them agree.

    For the convolution with these arguments and one y of its output's shape (drawn at random unless given), returns

        by_matrix           C^T y, with C = conv_matrix(weight, input_size, ...)
        by_conv_transpose   conv_transpose(y, weight, ...), told the size of x by its output_padding
        by_gradient         the gradient of sum(y * conv(x, weight, ...)) to x, at any x

    as arrays (C, *input_size). Why they are equal: conv(x) = C x, so the gradient of y^T C x to x is C^T y; and conv_transpose
    stamps w[f, c, k], scaled by y[f, o], onto position s o + d k - p of channel c, which is column by column the sum over the
    rows of C. Here x may be anything, because C does not depend on it.

    Raises ValueError where conv2d does, TypeError unless the weight is floating.
    """
    op = "transposed_convolution_three_ways"
    w = as_tensor(op, "weight", weight).detach().cpu()
    need_float(op, weight=w)
    matrix = _convolution_matrix(op, w, input_size, stride, padding, dilation, groups, dense=False)
    size = per_axis(op, "input_size", input_size, w.ndim - 2, minimum=1)
    window = sliding_window(op, w.shape[2:], stride, padding, dilation, groups)
    out_shape = (1, w.shape[0], *output_size(op, size, w.shape[2:], window))
    if y is None:
        y = np.random.default_rng(seed).standard_normal(out_shape)
    upstream = as_tensor(op, "y", y).numpy().astype(w.dtype)
    if upstream.size != math.prod(out_shape):
        raise ValueError(f"{op}: y has shape {upstream.shape}, but the convolution maps {size} to {out_shape[1:]}")
    upstream = upstream.reshape(out_shape)

    x_shape = (1, w.shape[1] * groups, *size)
    convolve, transpose = {3: (conv1d, conv_transpose1d), 4: (conv2d, conv_transpose2d), 5: (conv3d, conv_transpose3d)}[w.ndim]
    x = Tensor(np.zeros(x_shape, w.dtype), requires_grad=True)
    convolve(x, w, None, stride, padding, dilation, groups).backward(Tensor(upstream))
    assert x.grad is not None

    # of the sizes that the convolution maps to y's, output_padding chooses x's; "same" may have padded one more at the end
    before = tuple(a for a, _ in window.padding)
    smallest = transposed_output_size(out_shape[2:], w.shape[2:], window._replace(padding=tuple((a, a) for a in before)))
    extra = tuple(max(n - m, 0) for n, m in zip(size, smallest, strict=True))
    stamped = transpose(Tensor(upstream), w, None, window.stride, before, extra, groups, window.dilation)
    inside: tuple[Any, ...] = (0, slice(None), *(slice(n) for n in size))
    return ThreeWays(
        (matrix.T @ upstream.ravel()).reshape(x_shape[1:]),
        stamped.numpy()[inside],
        x.grad.numpy()[0],
    )


# ---- looking at matrices ----


def format_matrix(matrix: Any, decimals: int = 3, zero: str = ".") -> str:
    """A small matrix as text, one line for each row, the columns aligned and zeros as dots, so that the bands show.

    `matrix` is an array or a sparse matrix with two axes; numbers are rounded to `decimals`.
    """
    dense = matrix.toarray() if hasattr(matrix, "toarray") else as_tensor("format_matrix", "matrix", matrix).numpy()
    if dense.ndim != 2:
        raise ValueError(f"format_matrix: matrix has shape {dense.shape}, but must have two axes")
    decimals = integer("format_matrix", "decimals", decimals, minimum=0)
    cells = [
        [zero if v == 0 else f"{v:.{decimals}f}".rstrip("0").rstrip(".") if v % 1 else f"{v:.0f}" for v in row] for row in dense
    ]
    width = max((len(cell) for row in cells for cell in row), default=0)
    return "\n".join(" ".join(cell.rjust(width) for cell in row) for row in cells)
