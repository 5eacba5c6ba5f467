"""Convolution by Winograd's minimal filtering F(4x4, 3x3): 3x3 kernels with a quarter of the multiplications.

Winograd 1980; for convolutional networks Lavin & Gray 2016 (arXiv:1509.09308).

**Four products instead of six.** A kernel g of length 3 gives two outputs from four inputs d,

    y0 = d0 g0 + d1 g1 + d2 g2
    y1 = d1 g0 + d2 g1 + d3 g2

which are six products. These four do as well:

    m1 = (d0 - d2) g0                       y0 = m1 + m2 + m3
    m2 = (d1 + d2) (g0 + g1 + g2) / 2       y1 = m2 - m3 - m4
    m3 = (d2 - d1) (g0 - g1 + g2) / 2
    m4 = (d1 - d3) g2

Multiply them out to see it. The sums over the inputs, over the kernel and at the end are three small matrices:

    y = A^T [(G g) * (B^T d)]       * is element by element

This is F(2, 3). F(m, r) computes m outputs of a kernel of length r from m + r - 1 inputs, with as many products; no method has
fewer.

**Where the matrices come from.** Multiply two polynomials, g(x) with the coefficients g0, g1, g2 and u(x) with u0, u1. Their
product s(x) has four coefficients, so its values at four points determine it, and each value is one multiplication: s(a) is
g(a) u(a). (One of the points may be infinity: there the leading coefficients are multiplied.) To evaluate g at the points is a
matrix G, to evaluate u a matrix A, and a matrix B leads from the values back to the coefficients s_k, where s_k is the sum of
g_i u_j over i + j = k. This is how Toom and Cook multiply. Now take any numbers d:

    sum over k of d_k s_k  =  sum over j of u_j (sum over i of g_i d_(i+j))

In the bracket stands y_j, the correlation of d with g. The left side is the product of d with s = B [(G g) * (A u)], so it is the
sum over the points of (B^T d) * (G g) * (A u). Both sides are equal for every u; what u is multiplied by must be equal too, and
that is y = A^T [(G g) * (B^T d)]. `transform_matrices` computes the three matrices from the points. Above, they are 0, 1, -1 and
infinity.

**Two axes.** First along the columns, then along the rows: a tile d of 6x6 inputs and a 3x3 kernel g give 4x4 outputs

    Y = A^T [(G g G^T) * (B^T d B)] A

with 36 products, where the definition has 16 * 9 = 144. Input channels can be summed before A is applied, which is then done once
for all of them. So at each of the 36 places in a tile

    M[f, tile] = sum over c of U[f, c] V[c, tile]       U[f, c] = G g G^T,  V[c, tile] = B^T d B

is a matrix product, and these 36 are where the time goes. The transforms are matrix products too. Written as a column of 36
numbers, B^T d B is (B^T x B^T) d, with the Kronecker product x; that takes 1.7 ns for each pixel and channel. Sums along one axis
and then the other would be fewer operations, but NumPy would carry each of them through the cache: 1.6 to 4.7 ns.

**Gradients.** Y is linear in U and in V. What arrives as dY passes the matrices in the opposite direction, transposed:

    dU = sum over tiles of (A dY A^T) V^T,  dg = G^T dU G       36 products again, for 3x3 results out of 4x4 and 6x6 numbers

The gradient to the input could be read off in the same way; but it is itself a correlation, of dY with the flipped kernel, padded
so that every input position comes out, and so it is computed. To flip a kernel is to read the columns of G x G backwards.

**Exactness.** Transforms cancel what they added, which costs digits, the more the larger the tile. Largest error in float32,
relative to the largest result, for normally distributed values:

    tile and points                             y, 64 to 512 channels   dw, 8192 positions   products for an output
    im2col                                                4e-7 - 7e-7                 5e-7                     9
    F(2x2) 0 1 -1 inf                                     4e-7 - 5e-7                 7e-7                     4
    F(4x4) 0 3/4 -3/4 3/2 -3/2 inf, used here             2e-6 - 3e-6                 2e-6                     2.25
    F(4x4) 0 1 -1 2 -2 inf, of Lavin & Gray               8e-6 - 1e-5                 8e-6                     2.25
    F(6x6) 0 1 -1 2 -2 1/2 -1/2 inf                       1e-5 - 3e-5                 8e-6                     1.78

Lavin & Gray's matrices hold small integers and many zeros, of which a dense product has no use; so the points are here those with
the smallest error. F(6x6) would save another fifth of the products, but its transforms cost half as much again, a digit is lost,
and more is wasted where an image is no multiple of 6. In float64 the error is 4e-15. That is still several times that of im2col,
so the rule in `choice.py` takes Winograd for float32 alone; `conv_algorithm("winograd")` asks for it in float64.

A NaN or an infinity in x makes NaN of all outputs in the tiles that see it, not only where its window does.

**How it is worked off.** BLAS begins small matrix products without arranging their operands first, as long as they have no more
than 10^6 multiplications (OpenBLAS with AVX-512); beyond, it is half as fast at the thin ones here. So everything is done in
pieces of that size. Either the transformed kernels or the transformed inputs of all tiles are kept, whichever are fewer, and the
others are made piece by piece, to be used while they are in the cache: blocks of tiles of large images; blocks of output channels
where these outnumber the tiles.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from minivision.backend import Array
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish
from minivision.functions.convolution.geometry import Window
from minivision.functions.convolution.products import AT_ONCE, boxes
from minivision.functions.layout import Pair, channels_first, channels_last, copy_across
from minivision.memory import empty, scratch
from minivision.threads import for_each, get_num_threads, in_turn, pieces, spans

M = 4  # outputs along one axis of a tile
R = 3  # length of the kernel
N = M + R - 1  # inputs along one axis of a tile
POINTS = (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2))  # and infinity

BLOCK = 1 << 19  # elements that the tiles of a block have when transformed: 2 MB of float32
SUMMED = 128  # products that are summed one after the other; longer sums are sums of such sums, which are more exact
CHUNK = 64  # output channels at a time, ...
KERNELS = 1 << 15  # ... or fewer, so that they have no more 3x3 kernels than this: 5 MB of float32 when transformed
NOT_SHARED_OUT = 500_000  # nanoseconds: with less to do, threads spend their time on waiting for each other


def applies(problem: Problem) -> bool:
    window = problem.window
    return (
        problem.on_cpu
        and problem.kernel == (R, R)
        and window.stride == window.dilation == (1, 1)
        and window.groups == 1
        and problem.dtype in (np.float32, np.float64)
    )


def nanoseconds(face: str, problem: Problem) -> float:
    """About what a face takes on one core, in float32."""
    back = face == "correlate_transposed"
    tiles = problem.batch * math.prod(-(-n // M) for n in (problem.size if back else problem.out))
    channels = (problem.channels, problem.out_channels)
    return _nanoseconds(tiles, *(channels[::-1] if back else channels))


def _nanoseconds(tiles: int, channels: int, out_channels: int) -> float:
    """The products and the transforms of tiles take so long for each multiplication; the transforms of kernels are slower."""
    products, inputs, outputs = channels * out_channels, N * N * channels, M * M * out_channels
    return 0.022 * tiles * N * N * (products + inputs + outputs) + 14 * channels * out_channels


# ---- the three faces ----


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, H, W), w (F, C, 3, 3) -> y (N, F, *out)."""
    kernels = w.reshape(*w.shape[:2], R * R).transpose(1, 2, 0)  # (C, 9, F)
    matrix = _matrices(np.result_type(x, w)).kernel
    return _correlate(x, kernels, matrix, window.padding, out, finish)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C, 3, 3) -> dx (N, C, *size): a correlation of dy with the flipped kernel, channels swapped."""
    kernels = w.reshape(*w.shape[:2], R * R).transpose(0, 2, 1)  # (F, 9, C)
    flipped = _matrices(np.result_type(dy, w)).kernel[:, ::-1]
    padding = []
    for n, length, (before, _) in zip(size, dy.shape[2:], window.padding, strict=True):
        first = R - 1 - before
        padding.append((first, n - length - first + R - 1))  # so that exactly n positions come out
    return _correlate(dy, kernels, flipped, padding, size)


def _correlate(
    x: Array, kernels: Array, kernel_matrix: Array, padding: Sequence[Pair], out: Sequence[int], finish: Finish | None = None
) -> Array:
    """x (N, C, H, W), kernels (C, 9, F) -> y (N, F, *out)."""
    dtype, channels, out_channels = np.result_type(x, kernels), x.shape[1], kernels.shape[2]
    matrices = _matrices(dtype)
    y = empty((x.shape[0], *out, out_channels), dtype)
    images = _Tiled.padded(x, padding, matrices.input)
    threads = _threads(x.shape[0], out, channels, out_channels)
    blocks = _blocks(x.shape[0], out, max(channels, min(out_channels, CHUNK)), threads)

    def transform_kernels(f: slice, result: Array) -> None:
        packed = scratch("winograd kernels", (channels, R * R, f.stop - f.start), dtype)
        copy_across(packed, kernels[:, :, f])
        # for each c: (36, 9) @ (9, F) -> (36, F)
        np.matmul(kernel_matrix, packed, out=result.transpose(1, 0, 2))

    def multiply(inputs: Array, weights: Array, block: _Block, f: slice) -> None:
        products = _stack("winograd products", inputs.shape[1], weights.shape[2], dtype)
        # for each of the 36: (tiles, C) @ (C, F) -> (tiles, F)
        _multiply(inputs, weights, products)
        outputs = scratch("winograd outputs", (inputs.shape[1], M * M, weights.shape[2]), dtype)
        # for each tile: (16, 36) @ (36, F) -> (16, F)
        _multiply(matrices.output, products.transpose(1, 0, 2), outputs)
        block.put(outputs, y[..., f])

    tiles = sum(block.tiles for block in blocks)
    share_out = for_each if threads > 1 else in_turn
    if tiles > out_channels:  # keep the transformed kernels
        parts = pieces(out_channels, _chunk(channels))
        weights = [empty((N * N, channels, f.stop - f.start), dtype) for f in parts]

        def of_block(block: _Block) -> None:
            inputs = _stack("winograd inputs", block.tiles, channels, dtype)
            images.transform(block, inputs)
            for f, transformed in zip(parts, weights, strict=True):
                multiply(inputs, transformed, block, f)
            if finish is not None:
                finish(block.of(y))

        share_out(lambda i: transform_kernels(parts[i], weights[i]), range(len(parts)))
        share_out(of_block, blocks)
    else:  # keep the transformed inputs
        inputs = [empty((N * N, block.tiles, channels), dtype) for block in blocks]

        def of_channels(f: slice) -> None:
            transformed = scratch("winograd weights", (N * N, channels, f.stop - f.start), dtype)
            transform_kernels(f, transformed)
            for block, transformed_tiles in zip(blocks, inputs, strict=True):
                multiply(transformed_tiles, transformed, block, f)

        share_out(lambda i: images.transform(blocks[i], inputs[i]), range(len(blocks)))
        share_out(of_channels, spans(out_channels, _chunk(channels), aligned=16))
        if finish is not None:
            share_out(lambda block: finish(block.of(y)), blocks)
    return channels_first(y)


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, H, W), dy (N, F, *out) -> dw (F, C, 3, 3)."""
    dtype, channels, out_channels = np.result_type(x, dy), x.shape[1], dy.shape[1]
    matrices = _matrices(dtype)
    dw = empty((out_channels, channels, R, R), dtype)
    images = _Tiled.padded(x, window.padding, matrices.input)
    upstream = _Tiled(channels_last(dy), (0, 0), M, np.ascontiguousarray(matrices.output.T))
    threads = _threads(x.shape[0], dy.shape[2:], channels, out_channels)
    blocks = _blocks(x.shape[0], dy.shape[2:], max(channels, out_channels), threads)
    tiles = sum(block.tiles for block in blocks)
    share_out = for_each if threads > 1 else in_turn

    def transform_back(total: Array, f: slice) -> None:
        # (F, C, 36) @ (36, 9) -> (F, C, 9)
        np.matmul(total.transpose(1, 2, 0), matrices.kernel, out=dw[f].reshape(-1, channels, R * R))

    if tiles > out_channels:  # keep the sums over tiles, for each thread its own, so that their order does not depend on timing
        parts = pieces(out_channels, _chunk(channels))
        shares = [blocks[share::threads] for share in range(min(threads, len(blocks)))]
        sums = [[empty((N * N, f.stop - f.start, channels), dtype) for f in parts] for _ in shares]

        def of_share(share: int) -> None:
            for number, block in enumerate(shares[share]):
                inputs = _stack("winograd inputs", block.tiles, channels, dtype)
                images.transform(block, inputs)
                gradients = _stack("winograd gradients", block.tiles, out_channels, dtype)
                upstream.transform(block, gradients)
                for f, total in zip(parts, sums[share], strict=True):
                    product = total if number == 0 else scratch("winograd products", total.shape, dtype)
                    # for each of the 36: (F, tiles) @ (tiles, C) -> (F, C)
                    _multiply(gradients[:, :, f].transpose(0, 2, 1), inputs, product)
                    if number > 0:
                        total += product

        def of_part(part: int) -> None:
            total = sums[0][part]
            for other in sums[1:]:
                total += other[part]
            transform_back(total, parts[part])

        share_out(of_share, range(len(shares)))
        share_out(of_part, range(len(parts)))
    elif tiles == 0:
        dw[...] = 0
    else:  # keep the transformed inputs
        inputs = empty((N * N, tiles, channels), dtype)
        stops = np.cumsum([block.tiles for block in blocks]).tolist()
        places = [slice(stop - block.tiles, stop) for stop, block in zip(stops, blocks, strict=True)]

        def of_channels(f: slice) -> None:
            gradients = scratch("winograd gradients", (N * N, tiles, f.stop - f.start), dtype)
            for block, place in zip(blocks, places, strict=True):
                upstream.transform(block, gradients[:, place], f)
            total = scratch("winograd products", (N * N, f.stop - f.start, channels), dtype)
            _multiply(gradients.transpose(0, 2, 1), inputs, total)
            transform_back(total, f)

        share_out(lambda i: images.transform(blocks[i], inputs[:, places[i]]), range(len(blocks)))
        share_out(of_channels, spans(out_channels, _chunk(channels), aligned=16))
    return dw


