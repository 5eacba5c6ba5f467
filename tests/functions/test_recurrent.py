"""Recurrent cells and layers against their loops, central differences, the same cells step by step, and numbers by hand."""

from __future__ import annotations

import math
import warnings
from functools import partial

import numpy as np
import pytest

import minivision as mv
from minivision import reference
from minivision.autograd import Tensor
from minivision.functions import recurrent
from minivision.functions.dropout import dropout
from tests.helpers import assert_close, layouts, numerical_gradient, to_device, to_numpy

CELLS = {
    "rnn_tanh": (mv.rnn_tanh_cell, mv.rnn_tanh, partial(recurrent.RNN, "tanh"), reference.rnn_cell),
    "rnn_relu": (mv.rnn_relu_cell, mv.rnn_relu, partial(recurrent.RNN, "relu"), partial(reference.rnn_cell, nonlinearity="relu")),
    "lstm": (mv.lstm_cell, mv.lstm, recurrent.LSTM, reference.lstm_cell),
    "gru": (mv.gru_cell, mv.gru, recurrent.GRU, reference.gru_cell),
}
every_kind = pytest.mark.parametrize("kind", CELLS)
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


def random_weights(kind, inputs, hidden, rng, bias=True, out=None):
    rows = GATES[kind] * hidden
    shapes = [(rows, inputs), (rows, out or hidden), *[(rows,)] * (2 * bias)]
    return [rng.standard_normal(shape) for shape in shapes]


def random_states(kind, shape, rng):
    return [rng.standard_normal(shape) for _ in range(2 if kind == "lstm" else 1)]


def leaves(arrays, device):
    return [Tensor(to_device(a, device), requires_grad=True) for a in arrays]


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def hx_of(states):
    return tuple(states) if len(states) == 2 else states[0]


# ---- the definition ----


@every_kind
@pytest.mark.parametrize(
    ("batch", "inputs", "hidden", "bias"), [(3, 4, 2, True), (2, 1, 5, False), (1, 3, 1, True), (0, 2, 3, True)]
)
def test_cell_is_its_loops(kind, batch, inputs, hidden, bias, rng, device):
    cell, _, _, definition = CELLS[kind]
    x, states = rng.standard_normal((batch, inputs)), random_states(kind, (batch, hidden), rng)
    weights = random_weights(kind, inputs, hidden, rng, bias)
    expected = as_tuple(definition(x, *states, *weights))
    arrangements = [list(layouts(a)) for a in (x, *states, *weights)]
    for variant in range(3):
        x_t, *rest = [Tensor(to_device(choices[variant % len(choices)][1], device)) for choices in arrangements]
        actual = as_tuple(cell(x_t, hx_of(rest[: len(states)]), *rest[len(states) :]))
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e)


@every_kind
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("steps", "batch", "inputs", "hidden"), [(5, 2, 3, 4), (1, 3, 2, 2), (4, 1, 1, 3), (3, 0, 2, 2)])
def test_layer_is_its_loops(kind, reverse, steps, batch, inputs, hidden, rng, device):
    _, _, layer, definition = CELLS[kind]
    x, states = rng.standard_normal((steps, batch, inputs)), random_states(kind, (batch, hidden), rng)
    weights = random_weights(kind, inputs, hidden, rng)

    def cell(x_t, *states):
        return definition(x_t, *states, *weights)

    expected = reference.through_time(cell, x, *states, reverse=reverse)
    arrangements = [list(layouts(a)) for a in (x, *states, *weights)]
    for variant in range(3):
        arrays = [to_device(choices[variant % len(choices)][1], device) for choices in arrangements]
        for a, e in zip(layer(reverse=reverse).forward(*arrays), expected, strict=True):
            assert_close(a, e)


@pytest.mark.parametrize("reverse", [False, True])
def test_projected_lstm_is_its_loops(reverse, rng, device):
    x, h, c = rng.standard_normal((4, 2, 3)), rng.standard_normal((2, 2)), rng.standard_normal((2, 5))
    w_hr, weights = rng.standard_normal((2, 5)), random_weights("lstm", 3, 5, rng, out=2)

    def cell(x_t, h, c):
        m, c = reference.lstm_cell(x_t, h, c, *weights)
        return m @ w_hr.T, c

    expected = reference.through_time(cell, x, h, c, reverse=reverse)
    arrays = [to_device(a, device) for a in (x, h, c, w_hr, *weights)]
    for a, e in zip(recurrent.ProjectedLSTM(reverse).forward(*arrays), expected, strict=True):
        assert_close(a, e)


