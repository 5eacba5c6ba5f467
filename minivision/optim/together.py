"""How an update goes over many parameters at once, large ones in blocks and small ones gathered.

An optimizer's formula takes a dozen elementwise steps. Two things would make them dear. Over a large parameter, each step would
carry the whole of it through memory: so the formula runs block by block, each block in a core's cache, and the blocks are shared
out over threads (`in_blocks`). Over a small one, a step costs a call of NumPy whatever its size: so small parameters are gathered
into one flat array, with their gradients and their state, and the formula runs once for all of them.

The parameters themselves stay where they are. Were they views of one buffer, three copies of small arrays could be saved, but
each of them would keep the memory of all the others alive, and `p.data = ...` or `model.to(...)` would tear them out of it. The
state has no such other owner: it stays flat from step to step, and `optimizer.state[p]` holds views of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Array, device_of, is_array, to_device, xp_of
from minivision.memory import scratch

BLOCK = 1 << 17  # elements at a time: half a megabyte of float32 for each of the three or four arrays and two temporaries
SMALL = 1 << 15  # elements; parameters up to this size are gathered
GATHERED = 1 << 19  # elements in one flat array at most: more of them would not stay in cache until they are updated

State = dict[str, Any]
Update = Callable[[Array, Array, dict[str, Any], State], None]
F = TypeVar("F", bound=Callable[..., Any])


def elementwise(update: F) -> F:
    """Mark an `Optimizer.update` that treats every value alike and for itself, so that parameters can be handed to it together.

    Its state must consist of numbers and of arrays of the parameter's shape. A subclass that writes an update of its own
    decides anew.
    """
    update.elementwise = True  # type: ignore[attr-defined]
    return update


def zeros_like(parameter: Array) -> Array:
    """Zeros in the order of the parameter's memory."""
    return xp_of(parameter).zeros_like(parameter)


def same_order(a: Array, b: Array) -> bool:
    """Whether two arrays of one shape have the same dtype, device and order of elements in memory."""
    return type(a) is type(b) and a.dtype == b.dtype and _order(a) == _order(b) and device_of(a) == device_of(b)


def _order(a: Array) -> list[int]:
    """The axes longer than 1, that with the longest steps through memory first."""
    long = [axis for axis, n in enumerate(a.shape) if n > 1]
    return long if a.flags.c_contiguous else sorted(long, key=lambda axis: -abs(a.strides[axis]))


class Together:
    """Small parameters as one flat array. Their state lies in flat arrays too, at which that of each parameter looks."""

    def __init__(self, parameters: Sequence[Tensor], states: dict[Tensor, State]):
        first = parameters[0].array
        self.parameters, self.dtype, self.kind = parameters, first.dtype, type(first)
        self.shapes = [p.array.shape for p in parameters]
        ends = list(accumulate(p.array.size for p in parameters))
        self.places = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self.states = [states.setdefault(p, {}) for p in parameters]
        self.state: State = {}  # of the flat array
        self.handed_out: dict[str, tuple[Any, list[Any]]] = {}  # name -> the flat array or number, and each parameter's
        for name, value in self.states[0].items():
            if is_array(value):
                value = self._flat([to_device(state[name], device_of(first)) for state in self.states])
            self.state[name] = value
        self._hand_out()

    def step(self, update: Update, group: dict[str, Any]) -> None:
        """Gather, update, and put back."""
        weights = self._flat([p.array for p in self.parameters], "gathered parameters")
        gradients = self._flat([p.grad.array for p in self.parameters if p.grad is not None], "gathered gradients")
        update(weights, gradients, group, self.state)
        for p, place, shape in zip(self.parameters, self.places, self.shapes, strict=True):
            p.array[...] = weights[place].reshape(shape)
            p._note_change()
        self._hand_out()

    def still_fits(self, parameters: Sequence[Tensor], states: dict[Tensor, State]) -> bool:
        """Whether these are the parameters, and nobody else has changed their state: no `load_state_dict`, no other step."""
        return (
            len(parameters) == len(self.parameters)
            and all(map(operator.is_, parameters, self.parameters))
            and [p.array.shape for p in parameters] == self.shapes
            and all(type(p.array) is self.kind and p.array.dtype == self.dtype for p in parameters)
            and all(
                states.get(p) is state and len(state) == len(self.state) for p, state in zip(parameters, self.states, strict=True)
            )
            and all(
                all(state.get(name) is value for state, value in zip(self.states, values, strict=True))
                for name, (_, values) in self.handed_out.items()
            )
        )

    def _flat(self, arrays: Sequence[Array], workspace: str | None = None) -> Array:
        """The arrays behind one another, in row-major order each; in memory of their own, or in a workspace of that name."""
        xp, shape = xp_of(arrays[0]), (self.places[-1].stop,)
        flat = xp.empty(shape, self.dtype) if workspace is None or xp is not np else scratch(workspace, shape, self.dtype)
        return xp.concatenate([a.reshape(-1) for a in arrays], out=flat)

    def _hand_out(self) -> None:
        """Give each parameter its part of the flat state, and the numbers."""
        for name, value in self.state.items():
            if not is_array(value):
                parts = [value] * len(self.parameters)
            elif name in self.handed_out and self.handed_out[name][0] is value:
                continue  # its views are out already, and show what has become of it
            else:
                parts = [value[place].reshape(shape) for place, shape in zip(self.places, self.shapes, strict=True)]
            self.handed_out[name] = (value, parts)
            for state, part in zip(self.states, parts, strict=True):
                state[name] = part


def bundles(
    parameters: Sequence[Tensor], states: dict[Tensor, State], before: Sequence[Together]
) -> tuple[list[Together], list[Tensor]]:
    """The small parameters in bundles, those of the last step where they still fit; and the rest, to be updated one by one."""
    small: list[Tensor] = []
    alone: list[Tensor] = []
    for p in parameters:
        (small if p.array.ndim and 0 < p.array.size <= SMALL else alone).append(p)
    by_first = {id(bundle.parameters[0]): bundle for bundle in before}
    found: list[Together] = []
    while small:
        bundle = by_first.get(id(small[0]))
        if bundle is None or not bundle.still_fits(small[: len(bundle.parameters)], states):
            break
        found.append(bundle)
        small = small[len(bundle.parameters) :]
    alike: dict[Any, list[Tensor]] = {}
    for p in small:
        alike.setdefault(_kind(p, states.get(p, {})), []).append(p)
    for kind, those in alike.items():
        for some in _cut(those):
            if kind is None or len(some) == 1:
                alone += some
            else:
                found.append(Together(some, states))
    return found, alone


def _kind(p: Tensor, state: State) -> Any:
    """Equal for parameters that can be updated together: what they are, and the numbers in their state (steps taken).

    None for a state that holds something else.
    """
    entries = []
    for name, value in state.items():
        if not (value.shape == p.array.shape if is_array(value) else isinstance(value, (int, float))):
            return None
        entries.append((name, None if is_array(value) else value))
    return p.array.dtype, device_of(p.array), *entries


def _cut(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """In pieces of at most GATHERED elements."""
    piece: list[Tensor] = []
    size = 0
    for p in parameters:
        if piece and size + p.array.size > GATHERED:
            yield piece
            piece, size = [], 0
        piece.append(p)
        size += p.array.size
    if piece:
        yield piece
