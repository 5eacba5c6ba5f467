"""The same mistake in many operations: each names itself in the same answer. What one alone can do wrong is in its topic."""

from tests.errors.table import Bad


def family(operations: str, call: str, exception: type[Exception], message: str) -> list[Bad]:
    """One row for each operation, its name in the place of NAME."""
    return [Bad(name, call.replace("NAME", name), exception, message.replace("NAME", name)) for name in operations.split()]


NO_BROADCAST = "do not broadcast: 3 against 4 at axis -1, where lengths must be equal or 1"

BAD = [
    *family(
        "acos acosh argwhere asin asinh atan atanh cos cosh digamma erfc exp2 expm1 isneginf isposinf isreal lgamma log10 log1p "
        "log2 signbit sinc sinh tan",
        "minivision.NAME('3')",
        TypeError,
        "NAME: input is '3' (str), but must be a tensor (or an array, or numbers)",
    ),
    *family(
        "bitwise_right_shift copysign dist fmax fmin heaviside lcm logaddexp2",
        "minivision.NAME(x(7, 3), x(7, 4))",
        ValueError,
        f"NAME: input (7, 3) and other (7, 4) {NO_BROADCAST}",
    ),
    *family(
        "all amax amin aminmax any argmax argmin count_nonzero cummax cummin cumprod cumsum logcumsumexp logsumexp max mean min "
        "nanmean nansum prod std std_mean sum unique unique_consecutive var var_mean",
        "minivision.NAME(x(7, 3), dim=2)",
        IndexError,
        "NAME: dim 2 is out of range for shape (7, 3), which has 2 axes; legal are -2 .. 1",
    ),
    *family(
        "byte double half long",
        "x(7, 3).NAME('float')",
        TypeError,
        "NAME: memory_format='float' is unknown; use minivision.channels_last or contiguous_format",
    ),
    *family(
        "relu_ sigmoid_ tanh_",
        "x(7, 3).requires_grad_().NAME()",
        RuntimeError,
        "NAME: this leaf of shape (7, 3) requires a gradient, so a change in place would have to be recorded; update parameters "
        "inside `with no_grad():`",
    ),
    Bad(
        "cdist",
        "minivision.cdist(x(7, 3), x(5, 4))",
        ValueError,
        "cdist: the vectors of x1 (..., P, M) = (7, 3) have M = 3 elements, but those of x2 (..., R, M) = (5, 4) have 4; they "
        "must have equally many",
    ),
]
