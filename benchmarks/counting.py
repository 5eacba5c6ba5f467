"""What minivision does, counted instead of timed: the same numbers on every machine, however busy it is.

`python -m benchmarks.counting CASE...` imports minivision with every operation on arrays in its source replaced by one that
counts: calls, operators, indexing. (The replacement is made in the syntax tree while a module is loaded; the source on disk
stays as it is.) Then it runs each case three times, with one thread, and counts in the last run:

    calls      operations on NumPy arrays, views included: each costs about a microsecond, however small the array
    functions  Python functions that were entered; depends on the version of Python too
    products   multiplications and additions of matrix products, nearly all of which BLAS does
    moved      bytes of the arrays that operations read and wrote; what a function does inside NumPy counts once
    fresh      bytes of new arrays: what is not used again, and costs page faults if it is large
    reordered  bytes of copies from one order of memory to another, as from row-major to channels-last

It sees what minivision's source does with arrays; what NumPy does inside one call is one operation.
"""

from __future__ import annotations

import ast
import builtins
import importlib.abc
import importlib.machinery
import json
import math
import operator
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.MatMult: operator.matmul,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
IN_PLACE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.iadd, ast.Sub: operator.isub, ast.Mult: operator.imul, ast.Div: operator.itruediv,
    ast.FloorDiv: operator.ifloordiv, ast.Mod: operator.imod, ast.Pow: operator.ipow, ast.MatMult: operator.imatmul,
    ast.BitAnd: operator.iand, ast.BitOr: operator.ior, ast.BitXor: operator.ixor, ast.LShift: operator.ilshift,
    ast.RShift: operator.irshift,
}  # fmt: skip
UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.Invert: operator.invert}

UNCHANGED = {
    "super",
    "locals",
    "globals",
    "vars",
    "isinstance",
    "len",
    "range",
    "zip",
    "enumerate",
    "tuple",
    "list",
    "type",
    "getattr",
}
COPIES = {"copyto", "setitem", "ascontiguousarray", "array", "asarray", "copy", "astype"}
PRODUCTS = {"matmul", "imatmul", "dot", "inner", "vdot", "tensordot", "einsum"}
UNWRITTEN = {
    "empty",
    "empty_like",
    "zeros",
    "zeros_like",
}  # zeros come from the system, which writes them when they are first used
LOOKS = {"may_share_memory", "shares_memory", "result_type", "can_cast", "broadcast_shapes", "ndim", "shape", "size"}
VIEWS = {"frombuffer", "ndarray", "as_strided", "broadcast_to"}


