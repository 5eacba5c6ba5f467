"""Recurrent cells and layers, with the gradients of the input, the first states and every weight."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from tests.oracle.cases import Case, Given, Row, Shape, table, uniform

CELLS = {"rnn_tanh_cell": 1, "rnn_relu_cell": 1, "lstm_cell": 4, "gru_cell": 3}  # gates
LAYERS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


# ---- calls whose states and weights are tuples, made of single inputs that get gradients ----


def stepped(library: Any, *inputs: Any, op: str, steps: int = 1) -> Any:
    """A cell, several times on the same input."""
    cell, (x, *states) = library.find(op), inputs[: 3 if op == "lstm_cell" else 2]
    weights = inputs[len(states) + 1 :]
    for _ in range(steps):
        new = cell(x, tuple(states) if len(states) == 2 else states[0], *weights)
        states = list(new) if len(states) == 2 else [new]
    return tuple(states)


def layered(
    library: Any, *inputs: Any, op: str, has_biases: bool, num_layers: int, dropout: float = 0.0, bidirectional: bool = False,
    batch_first: bool = False,
) -> Any:  # fmt: skip
    """Layers over a sequence, in training; but dropout, which is random, only as 0 and 1."""
    x, *states = inputs[: 3 if op == "lstm" else 2]
    params = tuple(inputs[len(states) + 1 :])
    hx = tuple(states) if op == "lstm" else states[0]
    return library.find(op)(x, hx, params, has_biases, num_layers, dropout, True, bidirectional, batch_first)


# ---- shapes ----


def cell_shapes(op: str, batch: int, inputs: int, hidden: int, bias: bool = True) -> list[Shape]:
    rows = CELLS[op] * hidden
    states: list[Shape] = [(batch, hidden)] * (2 if op == "lstm_cell" else 1)
    return [(batch, inputs), *states, (rows, inputs), (rows, hidden), *[(rows,)] * (2 * bias)]


def layer_shapes(
    op: str, steps: int, batch: int, inputs: int, hidden: int, has_biases: bool = True, num_layers: int = 1,
    bidirectional: bool = False, batch_first: bool = False, projected: int = 0, **other: Any,
) -> list[Shape]:  # fmt: skip
    rows, directions, out = LAYERS[op] * hidden, 1 + bidirectional, projected or hidden
    states: list[Shape] = [(num_layers * directions, batch, out)]
    if op == "lstm":
        states.append((num_layers * directions, batch, hidden))
    params: list[Shape] = []
    for layer, _ in itertools.product(range(num_layers), range(directions)):
        params += [(rows, directions * out if layer else inputs), (rows, out), *[(rows,)] * (2 * has_biases)]
        params += [(out, hidden)] if projected else []
    return [(batch, steps, inputs) if batch_first else (steps, batch, inputs), *states, *params]


# ---- the table ----


def cells() -> Iterator[Row]:
    for op in CELLS:
        yield stepped, cell_shapes(op, 3, 2, 4), {"op": op}
        yield stepped, cell_shapes(op, 2, 5, 3, bias=False), {"op": op}
        yield stepped, cell_shapes(op, 1, 1, 1), {"op": op}
        yield stepped, cell_shapes(op, 0, 2, 3), {"op": op}
        yield stepped, cell_shapes(op, 2, 3, 2), {"op": op, "steps": 4}
        yield stepped, cell_shapes(op, 2, 3, 4)[:-1], {"op": op}  # b_ih alone
    for op in ("rnn_tanh_cell", "rnn_relu_cell", "gru_cell"):
        yield op, cell_shapes(op, 3, 2, 4), {}
    states = tuple(uniform(f"lstm_cell/{name}", (3, 2)) for name in "hc")
    yield "lstm_cell", [(3, 4), Given(states), (8, 4), (8, 2), (8,), (8,)], {}


def layers() -> Iterator[Row]:
    kinds: list[dict[str, Any]] = [
        {"has_biases": True, "num_layers": 1},
        {"has_biases": False, "num_layers": 1, "batch_first": True},
        {"has_biases": True, "num_layers": 1, "bidirectional": True},
        {"has_biases": True, "num_layers": 3},
        {"has_biases": False, "num_layers": 2, "bidirectional": True, "batch_first": True},
        {"has_biases": True, "num_layers": 2, "dropout": 1.0},
    ]
    for op, kind in itertools.product(LAYERS, kinds):
        yield layered, layer_shapes(op, 4, 3, 2, 3, **kind), {"op": op, **kind}
    for op in LAYERS:
        kind = {"has_biases": True, "num_layers": 2, "bidirectional": True}
        yield layered, layer_shapes(op, 1, 2, 3, 2, **kind), {"op": op, **kind}  # one step
        yield layered, layer_shapes(op, 3, 0, 3, 2, **kind), {"op": op, **kind}  # no sequence
        yield layered, layer_shapes(op, 9, 1, 1, 1), {"op": op, "has_biases": True, "num_layers": 1}
    for kind in (*kinds[:3], kinds[4]):
        yield layered, layer_shapes("lstm", 3, 2, 2, 4, projected=2, **kind), {"op": "lstm", **kind}


def by_name() -> Iterator[Row]:
    """Calls with constant states and weights: the input alone gets a gradient."""
    for op in LAYERS:
        shapes = layer_shapes(op, 3, 2, 4, 2, num_layers=2, bidirectional=True)
        constants = [uniform(f"{op}/{i}", shape) for i, shape in enumerate(shapes)]
        states = 2 if op == "lstm" else 1
        hx = tuple(constants[1:3]) if op == "lstm" else constants[1]
        settings = (True, 2, 0.0, False, True, False)
        yield op, [shapes[0], Given(hx), Given(tuple(constants[states + 1 :])), *map(Given, settings)], {}


CASES = table(cells, layers, by_name)


def rejected() -> Iterator[tuple[Any, list[Any], dict[str, Any]]]:
    for op, gates in CELLS.items():
        if op != "lstm_cell":
            yield op, [(2, 5), (2, 3), (gates * 3, 4), (gates * 3, 3)], {}  # features
            yield op, [(2, 4), (1, 3), (gates * 3, 4), (gates * 3, 3)], {}  # batch
            yield op, [(2, 4), (2, 4), (gates * 3, 4), (gates * 3, 3)], {}  # hidden size
            yield op, [(2, 4), (2, 3), (gates * 3, 4), (gates * 3, 3), (gates * 3 + 1,), (gates * 3,)], {}
    yield "lstm_cell", [(2, 4), (2, 3), (12, 4), (12, 3)], {}  # no pair
    yield stepped, [(2, 5), (2, 3), (2, 3), (12, 4), (12, 3)], {"op": "lstm_cell"}
    yield stepped, [(2, 4), (2, 3), (1, 3), (12, 4), (12, 3)], {"op": "lstm_cell"}
    for op, gates in LAYERS.items():
        one = {"op": op, "has_biases": False, "num_layers": 1}
        x, state, w_ih, w_hh = (3, 2, 4), (1, 2, 3), (gates * 3, 4), (gates * 3, 3)
        states = [state] * (2 if op == "lstm" else 1)
        yield layered, [(3, 2, 5), *states, w_ih, w_hh], one
        yield layered, [x, *states, w_ih], one  # too few weights
        yield layered, [x, *states, w_ih, w_hh], one | {"num_layers": 2}
        yield layered, [(0, 2, 4), *states, w_ih, w_hh], one  # no steps


REJECTED = [
    Case(f"{number:02d} {op if isinstance(op, str) else op.__name__}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(rejected())
]
