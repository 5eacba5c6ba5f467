"""Recurrent cells, one step and one unit at a time: the plain one (Elman 1990), LSTM and GRU; and a cell run along a sequence.

x (N, I) is what the batch sees at one step, the state h (N, H) is what the cell remembers. W_ih (rows, I) and W_hh (rows, H) have
a row for each unit and gate, b_ih and b_hh a number; the rows of one gate stand together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.reference.loops import positions

Array = np.ndarray


def sigmoid(a: float) -> float:
    """1 / (1 + e^-a)"""
    return 1 / (1 + math.exp(-a)) if a >= 0 else math.exp(a) / (1 + math.exp(a))


def affine(weight: Array, x: Array, bias: Array | None, row: int) -> float:
    """Row `row` of W x + b."""
    return sum(weight[row, k] * x[k] for k in range(len(x))) + (0 if bias is None else bias[row])


def rnn_cell(
    x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
    nonlinearity: str = "tanh",
) -> Array:  # fmt: skip
    """h'[n,j] = tanh((W_ih x[n] + b_ih)_j + (W_hh h[n] + b_hh)_j), or max(., 0) for "relu" """
    new = np.zeros(h.shape)
    for n, j in positions(*h.shape):
        a = affine(w_ih, x[n], b_ih, j) + affine(w_hh, h[n], b_hh, j)
        new[n, j] = math.tanh(a) if nonlinearity == "tanh" else max(a, 0.0)
    return new


def lstm_cell(
    x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> tuple[Array, Array]:
    """c' = f c + i g and h' = o tanh(c'), where i, f, o = sigmoid(a), g = tanh(a), and each has its own rows of a

    a = W_ih x + b_ih + W_hh h + b_hh, with 4 H rows in the order i, f, g, o: what to let in, what to keep, what could come in,
    what to show (Hochreiter & Schmidhuber 1997; Gers et al. 2000).
    """
    new_h, new_c = np.zeros(c.shape), np.zeros(c.shape)
    hidden = c.shape[1]
    for n, j in positions(*c.shape):
        rows = [gate * hidden + j for gate in range(4)]
        a_i, a_f, a_g, a_o = (affine(w_ih, x[n], b_ih, row) + affine(w_hh, h[n], b_hh, row) for row in rows)
        new_c[n, j] = sigmoid(a_f) * c[n, j] + sigmoid(a_i) * math.tanh(a_g)
        new_h[n, j] = sigmoid(a_o) * math.tanh(new_c[n, j])
    return new_h, new_c


def gru_cell(x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None) -> Array:
    """h' = (1 - z) n + z h, where r, z = sigmoid(p + q) and n = tanh(p + r q), and each has its own rows of p and q

    p = W_ih x + b_ih and q = W_hh h + b_hh, with 3 H rows in the order r, z, n. In the paper (Cho et al. 2014, arXiv:1406.1078) r
    multiplies h before W_hh; here, as in PyTorch, it multiplies W_hh h + b_hh.
    """
    new = np.zeros(h.shape)
    hidden = h.shape[1]
    for b, j in positions(*h.shape):
        rows = [gate * hidden + j for gate in range(3)]
        p_r, p_z, p_n = (affine(w_ih, x[b], b_ih, row) for row in rows)
        q_r, q_z, q_n = (affine(w_hh, h[b], b_hh, row) for row in rows)
        r, z = sigmoid(p_r + q_r), sigmoid(p_z + q_z)
        new[b, j] = (1 - z) * math.tanh(p_n + r * q_n) + z * h[b, j]
    return new


def through_time(cell: Callable[..., Any], x: Array, *start: Array, reverse: bool = False) -> tuple[Array, ...]:
    """(h after every step, the last states) of `cell(x_t, *states)`, which is run along x (T, N, I), or from its end on

    For an LSTM the states are h and c, for the others h alone. h after step t stands at place t in both directions.
    """
    states, steps = start, len(x)
    y = np.zeros((steps, *start[0].shape))
    for t in reversed(range(steps)) if reverse else range(steps):
        new = cell(x[t], *states)
        states = new if isinstance(new, tuple) else (new,)
        y[t] = states[0]
    return y, *states
