"""Writing into copies, sets, searching, order statistics, differences, the gamma function: against loops; layouts; adjoints."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import minivision as mv
from minivision.autograd import Tensor
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    array = np.asarray(array)
    return Tensor(to_device(array.astype(np.float64) if array.dtype.kind == "f" else array, device), **kw)


REDUCE = {"sum": sum, "prod": math.prod, "mean": lambda v: sum(v) / len(v), "amax": max, "amin": min}


@pytest.mark.parametrize("reduce", REDUCE)
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce, include_self, rng, device):
    x, source = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 5, 2))
    index = rng.integers(0, 4, source.shape)
    expected = x.copy()
    for n, j, c in np.ndindex(x.shape):
        met = [source[n, i, c] for i in range(5) if index[n, i, c] == j]
        if met:
            expected[n, j, c] = REDUCE[reduce](([x[n, j, c]] if include_self else []) + met)
    for (_, a), (_, s) in zip(layouts(x), layouts(source), strict=True):
        y = mv.scatter_reduce(tensor(a, device), 1, tensor(index, device), tensor(s, device), reduce, include_self=include_self)
        assert_close(y, expected)


def test_sources_alone_share_the_gradient_of_a_maximum(device):
    """The element of the input does not count, even where it equals the maximum; PyTorch lets it take a share, and drops it."""
    source = tensor([2.0, 2.0, 1.0], device, requires_grad=True)
    index = tensor([0, 0, 0], device)
    mv.scatter_reduce(tensor([2.0], device), 0, index, source, "amax", include_self=False).backward(tensor([1.0], device))
    assert_close(source.grad, [0.5, 0.5, 0.0])


def test_index_put_is_an_assignment(rng, device):
    x, v = rng.standard_normal((4, 3, 5)), rng.standard_normal((2, 5))
    rows, columns = np.array([3, -4]), np.array([1, 2])
    expected = x.copy()
    expected[rows, columns] = v
    for _, arranged in layouts(x):
        y = mv.index_put(tensor(arranged, device), (tensor(rows, device), tensor(columns, device)), tensor(v, device))
        assert_close(y, expected)
    z = tensor(x.copy(), device)
    assert z.index_put_((tensor(rows, device), tensor(columns, device)), tensor(v, device)) is z
    assert_close(z, expected)
    one_mask = x[:, 0, 0] > 0
    expected = x.copy()
    expected[one_mask] += 1
    assert_close(mv.index_put(tensor(x, device), (tensor(one_mask, device),), tensor(1.0, device), accumulate=True), expected)


@pytest.mark.parametrize(
    ("write", "read", "shape"),
    [
        (lambda x, s: mv.select_scatter(x, s, 1, -1), lambda x: x.select(1, -1), (2, 4)),
        (lambda x, s: mv.slice_scatter(x, s, 2, 1, None, 2), lambda x: x[:, :, 1::2], (2, 3, 2)),
        (lambda x, s: mv.diagonal_scatter(x, s, 1, 2, 0), lambda x: x.diagonal(1, 2, 0), (3, 1)),
    ],
)
def test_what_is_written_is_what_is_read(write, read, shape, rng, device):
    x, s = tensor(rng.standard_normal((2, 3, 4)), device), tensor(rng.standard_normal(shape), device)
    assert read(x).shape == s.shape
    y = write(x, s)
    assert_close(read(y), s)
    changed = to_numpy(y != x)
    assert changed.sum() == s.numel()


def test_masked_scatter_takes_its_source_in_order(device):
    mask = np.array([[True, False, True], [False, True, False]])
    y = mv.masked_scatter(tensor(np.zeros((2, 3)), device), tensor(mask, device), tensor([1.0, 2.0, 3.0, 4.0], device))
    assert_close(y, [[1.0, 0, 2], [0, 3, 0]])


def test_unravel_index(device):
    numbers = np.arange(24).reshape(4, 6)
    for places, expected in zip(
        mv.unravel_index(tensor(numbers, device), (2, 3, 4)), np.unravel_index(numbers, (2, 3, 4)), strict=True
    ):
        assert_close(places, expected)


def test_sets_against_python(rng, device):
    values = rng.integers(-3, 4, (5, 6))
    found, inverse, counts = mv.unique(tensor(values, device), return_inverse=True, return_counts=True)
    listed = sorted(set(values.ravel().tolist()))
    assert to_numpy(found).tolist() == listed
    assert_close(found[inverse], values)
    assert to_numpy(counts).tolist() == [values.ravel().tolist().count(v) for v in listed]
    runs = [(v, len(list(g))) for v, g in itertools.groupby(values.ravel().tolist())]
    found, counts = mv.unique_consecutive(tensor(values, device), return_counts=True)
    assert list(zip(to_numpy(found).tolist(), to_numpy(counts).tolist(), strict=True)) == runs
    rows = np.array([[1, 2], [0, 5], [1, 2], [0, 4]])
    for _, arranged in layouts(rows.T):
        assert to_numpy(mv.unique(tensor(arranged, device), dim=1)).T.tolist() == [[0, 4], [0, 5], [1, 2]]
    assert to_numpy(mv.isin(tensor(values, device), tensor([1, 2], device))).tolist() == np.isin(values, [1, 2]).tolist()


def test_searching(rng, device):
    edges, values = np.sort(rng.standard_normal((2, 6))), rng.standard_normal((2, 4))
    values[0, 0] = edges[0, 3]
    for right in (False, True):
        places = mv.searchsorted(tensor(edges, device), tensor(values, device), right=right)
        for n, i in np.ndindex(values.shape):
            below = [e <= values[n, i] if right else e < values[n, i] for e in edges[n]]
            assert int(places[n, i]) == sum(below)
    shuffled = edges[0][[3, 1, 5, 0, 2, 4]]
    order = tensor(np.argsort(shuffled), device)
    places = mv.searchsorted(tensor(shuffled, device), tensor(values[0], device), sorter=order)
    assert_close(places, mv.bucketize(tensor(values[0], device), tensor(edges[0], device)))


def test_quantiles_against_numpy(rng, device):
    x = rng.standard_normal((3, 7, 4))
    holes = np.where(rng.random(x.shape) < 0.3, np.nan, x)
    for _, arranged in layouts(x):
        for method in ("linear", "lower", "higher", "midpoint", "nearest"):
            y = mv.quantile(tensor(arranged, device), tensor([0.1, 0.5, 0.87], device), 1, interpolation=method)
            assert_close(y, np.quantile(x, [0.1, 0.5, 0.87], axis=1, method=method))
    assert_close(mv.nanquantile(tensor(holes, device), 0.4, 1), np.nanquantile(holes, 0.4, axis=1))
    assert np.isnan(to_numpy(mv.quantile(tensor(holes, device), 0.4))).all()


def test_covariance_against_loops(rng, device):
    x, f, a = rng.standard_normal((3, 5)), np.array([1, 2, 0, 3, 1]), rng.random(5)
    repeated = np.repeat(x, f, axis=1)
    mean = repeated.mean(axis=1)
    expected = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        expected[i, j] = sum((u[i] - mean[i]) * (u[j] - mean[j]) for u in repeated.T) / (repeated.shape[1] - 1)
    assert_close(mv.cov(tensor(x, device), fweights=tensor(f, device)), expected)
    assert_close(mv.cov(tensor(x, device), aweights=tensor(a, device)), np.cov(x, aweights=a))
    assert_close(mv.corrcoef(tensor(x, device)), np.corrcoef(x))


def test_counts(rng, device):
    labels, predictions = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    confusion = np.zeros((3, 3), np.int64)
    for t, p in zip(labels, predictions, strict=True):
        confusion[t, p] += 1
    pairs = tensor(labels, device) * 3 + tensor(predictions, device)
    assert to_numpy(mv.bincount(pairs, minlength=9).reshape(3, 3)).tolist() == confusion.tolist()
    x = rng.standard_normal(200)
    inside = np.histogram(x, 8, (-1, 1))[0]
    assert_close(mv.histc(tensor(x, device), 8, -1, 1), inside.astype(float))
    assert mv.histc(tensor(x.astype(np.float64), device).float(), 8).dtype == np.float32


def test_mode_of_every_row(rng, device):
    x = rng.integers(0, 4, (6, 3, 9))
    values, places = mv.mode(tensor(x, device), 2)
    for row in np.ndindex(6, 3):
        counts = {v: x[row].tolist().count(v) for v in x[row].tolist()}
        best = min(v for v in counts if counts[v] == max(counts.values()))
        assert int(values[row]) == best
        assert int(places[row]) == max(i for i in range(9) if x[row][i] == best)


def test_integrals_and_differences(rng, device):
    y, x = rng.standard_normal((3, 5)), np.sort(rng.standard_normal(5))
    expected = [sum((x[i + 1] - x[i]) * (row[i] + row[i + 1]) / 2 for i in range(4)) for row in y]
    assert_close(mv.trapezoid(tensor(y, device), tensor(x, device)), expected)
    running = mv.cumulative_trapezoid(tensor(y, device), tensor(x, device))
    assert_close(running[:, -1], expected)
    assert_close(mv.diff(running, prepend=tensor(np.zeros((3, 1)), device)).sum(1), expected)
    assert_close(mv.trapezoid(tensor(y, device), dx=0.5, dim=0), (y[0] / 2 + y[1] + y[2] / 2) / 2)


def test_cross_product_is_at_right_angles(rng, device):
    a, b = tensor(rng.standard_normal((2, 3, 4)), device), tensor(rng.standard_normal((2, 3, 4)), device)
    y = mv.cross(a, b, 1)
    assert_close((y * a).sum(1), np.zeros((2, 4)), atol=1e-12)
    assert_close((y * b).sum(1), np.zeros((2, 4)), atol=1e-12)
    e1, e2 = tensor([1.0, 0, 0], device), tensor([0, 1.0, 0], device)
    assert_close(mv.cross(e1, e2), [0, 0, 1.0])


def test_gamma_function(device):
    x = [1e-9, 0.2, 0.5, 1 - 1e-9, 1.0, 1 + 1e-7, 1.29, 1.31, 1.9999999, 2.0, 2.5, 3.7, 11.99, 12.0, 171.0, 1e10]
    assert_close(mv.lgamma(tensor(x, device)), [math.lgamma(v) for v in x], rtol=1e-14, atol=1e-15)
    negative = [-0.5, -1.3, -7.9, -20.25]
    assert_close(mv.lgamma(tensor(negative, device)), [math.lgamma(v) for v in negative], rtol=1e-13)
    # digamma(1) = -0.5772.., digamma(x + 1) = digamma(x) + 1 / x, digamma(1 / 2) = digamma(1) - 2 ln 2
    assert_close(mv.digamma(tensor([1.0, 2.0, 0.5, -0.5], device)),
                 [-0.5772156649015329, 0.42278433509846714, -1.9635100260214235, 0.03648997397857652], rtol=1e-13)  # fmt: skip
    trigamma = tensor([1.0, 0.5], device, requires_grad=True)
    mv.digamma(trigamma).sum().backward()
    assert_close(trigamma.grad, [math.pi**2 / 6, math.pi**2 / 2], rtol=1e-13)


def test_numbers_out_of_their_parts(device):
    x, y = tensor([3.0, -0.0, 2.5], device), tensor([-1.0, 2.0, -0.0], device)
    assert to_numpy(mv.copysign(x, y)).tolist() == [-3.0, 0.0, -2.5]
    assert to_numpy(mv.signbit(y)).tolist() == [True, False, True]
    assert to_numpy(mv.ldexp(x, tensor([2, 1, -1], device))).tolist() == [12.0, 0.0, 1.25]
    assert mv.float_power(x.float(), 2).dtype == np.float64
    a = tensor([12, 18], device)
    assert to_numpy(a << 2).tolist() == [48, 72]
    assert to_numpy(a >> 1).tolist() == [6, 9]
    assert to_numpy(1 << tensor([0, 3], device)).tolist() == [1, 8]
    assert to_numpy(mv.gcd(a, 8)).tolist() == [4, 2]


def test_sum_to_size_is_expand_backwards(rng, device):
    """The adjoint: <expand(x), y> = <x, sum_to_size(y)>."""
    for size in ((3, 1), (1, 4), (), (2, 1, 4)):
        x, y = tensor(rng.standard_normal(size), device), tensor(rng.standard_normal((2, 3, 4)), device)
        assert_close((x.expand(2, 3, 4) * y).sum(), (x * y.sum_to_size(size)).sum())


def test_block_diagonal_and_combinations(device):
    y = mv.block_diag(tensor([[1.0, 2.0]], device), tensor(3.0, device), tensor([[4.0], [5.0]], device))
    assert to_numpy(y).tolist() == [[1, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4], [0, 0, 0, 5]]
    x = tensor([1.0, 2.0, 3.0, 4.0], device)
    assert to_numpy(mv.combinations(x, 3)).tolist() == [list(c) for c in itertools.combinations([1, 2, 3, 4], 3)]
    assert mv.broadcast_shapes((2, 1), 3, (1,)) == (2, 3)


def test_nuclear_norm_and_renorm(rng, device):
    x = rng.standard_normal((2, 4, 3))
    expected = [np.linalg.svd(m, compute_uv=False).sum() for m in x]
    for _, arranged in layouts(x):
        assert_close(mv.norm(tensor(arranged, device), "nuc", (1, 2)), expected)
    y = to_numpy(mv.renorm(tensor(x, device), 2, 1, 1.0))
    lengths = [np.linalg.norm(x[:, i]) for i in range(4)]
    for i, length in enumerate(lengths):
        np.testing.assert_allclose(y[:, i], x[:, i] * min(1, 1 / (length + 1e-7)) if length > 1 else x[:, i], rtol=1e-12)


def test_float32_stays(device):
    x = tensor(np.linspace(0.1, 0.9, 6).reshape(2, 3), device).float()
    for name in ("lgamma", "digamma", "logit", "corrcoef", "cov", "diff", "trapezoid", "nanmedian"):
        assert getattr(mv, name)(x).dtype == np.float32, name
    assert mv.quantile(x, 0.3).dtype == np.float32
    assert mv.renorm(x, 2, 0, 1.0).dtype == np.float32
    assert mv.logaddexp2(x, x).dtype == np.float32
