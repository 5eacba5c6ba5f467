"""What the algorithms know about matrix products in common: in which pieces BLAS and threads are quick at them."""

from __future__ import annotations

import functools

from minivision.threads import pieces

# Multiplications of a product that BLAS (OpenBLAS on x86) begins without arranging its operands first. Thin products, of few
# channels, take half as long again when they are larger.
AT_ONCE = 10**6


@functools.lru_cache(maxsize=1 << 10)
def boxes(images: int, rows: int, per_row: int, most: int, threads: int) -> tuple[tuple[slice, slice], ...]:
    """All rows of all images in blocks (images, rows) of at most `most` at a time, or of one row, where a row counts `per_row`.

    Dealt out to threads in turn, they are as much for one thread as for another, or nearly: three images become, for two threads,
    their upper halves and their lower halves; or if these are too much at once, two whole ones and two halves. The fewer
    blocks, the fewer calls of NumPy, at each of which threads may have to wait for one another.
    """
    image = rows * per_row
    if not images * image:
        return ()
    if images % threads and images * -(-rows // threads) * per_row <= most:
        return tuple((slice(0, images), some) for some in pieces(rows, -(-rows // threads)))
    at_once = most // image
    each = images // threads if at_once else 0  # images for each thread that need not be cut
    shares = pieces(each, -(-each // -(-each // at_once))) if each else ()
    blocks = [(slice(t * each + s.start, t * each + s.stop), slice(0, rows)) for s in shares for t in range(threads)]
    left = range(threads * each, images)
    parts = -(-rows // max(1, most // per_row))
    while parts < rows and len(left) * parts % threads:
        parts += 1
    blocks += [(slice(one, one + 1), some) for one in left for some in pieces(rows, -(-rows // parts))]
    return tuple(blocks)
