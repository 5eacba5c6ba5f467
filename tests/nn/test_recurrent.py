"""RNN, LSTM, GRU and their cells: PyTorch's names and shapes, the definition in loops, states, modes, learning to remember."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest

import minivision as mv
from minivision import nn, reference
from minivision.autograd import Tensor
from tests.helpers import assert_close, to_device, to_numpy

KINDS = [(nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)]  # and their gates
CELLS = [(nn.RNNCell, 1), (nn.LSTMCell, 4), (nn.GRUCell, 3)]
every_layer = pytest.mark.parametrize(("kind", "gates"), KINDS, ids=lambda v: getattr(v, "__name__", ""))
every_cell = pytest.mark.parametrize(("kind", "gates"), CELLS, ids=lambda v: getattr(v, "__name__", ""))


def tensor(rng, *shape, device="cpu", **kw):
    return Tensor(to_device(rng.standard_normal(shape), device), **kw)


def states_of(result):
    """(output, [h_n] or [h_n, c_n])"""
    output, states = result
    return output, list(states) if isinstance(states, tuple) else [states]


# ---- parameters ----


@every_layer
def test_parameters_have_torchs_names_shapes_and_order(kind, gates):
    layer = kind(5, 3, num_layers=2, bidirectional=True)
    expected = {}
    for number, direction in itertools.product(range(2), ("", "_reverse")):
        expected |= {
            f"weight_ih_l{number}{direction}": (gates * 3, 6 if number else 5),
            f"weight_hh_l{number}{direction}": (gates * 3, 3),
            f"bias_ih_l{number}{direction}": (gates * 3,),
            f"bias_hh_l{number}{direction}": (gates * 3,),
        }
    assert {name: p.shape for name, p in layer.named_parameters()} == expected
    assert list(layer.state_dict()) == list(expected)
    assert [[p.shape for p in own] for own in layer.all_weights] == [list(expected.values())[i : i + 4] for i in range(0, 16, 4)]
    assert list(kind(5, 3, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]


def test_parameters_of_a_projected_lstm():
    layer = nn.LSTM(5, 4, num_layers=2, proj_size=3)
    assert {name: p.shape for name, p in layer.named_parameters()} == {
        "weight_ih_l0": (16, 5), "weight_hh_l0": (16, 3), "bias_ih_l0": (16,), "bias_hh_l0": (16,), "weight_hr_l0": (3, 4),
        "weight_ih_l1": (16, 3), "weight_hh_l1": (16, 3), "bias_ih_l1": (16,), "bias_hh_l1": (16,), "weight_hr_l1": (3, 4),
    }  # fmt: skip


@every_cell
def test_parameters_of_the_cells(kind, gates):
    cell = kind(5, 3)
    assert {name: p.shape for name, p in cell.named_parameters()} == {
        "weight_ih": (gates * 3, 5), "weight_hh": (gates * 3, 3), "bias_ih": (gates * 3,), "bias_hh": (gates * 3,),
    }  # fmt: skip
    assert list(kind(5, 3, bias=False).state_dict()) == ["weight_ih", "weight_hh"]


@pytest.mark.parametrize("kind", [k for k, _ in (*KINDS, *CELLS)], ids=lambda k: k.__name__)
def test_weights_start_uniform_within_one_over_root_hidden_size(kind):
    mv.manual_seed(5)
    layer = kind(30, 64)
    for p in layer.parameters():
        values = to_numpy(p)
        assert np.abs(values).max() <= 1 / 8
        assert values.std() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.2)
    mv.manual_seed(5)
    for a, b in zip(layer.parameters(), kind(30, 64).parameters(), strict=True):
        assert_close(a, b, rtol=0, atol=0)


@every_layer
def test_a_state_goes_from_one_layer_to_another(kind, gates, rng):
    one, other = kind(3, 4, 2), kind(3, 4, 2)
    x = Tensor(rng.standard_normal((5, 2, 3)).astype(np.float32))
    assert np.abs(to_numpy(one(x)[0]) - to_numpy(other(x)[0])).max() > 1e-3
    other.load_state_dict({name: to_numpy(value) for name, value in one.state_dict().items()})
    assert_close(one(x)[0], other(x)[0], rtol=0, atol=0)
    assert_close(copy.deepcopy(one)(x)[0], one(x)[0], rtol=0, atol=0)


# ---- what they compute ----

DEFINITIONS = {"RNN": reference.rnn_cell, "LSTM": reference.lstm_cell, "GRU": reference.gru_cell}


@every_layer
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_its_loops(kind, gates, bias, rng, device):
    """One layer, from zeros: the parameters mean what the definition says."""
    layer = kind(3, 2, bias=bias).double().to(device)
    x = tensor(rng, 4, 2, 3, device=device)
    weights = [to_numpy(p) for p in layer.parameters()]
    count = 2 if kind is nn.LSTM else 1

    def cell(x_t, *states):
        return DEFINITIONS[kind.__name__](x_t, *states, *weights)

    expected = reference.through_time(cell, to_numpy(x), *[np.zeros((2, 2))] * count)
    output, states = states_of(layer(x))
    assert_close(output, expected[0])
    for state, e in zip(states, expected[1:], strict=True):
        assert_close(state, e[None])


@every_cell
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_its_loops(kind, gates, bias, rng, device):
    cell = kind(3, 2, bias=bias).double().to(device)
    x, h, c = (rng.standard_normal(s) for s in ((4, 3), (4, 2), (4, 2)))
    states = (h, c) if kind is nn.LSTMCell else (h,)
    given = [Tensor(to_device(s, device)) for s in states]
    expected = DEFINITIONS[kind.__name__.removesuffix("Cell")](x, *states, *(to_numpy(p) for p in cell.parameters()))
    actual = cell(Tensor(to_device(x, device)), tuple(given) if len(given) == 2 else given[0])
    for a, e in zip(*(v if isinstance(v, tuple) else (v,) for v in (actual, expected)), strict=True):
        assert_close(a, e)


def test_relu_in_the_place_of_tanh(rng):
    layer, cell = nn.RNN(3, 2, nonlinearity="relu").double(), nn.RNNCell(3, 2, nonlinearity="relu").double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = tensor(rng, 4, 3)
    h = Tensor(np.zeros(2))
    for x_t in x:
        h = cell(x_t, h)
    weights = [to_numpy(p) for p in cell.parameters()]
    expected = reference.through_time(
        lambda x_t, h: reference.rnn_cell(x_t, h, *weights, nonlinearity="relu"), to_numpy(x)[:, None], np.zeros((1, 2))
    )
    assert_close(h, expected[1][0])
    assert_close(layer(x)[1], expected[1])


@every_layer
def test_batch_first_moves_axes_of_input_and_output_only(kind, gates, rng, device):
    layer = kind(3, 4, num_layers=2, bidirectional=True).double().to(device)
    flipped = kind(3, 4, num_layers=2, bidirectional=True, batch_first=True).double().to(device)
    flipped.load_state_dict(layer.state_dict())
    x, states = tensor(rng, 5, 2, 3, device=device), [tensor(rng, 4, 2, 4, device=device) for _ in range(2)]
    hx = tuple(states) if kind is nn.LSTM else states[0]
    output, ends = states_of(layer(x, hx))
    output_b, ends_b = states_of(flipped(x.transpose(0, 1), hx))
    assert_close(output_b, to_numpy(output).swapaxes(0, 1))
    for a, b in zip(ends, ends_b, strict=True):
        assert a.shape == (4, 2, 4)
        assert_close(a, b)


@every_layer
def test_states_carry_over(kind, gates, rng, device):
    """A sequence in two pieces, with the state of the first handed to the second, is the sequence in one."""
    layer = kind(3, 4, num_layers=2).double().to(device)
    x = tensor(rng, 7, 2, 3, device=device)
    whole, ends = states_of(layer(x))
    first, state = layer(x[:3])
    second, last = states_of(layer(x[3:], state))
    assert_close(mv.cat([first, second]), whole)
    for a, b in zip(ends, last, strict=True):
        assert_close(a, b)


@every_layer
def test_the_last_states_are_the_ends_of_both_directions(kind, gates, rng):
    layer = kind(3, 4, bidirectional=True).double()
    output, (h_n, *_) = states_of(layer(tensor(rng, 6, 2, 3)))
    assert_close(h_n[0], to_numpy(output)[-1, :, :4])
    assert_close(h_n[1], to_numpy(output)[0, :, 4:])


def test_a_padded_end_leaves_earlier_states_alone(rng):
    """As the module's docstring has it, for one direction."""
    layer = nn.GRU(3, 4).double()
    x = rng.standard_normal((6, 1, 3))
    padded = np.concatenate([x[:4], np.zeros((2, 1, 3))])
    assert_close(layer(Tensor(padded))[0][:4], layer(Tensor(x))[0][:4], rtol=0, atol=0)


