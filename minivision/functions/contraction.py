"""Sums of products: einsum, and the named products that it contains."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, is_array, xp_of
from minivision.functions.arithmetic import Mul
from minivision.functions.linear import check_factors, matmul
from minivision.functions.operands import (
    Scalar,
    as_tensor,
    axes,
    axis,
    check_broadcast,
    check_fits,
    counted,
    integer,
    need_same_device,
    number,
    same_dtype,
    shown,
)
from minivision.functions.rearranging import diagonal, movedim
from minivision.functions.shape import expanded, permute, reshape


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


class Cross(Function):
    """y = a x b, the cross product along an axis of length 3;  da = b x dy,  db = dy x a"""

    broadcasts = True

    def __init__(self, axis: int = -1):
        self.axis = axis  # counted from the end, where broadcasting aligns the axes

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return self.product(a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return self.product(self.b, dy), self.product(dy, self.a)

    def product(self, a: Array, b: Array) -> Array:
        """The vector at right angles to both, (a2 b3 - a3 b2, a3 b1 - a1 b3, a1 b2 - a2 b1)."""
        xp = xp_of(a, b)
        one, two = ([xp.take(v, i, axis=self.axis) for i in range(3)] for v in (a, b))
        parts = [one[i - 2] * two[i - 1] - one[i - 1] * two[i - 2] for i in range(3)]
        return xp.stack(parts, axis=self.axis)


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
    check_factors("einsum", **{f"operands[{i}]": x for i, x in enumerate(tensors)})
    lengths: dict[str, int] = {}
    simple = []
    for i, (x, names) in enumerate(zip(tensors, letters, strict=True)):
        x, names = _without_repeats(x, names)
        for name, n in zip(names, x.shape, strict=True):
            if n != 1 and lengths.setdefault(name, n) not in (1, n):
                raise ValueError(
                    f"einsum: letter {name!r} of {equation!r} has length {lengths[name]} in one operand, but {n} in "
                    f"operands[{i}]; the operands have shapes {' and '.join(str(t.shape) for t in tensors)}"
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
    if text.count("->") > 1:
        raise ValueError(f"einsum: {equation!r} has more than one '->'; it stands once, before the result")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: {equation!r} describes {counted(len(terms), 'operand')}, but {len(shapes)} "
            f"{'was' if len(shapes) == 1 else 'were'} given"
        )
    spare = [c for c in string.ascii_letters if c not in text]
    extra = [len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True)]
    for term, shape, more in zip(terms, shapes, extra, strict=True):
        bare = term.replace("...", "", 1)
        if bare and not (bare.isascii() and bare.isalpha()):
            raise ValueError(f"einsum: {term!r} in {equation!r} must consist of letters and at most one '...'")
        if more < 0 or (more and "..." not in term):
            way_out = "; write ... for axes in front" if more > 0 else ""
            raise ValueError(
                f"einsum: {term!r} in {equation!r} names {counted(len(bare), 'axis')}, but its operand of shape {shape} has "
                f"{len(shape)}{way_out}"
            )
    most = max((more for term, more in zip(terms, extra, strict=True) if "..." in term), default=0)
    dots = "".join(spare[:most])
    full = [t.replace("...", dots[most - more :]) for t, more in zip(terms, extra, strict=True)]
    named = [c for t in terms for c in t if c != "."]
    if arrow:
        bare = right.replace("...", "", 1)
        twice = [c for c in bare if bare.count(c) > 1]
        unknown = [c for c in bare if c not in named]
        if unknown or twice:
            reason = f"{unknown[0]!r}, which no operand has" if unknown else f"{twice[0]!r} twice"
            raise ValueError(
                f"einsum: the result {right!r} of {equation!r} names {reason}; it must name letters of the operands, each once"
            )
        return full, right.replace("...", dots)
    return full, dots + "".join(sorted(c for c in set(named) if named.count(c) == 1))


def _from_lists(arguments: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """(a, [0, 1], b, [1, 2], [0, 2]) as ("ab,bc->ac", (a, b))."""

    def term(numbers: Any) -> str:
        if not isinstance(numbers, (tuple, list)):
            raise TypeError(
                f"einsum: {shown(numbers)} stands in the place of a list of ints, the axes of an operand; write "
                "einsum('ij,jk->ik', a, b) or einsum(a, [0, 1], b, [1, 2])"
            )
        return "".join("..." if n is Ellipsis else letter(n) for n in numbers)

    def letter(n: Any) -> str:
        if integer("einsum", "an axis", n, 0) >= len(string.ascii_letters):
            raise ValueError(f"einsum: axis {n} is beyond the {len(string.ascii_letters)} that have a letter")
        return string.ascii_letters[n]

    if not isinstance(arguments[0], Tensor) and not is_array(arguments[0]):
        raise TypeError(f"einsum: equation={shown(arguments[0])} must be text such as 'ij,jk->ik', or the first operand")
    if len(arguments) < 2:
        raise ValueError(
            "einsum: an operand is given, but neither an equation such as 'ij->ji' before it nor a list of axes behind"
        )
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
                raise ValueError(
                    f"einsum: letter {name!r} stands twice in {names!r}, for the diagonal of axes {a} and {b}, but the operand "
                    f"of shape {x.shape} has lengths {x.shape[a]} and {x.shape[b]} there"
                )
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
    check_factors("tensordot", a=x, b=y)
    dims = dims.tolist() if isinstance(dims, Tensor) else dims
    if isinstance(dims, (tuple, list)):
        if len(dims) != 2 or not all(isinstance(part, (tuple, list)) for part in dims):
            raise TypeError(f"tensordot: dims={dims} must be an int, or two lists of axes, one of a and one of b")
        inner = [
            axes("tensordot", part, t.shape, f"dims[{i}]") if part else ()
            for i, (part, t) in enumerate(zip(dims, (x, y), strict=True))
        ]
    else:
        count = integer("tensordot", "dims", dims, 0, "an int, or two lists of axes")
        if count > min(x.ndim, y.ndim):
            raise ValueError(
                f"tensordot: dims={count} is out of range for a of shape {x.shape} and b of shape {y.shape}; legal are 0 .. "
                f"{min(x.ndim, y.ndim)}"
            )
        inner = [tuple(range(x.ndim - count, x.ndim)), tuple(range(count))]
    if len(inner[0]) != len(inner[1]):
        raise ValueError(
            f"tensordot: dims {dims} name {counted(len(inner[0]), 'axis')} of a, but {len(inner[1])} of b; they must be "
            "equally many"
        )
    outer = [[i for i in range(t.ndim) if i not in part] for t, part in zip((x, y), inner, strict=True)]
    for i, j in zip(*inner, strict=True):
        if 1 in (x.shape[i], y.shape[j]) and x.shape[i] != y.shape[j]:  # a length of 1 broadcasts: the other is summed
            x, y = (x.sum(i, keepdim=True), y) if y.shape[j] == 1 else (x, y.sum(j, keepdim=True))
        if x.shape[i] != y.shape[j]:
            raise ValueError(
                f"tensordot: axis {i} of a {x.shape} has length {x.shape[i]}, but axis {j} of b {y.shape} has {y.shape[j]}; axes "
                "that are multiplied and summed must be equally long"
            )
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


def vdot(input: Any, other: Any) -> Tensor:
    """As `dot`: for real numbers there is nothing to conjugate."""
    return _product("vdot", input=input, other=other, ndim=(1, 1))


def inner(input: Any, other: Any) -> Tensor:
    """The sums of the products over the last axes; numbers multiply."""
    a, b = as_tensor("inner", "input", input), as_tensor("inner", "other", other)
    if not a.ndim or not b.ndim:
        return Mul()(*same_dtype("inner", a, b))
    check_factors("inner", input=a, other=b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"inner: the last axes differ: {a.shape[-1]} of input {a.shape} against {b.shape[-1]} of other {b.shape}; use matmul "
            "for (..., n, m) @ (..., m, k)"
        )
    return tensordot(a, b, ([-1], [-1]))


def mv(input: Any, vec: Any) -> Tensor:
    """The product of a matrix and a vector."""
    return _product("mv", input=input, vec=vec, ndim=(2, 1))


def kron(input: Any, other: Any) -> Tensor:
    """Kronecker's product: every element of `input` times the whole of `other`, laid out as blocks."""
    a, b = as_tensor("kron", "input", input), as_tensor("kron", "other", other)
    need_same_device("kron", input=a, other=b)
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
    beta, alpha = number(op, "beta", beta), number(op, "alpha", alpha)
    need_same_device(op, input=x, **{"the product": product})
    if op == "addr" and x.dtype != product.dtype:
        dtype = result_type(x.array, product.array)
        x, product = x.to(dtype), product.to(dtype)
    if x.dtype != product.dtype:
        raise TypeError(
            f"{op}: input is {x.dtype} {x.shape}, but the product is {product.dtype}; convert input with "
            f".to(minivision.{product.dtype})"
        )
    for name, factor in (("beta", beta), ("alpha", alpha)):
        check_fits(op, name, factor, product.dtype)
    check_broadcast(op, [x.shape, product.shape], ("input", "the product"))
    expanded(op, x, product.shape)  # the result has the shape of the product
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else (x if beta == 1 else x * beta) + product


