"""Sums of products: einsum, and the named products that it contains."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, xp_of
from minivision.functions.linear import matmul
from minivision.functions.operands import Scalar, as_tensor, axis, check_broadcast, need_same_device
from minivision.functions.rearranging import diagonal, movedim
from minivision.functions.shape import expand, permute, reshape


class Einsum(Function):
    """y[out] = sum of the product of all operands over the letters that `out` lacks.

    The gradient of an operand is the same kind of sum: its letters become the result, dy stands in its place,
    dx_k[letters of x_k] = sum of dy[out] times the product of the other operands. No letter occurs twice in one operand, and
    each occurs in `out` or in another operand.
    """

    def __init__(self, letters: tuple[str, ...], out: str):
        self.letters, self.out = letters, out

    def forward(self, *operands: Array) -> Array:
        self.operands = operands
        return self.contract(self.letters, operands, self.out)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return tuple(self.gradient(k, dy) if self.needs_input_grad[k] else None for k in range(len(self.operands)))

    def gradient(self, k: int, dy: Array) -> Array:
        letters = (self.out, *self.letters[:k], *self.letters[k + 1 :])
        return self.contract(letters, (dy, *self.operands[:k], *self.operands[k + 1 :]), self.letters[k])

    def contract(self, letters: tuple[str, ...], operands: tuple[Array, ...], out: str) -> Array:
        xp = xp_of(*operands)
        # with `optimize`, pairs of operands are multiplied as matrices
        return xp.asarray(xp.einsum(f"{','.join(letters)}->{out}", *operands, optimize=True))


# ---- einsum: the notation ----


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products in Einstein's notation: `einsum("bij,bjk->bik", a, b)` is the batched matrix product.

    One letter per axis; letters that the result lacks are summed over. `...` stands for any axes in front, which broadcast. A
    letter twice in an operand takes its diagonal. Without `->` the result has the letters that occur once, in alphabetical
    order, behind those of `...`. Also `einsum(a, [0, 1], b, [1, 2], [0, 2])`, with numbers for letters.

    Raises ValueError when letters and axes do not agree in number, or lengths under one letter differ.
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    tensors = [as_tensor("einsum", f"operands[{i}]", x) for i, x in enumerate(operands)]
    letters, out = _parsed(equation, [x.shape for x in tensors])
    need_same_device("einsum", **{f"operands[{i}]": x for i, x in enumerate(tensors)})
    dtype = result_type(*(x.array for x in tensors))
    lengths: dict[str, int] = {}
    simple = []
    for i, (x, names) in enumerate(zip(tensors, letters, strict=True)):
        x, names = _without_repeats(x.to(dtype), names)
        for name, n in zip(names, x.shape, strict=True):
            if n != 1 and lengths.setdefault(name, n) not in (1, n):
                raise ValueError(
                    f"einsum: {equation!r} with operands {[t.shape for t in tensors]}: letter {name!r} has length "
                    f"{lengths[name]} and, in operands[{i}], {n}"
                )
            lengths.setdefault(name, n)
            lengths[name] = n if lengths[name] == 1 else lengths[name]
        simple.append((x, names))
    reduced = [_only_shared(k, simple, out, lengths) for k in range(len(simple))]
    kept = "".join(name for name in out if any(name in names for _, names in reduced))
    y = Einsum(tuple(names for _, names in reduced), kept)(*(x for x, _ in reduced))
    return reshape(y, tuple(lengths[name] for name in out))  # letters that have length 1 everywhere come back


def _parsed(equation: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters in the place of `...`."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {equation!r} describes {len(terms)} operands, but {len(shapes)} were given")
    spare = [c for c in string.ascii_letters if c not in text]
    extra = [len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True)]
    for term, shape, more in zip(terms, shapes, extra, strict=True):
        bare = term.replace("...", "", 1)
        if bare and not (bare.isascii() and bare.isalpha()):
            raise ValueError(f"einsum: {term!r} in {equation!r} must consist of letters and at most one '...'")
        if more < 0 or (more and "..." not in term):
            raise ValueError(f"einsum: {term!r} in {equation!r} names {len(bare)} axes, but the operand has shape {shape}")
    most = max((more for term, more in zip(terms, extra, strict=True) if "..." in term), default=0)
    dots = "".join(spare[:most])
    full = [t.replace("...", dots[most - more :]) for t, more in zip(terms, extra, strict=True)]
    named = [c for t in terms for c in t if c != "."]
    if arrow:
        bare = right.replace("...", "", 1)
        if len(set(bare)) != len(bare) or not set(bare) <= set(named):
            raise ValueError(f"einsum: the result {right!r} of {equation!r} must name letters of the operands, each once")
        return full, right.replace("...", dots)
    return full, dots + "".join(sorted(c for c in set(named) if named.count(c) == 1))


def _from_lists(arguments: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """(a, [0, 1], b, [1, 2], [0, 2]) as ("ab,bc->ac", (a, b))."""

    def term(numbers: Sequence[Any]) -> str:
        return "".join("..." if n is Ellipsis else string.ascii_letters[n] for n in numbers)

    pairs = len(arguments) // 2
    equation = ",".join(term(arguments[2 * i + 1]) for i in range(pairs))
    if len(arguments) % 2:
        equation += "->" + term(arguments[-1])
    return equation, tuple(arguments[2 * i] for i in range(pairs))


def _without_repeats(x: Tensor, names: str) -> tuple[Tensor, str]:
    """Letters that occur twice: the diagonal of those axes."""
    for name in dict.fromkeys(names):
        while names.count(name) > 1:
            a, b = names.index(name), names.rindex(name)
            if x.shape[a] != x.shape[b]:
                raise ValueError(f"einsum: letter {name!r} occurs twice in an operand of shape {x.shape}, with different lengths")
            x = movedim(diagonal(x, 0, a, b), -1, a)
            names = names[:b] + names[b + 1 :]
    return x, names


def _only_shared(k: int, terms: list[tuple[Tensor, str]], out: str, lengths: dict[str, int]) -> tuple[Tensor, str]:
    """Operand k, summed over letters that occur nowhere else, and without axes of length 1, which broadcast or fall away."""
    x, names = terms[k]
    elsewhere = out + "".join(other for i, (_, other) in enumerate(terms) if i != k)
    alone = [a for a, name in enumerate(names) if name not in elsewhere]
    single = [a for a, (name, n) in enumerate(zip(names, x.shape, strict=True)) if n == 1 and a not in alone]
    if alone:
        x = x.sum(alone, keepdim=True)
    gone = {*alone, *single}
    left = [a for a in range(len(names)) if a not in gone]
    return reshape(x, tuple(x.shape[a] for a in left)), "".join(names[a] for a in left)


# ---- named products ----


def tensordot(a: Any, b: Any, dims: Any = 2) -> Tensor:
    """Products of a and b summed over axes: the last `dims` of a with the first of b, or two lists of axes."""
    x, y = as_tensor("tensordot", "a", a), as_tensor("tensordot", "b", b)
    dims = dims.tolist() if isinstance(dims, Tensor) else dims
    if isinstance(dims, int):
        if not 0 <= dims <= min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: dims={dims} is out of range for shapes {x.shape} and {y.shape}")
        dims = (range(x.ndim - dims, x.ndim), range(dims))
    inner = [tuple(axis("tensordot", d, t.ndim) for d in part) for part, t in zip(dims, (x, y), strict=True)]
    if len(inner[0]) != len(inner[1]):
        raise ValueError(f"tensordot: dims {dims} must name equally many axes of a and b")
    outer = [[i for i in range(t.ndim) if i not in part] for t, part in zip((x, y), inner, strict=True)]
    for i, j in zip(*inner, strict=True):
        if 1 in (x.shape[i], y.shape[j]) and x.shape[i] != y.shape[j]:  # a length of 1 broadcasts: the other is summed
            x, y = (x.sum(i, keepdim=True), y) if y.shape[j] == 1 else (x, y.sum(j, keepdim=True))
        if x.shape[i] != y.shape[j]:
            raise ValueError(f"tensordot: axis {i} of a {x.shape} and axis {j} of b {y.shape} have different lengths")
    length = math.prod(x.shape[i] for i in inner[0])
    rows, columns = [x.shape[i] for i in outer[0]], [y.shape[i] for i in outer[1]]
    left = reshape(permute(x, (*outer[0], *inner[0])), (math.prod(rows), length))
    right = reshape(permute(y, (*inner[1], *outer[1])), (length, math.prod(columns)))
    return reshape(matmul(left, right), (*rows, *columns))


def outer(input: Any, vec2: Any) -> Tensor:
    """y[i, j] = input[i] vec2[j]."""
    return _product("outer", input=input, vec2=vec2, ndim=(1, 1), sum_=False)


ger = outer


def dot(input: Any, tensor: Any) -> Tensor:
    """The sum of the products of two vectors."""
    return _product("dot", input=input, tensor=tensor, ndim=(1, 1))


vdot = dot


def inner(input: Any, other: Any) -> Tensor:
    """The sums of the products over the last axes; numbers multiply."""
    a, b = as_tensor("inner", "input", input), as_tensor("inner", "other", other)
    return a * b if not a.ndim or not b.ndim else tensordot(a, b, ([-1], [-1]))


def mv(input: Any, vec: Any) -> Tensor:
    """The product of a matrix and a vector."""
    return _product("mv", input=input, vec=vec, ndim=(2, 1))


def kron(input: Any, other: Any) -> Tensor:
    """Kronecker's product: every element of `input` times the whole of `other`, laid out as blocks."""
    a, b = as_tensor("kron", "input", input), as_tensor("kron", "other", other)
    ndim = max(a.ndim, b.ndim)
    first, second = ((1,) * (ndim - t.ndim) + t.shape for t in (a, b))
    # (n, 1, m, 1) * (1, p, 1, q) -> (n, p, m, q) -> (n p, m q)
    blocks = reshape(a, tuple(k for n in first for k in (n, 1))) * reshape(b, tuple(k for n in second for k in (1, n)))
    return reshape(blocks, tuple(n * m for n, m in zip(first, second, strict=True)))


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Scalar = 1, alpha: Scalar = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); `input` broadcasts, and is not looked at where beta is 0."""
    return _plus("addmm", input, _product("addmm", mat1=mat1, mat2=mat2, ndim=(2, 2)), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Scalar = 1, alpha: Scalar = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""
    return _plus("addmv", input, _product("addmv", mat=mat, vec=vec, ndim=(2, 1)), beta, alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: Scalar = 1, alpha: Scalar = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""
    return _plus("addr", input, _product("addr", vec1=vec1, vec2=vec2, ndim=(1, 1), sum_=False), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Scalar = 1, alpha: Scalar = 1) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), batch by batch."""
    return _plus("baddbmm", input, _product("baddbmm", batch1=batch1, batch2=batch2, ndim=(3, 3)), beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Scalar = 1, alpha: Scalar = 1) -> Tensor:
    """beta * input + alpha * (the sum of batch1 @ batch2 over the batch)."""
    return _plus("addbmm", input, _product("addbmm", batch1=batch1, batch2=batch2, ndim=(3, 3)).sum(0), beta, alpha)