# ---- modes ----


@every_layer
def test_dropout_between_layers_in_training_only(kind, gates, rng):
    layer = kind(3, 8, num_layers=2, dropout=0.5).double()
    x = tensor(rng, 5, 2, 3)
    once, again = to_numpy(layer(x)[0]), to_numpy(layer(x)[0])
    assert np.abs(once - again).max() > 1e-3
    layer.eval()
    assert_close(layer(x)[0], layer(x)[0], rtol=0, atol=0)
    plain = kind(3, 8, num_layers=2).double()
    plain.load_state_dict(layer.state_dict())
    assert_close(layer(x)[0], plain(x)[0], rtol=0, atol=0)


def test_dropout_without_a_layer_above_warns():
    with pytest.warns(UserWarning, match="LSTM: dropout=0.3 has no effect with num_layers=1") as caught:
        nn.LSTM(3, 4, dropout=0.3)
    assert caught[0].filename == __file__


@every_layer
def test_every_parameter_learns(kind, gates, rng, device):
    layer = kind(3, 4, num_layers=2, bidirectional=True).to(device)
    x = Tensor(to_device(rng.standard_normal((5, 2, 3)).astype(np.float32), device), requires_grad=True)
    layer(x)[0].sum().backward()
    for p in (x, *layer.parameters()):
        assert p.grad is not None
        assert p.grad.dtype == np.float32
        assert np.abs(to_numpy(p.grad)).max() > 0