_PRODUCTS = {(1, 1): "(n,) @ (n,)", (2, 1): "(n, m) @ (m,)", (2, 2): "(n, m) @ (m, k)", (3, 3): "(N, n, m) @ (N, m, k)"}


def _product(op: str, *, ndim: tuple[int, int], sum_: bool = True, **factors: Any) -> Tensor:
    """The matrix product of two factors with so many axes, or with `sum_` False all products of two vectors."""
    kinds = {1: "a vector", 2: "a matrix", 3: "a batch of matrices (N, n, m)"}
    (first, a), (second, b) = ((name, as_tensor(op, name, value)) for name, value in factors.items())
    for name, x, n in ((first, a, ndim[0]), (second, b, ndim[1])):
        if x.ndim != n:
            raise ValueError(f"{op}: {name} has shape {x.shape}, but must be {kinds[n]}; use matmul for other cases")
    if not sum_:
        need_same_device(op, **{first: a, second: b})
        return reshape(a, a.numel(), 1) * b
    check_factors(op, **{first: a, second: b})
    rows, columns = a.shape[-1], b.shape[-min(ndim[1], 2)]
    if rows != columns:
        raise ValueError(
            f"{op}: the inner lengths differ: {rows} of {first} {a.shape} against {columns} of {second} {b.shape}; "
            f"{_PRODUCTS[ndim]} is needed"
        )
    if ndim == (3, 3) and a.shape[0] != b.shape[0]:
        raise ValueError(
            f"{op}: the batches differ: {a.shape[0]} matrices of {first} {a.shape} against {b.shape[0]} of {second} {b.shape}"
        )
    return matmul(a, b)


def cross(input: Any, other: Any, dim: int | None = None) -> Tensor:
    """The cross product of the vectors along `dim`, an axis of length 3 (without `dim` the first one of `input`).

    The other axes broadcast. Raises ValueError when the axis has another length.
    """
    a, b = (as_tensor("cross", name, v) for name, v in (("input", input), ("other", other)))
    need_same_device("cross", input=a, other=b)
    if a.ndim != b.ndim:
        raise ValueError(f"cross: input has shape {a.shape}, but other has {b.shape}; they must have equally many axes")
    if dim is None:
        dim = next((i for i, length in enumerate(a.shape) if length == 3), None)
        if dim is None:
            raise ValueError(f"cross: input {a.shape} has no axis of length 3")
    along = axis("cross", dim, a.shape)
    if not a.ndim or a.shape[along] != 3 or b.shape[along] != 3:
        raise ValueError(f"cross: input {a.shape} and other {b.shape} must have length 3 along dim {dim}")
    return Cross(along - a.ndim)(*same_dtype("cross", a, b))
