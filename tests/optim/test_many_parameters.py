"""Parameters gathered into flat arrays and cut into blocks, against the formula applied to each by itself."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from minivision import backend, nn, optim
from minivision.autograd import Tensor
from minivision.nn import Parameter
from minivision.optim import together
from minivision.optim.optimizer import Optimizer
from tests.helpers import assert_close, layouts, to_device, to_numpy

# small ones that are gathered, 0-d and empty ones, and two that are cut into blocks
SHAPES = [(3,), (4, 3, 3, 2), (), (5, 2), (0, 4), (7,), (2, 3, 1, 1), (1, 1), (70, 50, 10, 5), (300, 701)]
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.25, "weight_decay": 0.02}),
    "nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    "adam": ("Adam", {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 0.03, "weight_decay": 0.1}),
}


class ByHand:
    """The formulas of the two papers, over float64 arrays, one parameter after the other."""

    def __init__(self, kind: str, lr: float, weight_decay: float = 0.01, **settings: Any):
        self.kind, self.lr, self.settings = kind, lr, settings
        self.decay = weight_decay
        self.memory: dict[int, Any] = {}

    def step(self, number: int, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        if self.kind == "SGD":
            momentum, dampening = self.settings.get("momentum", 0), self.settings.get("dampening", 0)
            g = g + self.decay * w
            if momentum:
                before = self.memory.get(number)
                v = self.memory[number] = g if before is None else momentum * before + (1 - dampening) * g
                g = g + momentum * v if self.settings.get("nesterov") else v
            return w - self.lr * g
        beta1, beta2 = self.settings.get("betas", (0.9, 0.999))
        t, m, v = self.memory.get(number, (0, 0.0, 0.0))
        if self.kind == "AdamW":
            w = w - self.lr * self.decay * w
        else:
            g = g + self.decay * w
        t, m, v = self.memory[number] = (t + 1, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2)
        return w - self.lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + self.settings.get("eps", 1e-8))


def by_hand(name: str) -> ByHand:
    kind, settings = SETTINGS[name]
    return ByHand(kind, **({"weight_decay": 0.0} | settings if kind != "AdamW" else settings))


def optimizer_for(name: str, parameters: Any) -> Optimizer:
    kind, settings = SETTINGS[name]
    return getattr(optim, kind)(parameters, **settings)


def random_arrays(rng: np.random.Generator, dtype: str = "float64", shapes: Any = SHAPES) -> list[np.ndarray]:
    return [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_formula_whatever_the_sizes(name, dtype, device, rng, number_of_threads):
    expected = random_arrays(rng, dtype)
    parameters = [Parameter(to_device(w.copy(), device)) for w in expected]
    expected = [w.astype("float64") for w in expected]
    optimizer, reference = optimizer_for(name, parameters), by_hand(name)
    for step in range(4):
        gradients = random_arrays(rng, dtype)
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            # some have no gradient now and then: their state stays, and their steps are not counted
            p.grad = None if (step + i) % 4 == 0 else Tensor(to_device(g.copy(), device))
            if p.grad is not None:
                expected[i] = reference.step(i, expected[i], g.astype("float64"))
        versions = [p._version[0] for p in parameters]
        optimizer.step()
        for p, g, version in zip(parameters, gradients, versions, strict=True):
            assert (p._version[0] > version) == (p.grad is not None)
            assert p.grad is None or np.array_equal(to_numpy(p.grad), g)
    tolerance = {"rtol": 1e-11} if dtype == "float64" else {"rtol": 2e-5, "atol": 2e-6}
    for i, (p, w) in enumerate(zip(parameters, expected, strict=True)):
        assert p.dtype == dtype
        assert_close(p, w, **tolerance)
        state = optimizer.state[p]
        assert all(value.shape == p.shape and value.dtype == dtype for value in state.values() if backend.is_array(value))
        if "adam" in name:
            t, m, v = reference.memory[i]
            assert state["step"] == t
            assert_close(state["exp_avg"], m, **tolerance)
            assert_close(state["exp_avg_sq"], v, **tolerance)


@pytest.mark.parametrize("name", ["nesterov", "adam"])
@pytest.mark.parametrize("shape", [(4, 3, 3, 2), (40, 31, 20, 11)])
def test_every_memory_layout_of_parameter_and_gradient(name, shape, device, rng):
    w = rng.standard_normal(shape)
    gradients = rng.standard_normal((3, *shape))
    reference, expected = by_hand(name), w
    for g in gradients:
        expected = reference.step(0, expected, g)
    for _, start in layouts(w):
        for layout in range(3):
            parameters = [Parameter(to_device(start.copy(order="K"), device)), Parameter(to_device(start.copy(), device))]
            optimizer = optimizer_for(name, parameters)
            for g in gradients:
                for p in parameters:
                    p.grad = Tensor(to_device(list(layouts(g))[layout][1], device))
                optimizer.step()
            assert_close(parameters[0], expected)
            assert_close(parameters[1], expected)


def test_a_parameter_that_is_a_part_of_a_larger_array(rng):
    whole = np.zeros((6, 80, 900))
    parts = [Parameter(whole[::2, ::-1, 1::3]), Parameter(whole[1, 0, :7]), Parameter(whole[1, 1, :7])]
    optimizer = optimizer_for("adam", parts)
    for p in parts:
        p.grad = Tensor(np.ones(p.shape))
    optimizer.step()
    assert (whole[::2, :, 1::3] < 0).all()
    assert (whole[1, :2, :7] < 0).all()
    assert np.count_nonzero(whole) == sum(p.numel() for p in parts)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_loaded_state_goes_on_bit_for_bit(name, rng):
    start, gradients = random_arrays(rng), [random_arrays(rng) for _ in range(4)]

    def run(parameters, optimizer, steps):
        for step in steps:
            for p, g in zip(parameters, gradients[step], strict=True):
                p.grad = Tensor(g)
            optimizer.step()

    straight = [Parameter(w.copy()) for w in start]
    run(straight, optimizer_for(name, straight), range(4))

    first = [Parameter(w.copy()) for w in start]
    optimizer = optimizer_for(name, first)
    run(first, optimizer, range(2))
    saved = pickle.loads(pickle.dumps(optimizer.state_dict()))
    second = [Parameter(p.array.copy()) for p in first]
    other = optimizer_for(name, second)
    run(second, other, [3])  # what it remembers of this is overwritten
    for p, q in zip(second, first, strict=True):
        p.array[...] = q.array
    other.load_state_dict(saved)
    run(second, other, range(2, 4))
    for p, q in zip(second, straight, strict=True):
        assert np.array_equal(p.array, q.array)


def test_a_model_and_its_optimizer_are_copied(rng):
    parameters = [Parameter(w) for w in random_arrays(rng, shapes=[(3,), (4, 2), (5,)])]
    optimizer = optimizer_for("adam", parameters)
    for p in parameters:
        p.grad = Tensor(np.ones(p.shape))
    optimizer.step()
    others, other = copy.deepcopy((parameters, optimizer))
    before = [p.array.copy() for p in parameters]
    other.step()
    other.step()
    for p, w in zip(parameters, before, strict=True):
        assert np.array_equal(p.array, w)
        assert optimizer.state[p]["step"] == 1
    optimizer.step()
    optimizer.step()
    for p, q in zip(parameters, others, strict=True):
        assert np.array_equal(p.array, q.array)
        assert other.state[q]["step"] == 3
        assert np.array_equal(other.state[q]["exp_avg"], optimizer.state[p]["exp_avg"])


def test_a_model_that_is_converted_between_two_steps(device, rng):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 70, 3), nn.Conv2d(70, 80, 3)).to(device)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x = Tensor(to_device(rng.standard_normal((1, 3, 9, 8)).astype("float32"), device))
    model(x).sum().backward()
    optimizer.step()
    model.double()
    before = [to_numpy(p).copy() for p in model.parameters()]
    optimizer.step()
    for p, w in zip(model.parameters(), before, strict=True):
        state = optimizer.state[p]
        assert (p.dtype, state["exp_avg"].dtype, state["exp_avg_sq"].dtype, state["step"]) == ("float64",) * 3 + (2,)
        # the same gradient twice: the corrected means are the gradient and its square, and the step is lr, if eps is far below
        moved = abs(to_numpy(p.grad)) > 1e-4
        assert_close((w - to_numpy(p))[moved], 0.1 * np.sign(to_numpy(p.grad))[moved], rtol=1e-3)


def test_a_model_that_moves_between_two_steps(device, rng):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.Conv2d(5, 900, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = Tensor(rng.standard_normal((1, 3, 9, 8)).astype("float32"))
    model(x).sum().backward()
    optimizer.step()
    buffers = [optimizer.state[p]["momentum_buffer"].copy() for p in model.parameters()]
    model.to(device)
    optimizer.step()
    for p, v in zip(model.parameters(), buffers, strict=True):
        assert optimizer.state[p]["momentum_buffer"].shape == p.shape
        assert type(optimizer.state[p]["momentum_buffer"]) is type(p.array)
        assert_close(optimizer.state[p]["momentum_buffer"], 1.9 * v, rtol=1e-6)


def test_a_parameter_whose_array_is_replaced(rng):
    parameters = [Parameter(np.ones(3)), Parameter(np.ones((2, 2))), Parameter(np.ones(4))]
    optimizer = optim.SGD(parameters, lr=0.5, momentum=1.0)
    for p in parameters:
        p.grad = Tensor(np.ones(p.shape))
    optimizer.step()
    old = parameters[1].array
    parameters[1].array = np.full((2, 2), 10.0)
    optimizer.step()
    assert (old == 0.5).all()
    assert (parameters[1].array == 9.0).all()
    assert (parameters[0].array == -0.5).all()


def test_settings_by_group_hold_for_gathered_parameters():
    first, second = [Parameter(np.ones(2)) for _ in range(3)], [Parameter(np.ones((1, 2))) for _ in range(3)]
    optimizer = optim.SGD([{"params": first}, {"params": second, "lr": 0.25}], lr=0.5)
    for p in [*first, *second]:
        p.grad = Tensor(np.ones(p.shape))
    optimizer.step()
    assert [p.array.ravel().tolist() for p in first] == [[0.5, 0.5]] * 3
    assert [p.array.ravel().tolist() for p in second] == [[0.75, 0.75]] * 3


def test_small_parameters_are_gathered_and_large_ones_are_not():
    sizes = []

    class Watched(optim.SGD):
        @together.elementwise
        def update(self, parameter, gradient, group, state):
            sizes.append(parameter.shape)
            super().update(parameter, gradient, group, state)

    shapes = [(3,), (4, 5), (together.SMALL + 1,), (2, 2), (), (0,)]
    parameters = [Parameter(np.ones(s)) for s in shapes]
    optimizer = Watched(parameters, lr=1.0, momentum=0.5)
    for p in parameters:
        p.grad = Tensor(np.ones(p.shape))
    optimizer.step()
    assert sizes == [(3 + 20 + 4,), (together.SMALL + 1,), (), (0,)]
    flat = optimizer.state[parameters[0]]["momentum_buffer"].base
    assert all(optimizer.state[parameters[i]]["momentum_buffer"].base is flat for i in (0, 1, 3))
    optimizer.step()
    assert optimizer.state[parameters[0]]["momentum_buffer"].base is flat
    assert optimizer.state[parameters[1]]["momentum_buffer"].tolist() == [[1.5] * 5] * 4


def test_an_update_of_ones_own_sees_one_parameter_at_a_time():
    class Scaled(Optimizer):
        """Every parameter moves by lr along its gradient, whose length does not count."""

        def update(self, parameter, gradient, group, state):
            state["calls"] = state.get("calls", 0) + 1
            parameter -= group["lr"] * gradient / np.sqrt((gradient**2).sum())

    class Layerwise(optim.Adam):
        def update(self, parameter, gradient, group, state):
            super().update(parameter, gradient / np.abs(gradient).max(), group, state)

    parameters = [Parameter(np.zeros(4)), Parameter(np.zeros((2, 2)))]
    for p, size in zip(parameters, (1.0, 100.0), strict=True):
        p.grad = Tensor(np.full(p.shape, size))
    optimizer = Scaled(parameters, {"lr": 1.0})
    optimizer.step()
    assert [p.array.ravel().tolist() for p in parameters] == [[-0.5] * 4] * 2
    assert [optimizer.state[p] for p in parameters] == [{"calls": 1}] * 2
    adam = Layerwise(parameters, betas=(0.5, 0.5))
    adam.step()
    assert [adam.state[p]["exp_avg"].ravel().tolist() for p in parameters] == [[0.5] * 4] * 2


def test_hooks_run_before_the_update_until_they_are_removed():
    p = Parameter(np.array([4.0]))
    p.grad = Tensor(np.array([1.0]))
    optimizer = optim.SGD([p], lr=1.0)
    seen = []
    handle = optimizer.register_step_pre_hook(lambda opt, args, kwargs: seen.append((opt is optimizer, p.item())))
    optimizer.step()
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert seen == [(True, 4.0), (True, 3.0)]