def test_flatten_parameters_changes_nothing(rng):
    layer = nn.LSTM(3, 4).double()
    x = tensor(rng, 2, 1, 3)
    before = to_numpy(layer(x)[0])
    assert layer.flatten_parameters() is None
    assert_close(layer(x)[0], before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.RNN(3, 4, nonlinearity="relu"), "RNN(3, 4)"),
        (nn.LSTM(3, 4, 2, False, True, 0.1, True, 2),
         "LSTM(3, 4, proj_size=2, num_layers=2, bias=False, batch_first=True, dropout=0.1, bidirectional=True)"),
        (nn.GRU(3, 4, num_layers=2), "GRU(3, 4, num_layers=2)"),
        (nn.RNNCell(3, 4, False, "relu"), "RNNCell(3, 4, bias=False, nonlinearity=relu)"),
        (nn.LSTMCell(3, 4), "LSTMCell(3, 4)"),
        (nn.GRUCell(3, 4, bias=False), "GRUCell(3, 4, bias=False)"),
    ],
)  # fmt: skip
def test_repr_is_torchs(layer, text):
    assert repr(layer) == text


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_it_learns_to_remember(kind):
    """The first of four numbers decides the class; the others are noise."""
    mv.manual_seed(0)
    rng = np.random.default_rng(0)
    layer, head = kind(1, 12, batch_first=True), nn.Linear(12, 2)
    optimizer = mv.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.03)
    for _ in range(150):
        x = rng.standard_normal((64, 4, 1)).astype(np.float32)
        loss = nn.functional.cross_entropy(head(layer(Tensor(x))[0][:, -1]), Tensor((x[:, 0, 0] > 0).astype(np.int64)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = rng.standard_normal((200, 4, 1)).astype(np.float32)
    right = to_numpy(head(layer(Tensor(x))[0][:, -1])).argmax(axis=1) == (x[:, 0, 0] > 0)
    assert right.mean() > 0.9


# ---- beside PyTorch ----

SETTINGS = [
    {},
    {"num_layers": 2, "bias": False, "batch_first": True},
    {"num_layers": 3, "bidirectional": True},
    {"bidirectional": True, "batch_first": True},
]


@pytest.mark.oracle
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    ("name", "extra"),
    [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("LSTM", {"proj_size": 2}), ("GRU", {})],
)
def test_torchs_state_gives_torchs_outputs_and_gradients(name, extra, settings, rng):
    import torch

    theirs = getattr(torch.nn, name)(3, 4, **settings, **extra).double()
    ours = getattr(nn, name)(3, 4, **settings, **extra).double()
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = rng.standard_normal((5, 2, 3))
    x_t, x_o = torch.tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    outputs = [[y, *states] for y, states in (states_of(theirs(x_t)), states_of(ours(x_o)))]
    for t, o in zip(*outputs, strict=True):
        assert_close(o, t.detach().numpy())
    sum((y * y).sum() for y in outputs[0]).backward()
    sum((y * y).sum() for y in outputs[1]).backward()
    assert_close(x_o.grad, x_t.grad.numpy())
    for (key, p), (their_key, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert key == their_key
        assert_close(p.grad, q.grad.numpy())
