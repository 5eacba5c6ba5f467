"""From arguments to recurrent Functions: one step, or layers upon layers in one direction or both; and what can be wrong.

The weights of one layer and direction come as a dictionary, in PyTorch's order w_ih, w_hh[, b_ih, b_hh][, w_hr], whose keys are
the names that messages call them by; so do the states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minivision.autograd import Tensor
from minivision.backend import xp_of
from minivision.functions.creation import zeros_like
from minivision.functions.dropout import dropout as drop
from minivision.functions.operands import as_tensor, check_flags, integer, need_float, need_ndim, number, shown
from minivision.functions.shape import cat, stack

Named = dict[str, Any]
Axes = tuple[str, ...]


def recurrent_cell(op: str, layer: Any, input: Any, states: Named, weights: Named) -> tuple[Tensor, ...]:
    """The states after one step of `layer`, a Function of `functions.recurrent`. A state that is None starts as zeros."""
    x, states, weights = _floats(op, input), _states(op, states), _tensors(op, weights)
    need_ndim(op, "input", x, (1, 2), "(N, input_size), or (input_size,) without a batch")
    need_float(op, input=x, **states, **weights)
    batch = ("N",) if x.ndim == 2 else ()
    axes = (*batch, "input_size")
    lengths = _sizes(op, layer.gates, weights)
    _need_features(op, layer.gates, x, axes, weights)
    start = [
        _start(op, name, state, x, axes, (*batch, "hidden_size"), (*x.shape[:-1], length))
        for (name, state), length in zip(states.items(), lengths, strict=False)
    ]
    if not batch:
        x, start = x.unsqueeze(0), [state.unsqueeze(0) for state in start]
    _, *last = layer(x.unsqueeze(0), *start, *_as_inputs(weights))  # a sequence of one step
    return tuple(state if batch else state.squeeze(0) for state in last)


def recurrent_layers(
    op: str, layer: Callable[[bool], Any], input: Any, states: Named, weights: list[Named], dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The last layer's states after every step, then the last states of all layers and directions.

    `layer(reverse)` makes the Function of one layer and direction, `weights` has one entry for each, and dropout acts between
    the layers, in training. A state that is None starts as zeros.
    """
    check_flags(op, train=train, bidirectional=bidirectional, batch_first=batch_first)
    x, states, weights = _floats(op, input), _states(op, states), [_tensors(op, own) for own in weights]
    axes: Axes = ("N", "T", "input_size") if batch_first else ("T", "N", "input_size")
    need_ndim(op, "input", x, (2, 3), f"{_tuple(axes)}, or (T, input_size) without a batch")
    need_float(op, input=x, **states, **{name: w for own in weights for name, w in own.items()})
    batched = x.ndim == 3
    axes = axes if batched else ("T", "input_size")
    if x.shape[axes.index("T")] == 0:
        raise ValueError(f"{op}: input {_tuple(axes)} = {x.shape} has no steps, T = 0; a sequence needs at least one")
    dropout = probability(op, "dropout", dropout)
    directions = 2 if bidirectional else 1
    start = _check_layers(op, layer(False).gates, x, axes, states, weights, directions)

    if not batched:
        x, start = x.unsqueeze(1), [state.unsqueeze(1) for state in start]
    elif batch_first:
        x = x.transpose(0, 1)
    last: list[tuple[Tensor, ...]] = []
    for first in range(0, len(weights), directions):
        if first:
            x = drop(x, dropout, train)
        both = []
        for k in range(first, first + directions):
            y, *ends = layer(k > first)(x, *(state[k] for state in start), *_as_inputs(weights[k]))
            both.append(y)
            last.append(tuple(ends))
        x = cat(both, 2) if bidirectional else both[0]
    ends = [stack(of_all) for of_all in zip(*last, strict=True)]
    if not batched:
        return x.squeeze(1), *(state.squeeze(1) for state in ends)
    return x.transpose(0, 1) if batch_first else x, *ends