def _plus(op: str, input: Any, product: Tensor, beta: Scalar, alpha: Scalar) -> Tensor:
    x = as_tensor(op, "input", input)
    check_broadcast(op, [x.shape, product.shape])
    expand(x, product.shape)  # the result has the shape of the product
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else (x if beta == 1 else x * beta) + product


def _product(op: str, *, ndim: tuple[int, int], sum_: bool = True, **factors: Any) -> Tensor:
    """The matrix product of two factors with so many axes, or with `sum_` False all products of two vectors."""
    kinds = {1: "a vector", 2: "a matrix", 3: "a batch of matrices (N, n, m)"}
    (first, a), (second, b) = ((name, as_tensor(op, name, value)) for name, value in factors.items())
    for name, x, n in ((first, a, ndim[0]), (second, b, ndim[1])):
        if x.ndim != n:
            raise ValueError(f"{op}: {name} has shape {x.shape}, but must be {kinds[n]}; use matmul for other cases")
    if not sum_:
        return reshape(a, -1, 1) * b
    if a.shape[-1] != b.shape[-min(ndim[1], 2)] or (ndim == (3, 3) and a.shape[0] != b.shape[0]):
        raise ValueError(
            f"{op}: {first} {a.shape} and {second} {b.shape} do not fit: the last length of {first} must be the "
            f"{'only' if ndim[1] == 1 else 'last but one'} of {second}{', and the batches equal' if ndim == (3, 3) else ''}"
        )
    return matmul(a, b)
