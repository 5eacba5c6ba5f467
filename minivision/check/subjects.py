"""What a check looks at: anything with a forward and a backward, brought into one form.

A `Subject` holds the inputs that are to be differentiated, as float64 copies, and runs the forward pass at any point. Each run
gives a `Call`: the outputs, a `pull` that turns upstream gradients into the gradients of the inputs, and the discrete choices
(winners, signs, cells) that were made on the way, where the code tells them.
"""

from __future__ import annotations

import copy
import inspect
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minivision import backend
from minivision.autograd import Function, Tensor
from minivision.autograd.engine import grad
from minivision.nn import Module


@dataclass
class Call:
    """One forward pass: its outputs, how to go back from them, and the decisions that were made."""

    outputs: list[Any]
    pull: Callable[[list[Any]], list[Any]]
    decisions: Callable[[], dict[str, np.ndarray]] = dict


@dataclass
class Subject:
    """A function with the point at which it is looked at."""

    operation: str
    names: list[str]
    point: list[np.ndarray]
    run: Callable[[list[np.ndarray]], Call]
    arguments: list[Any] = field(default_factory=list)  # everything that the function is called with, settings too
    positions: list[int] = field(default_factory=list)  # of the inputs of `point` among them

    def call(self, values: Sequence[np.ndarray]) -> Call:
        """Forward at `values`, which the code may write into; every call draws the same random numbers."""
        with _same_random_numbers():
            return self.run(list(values))

    def outputs(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs at copies of `values`, as float64 (or complex) arrays."""
        found = self.call([v.copy() for v in values]).outputs
        return [y if np.iscomplexobj(y) else np.asarray(y, np.float64) for y in found]


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Seed NumPy's, Python's and minivision's generators for the time of one call; afterwards they are as they were."""
    before = np.random.get_state(), random.getstate(), backend.default_generator.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        backend.manual_seed(0)
        yield
    finally:
        np.random.set_state(before[0])  # noqa: NPY002
        random.setstate(before[1])
        backend.default_generator.set_state(before[2])


# ---- pairs of NumPy functions ----


def of_pair(forward: Any, backward: Any, inputs: Sequence[Any], wrt: Any, names: Sequence[str] | None) -> Subject:
    """`out, cache = forward(*inputs)` with `backward(dout, cache)`; without a cache, `backward(dout, *inputs)`."""
    given = [_plain(x) for x in inputs]
    all_names = list(names) if names is not None else _argument_names(forward, len(given))
    if len(all_names) != len(given):
        raise ValueError(f"check.backward: names={list(all_names)} has {len(all_names)} entries for {len(given)} inputs")
    wanted = _wanted("check.backward", given, all_names, wrt)

    def run(values: list[np.ndarray]) -> Call:
        arguments = [_own(x) for x in given]
        for i, value in zip(wanted, values, strict=True):
            arguments[i] = value
        result = forward(*arguments)
        cached = isinstance(result, tuple) and len(result) == 2
        out = result[0] if cached else result
        single = not isinstance(out, (tuple, list))

        def pull(upstream: list[Any]) -> list[Any]:
            dout = upstream[0] if single else tuple(upstream)
            returned = backward(dout, result[1]) if cached else backward(dout, *arguments)
            return _for_the_wanted(returned, all_names, wanted, given)

        return Call([out] if single else list(out), pull)

    point = [np.array(given[i], np.float64) for i in wanted]
    return Subject(_name_of(backward), [all_names[i] for i in wanted], point, run, given, wanted)


def of_object(make: Callable[[], Any], inputs: Sequence[Any], wrt: Any, operation: str) -> Subject:
    """An object with `forward(*arrays)` and `backward(dout)`, such as a `Function`; a new one for each call."""
    given = [_plain(x) for x in inputs]
    names = _argument_names(make().forward, len(given))
    wanted = _wanted("check.gradient", given, names, wrt)

    def run(values: list[np.ndarray]) -> Call:
        arguments = [_own(x) for x in given]
        for i, value in zip(wanted, values, strict=True):
            arguments[i] = value
        made = make()
        out = made.forward(*arguments)
        single = not isinstance(out, (tuple, list))

        def pull(upstream: list[Any]) -> list[Any]:
            return _for_the_wanted(made.backward(*upstream), names, wanted, given)

        return Call([out] if single else list(out), pull, getattr(made, "decisions", dict))

    point = [np.array(given[i], np.float64) for i in wanted]
    return Subject(operation, [names[i] for i in wanted], point, run, given, wanted)


def _for_the_wanted(returned: Any, names: list[str], wanted: list[int], given: list[Any]) -> list[Any]:
    """The gradients of the wanted inputs, from what backward returned for all of them or for the floating ones."""
    if isinstance(returned, dict):
        return [returned.get(names[i], returned.get(f"d{names[i]}")) for i in wanted]
    gradients = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    floating = [i for i, x in enumerate(given) if _is_floating(x)]
    arrays = [i for i, x in enumerate(given) if isinstance(x, np.ndarray)]
    for receivers in (floating, arrays, list(range(len(given))), wanted):
        if len(gradients) == len(receivers):
            of = dict(zip(receivers, gradients, strict=True))
            return [of.get(i) for i in wanted]
    raise WrongCount(
        f"backward returned {len(gradients)} gradients, but forward has {len(floating)} inputs that need one "
        f"({', '.join(names[i] for i in floating)}); return one for each, in that order"
    )


class WrongCount(Exception):
    """Backward returned another number of gradients than there are inputs."""


# ---- functions of Tensors, modules, PyTorch ----


def of_tensors(fn: Callable[..., Any], inputs: Sequence[Any], wrt: Any, parameters: Any, names: Sequence[str] | None) -> Subject:
    """A function of Tensors or a Module, differentiated by its recorded graph; with the parameters that it uses."""
    given = [x.detach().array if isinstance(x, Tensor) else _plain(x) for x in inputs]
    all_names = list(names) if names is not None else _argument_names(fn.forward if isinstance(fn, Module) else fn, len(given))
    wanted = _wanted("check.gradient", given, all_names, wrt, none_is_fine=parameters is not None or isinstance(fn, Module))
    outside = _parameters(fn, parameters)
    modules = [m for m in (fn, parameters) if isinstance(m, Module)]

    def run(values: list[np.ndarray]) -> Call:
        with _as_found(modules, outside, values[len(wanted) :]):
            arguments: list[Any] = [Tensor(x.copy()) if isinstance(x, np.ndarray) else x for x in given]
            leaves = []
            for i, value in zip(wanted, values, strict=False):
                arguments[i] = Tensor(value).requires_grad_()
                leaves.append(arguments[i])
            result = fn(*arguments)
            leaves += outside.values()
            edges = _tensors_in(result)

        def pull(upstream: list[Any]) -> list[Any]:
            differentiable = [(y, g) for y, g in zip(edges, upstream, strict=True) if y.requires_grad]
            if not differentiable:
                return [None] * len(leaves)
            ys, gs = zip(*differentiable, strict=True)
            found = grad(list(ys), leaves, [Tensor(np.asarray(g)) for g in gs], retain_graph=True, allow_unused=True)
            return [None if g is None else g.numpy() for g in found]

        return Call([y.detach().numpy() for y in edges], pull, lambda: _decisions(edges))

    point = [np.array(given[i], np.float64) for i in wanted]
    point += [np.array(backend.to_numpy(p.array), np.float64) for p in outside.values()]
    arguments = [*given, *(backend.to_numpy(p.array) for p in outside.values())]
    positions = [*wanted, *range(len(given), len(arguments))]
    return Subject(_name_of(fn), [all_names[i] for i in wanted] + list(outside), point, run, arguments, positions)


def _parameters(fn: Any, parameters: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for source in (fn, parameters):
        if isinstance(source, Module):
            found.update({name: p for name, p in source.named_parameters() if p.requires_grad})
        elif isinstance(source, Tensor):
            found["parameter"] = source
        elif isinstance(source, (list, tuple)):
            found.update({f"parameter {i}": p for i, p in enumerate(source)})
        elif isinstance(source, dict):
            found.update(source)
    return found


@contextmanager
def _as_found(modules: list[Module], parameters: dict[str, Tensor], values: list[np.ndarray]) -> Iterator[None]:
    """For one forward pass the parameters hold `values` and the buffers float64 copies; then everything is as it was."""
    held = [(p, p.array) for p in parameters.values()]
    buffers = [b for m in modules for b in m.buffers()]
    held += [(b, b.array) for b in buffers]
    try:
        for parameter, value in zip(parameters.values(), values, strict=True):
            parameter.array = value
        for b in buffers:
            b.array = b.array.astype(np.float64) if b.array.dtype.kind == "f" else b.array.copy()
        yield
    finally:
        for tensor, array in held:
            tensor.array = array


def _decisions(outputs: list[Tensor]) -> dict[str, np.ndarray]:
    """The decisions of every operation that led to the outputs."""
    found: dict[str, np.ndarray] = {}
    stack: list[Any] = [y.grad_fn for y in outputs]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if not isinstance(node, Function) or id(node) in seen:
            continue
        seen.add(id(node))
        for name, choice in node.decisions().items():
            found[f"{node.name} {len(seen)}: {name}"] = backend.to_numpy(choice)
        stack.extend(edge[0] for edge in node.edges or () if edge is not None)
    return found


def _tensors_in(result: Any) -> list[Tensor]:
    """The floating outputs of a function that may return a Tensor, or several in a tuple, list or dict."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [y for part in result for y in _tensors_in(part) if y.dtype.kind == "f"]
    raise TypeError(
        f"check.gradient: the function returned {type(result).__name__}, but must return a Tensor (or several); to check a "
        "forward and a backward written in NumPy, call check.backward(forward, backward, *inputs)"
    )


def of_torch(fn: Callable[..., Any], inputs: Sequence[Any], wrt: Any) -> Subject:
    """A function of PyTorch's tensors, differentiated by PyTorch."""
    torch = sys.modules["torch"]
    given = [x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else _plain(x) for x in inputs]
    names = _argument_names(getattr(fn, "forward", fn), len(given))
    wanted = _wanted("check.gradient", given, names, wrt)

    def run(values: list[np.ndarray]) -> Call:
        arguments: list[Any] = [torch.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in given]
        leaves = [torch.from_numpy(v).requires_grad_() for v in values]
        for i, leaf in zip(wanted, leaves, strict=True):
            arguments[i] = leaf
        result = fn(*arguments)
        outputs = [result] if isinstance(result, torch.Tensor) else list(result)

        def pull(upstream: list[Any]) -> list[Any]:
            gs = [torch.as_tensor(np.asarray(g)) for g in upstream]
            found = torch.autograd.grad(outputs, leaves, gs, retain_graph=True, allow_unused=True)
            return [None if g is None else g.numpy() for g in found]

        return Call([y.detach().numpy() for y in outputs], pull)

    point = [np.array(given[i], np.float64) for i in wanted]
    return Subject(_name_of(fn), [names[i] for i in wanted], point, run, given, wanted)


def is_torch(*values: Any) -> bool:
    """Whether PyTorch is loaded and one of the values is its tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and any(isinstance(v, torch.Tensor) for v in values)


# ---- names and inputs ----


def _own(x: Any) -> Any:
    """A copy of an argument that the code may write into: an array, a dict of settings, a random generator."""
    return copy.deepcopy(x) if isinstance(x, (np.ndarray, dict, list, set, np.random.Generator, random.Random)) else x


def _plain(x: Any) -> Any:
    """A Tensor or a nested list of numbers as an array; everything else (settings) as it is."""
    if isinstance(x, Tensor):
        return x.numpy()
    return np.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else x


def _is_floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _wanted(op: str, given: list[Any], names: list[str], wrt: Any, none_is_fine: bool = False) -> list[int]:
    """The positions of the inputs to differentiate: those of `wrt` (names or positions), or all floating arrays."""
    floating = [i for i, x in enumerate(given) if _is_floating(x)]
    if wrt is None:
        if not floating and not none_is_fine:
            kinds = ", ".join(
                f"{n}: {x.dtype if isinstance(x, np.ndarray) else type(x).__name__}" for n, x in zip(names, given, strict=True)
            )
            raise TypeError(
                f"{op}: no input is a floating array ({kinds or 'none given'}), so there is nothing to "
                "differentiate; use x.astype(float)"
            )
        return floating
    chosen = []
    for which in [wrt] if isinstance(wrt, (str, int)) else wrt:
        if which not in names and not (isinstance(which, int) and -len(given) <= which < len(given)):
            raise ValueError(f"{op}: wrt={which!r} is no input; they are {', '.join(names)}")
        i = which % len(given) if isinstance(which, int) else names.index(which)
        if i not in floating:
            kind = given[i].dtype if isinstance(given[i], np.ndarray) else type(given[i]).__name__
            raise TypeError(f"{op}: {names[i]} is {kind}, and only floating arrays have a gradient; use {names[i]}.astype(float)")
        chosen.append(i)
    return chosen


def _argument_names(fn: Callable[..., Any], count: int) -> list[str]:
    """The names of the first positional parameters; `input 3` where the signature does not say."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [positional[i] if i < len(positional) else f"input {i}" for i in range(count)]


def _name_of(fn: Any) -> str:
    name = getattr(fn, "__name__", None) or type(fn).__name__
    return "the function" if name == "<lambda>" else name
