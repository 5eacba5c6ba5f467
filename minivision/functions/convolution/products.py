"""What the algorithms know about matrix products in common: in which pieces BLAS is quick at them."""

from __future__ import annotations

# Multiplications of a product that BLAS (OpenBLAS on x86) begins without arranging its operands first. Thin products, of few
# channels, take half as long again when they are larger.
AT_ONCE = 10**6


def pieces(length: int, step: int) -> list[slice]:
    """`length` items as slices of `step`, the last of them shorter where it has to be."""
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