# ---- tiles ----


class _Block(NamedTuple):
    """A box of tiles: slices of the images, and of the rows and columns of tiles into which each output is cut.

    At the lower and the right edge, tiles may stick out of the output.
    """

    images: slice
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(s.stop - s.start for s in self)

    @property
    def tiles(self) -> int:
        return math.prod(self.shape)

    def of(self, y: Array) -> Array:
        """Its part of y (N, H, W, F)."""
        return y[self.images, M * self.rows.start : M * self.rows.stop, M * self.columns.start : M * self.columns.stop]

    def put(self, outputs: Array, y: Array) -> None:
        """Write outputs (tiles, 16, F) to their places in y (N, H, W, F)."""
        images, rows, columns = self.shape
        part, whole = self.of(y), (images, M * rows, M * columns, y.shape[-1])
        image = part if part.shape == whole else scratch("winograd image", whole, y.dtype)
        by_tile = image.reshape(images, rows, M, columns, M, -1).transpose(0, 1, 3, 2, 4, 5)
        by_tile[...] = outputs.reshape(by_tile.shape)
        if image is not part:
            part[...] = image[:, : part.shape[1], : part.shape[2]]


def _blocks(images: int, out: Sequence[int], channels: int, threads: int) -> list[_Block]:
    """The tiles of all outputs in blocks, dealt out to threads in turn: of whole rows, where these are not too many."""
    rows, columns = (-(-n // M) for n in out)
    most = max(16, BLOCK // (N * N * channels))
    if images * rows * columns == 0:
        return []
    if columns <= most:
        return [_Block(some, part, slice(0, columns)) for some, part in boxes(images, rows, columns, most, threads)]
    each = [slice(image, image + 1) for image in range(images)]
    return [_Block(image, row, some) for image in each for row in pieces(rows, 1) for some in spans(columns, most)]


class _Tiled(NamedTuple):
    """Images (N, H, W, C), the zeros before each axis, and what happens to every tile: its size and the matrix to apply."""

    images: Array
    before: tuple[int, ...]
    size: int
    matrix: Array

    @classmethod
    def padded(cls, x: Array, padding: Sequence[Pair], matrix: Array) -> _Tiled:
        """The inputs of tiles, from x (N, C, H, W); negative padding crops."""
        crop = (slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(padding, x.shape[2:], strict=True))
        return cls(channels_last(x)[(slice(None), *crop)], tuple(max(a, 0) for a, _ in padding), N, matrix)

    def transform(self, block: _Block, result: Array, channels: slice = slice(None)) -> None:
        """Fill result (36, tiles, C) with the matrix times each tile."""
        tiles = self._tiles(block, channels)
        # for each tile: (36, size^2) @ (size^2, C) -> (36, C)
        _multiply(self.matrix, tiles, result.transpose(1, 0, 2))

    def _tiles(self, block: _Block, channels: slice) -> Array:
        """The tiles of a block, (tiles, size^2, C): first the box of pixels that they cover, then each tile out of it."""
        x, overlap = self.images[block.images, :, :, channels], self.size - M
        shape, inside, seen = [x.shape[0]], [slice(None)], [slice(None)]
        for some, n, zeros in zip(block[1:], x.shape[1:-1], self.before, strict=True):
            first, length = M * some.start - zeros, M * (some.stop - some.start) + overlap
            start = min(max(-first, 0), length)  # from here ...
            stop = max(start, min(n - first, length))  # ... to here the box lies in the image
            shape.append(length)
            inside.append(slice(start, stop))
            seen.append(slice(first + start, first + stop))
        box = scratch("winograd box", (*shape, x.shape[-1]), x.dtype)
        _, rows, columns = inside
        box[:, : rows.start] = box[:, rows.stop :] = 0
        box[:, rows, : columns.start] = box[:, rows, columns.stop :] = 0
        copy_across(box[tuple(inside)], x[tuple(seen)])

        tiles = scratch("winograd tiles", (*block.shape, self.size, self.size, x.shape[-1]), x.dtype)
        image, row, pixel, channel = box.strides
        # as sliding_window_view, in a tenth of the time
        tiles[...] = np.ndarray(tiles.shape, x.dtype, box, 0, (image, M * row, M * pixel, row, pixel, channel))
        return tiles.reshape(block.tiles, self.size**2, x.shape[-1])


# ---- sizes and products ----


def _chunk(channels: int) -> int:
    """How many output channels are worked on at a time."""
    return max(16, min(CHUNK, KERNELS // channels // 16 * 16))


def _threads(images: int, out: Sequence[int], channels: int, out_channels: int) -> int:
    """How many threads to work with: for little work the caller alone."""
    tiles = images * math.prod(-(-n // M) for n in out)
    return get_num_threads() if _nanoseconds(tiles, channels, out_channels) > NOT_SHARED_OUT else 1


def _stack(name: str, tiles: int, channels: int, dtype: Any) -> Array:
    """A workspace of 36 matrices (tiles, channels), each followed by a row that nobody uses.

    Without it their distance is often a power of two, and then what belongs to one tile competes for the same few places in the
    cache.
    """
    return scratch(name, (N * N, tiles + 1, channels), dtype)[:, :tiles]


def _multiply(a: Array, b: Array, result: Array) -> None:
    """result = a @ b, a stack of matrix products, in pieces that BLAS is quick at."""
    step = max(32, AT_ONCE // (a.shape[-2] * min(a.shape[-1], SUMMED)) // 16 * 16)
    for q in pieces(a.shape[-1], SUMMED):
        part = result if q.start == 0 else scratch("winograd summands", result.shape, result.dtype)
        for columns in pieces(b.shape[-1], step):
            np.matmul(a[..., q], b[..., q, columns], out=part[..., columns])
        if q.start > 0:
            result += part


# ---- the matrices ----


class _Matrices(NamedTuple):
    """What turns a tile of inputs, a kernel and a tile of products, each as a column, into 36, 36 and 16 numbers."""

    input: Array  # (36, 36), B^T x B^T
    kernel: Array  # (36, 9), G x G
    output: Array  # (16, 36), A^T x A^T


@functools.cache
def _matrices(dtype: np.dtype) -> _Matrices:
    return _Matrices(*(np.kron(matrix, matrix).astype(dtype) for matrix in transform_matrices(M, R, POINTS)))


def transform_matrices(m: int, r: int, points: Sequence[Fraction | int]) -> tuple[Array, Array, Array]:
    """B^T (n, n), G (n, r) and A^T (m, n) of F(m, r), from n - 1 different points and infinity; n = m + r - 1. In float64.

    A polynomial s of degree n - 1 is, with N_i(x) the product of all (x - a_j) but that with a_i, and N(x) the product of all,

        s(x) = sum over i of s(a_i) N_i(x) / N_i(a_i)  +  s_(n-1) N(x)

    since both sides agree at all points and in the leading coefficient. So the coefficients of the N_i and of N are the columns
    of B. G and A evaluate polynomials of r and of m coefficients at the points, and G divides by N_i(a_i) as well, so that this
    is done once for each kernel.
    """
    n = m + r - 1
    if len(points) != n - 1 or len(set(points)) != n - 1:
        raise ValueError(f"transform_matrices: F({m}, {r}) takes {n - 1} different points besides infinity, not {list(points)}")
    input, kernel, output = [], [], []
    for i, a in enumerate(points):
        basis = _coefficients([*points[:i], *points[i + 1 :]])
        at_point = sum(c * Fraction(a) ** k for k, c in enumerate(basis))
        input.append([*basis, Fraction(0)])
        kernel.append([Fraction(a) ** k / at_point for k in range(r)])
        output.append([Fraction(a) ** k for k in range(m)])
    input.append(_coefficients(points))
    kernel.append([Fraction(k == r - 1) for k in range(r)])  # at infinity, the leading coefficient
    output.append([Fraction(k == m - 1) for k in range(m)])
    return np.array(input, float), np.array(kernel, float), np.array(output, float).T


def _coefficients(roots: Sequence[Fraction | int]) -> list[Fraction]:
    """The coefficients of (x - roots[0]) (x - roots[1]) ..., the constant first."""
    result = [Fraction(1)]
    for root in roots:
        times_x, times_root = [Fraction(0), *result], [*(root * c for c in result), Fraction(0)]
        result = [a - b for a, b in zip(times_x, times_root, strict=True)]
    return result
