"""Recurrent layers: a state is carried along a sequence, and the gradient comes back through all its steps.

Every cell here is two linear maps, of the step's input and of the state before it,

    p_t = W_ih x_t + b_ih        q_t = W_hh h_(t-1) + b_hh

and elementwise equations of its own that make h_t from p_t and q_t. Sequences are (T, N, input_size): the steps come first, so
that x[t] is what the whole batch sees at step t. A Function runs one layer over a whole sequence, in one direction; a cell such
as `lstm_cell` is the same over a single step. `minivision.reference` has the equations as loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.activation import Sigmoid
from minivision.functions.recurrent_layers import cell_weights, layer_weights, recurrent_cell, recurrent_layers, two_states


class _ThroughTime(Function):
    """What all cells share: the products that wait for no state are taken once, for all steps together.

    On the way back a cell finds dp_t and dq_t, the last step first, because h_(t-1) also acts through every step behind it:

        dh_(t-1) = dy_(t-1) + W_hh^T dq_t + (what the cell's own equations add)

    All steps used the same weights, so the weights' gradients add up over the steps:

        dW_ih = sum_t dp_t x_t^T,  dW_hh = sum_t dq_t h_(t-1)^T,  db_ih = sum_t dp_t,  db_hh = sum_t dq_t;    dx_t = W_ih^T dp_t

    The outputs are the states after all steps, and the last one by itself. `reverse` reads the sequence from its end.
    """

    gates: ClassVar[int] = 1  # p_t and q_t have this many blocks of the length of the state
    weights_at: ClassVar[int] = 2  # the inputs from this one on are W_ih, W_hh and the biases

    def __init__(self, reverse: bool = False):
        self.reverse = reverse

    def begin(self, x: Array, h: Array, w_ih: Array, w_hh: Array, biases: tuple[Array, ...]) -> Array:
        """Keep what the steps need, make room for the states, and return every p_t as (T, N, G)."""
        steps, batch, _ = x.shape
        self.x, self.w_ih, self.w_hh, self.has_bias = x, w_ih, w_hh, bool(biases)
        b_ih, self.b_hh = biases or (0, 0)
        self.order = range(steps)[::-1] if self.reverse else range(steps)
        self.before, self.h = self.room(h)
        # (T N, I) @ (I, G) -> (T N, G)
        return (_rows(x) @ w_ih.T + b_ih).reshape(steps, batch, w_ih.shape[0])

    def room(self, start: Array) -> tuple[Array, Array]:
        """(the state before each step, the state after it): the same memory seen one step apart, `start` at its beginning."""
        states = xp_of(start).empty((len(self.order) + 1, *start.shape), start.dtype)
        states[-1 if self.reverse else 0] = start
        return (states[1:], states[:-1]) if self.reverse else (states[:-1], states[1:])

    def q(self, t: int) -> Array:
        """W_hh h_(t-1) + b_hh, for the whole batch."""
        # (N, H) @ (H, G) -> (N, G)
        return self.before[t] @ self.w_hh.T + self.b_hh

    def last(self, states: Array) -> Array:
        """The state after the step that was read last; a copy, so that changing it leaves the sequence alone."""
        return states[self.order[-1]].copy()

    def finish(self, dp: Array, dq: Array, *own: Array) -> tuple[Array | None, ...]:
        """The gradients of all inputs, from those of every p_t and q_t; `own` are those of the inputs between x and W_ih."""
        needs, w = self.needs_input_grad, self.weights_at
        dp, dq = _rows(dp), _rows(dq)
        # (T N, G) @ (G, I) -> (T N, I)
        dx = (dp @ self.w_ih).reshape(self.x.shape) if needs[0] else None
        # (G, T N) @ (T N, I) -> (G, I)
        dw_ih = dp.T @ _rows(self.x) if needs[w] else None
        # (G, T N) @ (T N, H) -> (G, H)
        dw_hh = dq.T @ _rows(self.before) if needs[w + 1] else None
        if not self.has_bias:
            return dx, *own, dw_ih, dw_hh
        db_ih = dp.sum(axis=0) if needs[w + 2] else None
        db_hh = dq.sum(axis=0) if needs[w + 3] else None
        return dx, *own, dw_ih, dw_hh, db_ih, db_hh


class RNN(_ThroughTime):
    """h_t = tanh(a_t), or max(a_t, 0), with a_t = p_t + q_t (Elman 1990)

    Back, from the last step to the first:  da_t = dh_t (1 - h_t^2), or dh_t where h_t > 0;  dp_t = dq_t = da_t
    """

    def __init__(self, nonlinearity: str = "tanh", reverse: bool = False):
        super().__init__(reverse)
        self.nonlinearity = nonlinearity

    def forward(self, x: Array, h: Array, w_ih: Array, w_hh: Array, *biases: Array) -> tuple[Array, Array]:
        # x: (T, N, I), h: (N, H), w_ih: (H, I), w_hh: (H, H), each bias: (H,)
        xp = xp_of(x)
        p = self.begin(x, h, w_ih, w_hh, biases)
        for t in self.order:
            a = p[t] + self.q(t)
            self.h[t] = xp.tanh(a) if self.nonlinearity == "tanh" else xp.maximum(a, 0)
        return self.h, self.last(self.h)

    def backward(self, dy: Array, dh: Array) -> tuple[Array | None, ...]:
        da = xp_of(dy).empty(dy.shape, dy.dtype)
        for t in reversed(self.order):
            dh = dh + dy[t]
            da[t] = dh * (1 - self.h[t] ** 2 if self.nonlinearity == "tanh" else self.h[t] > 0)
            # (N, H) @ (H, H) -> (N, H)
            dh = da[t] @ self.w_hh
        return self.finish(da, da, dh)

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.h > 0} if self.nonlinearity == "relu" else {}


class LSTM(_ThroughTime):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)

    a_t = p_t + q_t has four blocks, in this order: input gate, forget gate, candidate, output gate.

        i = sigmoid(a_i),  f = sigmoid(a_f),  g = tanh(a_g),  o = sigmoid(a_o)
        c_t = f c_(t-1) + i g
        h_t = o tanh(c_t)

    Back, from the last step to the first; where f is near 1 the gradient of c passes almost unchanged:

        do = dh_t tanh(c_t)
        dc_t = (dc_t from step t+1) + dh_t o (1 - tanh(c_t)^2)
        di = dc_t g,  df = dc_t c_(t-1),  dg = dc_t i,  dc_(t-1) = dc_t f
        da_i = di i (1 - i),  da_f = df f (1 - f),  da_g = dg (1 - g^2),  da_o = do o (1 - o);    dp_t = dq_t = da_t
    """

    gates = 4
    weights_at = 3

    def forward(self, x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, *biases: Array) -> tuple[Array, ...]:
        # x: (T, N, I), h and c: (N, H), w_ih: (4 H, I), w_hh: (4 H, H), each bias: (4 H,)
        xp = xp_of(x)
        self.a = self.begin(x, h, w_ih, w_hh, biases)  # p_t; after step t, its gates
        self.c_before, self.c = self.room(c)
        for t in self.order:
            self.a[t] += self.q(t)
            i, f, g, o = _blocks(self.a[t], 4)
            for gate in (i, f, o):
                gate[...] = _sigmoid(gate)
            g[...] = xp.tanh(g)
            self.c[t] = f * self.c_before[t] + i * g
            self.h[t] = self.output(o * xp.tanh(self.c[t]))
        return self.h, self.last(self.h), self.last(self.c)

    def backward(self, dy: Array, dh: Array, dc: Array) -> tuple[Array | None, ...]:
        xp = xp_of(dy)
        da = xp.empty(self.a.shape, dy.dtype)
        for t in reversed(self.order):
            i, f, g, o = _blocks(self.a[t], 4)
            da_i, da_f, da_g, da_o = _blocks(da[t], 4)
            tanh_c = xp.tanh(self.c[t])
            dm = self.output_backward(t, dh + dy[t])
            dc = dc + dm * o * (1 - tanh_c**2)
            da_i[...] = dc * g * i * (1 - i)
            da_f[...] = dc * self.c_before[t] * f * (1 - f)
            da_g[...] = dc * i * (1 - g**2)
            da_o[...] = dm * tanh_c * o * (1 - o)
            # (N, 4 H) @ (4 H, H) -> (N, H)
            dh, dc = da[t] @ self.w_hh, dc * f
        return self.finish(da, da, dh, dc)

    def output(self, m: Array) -> Array:
        """h_t from m_t = o tanh(c_t): the same."""
        return m

    def output_backward(self, t: int, dh: Array) -> Array:
        """dm_t from dh_t."""
        return dh


class ProjectedLSTM(LSTM):
    """An LSTM whose state is narrower than its memory: h_t = W_hr m_t with m_t = o tanh(c_t) (Sak et al. 2014, arXiv:1402.1128)

    dm_t = W_hr^T dh_t,  dW_hr = sum_t dh_t m_t^T
    """

    weights_at = 4

    def forward(self, x: Array, h: Array, c: Array, w_hr: Array, *weights: Array) -> tuple[Array, ...]:
        # h: (N, P), c: (N, H), w_hr: (P, H), w_ih: (4 H, I), w_hh: (4 H, P), each bias: (4 H,)
        self.w_hr = w_hr
        return super().forward(x, h, c, *weights)

    def backward(self, dy: Array, dh: Array, dc: Array) -> tuple[Array | None, ...]:
        xp = xp_of(dy)
        self.dh = xp.empty(dy.shape, dy.dtype)
        dx, dh, dc, *others = super().backward(dy, dh, dc)
        m = _blocks(self.a, 4)[3] * xp.tanh(self.c)
        # (P, T N) @ (T N, H) -> (P, H)
        dw_hr = _rows(self.dh).T @ _rows(m) if self.needs_input_grad[3] else None
        return dx, dh, dc, dw_hr, *others

    def output(self, m: Array) -> Array:
        # (N, H) @ (H, P) -> (N, P)
        return m @ self.w_hr.T

    def output_backward(self, t: int, dh: Array) -> Array:
        self.dh[t] = dh
        # (N, P) @ (P, H) -> (N, H)
        return dh @ self.w_hr


class GRU(_ThroughTime):
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), with PyTorch's place for the reset gate

    p_t and q_t have three blocks, in this order: reset gate, update gate, candidate.

        r = sigmoid(p_r + q_r),  z = sigmoid(p_z + q_z)
        n = tanh(p_n + r q_n)        r takes q_n = W_hn h_(t-1) + b_hn as a whole; in the paper it takes h_(t-1) alone
        h_t = (1 - z) n + z h_(t-1)

    Back, from the last step to the first, with a the sums in the brackets:

        dn = dh_t (1 - z),  dz = dh_t (h_(t-1) - n),  dr = da_n q_n
        da_n = dn (1 - n^2),  da_z = dz z (1 - z),  da_r = dr r (1 - r)
        dp_t = (da_r, da_z, da_n),  dq_t = (da_r, da_z, da_n r);    h_(t-1) itself adds dh_t z to dh_(t-1)
    """

    gates = 3

    def forward(self, x: Array, h: Array, w_ih: Array, w_hh: Array, *biases: Array) -> tuple[Array, Array]:
        # x: (T, N, I), h: (N, H), w_ih: (3 H, I), w_hh: (3 H, H), each bias: (3 H,)
        xp = xp_of(x)
        self.a = self.begin(x, h, w_ih, w_hh, biases)  # p_t; after step t, its gates
        self.q_n = xp.empty(self.h.shape, x.dtype)
        for t in self.order:
            q_r, q_z, self.q_n[t] = _blocks(self.q(t), 3)
            r, z, n = _blocks(self.a[t], 3)
            r[...] = _sigmoid(r + q_r)
            z[...] = _sigmoid(z + q_z)
            n[...] = xp.tanh(n + r * self.q_n[t])
            self.h[t] = (1 - z) * n + z * self.before[t]
        return self.h, self.last(self.h)

    def backward(self, dy: Array, dh: Array) -> tuple[Array | None, ...]:
        xp = xp_of(dy)
        dp, dq = xp.empty(self.a.shape, dy.dtype), xp.empty(self.a.shape, dy.dtype)
        for t in reversed(self.order):
            dh = dh + dy[t]
            r, z, n = _blocks(self.a[t], 3)
            da_r, da_z, da_n = _blocks(dp[t], 3)
            da_n[...] = dh * (1 - z) * (1 - n**2)
            da_z[...] = dh * (self.before[t] - n) * z * (1 - z)
            da_r[...] = da_n * self.q_n[t] * r * (1 - r)
            dq[t] = dp[t]
            dq_n = _blocks(dq[t], 3)[2]
            dq_n *= r
            # (N, 3 H) @ (3 H, H) -> (N, H)
            dh = dh * z + dq[t] @ self.w_hh
        return self.finish(dp, dq, dh)


def _sigmoid(a: Array) -> Array:
    return Sigmoid().forward(a)


def _rows(a: Array) -> Array:
    """(T, N, n) -> (T N, n)"""
    return a.reshape(a.shape[0] * a.shape[1], a.shape[2])


def _blocks(a: Array, count: int) -> list[Array]:
    """Views of the equal parts of the last axis."""
    length = a.shape[-1] // count
    return [a[..., k * length : (k + 1) * length] for k in range(count)]


# ---- what users call ----


def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """One step of a plain recurrent layer: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Parameters
    ----------
    input: (N, input_size); or (input_size,), without a batch.
    hx: the state h, (N, hidden_size); or (hidden_size,).
    w_ih, w_hh: (hidden_size, input_size) and (hidden_size, hidden_size).
    b_ih, b_hh: (hidden_size,).

    Returns the new state. Raises ValueError for shapes that do not belong together, TypeError for different dtypes.
    """
    weights = cell_weights(w_ih, w_hh, b_ih, b_hh)
    return recurrent_cell("rnn_tanh_cell", RNN("tanh"), input, {"hx": hx}, weights)[0]


def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """As `rnn_tanh_cell`, with max(., 0) in the place of tanh."""
    weights = cell_weights(w_ih, w_hh, b_ih, b_hh)
    return recurrent_cell("rnn_relu_cell", RNN("relu"), input, {"hx": hx}, weights)[0]


def lstm_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> tuple[Tensor, Tensor]:
    """One step of an LSTM; `LSTM` has the equations.

    Parameters
    ----------
    input: (N, input_size); or (input_size,), without a batch.
    hx: the pair (h, c), each (N, hidden_size); or (hidden_size,).
    w_ih, w_hh: (4*hidden_size, input_size) and (4*hidden_size, hidden_size); the blocks are i, f, g, o.
    b_ih, b_hh: (4*hidden_size,).

    Returns the new pair (h, c).
    Raises ValueError for shapes that do not belong together, TypeError for different dtypes and where hx is no pair.
    """
    h, c = two_states("lstm_cell", "hx", hx)
    weights = cell_weights(w_ih, w_hh, b_ih, b_hh)
    new_h, new_c = recurrent_cell("lstm_cell", LSTM(), input, {"hx[0]": h, "hx[1]": c}, weights)
    return new_h, new_c


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """One step of a GRU; `GRU` has the equations.

    Shapes as in `rnn_tanh_cell`, but with 3*hidden_size rows in the weights and biases; the blocks are r, z, n.
    """
    weights = cell_weights(w_ih, w_hh, b_ih, b_hh)
    return recurrent_cell("gru_cell", GRU(), input, {"hx": hx}, weights)[0]


def rnn_tanh(
    input: Any, hx: Any, params: Sequence[Any], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Layers of tanh units over a whole sequence: what `nn.RNN` runs.

    Parameters
    ----------
    input: (T, N, input_size), or (N, T, input_size) with `batch_first`; or (T, input_size), without a batch.
    hx: the first states, (num_layers * directions, N, hidden_size); without N where the input has no batch.
    params: w_ih, w_hh and, with `has_biases`, b_ih, b_hh of each layer and direction in turn. The layers above the first read the
        states of the one below, which are directions * hidden_size numbers.
    dropout: the probability of `functional.dropout` between the layers, where `train` is set.
    bidirectional: a second set of weights reads the sequence from its end; its states stand behind those of the first.

    Returns (states of the last layer after every step, last states of all layers and directions).
    Raises ValueError for shapes that do not belong together and for a sequence without steps, TypeError for different dtypes.
    """
    weights = layer_weights("rnn_tanh", params, has_biases, num_layers, bidirectional)
    layer, states = partial(RNN, "tanh"), {"hx": hx}
    y, h = recurrent_layers("rnn_tanh", layer, input, states, weights, dropout, train, bidirectional, batch_first)
    return y, h


