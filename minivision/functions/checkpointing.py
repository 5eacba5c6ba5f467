"""Gradient checkpointing: computing a part of the network twice instead of keeping what it computed.

Backward needs the values of forward, so training needs memory for every layer's output. `checkpoint(f, x)` forgets those inside
f. It keeps x alone, and when the gradient arrives, it runs f again, from the same random numbers, and goes back through that.

    y = f(x)                      forward: the graph of f is made, looked at, and dropped
    dx = (df/dx)^T dy             backward: f once more, with its graph, and at once back through it

The price is one more forward of f. With a network of n layers cut into sqrt(n) segments, about 2 sqrt(n) layers' values exist at
a time instead of n (Chen, Xu, Zhang & Guestrin 2016, arXiv:1604.06174).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor, enable_grad, is_grad_enabled
from minivision.autograd.engine import run_backward
from minivision.autograd.function import Edge
from minivision.autograd.tensor import ticks
from minivision.backend import Array, default_generator, xp_of
from minivision.functions.operands import integer, must_be

_recomputing: ContextVar[bool] = ContextVar("minivision_recomputing", default=False)


def is_recomputing() -> bool:
    """Whether this is the second run of a checkpointed function: what counts its calls (batch norm) must not count this one."""
    return _recomputing.get()


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True, **kwargs: Any
) -> Any:
    """`function(*args, **kwargs)`, whose inner values are computed again in backward instead of being kept until then.

    As `torch.utils.checkpoint.checkpoint(..., use_reentrant=False)`: the tensors may be anywhere, in args, in kwargs, or among
    what the function finds outside (its module's weights, a skip connection), and so may the results, in tuples, lists and
    dictionaries. Values and gradients are those of the plain call. With `preserve_rng_state` the second run draws the same random
    numbers from the default generator, so that dropout drops the same values; a generator of one's own is not put back.

    The function runs twice and must do the same both times. Side effects of its own happen twice; running statistics of batch
    norm move once (in PyTorch, twice). `use_reentrant` is accepted for PyTorch's sake: there is one implementation.

    Raises TypeError unless `function` can be called; RuntimeError when it changes a tensor in place that it did not make itself,
    and in backward when the second run gives other shapes than the first.
    """
    if not callable(function):
        raise TypeError(f"checkpoint: {must_be('function', function, 'a module or another callable')}")
    if not is_grad_enabled():
        return function(*args, **kwargs)
    given = {id(t): (t, t._version[0]) for t in _tensors((args, kwargs))}.values()
    node = Checkpoint(function, args, kwargs, preserve_rng_state)

    first = next(ticks)
    result = function(*args, **kwargs)
    outputs = _made_since(first, result)
    for t, version in given:
        if t._version[0] != version:
            raise RuntimeError(
                f"checkpoint: the function changes its argument of shape {t.shape} in place, and would do so again in backward; "
                "let it work on a .clone()"
            )
    node.ends = list(dict.fromkeys(edge for _, _, edge in _leaving(outputs, first)))
    if not node.ends:
        return result
    known = {t._edge(): t for t, _ in given}
    xp = xp_of(outputs[0].array)
    inputs = [known[edge] if edge in known else _at(edge, xp) for edge in node.ends]
    constants = [t for t, _ in given if not t.requires_grad]
    node.values = [t.array for t in outputs]
    recorded = node(*inputs, *constants)
    return _mapped(result, {id(t): y for t, y in zip(outputs, recorded, strict=True)})


class Checkpoint(Function):
    """(y_1, y_2, ...) = f(x_1, x_2, ...) as one node of the graph: the x are all tensors at which the graph inside f begins.

    dx_i = sum_j (dy_j / dx_i)^T dy_j, found by a walk through the graph of a second run.

    `checkpoint` has made the first run when it records the node. By hand, `Checkpoint(f)`, forward makes it.
    """

    values: list[Array] | None = None  # of the first run, until they are handed on
    ends: list[Edge]  # where the gradients go; `edges` may be cut, when this is a part of another function's second run

    def __init__(self, function: Callable[..., Any], args: Any = (), kwargs: Any = None, preserve_rng_state: bool = True):
        self.function, self.args, self.kwargs = function, args, kwargs or {}
        self.random = default_generator.get_state() if preserve_rng_state else None

    def forward(self, *inputs: Array) -> tuple[Array, ...]:
        self.inputs = inputs  # no copies: the base class watches that they are the same in backward
        values, self.values = self.values, None
        if values is None:
            self.args = [Tensor(x, requires_grad=True) for x in inputs]
            self.ends = [t._edge() for t in self.args]
            values = [t.array for t in _tensors(self.function(*self.args))]
        self.made = [(y.shape, y.dtype) for y in values]
        return tuple(values)

    def backward(self, *gradients: Array) -> tuple[Array | None, ...]:
        first = next(ticks)
        with _as_the_first_time(self.random):
            outputs = _made_since(first, self.function(*self.args, **self.kwargs))
        if [(t.shape, t.dtype) for t in outputs] != self.made:
            raise RuntimeError(
                f"checkpoint: the second run, for backward, gave results {[t.shape for t in outputs]}, but the first one gave "
                f"{[shape for shape, _ in self.made]}; the function must do the same both times"
            )
        leaves = _cut(outputs, first)
        roots = [_at(t._edge()) for t in outputs]
        del outputs  # or their values would wait for the end of the walk
        upstream = [Tensor._wrap(dy) for dy in gradients]
        found = dict(zip(leaves, run_backward(roots, upstream, wanted=list(leaves.values())), strict=True))
        dxs = [None if (dx := found.get(end)) is None else dx.array for end in self.ends]
        return *dxs, *[None] * (len(self.inputs) - len(dxs))  # and none for constants


def checkpoint_sequential(functions: Any, segments: int, input: Any, **options: Any) -> Any:
    """A `Sequential`, or a list of functions, cut into `segments` of equal length, all but the last one checkpointed.

    As `torch.utils.checkpoint.checkpoint_sequential`. Raises ValueError unless 1 <= segments <= the number of functions.
    """
    steps = functions if callable(functions) else list(functions)  # a part of a Sequential is one again, and fuses its layers
    if not 1 <= integer("checkpoint_sequential", "segments", segments) <= len(steps):
        raise ValueError(
            f"checkpoint_sequential: segments={segments} is out of range; legal are 1 .. {len(steps)}, the functions"
        )
    size = len(steps) // segments

    def run(some: Any, x: Any) -> Any:
        for step in [some] if callable(some) else some:
            x = step(x)
        return x

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(run, steps[start : start + size], input, **options)
    return run(steps[size * (segments - 1) :], input)


@contextmanager
def _as_the_first_time(random: dict[str, Any] | None) -> Iterator[None]:
    """Recording, with the random numbers of the first run, and without counting it as a call; then all is as it was."""
    now = default_generator.get_state()
    token = _recomputing.set(True)
    try:
        if random is not None:
            default_generator.set_state(random)
        with enable_grad():
            yield
    finally:
        _recomputing.reset(token)
        if random is not None:
            default_generator.set_state(now)


# ---- the part of the graph that a function has made: the nodes recorded since its beginning ----


def _made_since(first: int, result: Any) -> list[Tensor]:
    """The tensors in a result that were recorded since then; not those that were passed through, nor constants."""
    made = [t for t in _tensors(result) if t.grad_fn is not None and _number(t.grad_fn) > first]
    return list({id(t): t for t in made}.values())


def _leaving(outputs: Sequence[Tensor], first: int) -> Iterator[tuple[Function, int, Edge]]:
    """Every edge on which a gradient leaves that part, to a leaf or to an older node: (node, place among its inputs, edge)."""
    stack = list({t.grad_fn for t in outputs if t.grad_fn is not None})
    seen = set(stack)
    while stack:
        node = stack.pop()
        for place, edge in enumerate(node.edges or ()):
            if edge is None:
                continue
            target = edge[0]
            if isinstance(target, Tensor) or _number(target) <= first:
                yield node, place, edge
            elif target not in seen:
                seen.add(target)
                stack.append(target)


def _cut(outputs: Sequence[Tensor], first: int) -> dict[Edge, Tensor]:
    """Let all edges that leave that part end in leaves of their own, so that a walk stays inside; the leaves by edge."""
    leaves: dict[Edge, Tensor] = {}
    for node, place, edge in list(_leaving(outputs, first)):
        if edge not in leaves:
            leaves[edge] = _at(edge).detach()
        leaf, edges = leaves[edge], list(node.edges or ())
        edges[place] = (leaf, 0)
        node.edges = tuple(edges)
    return leaves


def _number(node: Function) -> int:
    return getattr(node, "_number", -1)  # a node that was freed has forgotten it


def _at(edge: Edge, xp: Any = np) -> Tensor:
    """A tensor at that place of the graph: the leaf itself, or one without values."""
    node, index = edge
    if isinstance(node, Tensor):
        return node
    shape, dtype = node._outputs[index]
    tensor = Tensor._wrap(xp.broadcast_to(xp.empty((), dtype), shape))
    tensor.grad_fn, tensor._output, tensor._requires_grad = node, index, True
    return tensor


# ---- tensors in what functions take and give ----


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _mapped(value: Any, by_identity: dict[int, Tensor]) -> Any:
    """The same structure with other tensors in it."""
    if isinstance(value, Tensor):
        return by_identity.get(id(value), value)
    if isinstance(value, dict):
        return type(value)((key, _mapped(item, by_identity)) for key, item in value.items())
    if isinstance(value, (tuple, list)):
        items = [_mapped(item, by_identity) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)  # a named tuple takes them one by one
    return value