class Tally:
    """The numbers, in all and by the name of the operation."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.total: Counter[str] = Counter()
        self.by_name: Counter[str] = Counter()  # bytes moved
        self.places: dict[str, Counter[str]] = {"fresh": Counter(), "reordered": Counter()}  # bytes by line of source

    def record(self, name: str, operands: Sequence[Any], target: Any, result: Any) -> None:
        """An operation on arrays: it read its operands and wrote `target`, an array that was there, or else its result."""
        arrays = list(_arrays(operands))
        made = list(_arrays([result]))
        if target is None and not arrays and not made:
            return
        self.total["calls"] += 1
        if name in LOOKS:
            return
        moved = 0
        if target is not None:
            moved += extent(target) + sum(extent(a) for a in arrays)
            self._reordered(name, arrays, target)
        else:
            fresh = [y for y in made if name not in VIEWS and not any(np.may_share_memory(y, a) for a in arrays)]
            if fresh or not made:  # a view moves nothing
                moved += sum(extent(a) for a in arrays)
            for y in fresh:
                self._at_place("fresh", y.nbytes)
                moved += 0 if name in UNWRITTEN else y.nbytes
                self._reordered(name, arrays, y)
        if name in PRODUCTS:
            self.total["products"] += product_operations(name, operands, target if target is not None else result)
        self.total["moved"] += moved
        self.by_name[name] += moved

    def _reordered(self, name: str, sources: list[np.ndarray], target: np.ndarray) -> None:
        if name not in COPIES:
            return
        alike = [a for a in sources if a is not target and a.ndim > 2 and a.shape == target.shape]
        if any(densest_axis(a) != densest_axis(target) for a in alike):
            self._at_place("reordered", target.nbytes)

    def _at_place(self, key: str, size: int) -> None:
        self.total[key] += size
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        name = frame.f_code.co_filename.rpartition(os.sep)[2]
        self.places[key][f"{name}:{frame.f_lineno}"] += size


def extent(x: np.ndarray) -> int:
    """The bytes of the different elements of x: what is broadcast counts once."""
    return x.itemsize * math.prod(n for n, stride in zip(x.shape, x.strides, strict=True) if stride)


def densest_axis(x: np.ndarray) -> int | None:
    """The axis along which neighbours are closest in memory; None where there is none of more than one element."""
    axes = [axis for axis in range(x.ndim) if x.shape[axis] > 1 and x.strides[axis]]
    return min(axes, key=lambda axis: (abs(x.strides[axis]), -axis), default=None)


def product_operations(name: str, operands: Sequence[Any], result: Any) -> int:
    """Two for each multiplication and addition of a matrix product: 2 m n k."""
    arrays = list(_arrays(operands))
    if name == "einsum":
        sizes: dict[str, int] = {}
        terms = str(operands[0]).split("->")[0].replace(" ", "").split(",")
        for term, array in zip(terms, arrays, strict=False):
            sizes.update(zip(term, array.shape, strict=False))
        return 2 * math.prod(sizes.values()) if len(arrays) > 1 else 0
    first, size = arrays[0], int(np.size(result))
    if name == "tensordot":
        second, free = arrays[1], size
        return 2 * math.isqrt(first.size * second.size * free)  # (m k) (k n) (m n) = (m n k)^2
    return 2 * size * (first.shape[-1] if first.ndim else 1)


def _arrays(values: Iterable[Any]) -> Iterator[np.ndarray]:
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _arrays(value)


tally = Tally()


# ---- what stands in the place of calls, operators and indexing ----


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    result = function(*args, **kwargs)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ndarray):
        operands: tuple[Any, ...] = (owner, *args)
    elif isinstance(function, np.ufunc) or isinstance(owner, np.ufunc) or _of_numpy(function):
        operands = args
    else:
        return result
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(owner, np.ufunc):
        name = f"{owner.__name__}.{name}"
    target = kwargs.get("out")
    target = target[0] if isinstance(target, tuple) else target
    if target is None and result is None and isinstance(operands[0], np.ndarray):  # copyto, fill: they write their first operand
        target, operands = operands[0], operands[1:]
    elif target is None and isinstance(function, np.ufunc) and len(operands) > function.nin:
        target, operands = operands[function.nin], operands[: function.nin]
    tally.record(name, (*operands, *(v for key, v in kwargs.items() if key != "out")), target, result)
    return result


def _of_numpy(function: Any) -> bool:
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "numpy"


def binary(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    result = function(a, b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        tally.record(function.__name__, (a, b), None, result)
    return result


def in_place(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    result = function(a, b)
    if isinstance(a, np.ndarray):
        tally.record(function.__name__, (a, b), result, result)
    return result


def in_place_item(function: Callable[[Any, Any], Any], a: Any, index: Any, b: Any) -> None:
    set_item(a, index, in_place(function, get_item(a, index), b), again=True)


def unary(function: Callable[[Any], Any], a: Any) -> Any:
    result = function(a)
    if isinstance(a, np.ndarray):
        tally.record(function.__name__, (a,), None, result)
    return result


def get_item(a: Any, index: Any) -> Any:
    result = a[index]
    if isinstance(a, np.ndarray):
        copied = isinstance(result, np.ndarray) and not np.may_share_memory(result, a)
        # Gathering reads as many elements as it makes; what it skips is not read.
        tally.record("getitem", (result.copy(),) if copied else (), None, result if copied else a[:0])
    return result


def set_item(a: Any, index: Any, value: Any, again: bool = False) -> None:
    """`again`: after an operation in place on the view a[index], which Python assigns to itself."""
    a[index] = value
    if isinstance(a, np.ndarray) and not (again and np.may_share_memory(a, value)):
        target = a[index]
        tally.record("setitem", (value,), target if isinstance(target, np.ndarray) else a[:0], None)


NAMES = {
    "_counted_call": call, "_counted_binary": binary, "_counted_in_place": in_place, "_counted_in_place_item": in_place_item,
    "_counted_unary": unary, "_counted_get": get_item, "_counted_set": set_item, "_counted_slice": slice,
    **{f"_operator_{f.__name__}": f for table in (BINARY, IN_PLACE, UNARY) for f in table.values()},
}  # fmt: skip


class Counted(ast.NodeTransformer):
    """The same program with the functions above in the place of calls, operators and indexing."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in UNCHANGED:
            return node
        return _calling("_counted_call", node, node.func, *node.args, keywords=node.keywords)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _calling("_counted_binary", node, _function(BINARY, node.op), node.left, node.right)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) > 1 or type(node.ops[0]) not in BINARY:
            return node
        return _calling("_counted_binary", node, _function(BINARY, node.ops[0]), node.left, node.comparators[0])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) not in UNARY or isinstance(node.operand, ast.Constant):
            return node
        return _calling("_counted_unary", node, _function(UNARY, node.op), node.operand)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        return _calling("_counted_get", node, node.value, _index(node.slice))

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        target = node.targets[0]
        if len(node.targets) > 1 or not isinstance(target, ast.Subscript):
            return node
        return _located(ast.Expr(_calling("_counted_set", node, target.value, _index(target.slice), node.value)), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        function, target = _function(IN_PLACE, node.op), node.target
        if isinstance(target, ast.Subscript):
            arguments = (function, target.value, _index(target.slice), node.value)
            return _located(ast.Expr(_calling("_counted_in_place_item", node, *arguments)), node)
        if isinstance(target, ast.Attribute) and not isinstance(target.value, ast.Name):
            return node
        before: ast.expr
        if isinstance(target, ast.Name):
            before = ast.Name(target.id, ast.Load())
        else:
            before = ast.Attribute(target.value, target.attr, ast.Load())
        value = _calling("_counted_in_place", node, function, _located(before, node), node.value)
        return _located(ast.Assign([target], value), node)

    # Annotations and patterns are no operations.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        returns, node.returns = node.returns, None
        self.generic_visit(node)
        node.returns = returns
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.guard = self.visit(node.guard) if node.guard else None
        node.body = [self.visit(statement) for statement in node.body]
        return node


def _calling(name: str, at: ast.AST, *args: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    return _located(ast.Call(_located(ast.Name(name, ast.Load()), at), list(args), list(keywords)), at)


def _function(table: dict[type, Any], kind: ast.AST) -> ast.Name:
    return ast.Name(f"_operator_{table[type(kind)].__name__}", ast.Load())


def _index(node: ast.expr) -> ast.expr:
    """What stands in brackets, as an expression: `1:n` becomes slice(1, n, None)."""
    if isinstance(node, ast.Slice):
        return _calling("_counted_slice", node, *(part or ast.Constant(None) for part in (node.lower, node.upper, node.step)))
    if isinstance(node, ast.Tuple):
        return _located(ast.Tuple([_index(part) for part in node.elts], ast.Load()), node)
    return node


def _located(node: Any, at: ast.AST) -> Any:
    return ast.fix_missing_locations(ast.copy_location(node, at))


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        tree = Counted().visit(ast.parse(self.get_data(path), path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Loads the modules of a package as `Counted`."""

    def __init__(self, package: str):
        self.package = package

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.partition(".")[0] != self.package:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install(package: str = "minivision") -> None:
    """From now on, the package is imported as `Counted`. It must not have been imported yet."""
    if package in sys.modules:
        raise RuntimeError(f"{package} is imported already: counting needs a process of its own")
    for name, value in NAMES.items():
        setattr(builtins, name, value)
    sys.meta_path.insert(0, Finder(package))


def count(step: Callable[[], Any]) -> dict[str, Any]:
    """The numbers of one run of `step`, after two that fill what is kept and used again."""
    step()
    step()
    tally.clear()
    entered = 0

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal entered
        entered += event == "call" and frame.f_code.co_filename != __file__

    sys.setprofile(profile)
    try:
        step()
    finally:
        sys.setprofile(None)
    keys = ("calls", "products", "moved", "fresh", "reordered")
    return {
        **{key: int(tally.total[key]) for key in keys},
        "functions": entered,
        "moved by": dict(tally.by_name.most_common(12)),
        **{f"{key} at": dict(places.most_common(12)) for key, places in tally.places.items()},
    }


def main(names: list[str]) -> None:
    install()
    import minivision
    from benchmarks.cases import CASES
    from minivision import threads

    threads.set_num_threads(1)
    for case in CASES:
        if case.name in names:
            counts = count(case.build(minivision, case.inputs()))
            work = case.work()
            print(json.dumps({"name": case.name, **counts, "flops": work.flops, "bytes": work.bytes}), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    # under its own name, so that the counts of `python -m benchmarks.counting` and of the modules it loads are one
    from benchmarks import counting

    counting.main(sys.argv[1:])
