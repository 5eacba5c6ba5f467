"""Elementwise functions, scans, sorting, gathering, rearranging, sums of products: against loops; kinks, adjoints, errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import minivision as mv
from minivision.autograd import Tensor
from tests.helpers import assert_close, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


@pytest.mark.parametrize(
    ("name", "function", "values"),
    [
        ("erf", math.erf, np.linspace(-7, 7, 301)),
        ("erfc", math.erfc, np.linspace(-7, 26, 301)),
        ("log1p", math.log1p, [1e-12, 0.5, -0.5]),
        ("expm1", math.expm1, [1e-12, 0.5, -0.5]),
        ("sinc", lambda v: math.sin(math.pi * v) / (math.pi * v) if v else 1.0, [0.0, 1e-9, 0.5, -2.5]),
        ("atanh", math.atanh, [-0.9, 0.0, 0.5]),
    ],
)
def test_against_the_standard_library(name, function, values, device):
    assert_close(getattr(mv, name)(tensor(values, device)), [function(v) for v in values], rtol=1e-13, atol=1e-300)


def test_integers_become_float32(device):
    x = Tensor(to_device(np.array([1, 2]), device))
    for name in ("log2", "reciprocal", "erf", "atan", "logcumsumexp"):
        assert (getattr(mv, name)(x, 0) if name == "logcumsumexp" else getattr(mv, name)(x)).dtype == np.float32


def test_remainders(device):
    for a, b in itertools.product((-7.5, -6.0, 6.0, 7.5), (-2.0, 2.5)):
        x, y = tensor(a, device), tensor(b, device)
        assert float(mv.remainder(x, y)) == pytest.approx(a % b)
        assert float(mv.fmod(x, y)) == pytest.approx(math.fmod(a, b))
        assert float(x // y) == a // b
        assert float(mv.div(x, y, rounding_mode="trunc")) == math.trunc(a / b)
    assert float(5 % tensor(3.0, device)) == 2


def test_operators_on_bits(device):
    a, b = (Tensor(to_device(np.array(v), device)) for v in ([5, 6], [3, 3]))
    assert to_numpy(a & b).tolist() == [1, 2]
    assert to_numpy(a | b).tolist() == [7, 7]
    assert to_numpy(a ^ b).tolist() == [6, 5]
    assert to_numpy(~(a > 5)).tolist() == [True, False]


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, math.inf, -math.inf, 0])
def test_norm_and_its_gradient_at_zero(p, device, rng):
    x = rng.standard_normal((3, 4))
    size = abs(x)
    special = {math.inf: size.max(1), -math.inf: size.min(1), 0: (x != 0).sum(1).astype(float)}
    expected = special[p] if p in special else [sum(v**p for v in row) ** (1 / p) for row in size]
    assert_close(mv.norm(tensor(x, device), p, dim=1), expected)
    zero = tensor([0.0, 0.0], device, requires_grad=True)
    mv.norm(zero, p).backward()
    assert to_numpy(zero.grad).tolist() == [0.0, 0.0]


def test_scans_against_loops(device, rng):
    x = rng.integers(-3, 4, (4, 9)).astype(float)  # with ties and zeros
    names = {"cumsum": np.add, "cumprod": np.multiply, "cummax": np.maximum, "cummin": np.minimum}
    for name, combine in names.items():
        result = getattr(mv, name)(tensor(x, device), 1)
        values = result[0] if isinstance(result, tuple) else result
        expected = x.copy()
        for i in range(1, 9):
            expected[:, i] = combine(expected[:, i - 1], x[:, i])
        assert_close(values, expected)
        if isinstance(result, tuple):
            last = [[max(j for j in range(i + 1) if x[r, j] == expected[r, i]) for i in range(9)] for r in range(4)]
            assert to_numpy(result[1]).tolist() == last


@pytest.mark.parametrize("zeros", [(), (1,), (1, 3), (0, 4)])
def test_gradient_of_products_with_zeros(zeros, device):
    values = np.array([2.0, -1.5, 3.0, 0.5, -2.0])
    values[list(zeros)] = 0
    others = [np.prod(np.delete(values, k)) for k in range(5)]
    x = tensor(values, device, requires_grad=True)
    x.prod().backward()
    assert_close(x.grad, others)
    x = tensor(values, device, requires_grad=True)
    x.cumprod(0).sum().backward()
    expected = [sum(np.prod(np.delete(values[: i + 1], k)) for i in range(k, 5)) for k in range(5)]
    assert_close(x.grad, expected)


@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(descending, device, rng):
    x = rng.integers(0, 3, (3, 20)).astype(float)
    values, indices = mv.sort(tensor(x, device), dim=1, descending=descending)
    for row, v, i in zip(x, to_numpy(values), to_numpy(indices), strict=True):
        assert i.tolist() == sorted(range(20), key=lambda k, row=row: -row[k] if descending else row[k])
        assert v.tolist() == row[i].tolist()


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_gather_and_scatter_against_loops(dim, device, rng):
    x = rng.standard_normal((3, 4, 5))
    shape = (2, 3, 4)
    index = rng.integers(0, x.shape[dim], shape)
    source = rng.standard_normal(shape)
    place = Tensor(to_device(index, device))
    gathered, added = np.empty(shape), x.copy()
    for at in np.ndindex(shape):
        there = list(at)
        there[dim] = index[at]
        gathered[at] = x[tuple(there)]
        added[tuple(there)] += source[at]
    assert_close(mv.gather(tensor(x, device), dim, place), gathered)
    assert_close(mv.scatter_add(tensor(x, device), dim, place, tensor(source, device)), added)
    filled = tensor(x, device).scatter_(dim, place, value=7.0)
    assert_close(mv.gather(filled, dim, place), np.full(shape, 7.0))


def test_gather_and_scatter_add_are_adjoint(device, rng):
    """<gather(x), y> = <x, scatter_add(0, y)>"""
    x, y = rng.standard_normal((5, 4)), rng.standard_normal((7, 4))
    place = Tensor(to_device(rng.integers(0, 5, (7, 4)), device))
    left = to_numpy(mv.gather(tensor(x, device), 0, place) * tensor(y, device)).sum()
    right = to_numpy(mv.scatter_add(tensor(np.zeros((5, 4)), device), 0, place, tensor(y, device)) * tensor(x, device)).sum()
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,b->ij", [(2, 3, 4), (2,)]), ("ii->i", [(3, 3)]), ("i,j,k->kji", [(2,), (3,), (4,)]),
     ("ij,kl->", [(2, 3), (2, 2)])],
)  # fmt: skip
def test_einsum_against_loops(equation, shapes, device, rng):
    arrays = [rng.standard_normal(s) for s in shapes]
    left, out = equation.split("->")
    terms = left.split(",")
    length = {c: n for term, s in zip(terms, shapes, strict=True) for c, n in zip(term, s, strict=True)}
    expected = np.zeros([length[c] for c in out])
    for values in itertools.product(*(range(n) for n in length.values())):
        at = dict(zip(length, values, strict=True))
        product = math.prod(a[tuple(at[c] for c in term)] for term, a in zip(terms, arrays, strict=True))
        expected[tuple(at[c] for c in out)] += product
    assert_close(mv.einsum(equation, *(tensor(a, device) for a in arrays)), expected)


def test_rearranging(device):
    x = tensor(np.arange(6).reshape(2, 3), device)
    assert to_numpy(mv.roll(x, 1, 1)).tolist() == [[2, 0, 1], [5, 3, 4]]
    assert to_numpy(mv.roll(x, -1)).tolist() == [[1, 2, 3], [4, 5, 0]]
    assert to_numpy(mv.tril(x)).tolist() == [[0, 0, 0], [3, 4, 0]]
    assert to_numpy(mv.rot90(x)).tolist() == [[2, 5], [1, 4], [0, 3]]
    assert to_numpy(mv.diag(mv.diag(x[:, :2]))).tolist() == [[0, 0], [0, 4]]
    assert to_numpy(x.repeat_interleave(2, 0)).tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert [p.shape for p in mv.tensor_split(x, 2, dim=1)] == [(2, 2), (2, 1)]
    assert mv.movedim(mv.zeros(2, 3, 4), 0, -1).shape == (3, 4, 2)
    rows, columns = mv.meshgrid(x[0], x[:, 0], indexing="ij")
    assert to_numpy(rows - columns).tolist() == [[0, -3], [1, -2], [2, -1]]


def test_in_place_variants_need_no_grad(device):
    x = tensor([-1.0, 2.0], device, requires_grad=True)
    with mv.no_grad():
        assert x.relu_() is x
        x.masked_fill_(x == 0, 5.0)
    assert to_numpy(x.detach()).tolist() == [5.0, 2.0]
    with pytest.raises(RuntimeError, match="exp_: this leaf"):
        x.exp_()


def test_draws_follow_the_seed(device):
    weights = tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]], device)
    draws = [mv.multinomial(weights, 400, replacement=True, generator=mv.Generator(3)) for _ in range(2)]
    counts = np.bincount(to_numpy(draws[0])[0], minlength=3)
    assert (to_numpy(draws[0]) == to_numpy(draws[1])).all()
    assert counts[0] == 0
    assert 250 < counts[2] < 350
    assert not to_numpy(draws[0])[1].any()
    coin = to_numpy(mv.bernoulli(tensor(np.full(1000, 0.25), device), generator=mv.Generator(1)))
    assert set(coin) == {0.0, 1.0}
    assert 200 < coin.sum() < 300
    normal = to_numpy(mv.normal(tensor(np.full(1000, 5.0), device), 0.1, generator=mv.Generator(1)))
    assert abs(normal.mean() - 5) < 0.02
    assert_close(mv.logspace(0, 3, 4, dtype=mv.float64), [1, 10, 100, 1000])


X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mv.gather(tensor(X), 1, mv.tensor([[3]])), IndexError, ["gather", "3 .. 3", "axis 1", "0 .. 2"]),
        (lambda: mv.gather(tensor(X), 0, mv.tensor([[0.5]])), TypeError, ["gather", "float32", "int64", ".long()"]),
        (lambda: mv.scatter(tensor(X), 0, mv.tensor([[0]])), ValueError, ["scatter", "src", "value"]),
        (lambda: mv.scatter_add(tensor(X), 0, mv.tensor([[0]]), mv.zeros(1, 1)), TypeError, ["float64", "float32"]),
        (lambda: mv.index_add(tensor(X), 0, mv.tensor([0]), tensor(X)), ValueError, ["index_add", "(2, 3)", "(1, 3)"]),
        (lambda: mv.masked_fill(tensor(X), tensor(X), 1), TypeError, ["masked_fill", "mask", "float64", "bool"]),
        (lambda: mv.topk(tensor(X), 4), ValueError, ["topk", "k=4", "(2, 3)"]),
        (lambda: mv.einsum("ij,jk", tensor(X), tensor(X)), ValueError, ["einsum", "'j'", "3", "2"]),
        (lambda: mv.einsum("ijk", tensor(X)), ValueError, ["einsum", "3 axes", "(2, 3)"]),
        (lambda: mv.mv(tensor(X), tensor(X)), ValueError, ["mv", "vec", "(2, 3)", "a vector"]),
        (lambda: mv.norm(tensor(X), "two"), ValueError, ["norm", "'two'", "inf", "'nuc'"]),
        (lambda: mv.unflatten(tensor(X), 1, (2, 2)), ValueError, ["unflatten", "(2, 2)", "3"]),
        (lambda: mv.normal(0.0, -1.0), ValueError, ["normal", "std", "negative"]),
        (lambda: mv.bernoulli(tensor([1.5])), ValueError, ["bernoulli", "0 .. 1"]),
        (lambda: mv.multinomial(tensor([1.0, 0.0]), 2), ValueError, ["multinomial", "1 classes", "2 samples"]),
        (lambda: mv.floor_divide(mv.tensor([1]), 0), RuntimeError, ["floor_divide", "divided by 0"]),
    ],
)
def test_errors_name_what_is_wrong(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)