@every_kind
def test_layers_in_both_directions_are_their_loops(kind, rng, device):
    """Two layers: the second reads both directions of the first; the last states come layer by layer, forward before reverse."""
    _, run, _, definition = CELLS[kind]
    steps, batch, inputs, hidden = 4, 2, 3, 2
    x, states = rng.standard_normal((steps, batch, inputs)), random_states(kind, (4, batch, hidden), rng)
    params = [random_weights(kind, inputs if k < 2 else 2 * hidden, hidden, rng) for k in range(4)]

    y, last = x, []
    for layer in range(2):
        both = []
        for k in (2 * layer, 2 * layer + 1):
            own = [s[k] for s in states]
            one, *ends = reference.through_time(lambda x_t, *s, k=k: definition(x_t, *s, *params[k]), y, *own, reverse=k % 2 == 1)
            both.append(one)
            last.append(ends)
        y = np.concatenate(both, axis=2)
    expected = [y, *(np.stack(of_all) for of_all in zip(*last, strict=True))]

    tensors = [Tensor(to_device(w, device)) for own in params for w in own]
    hx = hx_of([Tensor(to_device(s, device)) for s in states])
    actual = run(Tensor(to_device(x, device)), hx, tensors, True, 2, 0.0, False, True, False)
    for a, e in zip(actual, expected, strict=True):
        assert_close(a, e)
    flipped = run(Tensor(to_device(x.swapaxes(0, 1), device)), hx, tensors, True, 2, 0.0, False, True, True)
    assert_close(flipped[0], expected[0].swapaxes(0, 1))
    assert_close(flipped[1], expected[1])


# ---- numbers worked out by hand ----


def test_gates_of_an_lstm_stand_in_the_order_input_forget_candidate_output():
    """Weights of 0 leave the biases alone; a bias of 50 opens a gate, -50 closes it."""
    shut, half, full = -50.0, 0.0, 50.0

    def step(i, f, g, o, c=3.0):
        zeros = np.zeros((4, 1))
        bias = Tensor(np.array([i, f, g, o]))
        h, c = mv.lstm_cell(Tensor(np.ones((1, 1))), (Tensor(np.ones((1, 1))), Tensor(np.array([[c]]))), zeros, zeros, bias)
        return h.item(), c.item()

    assert step(shut, full, full, full) == pytest.approx((math.tanh(3.0), 3.0))  # keeps
    assert step(full, shut, full, full) == pytest.approx((math.tanh(1.0), 1.0))  # replaces
    assert step(full, full, full, shut) == pytest.approx((0.0, 4.0))  # adds, and shows nothing
    assert step(half, half, half, half) == pytest.approx((0.5 * math.tanh(1.5), 1.5))
    assert step(half, shut, shut, full) == pytest.approx((math.tanh(-0.5), -0.5))


def test_gates_of_a_gru_stand_in_the_order_reset_update_candidate():
    shut, full = -50.0, 50.0
    zeros, h = np.zeros((3, 1)), np.array([[0.8]])

    def step(r, z, n, hidden=0.0):
        b_ih, b_hh = np.array([r, z, n]), np.array([0.0, 0.0, hidden])
        return mv.gru_cell(np.ones((1, 1)), Tensor(h), zeros, zeros, b_ih, b_hh).item()

    assert step(full, full, full) == pytest.approx(0.8)  # keeps
    assert step(full, shut, 0.25) == pytest.approx(math.tanh(0.25))  # replaces
    assert step(full, 0.0, full) == pytest.approx(0.9)  # half of each
    assert step(full, shut, 0.25, 1.0) == pytest.approx(math.tanh(1.25))
    assert step(shut, shut, 0.25, 1.0) == pytest.approx(math.tanh(0.25))  # r takes b_hn too


def test_a_plain_layer_multiplies_by_its_weight_at_every_step():
    """h_t = 2 h_(t-1) + x_t: 1, 2, 4, 8; the gradient of the last state to x_t is 2^(T-t), which explodes."""
    x = Tensor(np.array([1.0, 0, 0, 0]).reshape(4, 1, 1), requires_grad=True)
    w = Tensor(np.array([[2.0]]), requires_grad=True)
    y, h = mv.rnn_relu(x, np.zeros((1, 1, 1)), [np.ones((1, 1)), w], False, 1, 0.0, False, False, False)
    assert y.flatten().tolist() == [1, 2, 4, 8]
    h.sum().backward()
    assert x.grad.flatten().tolist() == [8, 4, 2, 1]
    assert w.grad.item() == 12.0  # d(w^3)/dw = 3 w^2


# ---- gradients ----


@every_kind
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_all_outputs(kind, reverse, rng, device):
    """A random upstream on the states after every step and on the last ones, h and c."""
    layer = CELLS[kind][2]
    arrays = [rng.standard_normal((3, 2, 2)), *random_states(kind, (2, 3), rng), *random_weights(kind, 2, 3, rng)]
    check_all_outputs(partial(layer, reverse=reverse), arrays, rng, device)


