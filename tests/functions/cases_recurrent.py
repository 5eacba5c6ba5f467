"""Gradient checks for the recurrent layers, by the states after all steps; the last states are in test_recurrent.py."""

from __future__ import annotations

from minivision.functions import recurrent
from tests.functions.cases import case

# x (T, N, I), the states (N, H), W_ih (gates H, I), W_hh (gates H, H), b_ih, b_hh (gates H,)
CASES = [
    case("tanh", recurrent.RNN, (4, 3, 2), (3, 5), (5, 2), (5, 5), (5,), (5,)),
    case("relu", recurrent.RNN, (3, 2, 3), (2, 4), (4, 3), (4, 4), (4,), (4,), args=("relu",)),
    case("reverse, no bias", recurrent.RNN, (3, 2, 4), (2, 3), (3, 4), (3, 3), args=("tanh", True)),
    case("one step", recurrent.RNN, (1, 2, 4), (2, 3), (3, 4), (3, 3), (3,), (3,)),
    case("", recurrent.LSTM, (4, 2, 3), (2, 2), (2, 2), (8, 3), (8, 2), (8,), (8,)),
    case("reverse", recurrent.LSTM, (3, 1, 2), (1, 3), (1, 3), (12, 2), (12, 3), (12,), (12,), args=(True,)),
    case("no bias, saturated", recurrent.LSTM, (3, 2, 2), (2, 2), (2, 2), (8, 2), (8, 2), low=-4.0, high=4.0),
    case("one step", recurrent.LSTM, (1, 3, 2), (3, 2), (3, 2), (8, 2), (8, 2), (8,), (8,)),
    case("", recurrent.ProjectedLSTM, (3, 2, 3), (2, 2), (2, 4), (2, 4), (16, 3), (16, 2), (16,), (16,)),
    case("reverse, no bias", recurrent.ProjectedLSTM, (3, 2, 2), (2, 1), (2, 3), (1, 3), (12, 2), (12, 1), args=(True,)),
    case("", recurrent.GRU, (4, 2, 3), (2, 2), (6, 3), (6, 2), (6,), (6,)),
    case("reverse", recurrent.GRU, (3, 1, 2), (1, 3), (9, 2), (9, 3), (9,), (9,), args=(True,)),
    case("no bias, saturated", recurrent.GRU, (3, 2, 2), (2, 2), (6, 2), (6, 2), low=-4.0, high=4.0),
    case("one step", recurrent.GRU, (1, 3, 2), (3, 2), (6, 2), (6, 2), (6,), (6,)),
]
