"""Recurrent layers and their cells under PyTorch's parameter names, so that its weights can be loaded.

All sequences of a batch have the same number of steps; PyTorch's PackedSequence, for those that have not, does not exist here.
Pad such sequences at their ends and leave the padded steps out of the loss: a state does not depend on what comes after it,
except in the reverse direction of a bidirectional layer.
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

from minivision.autograd import Tensor
from minivision.functions import recurrent as functions
from minivision.functions.creation import empty
from minivision.functions.operands import check_choice, check_flags, integer
from minivision.functions.recurrent_layers import probability, recurrent_cell, recurrent_layers, two_states
from minivision.nn import init
from minivision.nn.module import Module
from minivision.nn.parameter import Parameter

LAYERS: dict[str, Any] = {
    "RNN_TANH": partial(functions.RNN, "tanh"),
    "RNN_RELU": partial(functions.RNN, "relu"),
    "LSTM": functions.LSTM,
    "GRU": functions.GRU,
}


class _Recurrent(Module):
    """What layers and cells share: the sizes, parameters with one block of rows for each gate, and how they start."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool):
        super().__init__()
        name = type(self).__name__
        self.input_size = integer(name, "input_size", input_size, minimum=1)
        self.hidden_size = integer(name, "hidden_size", hidden_size, minimum=1)
        check_flags(name, bias=bias)
        self.bias = bias

    def reset_parameters(self) -> None:
        """PyTorch's default: uniform within 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _shapes(self, gates: int, inputs: int, proj_size: int = 0) -> dict[str, tuple[int, ...]]:
        """The parameters of one layer and direction, by the beginning of their names."""
        rows = gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, proj_size or self.hidden_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, self.hidden_size)
        return shapes


# ---- layers: whole sequences ----


class _RecurrentLayers(_Recurrent):
    """Layers upon layers, each of which reads the states of the one below. `mode` is PyTorch's name of the kind."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool, dropout: float,
        bidirectional: bool, proj_size: int = 0,
    ):  # fmt: skip
        super().__init__(input_size, hidden_size, bias)
        name = type(self).__name__
        self.mode = mode
        self.num_layers = integer(name, "num_layers", num_layers, minimum=1)
        check_flags(name, batch_first=batch_first, bidirectional=bidirectional)
        self.batch_first, self.bidirectional = batch_first, bidirectional
        self.dropout = probability(name, "dropout", dropout)
        self.proj_size = integer(name, "proj_size", proj_size, minimum=0)
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"{name}: proj_size={proj_size} must be smaller than hidden_size={hidden_size}; 0 means no projection"
            )
        if self.dropout and self.num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} has no effect with num_layers=1, since it acts between layers", stacklevel=3
            )
        self._add_parameters()
        self.reset_parameters()

    def _add_parameters(self) -> None:
        directions = 2 if self.bidirectional else 1
        self._names: list[list[str]] = []
        for layer in range(self.num_layers):
            inputs = directions * (self.proj_size or self.hidden_size) if layer else self.input_size
            shapes = self._shapes(LAYERS[self.mode]().gates, inputs, self.proj_size)
            for direction in ("", "_reverse")[:directions]:
                for name, shape in shapes.items():
                    self.register_parameter(f"{name}_l{layer}{direction}", Parameter(empty(*shape)))
                self._names.append([f"{name}_l{layer}{direction}" for name in shapes])

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def flatten_parameters(self) -> None:
        """Nothing: in PyTorch it moves the weights together in the GPU's memory."""

    def _run(self, input: Any, states: dict[str, Any]) -> tuple[Tensor, ...]:
        layer = functions.ProjectedLSTM if self.proj_size else LAYERS[self.mode]
        weights = [{name: getattr(self, name) for name in names} for names in self._names]
        return recurrent_layers(
            type(self).__name__, layer, input, states, weights, self.dropout, self.training, self.bidirectional, self.batch_first
        )

    def extra_repr(self) -> str:
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        unusual = [f", {name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return f"{self.input_size}, {self.hidden_size}{''.join(unusual)}"


class RNN(_RecurrentLayers):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), layer upon layer; `nonlinearity` may be "relu".

    Parameters
    ----------
    input_size, hidden_size: how many numbers a step brings, and how many the state has.
    num_layers: above the first, a layer reads the states of the one below.
    batch_first: input and output are (N, T, ...) instead of (T, N, ...); the states h_0 and h_n keep their order.
    dropout: the probability of `nn.Dropout` on what one layer hands to the next, in training.
    bidirectional: each layer has a second set of weights that reads from the end; both outputs stand side by side.

    `output, h_n = rnn(input, h_0)`: input (T, N, input_size), or (T, input_size) without a batch, h_0 and h_n
    (directions * num_layers, N, hidden_size), output (T, N, directions * hidden_size). h_0 is zeros where it is left out.
    """

    function = staticmethod(functions.rnn_tanh)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
    ):  # fmt: skip
        check_choice(type(self).__name__, "nonlinearity", nonlinearity, ("tanh", "relu"))
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        output, h_n = self._run(input, {"h_0": hx})
        return output, h_n


class LSTM(_RecurrentLayers):
    """Long short-term memory, layer upon layer; `minivision.functions.recurrent.LSTM` has the equations.

    The parameters are those of `nn.RNN`, and
    proj_size: when not 0, h is W_hr times the usual state, and this long; c keeps hidden_size.

    `output, (h_n, c_n) = lstm(input, (h_0, c_0))`, shapes as in `nn.RNN`; the states are zeros where they are left out.
    """

    function = staticmethod(functions.lstm)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
    ):  # fmt: skip
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h_0, c_0 = (None, None) if hx is None else two_states(type(self).__name__, "hx", hx)
        output, h_n, c_n = self._run(input, {"h_0": h_0, "c_0": c_0})
        return output, (h_n, c_n)


class GRU(_RecurrentLayers):
    """Gated recurrent units, layer upon layer; `minivision.functions.recurrent.GRU` has the equations.

    Parameters and shapes are those of `nn.RNN`: `output, h_n = gru(input, h_0)`.
    """

    function = staticmethod(functions.gru)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False,
    ):  # fmt: skip
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        output, h_n = self._run(input, {"h_0": hx})
        return output, h_n


# ---- cells: one step ----


class _Cell(_Recurrent):
    def __init__(self, layer: Any, input_size: int, hidden_size: int, bias: bool):
        super().__init__(input_size, hidden_size, bias)
        self._layer = layer
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            shape = self._shapes(layer().gates, self.input_size).get(name)
            self.register_parameter(name, None if shape is None else Parameter(empty(*shape)))
        self.reset_parameters()

    def _step(self, input: Any, states: dict[str, Any]) -> tuple[Tensor, ...]:
        weights = {name: parameter for name, parameter in self._parameters.items() if parameter is not None}
        return recurrent_cell(type(self).__name__, self._layer(), input, states, weights)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh): one step of `nn.RNN`; `nonlinearity` may be "relu".

    `h = cell(input, h)`: input (N, input_size) or (input_size,), h (N, hidden_size) or (hidden_size,), zeros if it is left out.
    """

    function = staticmethod(functions.rnn_tanh_cell)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"):
        check_choice(type(self).__name__, "nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(partial(functions.RNN, nonlinearity), input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        return self._step(input, {"hx": hx})[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """One step of `nn.LSTM`: `h, c = cell(input, (h, c))`, shapes as in `nn.RNNCell`."""

    function = staticmethod(functions.lstm_cell)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        super().__init__(functions.LSTM, input_size, hidden_size, bias)

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        h, c = (None, None) if hx is None else two_states(type(self).__name__, "hx", hx)
        new_h, new_c = self._step(input, {"hx[0]": h, "hx[1]": c})
        return new_h, new_c


class GRUCell(_Cell):
    """One step of `nn.GRU`: `h = cell(input, h)`, shapes as in `nn.RNNCell`."""

    function = staticmethod(functions.gru_cell)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        super().__init__(functions.GRU, input_size, hidden_size, bias)

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        return self._step(input, {"hx": hx})[0]