def test_gradients_of_all_outputs_of_a_projected_lstm(rng, device):
    arrays = [rng.standard_normal(s) for s in ((3, 2, 2), (2, 2), (2, 3), (2, 3), (12, 2), (12, 2), (12,), (12,))]
    check_all_outputs(recurrent.ProjectedLSTM, arrays, rng, device)


def check_all_outputs(layer, arrays, rng, device):
    given = leaves(arrays, device)
    outputs = layer()(*given)
    upstream = [rng.standard_normal(y.shape) for y in outputs]
    sum((y * Tensor(to_device(u, device))).sum() for y, u in zip(outputs, upstream, strict=True)).backward()
    for i, leaf in enumerate(given):

        def loss(v, i=i):
            results = layer().forward(*(to_device(v if j == i else a, device) for j, a in enumerate(arrays)))
            return sum((to_numpy(y) * u).sum() for y, u in zip(results, upstream, strict=True))

        assert_close(leaf.grad, numerical_gradient(loss, arrays[i], np.array(1.0)), rtol=1e-6, atol=1e-8)


@every_kind
def test_through_time_is_the_chain_of_its_cells(kind, rng, device):
    """Outputs and gradients of a layer equal those of its cell called step by step, whose gradients the graph adds up."""
    cell, run, _, _ = CELLS[kind]
    x, states = rng.standard_normal((6, 2, 3)), random_states(kind, (1, 2, 4), rng)
    weights = random_weights(kind, 3, 4, rng)
    count = len(states)

    whole = leaves([x, *states, *weights], device)
    y, *last = run(whole[0], hx_of(whole[1 : 1 + count]), whole[1 + count :], True, 1, 0.0, False, False, False)

    parts = leaves([x, *states, *weights], device)
    state, seen = [s[0] for s in parts[1 : 1 + count]], []
    for t in range(6):
        state = list(as_tuple(cell(parts[0][t], hx_of(state), *parts[1 + count :])))
        seen.append(state[0])
    y_steps = mv.stack(seen)
    assert_close(y, y_steps)
    upstream = Tensor(to_device(rng.standard_normal(y.shape), device))
    for output, ends in ((y, last), (y_steps, [s.unsqueeze(0) for s in state])):
        ((output * upstream).sum() + sum((end * end).sum() for end in ends)).backward()
    for a, b in zip(whole, parts, strict=True):
        assert_close(a.grad, b.grad)


@every_kind
def test_unwanted_gradients_are_not_computed(kind, rng, device):
    """backward answers None for the input, the weights and the biases that need none; the states' are on the way anyhow."""
    layer = CELLS[kind][2]
    states = random_states(kind, (2, 3), rng)
    arrays = [to_device(a, device) for a in (rng.standard_normal((3, 2, 2)), *states, *random_weights(kind, 2, 3, rng))]
    whole = layer()
    every = whole.backward(*whole.forward(*arrays))
    optional = [0, *range(1 + len(states), len(arrays))]
    for wanted in optional:
        function = layer()
        function.needs_input_grad = tuple(i == wanted for i in range(len(arrays)))
        gradients = function.backward(*function.forward(*arrays))
        assert [i for i in optional if gradients[i] is not None] == [wanted]
        assert_close(gradients[wanted], every[wanted], rtol=0, atol=0)


def test_relu_shows_its_decisions(rng, device):
    arrays = [rng.standard_normal((3, 2, 2)), rng.standard_normal((2, 3)), *random_weights("rnn_relu", 2, 3, rng)]
    function = recurrent.RNN("relu")
    y, _ = function.forward(*(to_device(a, device) for a in arrays))
    assert_close(function.decisions()["positive"], to_numpy(y) > 0)
    assert recurrent.RNN("tanh").decisions() == {}


# ---- arithmetic and memory ----


@every_kind
def test_single_precision_stays_single(kind, rng, device):
    _, run, _, _ = CELLS[kind]
    arrays = [rng.standard_normal((4, 2, 3)), *random_states(kind, (2, 2, 2), rng)]
    params = [w for k in range(2) for w in random_weights(kind, 2 if k else 3, 2, rng)]
    count = len(arrays)

    def outputs_and_gradients(dtype):
        given = leaves([a.astype(dtype) for a in (*arrays, *params)], device)
        results = run(given[0], hx_of(given[1:count]), given[count:], True, 2, 0.0, True, False, False)
        sum(y.sum() for y in results).backward()
        return [*results, *(g.grad for g in given)]

    for single, exact in zip(outputs_and_gradients(np.float32), outputs_and_gradients(np.float64), strict=True):
        assert single.dtype == np.float32
        assert exact.dtype == np.float64
        assert_close(single, exact, rtol=1e-3, atol=2e-5)