def cell_weights(w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Named:
    """The weights of a cell by name. Where only one of the biases is given, the other is 0."""
    biases = {"b_ih": b_ih, "b_hh": b_hh}
    given = next((b for b in biases.values() if b is not None), None)
    if given is None:
        return {"w_ih": w_ih, "w_hh": w_hh}
    return {"w_ih": w_ih, "w_hh": w_hh, **{name: zeros_like(given) if b is None else b for name, b in biases.items()}}


def layer_weights(
    op: str, params: Sequence[Any], has_biases: bool, num_layers: int, bidirectional: bool, may_project: bool = False
) -> list[Named]:
    """A flat row of tensors as one dictionary for each layer and direction."""
    check_flags(op, has_biases=has_biases, bidirectional=bidirectional)
    if not isinstance(params, (tuple, list)):
        raise TypeError(f"{op}: params must be a tuple of tensors, but is {shown(params)}")
    layers = integer(op, "num_layers", num_layers, minimum=1) * (2 if bidirectional else 1)
    roles = ["w_ih", "w_hh"] + ["b_ih", "b_hh"] * has_biases
    if may_project and len(params) == layers * (len(roles) + 1):
        roles.append("w_hr")
    if len(params) != layers * len(roles):
        raise ValueError(
            f"{op}: params has {len(params)} tensors, but num_layers={num_layers}, bidirectional={bidirectional} and "
            f"has_biases={has_biases} take {layers} * {len(roles)} of them: {', '.join(roles)} for each layer and direction"
        )
    named = [(f"params[{i}]", w) for i, w in enumerate(params)]
    return [dict(named[i : i + len(roles)]) for i in range(0, len(named), len(roles))]


def two_states(op: str, name: str, hx: Any) -> tuple[Any, Any]:
    """The two states of an LSTM. Raises TypeError unless they are a pair."""
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        given = f"a {type(hx).__name__} of {len(hx)}" if isinstance(hx, (tuple, list)) else shown(hx)
        raise TypeError(f"{op}: {name} must be the pair (h, c), since an LSTM carries two states, but is {given}")
    return hx[0], hx[1]


def probability(op: str, name: str, value: Any) -> float:
    """A setting that is a number in [0, 1]."""
    p = number(op, name, value)
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: {name}={p} is a probability and must lie in [0, 1]")
    return p


# ---- what must fit ----


def _check_layers(
    op: str, gates: int, x: Tensor, axes: Axes, states: Named, weights: list[Named], directions: int
) -> list[Tensor]:
    """The first states (layers * directions, N, length), when input, states and the weights of all layers fit together."""
    lengths = _sizes(op, gates, weights[0])
    _need_features(op, gates, x, axes, weights[0])
    for k, own in enumerate(weights):
        name, w_ih = next(iter(own.items()))
        if _sizes(op, gates, own) != lengths:
            raise ValueError(
                f"{op}: {name} has shape {w_ih.shape}, which means hidden_size={w_ih.shape[0] // gates}, but that of the first "
                f"layer is {lengths[1]}; all layers have the same"
            )
        above = k >= directions
        columns = directions * lengths[0] if above else x.shape[-1]
        if w_ih.shape[1] != columns:
            below = (
                f"layer below, which hands on {directions} * {lengths[0]} features" if above else f"input, which has {columns}"
            )
            expected = (w_ih.shape[0], columns)
            raise ValueError(f"{op}: {name} has shape {w_ih.shape}, but must be {expected}: it reads the {below}")
    layers = "num_layers" if directions == 1 else "2*num_layers"
    batch = (x.shape[axes.index("N")],) if "N" in axes else ()
    names = ("hidden_size" if lengths[0] == lengths[1] else "proj_size", "hidden_size")
    return [
        _start(op, name, state, x, axes, (layers, "N", kind) if batch else (layers, kind), (len(weights), *batch, length))
        for (name, state), kind, length in zip(states.items(), names, lengths, strict=False)
    ]


def _sizes(op: str, gates: int, weights: Named) -> tuple[int, int]:
    """(length of h, length of c) of one layer, when its own weights fit together; both are hidden_size without w_hr."""
    (ih, w_ih), (hh, w_hh), *others = weights.items()
    rows = "hidden_size" if gates == 1 else f"{gates}*hidden_size"
    if len(weights) % 2:
        name, w_hr = others.pop()
        need_ndim(op, name, w_hr, (2,), "(proj_size, hidden_size)")
        length, hidden = w_hr.shape
        if w_hh.shape != (gates * hidden, length):
            raise ValueError(
                f"{op}: {hh} has shape {w_hh.shape}, but must be ({rows}, proj_size) = {(gates * hidden, length)}, since {name} "
                f"(proj_size, hidden_size) = {w_hr.shape}"
            )
    else:
        need_ndim(op, hh, w_hh, (2,), f"({rows}, hidden_size)")
        length = hidden = w_hh.shape[1]
        if w_hh.shape[0] != gates * hidden:
            needed = hidden if gates == 1 else f"{gates} * {hidden} = {gates * hidden}"
            raise ValueError(
                f"{op}: {hh} ({rows}, hidden_size) = {w_hh.shape} has {hidden} columns, so it must have {needed} rows"
            )
    need_ndim(op, ih, w_ih, (2,), f"({rows}, input_size)")
    if w_ih.shape[0] != gates * hidden:
        raise ValueError(
            f"{op}: {ih} ({rows}, input_size) = {w_ih.shape} has {w_ih.shape[0]} rows, but must have {gates * hidden}, as {hh} "
            f"{w_hh.shape} has"
        )
    for name, bias in others:
        if bias.shape != (gates * hidden,):
            raise ValueError(f"{op}: {name} has shape {bias.shape}, but must be ({rows},) = {(gates * hidden,)}")
    return length, hidden


def _need_features(op: str, gates: int, x: Tensor, axes: Axes, weights: Named) -> None:
    name, w_ih = next(iter(weights.items()))
    if x.shape[-1] != w_ih.shape[1]:
        rows = "hidden_size" if gates == 1 else f"{gates}*hidden_size"
        raise ValueError(
            f"{op}: input {_tuple(axes)} = {x.shape} has {x.shape[-1]} features, but {name} ({rows}, input_size) = "
            f"{w_ih.shape} takes {w_ih.shape[1]}"
        )


def _start(op: str, name: str, state: Tensor | None, x: Tensor, inputs: Axes, axes: Axes, shape: tuple[int, ...]) -> Tensor:
    """The state before the first step: as given, when it has the right shape, or zeros."""
    if state is None:
        return Tensor._wrap(xp_of(x.array).zeros(shape, x.dtype))
    if state.shape != shape:
        swapped = inputs[0] == "N" and len(shape) == 3 and state.shape == (shape[1], shape[0], shape[2])
        raise ValueError(
            f"{op}: {name} has shape {state.shape}, but must be {_tuple(axes)} = {shape} for input {_tuple(inputs)} = {x.shape}"
            + ("; batch_first orders the axes of input and output, not those of the states" if swapped else "")
        )
    return state


# ---- small conversions ----


def _tensors(op: str, values: Named) -> Named:
    return {name: None if value is None else as_tensor(op, name, value) for name, value in values.items()}


def _floats(op: str, input: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    if not x.is_floating_point():
        raise TypeError(
            f"{op}: input is {x.dtype} {x.shape}, but must be floating: numbers of words or classes go through nn.Embedding "
            "first, others through .float()"
        )
    return x


def _states(op: str, states: Named) -> Named:
    for name, state in states.items():
        if isinstance(state, (tuple, list)) and any(isinstance(s, Tensor) for s in state):
            raise TypeError(
                f"{op}: {name} must be one tensor, but is a {type(state).__name__} of {len(state)}; only an LSTM takes a pair"
            )
    return _tensors(op, states)


def _as_inputs(weights: Named) -> list[Tensor]:
    """In the order of the Functions' inputs: w_hr, where there is one, comes first."""
    tensors = list(weights.values())
    return tensors[-1:] + tensors[:-1] if len(tensors) % 2 else tensors


def _tuple(axes: Axes) -> str:
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