def rnn_relu(
    input: Any, hx: Any, params: Sequence[Any], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """As `rnn_tanh`, with max(., 0) in the place of tanh."""
    weights = layer_weights("rnn_relu", params, has_biases, num_layers, bidirectional)
    layer, states = partial(RNN, "relu"), {"hx": hx}
    y, h = recurrent_layers("rnn_relu", layer, input, states, weights, dropout, train, bidirectional, batch_first)
    return y, h


def lstm(
    input: Any, hx: Any, params: Sequence[Any], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """LSTM layers over a whole sequence: what `nn.LSTM` runs. Arguments and errors as in `rnn_tanh`, but for

    hx: the pair of the first (h, c).
    params: where each layer has one more, it is w_hr (proj_size, hidden_size), which makes h proj_size numbers.

    Returns (h of the last layer after every step, last h, last c).
    """
    h, c = two_states("lstm", "hx", hx)
    weights = layer_weights("lstm", params, has_biases, num_layers, bidirectional, may_project=True)
    states, layer = {"hx[0]": h, "hx[1]": c}, ProjectedLSTM if len(weights[0]) % 2 else LSTM
    y, h_n, c_n = recurrent_layers("lstm", layer, input, states, weights, dropout, train, bidirectional, batch_first)
    return y, h_n, c_n


def gru(
    input: Any, hx: Any, params: Sequence[Any], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """GRU layers over a whole sequence: what `nn.GRU` runs. Arguments and errors as in `rnn_tanh`."""
    weights = layer_weights("gru", params, has_biases, num_layers, bidirectional)
    y, h = recurrent_layers("gru", GRU, input, {"hx": hx}, weights, dropout, train, bidirectional, batch_first)
    return y, h