@every_kind
def test_an_empty_batch_has_gradients_of_zero(kind, rng, device):
    _, run, _, _ = CELLS[kind]
    given = leaves([np.zeros((3, 0, 2)), *random_states(kind, (1, 0, 4), rng), *random_weights(kind, 2, 4, rng)], device)
    count = 3 if kind == "lstm" else 2
    y, *last = run(given[0], hx_of(given[1:count]), given[count:], True, 1, 0.0, True, False, False)
    assert (y.shape, last[0].shape) == ((3, 0, 4), (1, 0, 4))
    y.sum().backward()
    for w in given[count:]:
        assert_close(w.grad, np.zeros(w.shape))


@every_kind
def test_without_a_batch(kind, rng, device):
    """(T, input_size) is a batch of one, for cells and layers, with batch_first or without."""
    cell, run, _, _ = CELLS[kind]
    x, states = rng.standard_normal((4, 3)), random_states(kind, (2, 2), rng)
    params = [Tensor(to_device(w, device)) for _ in range(2) for w in random_weights(kind, 3, 2, rng)]
    batch = [Tensor(to_device(a[:, None], device)) for a in (x, *states)]
    alone = [Tensor(to_device(a, device)) for a in (x, *states)]
    expected = run(batch[0], hx_of(batch[1:]), params, True, 1, 0.0, False, True, False)
    for batch_first in (False, True):
        actual = run(alone[0], hx_of(alone[1:]), params, True, 1, 0.0, False, True, batch_first)
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e.squeeze(1))
    one = as_tuple(cell(alone[0][0], hx_of([s[0] for s in alone[1:]]), *params[:4]))
    several = as_tuple(cell(batch[0][0], hx_of([s[0] for s in batch[1:]]), *params[:4]))
    for a, e in zip(one, several, strict=True):
        assert_close(a, e.squeeze(0))


@every_kind
def test_large_sums_overflow_nowhere(kind, device):
    cell = CELLS[kind][0]
    rows = GATES[kind] * 2
    x, state = np.array([[1e4, -1e4]]), np.zeros((1, 2))
    given = leaves([x, np.full((rows, 2), [[1.0, 0.0]]), np.zeros((rows, 2))], device)
    negative = leaves([-x, np.full((rows, 2), [[1.0, 0.0]]), np.zeros((rows, 2))], device)
    states = [Tensor(to_device(state, device)) for _ in range(2 if kind == "lstm" else 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x_t, w_ih, w_hh in (given, negative):
            h = as_tuple(cell(x_t, hx_of(states), w_ih, w_hh))[0]
            h.sum().backward()
            assert np.isfinite(to_numpy(h)).all()
            assert np.isfinite(to_numpy(w_ih.grad)).all()


def test_the_last_state_may_be_changed_in_place_and_the_input_may_not(rng, device):
    given = leaves([rng.standard_normal(s) for s in ((3, 2, 2), (2, 3), (3, 2), (3, 3))], device)
    x = given[0] * 1.0
    y, h = recurrent.RNN()(x, *given[1:])
    h.detach().zero_()
    y.sum().backward(retain_graph=True)
    assert given[3].grad is not None
    x.detach().zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_second_backward_gives_the_same(rng, device):
    for kind, (_, _, layer, _) in CELLS.items():
        arrays = [rng.standard_normal((3, 2, 2)), *random_states(kind, (2, 3), rng), *random_weights(kind, 2, 3, rng)]
        function = layer()
        outputs = function.forward(*(to_device(a, device) for a in arrays))
        for first, second in zip(function.backward(*outputs), function.backward(*outputs), strict=True):
            assert_close(first, second, rtol=0, atol=0)


# ---- dropout between layers ----


def test_dropout_acts_between_layers_in_training_only(rng, device):
    x, h = (Tensor(to_device(rng.standard_normal(s), device)) for s in ((5, 3, 2), (2, 3, 4)))
    params = [Tensor(to_device(w, device)) for k in range(2) for w in random_weights("gru", 4 if k else 2, 4, rng)]

    def run(train, p=0.5):
        mv.manual_seed(7)
        return mv.gru(x, h, params, True, 2, p, train, False, False)

    mv.manual_seed(7)
    below, _ = mv.gru(x, h[:1], params[:4], True, 1, 0.9, True, False, False)  # one layer: nothing to drop
    y, _ = mv.gru(dropout(below, 0.5), h[1:], params[4:], True, 1, 0.0, True, False, False)
    assert_close(run(True)[0], y, rtol=0, atol=0)
    assert_close(run(False)[0], run(True, 0.0)[0], rtol=0, atol=0)
    assert np.abs(to_numpy(run(True)[0]) - to_numpy(run(False)[0])).max() > 0.01
