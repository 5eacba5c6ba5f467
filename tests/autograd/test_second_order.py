"""Gradients of gradients: every rule against differences of the first gradient, and what `create_graph` promises.

PyTorch's values are in tests/oracle/topics/second_order.py.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest

from minivision.autograd import Function, Tensor, grad, is_grad_enabled, no_grad
from minivision.backend import is_array
from minivision.functions.convolution import conv2d, conv_transpose2d
from minivision.functions.gamma_function import LogGamma, digamma
from minivision.functions.loss import cross_entropy
from minivision.functions.pooling import max_pool2d
from minivision.functions.second_order import NO_RULE, OF_FEATURES_ALONE, RULES
from minivision.functions.shape import cat
from minivision.functions.smooth_activation import gelu
from tests.functions.cases import GradientCase, collected
from tests.functions.test_gradients import every_function, first, identify
from tests.helpers import assert_close, numerical_gradient, to_device, to_numpy

WITH_RULE = [c for c in collected() if type(c.make(np.asarray)) in RULES]
ONLY_TWICE = {LogGamma}  # whose second derivative, Digamma, has no rule


def leaf(array: Any, device: str = "cpu", dtype: Any = np.float64) -> Tensor:
    return Tensor(to_device(np.asarray(array, dtype), device), requires_grad=True)


# ---- every rule ----


def test_every_operation_has_a_rule_or_a_reason() -> None:
    operations = every_function()
    assert {f.__name__ for f in operations - set(RULES) - set(NO_RULE)} == set()
    assert set(RULES) & set(NO_RULE) == set()
    assert set(RULES) | set(NO_RULE) <= operations
    assert all(len(reason) > 20 for reason in NO_RULE.values())


class Slope:
    """<v, the gradient of an operation> for fixed v, a number that depends on the inputs and on the upstream gradient u."""

    def __init__(self, case: GradientCase, rng: np.random.Generator, device: str, dtype: Any = np.float64):
        self.case, self.device, self.dtype = case, device, dtype
        inputs = case.inputs(rng)
        self.needed = 1 if type(case.make(self.put)) in OF_FEATURES_ALONE else len(inputs)
        shape = first(case.make(self.put)(*(Tensor(self.put(a)) for a in inputs))).shape
        self.point = [*inputs, rng.standard_normal(shape)]  # the inputs and u
        self.v = [rng.standard_normal(a.shape) for a in inputs[: self.needed]]

    def put(self, array: Any) -> Any:
        array = np.asarray(array)
        return to_device(array.astype(self.dtype) if array.dtype == np.float64 else array, self.device)

    def __call__(self, point: list[np.ndarray], create_graph: bool) -> tuple[Tensor, list[Tensor]]:
        """The number, and the leaves that it depends on."""
        *inputs, u = (Tensor(self.put(a)) for a in point)
        leaves = [x.requires_grad_() for x in (*inputs[: self.needed], u)]
        y = first(self.case.make(self.put)(*inputs))
        gradients = grad(y, leaves[:-1], u.to(y.dtype), create_graph=create_graph)
        return product_of(gradients, [self.put(v) for v in self.v]), leaves


def product_of(gradients: tuple[Tensor | None, ...], vectors: list[Any]) -> Tensor:
    """The sum of the products of gradients and vectors, as one number."""
    parts = [(g * Tensor(v)).sum() for g, v in zip(gradients, vectors, strict=True) if g is not None]
    return sum(parts[1:], parts[0])


def along(gradients: tuple[Tensor | None, ...], directions: list[np.ndarray]) -> float:
    return sum(float((to_numpy(g) * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)


def stepped(point: list[np.ndarray], directions: list[np.ndarray], h: float, needed: int) -> list[np.ndarray]:
    """The point moved along the directions, which belong to the inputs that need a gradient and to u."""
    moves = [*directions[:needed], *([0.0] * (len(point) - 1 - needed)), directions[-1]]
    return [a + h * d for a, d in zip(point, moves, strict=True)]


@pytest.mark.parametrize("case", WITH_RULE, ids=identify)
def test_second_derivative(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """In random directions of all inputs and of the upstream gradient together: central differences of the first gradient."""
    slope = Slope(case, rng, device)
    value, leaves = slope(slope.point, create_graph=True)
    assert_close(value, slope(slope.point, create_graph=False)[0], rtol=1e-12)  # the rule says what the backward does
    gradients = grad(value, leaves, allow_unused=True) if value.requires_grad else (None,) * len(leaves)
    h = 1e-6
    for _ in range(3):
        directions = [rng.standard_normal(x.shape) for x in leaves]
        above, below = (slope(stepped(slope.point, directions, s, slope.needed), create_graph=False)[0] for s in (h, -h))
        expected = float(to_numpy(above - below)) / (2 * h)
        assert along(gradients, directions) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("case", [c for c in WITH_RULE if type(c.make(np.asarray)) not in ONLY_TWICE], ids=identify)
def test_third_derivative(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """The rules consist of operations that have rules: the second derivative is differentiated like the first."""
    slope = Slope(case, rng, device)
    value, leaves = slope(slope.point, create_graph=False)
    w = [rng.standard_normal(x.shape) for x in leaves]

    def curvature(point: list[np.ndarray], create_graph: bool) -> tuple[Any, list[Tensor]]:
        value, leaves = slope(point, create_graph=True)
        if not value.requires_grad:
            return value * 0, leaves
        gradients = grad(value, leaves, create_graph=create_graph, allow_unused=True)
        return product_of(gradients, [slope.put(v) for v in w]), leaves

    value, leaves = curvature(slope.point, create_graph=True)
    gradients = grad(value, leaves, allow_unused=True) if value.requires_grad else (None,) * len(leaves)
    directions, h = [rng.standard_normal(x.shape) for x in leaves], 1e-6
    above, below = (curvature(stepped(slope.point, directions, s, slope.needed), create_graph=False)[0] for s in (h, -h))
    expected = float(to_numpy(above - below)) / (2 * h)
    assert along(gradients, directions) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("case", WITH_RULE, ids=identify)
def test_single_precision_stays_single(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """float32 inputs have float32 second derivatives, close to those in float64."""
    state = rng.bit_generator.state
    double = Slope(case, rng, device)
    rng.bit_generator.state = state
    single = Slope(case, rng, device, np.float32)
    results = []
    for slope in (double, single):
        value, leaves = slope(slope.point, create_graph=True)
        results.append(grad(value, leaves, allow_unused=True) if value.requires_grad else ())
    for g, g32 in zip(*results, strict=True):
        assert (g is None) == (g32 is None)
        if g is not None and g32 is not None:
            assert g32.dtype == np.float32
            assert_close(g32, g, rtol=5e-3, atol=2e-4)


# ---- what they are for ----


def test_hessian_of_softmax_cross_entropy(device):
    """The Hessian of -ln p_y is diag(p) - p p^T, whatever the label."""
    scores = np.array([0.3, -1.2, 2.0, 0.7])
    x = leaf(scores[None], device)
    (slope,) = grad(cross_entropy(x, Tensor(to_device(np.array([2]), device))), x, create_graph=True)
    rows = [to_numpy(grad(slope[0, i], x, retain_graph=True)[0])[0] for i in range(4)]
    p = np.exp(scores) / np.exp(scores).sum()
    assert_close(np.array(rows), np.diag(p) - np.outer(p, p))


def test_derivatives_of_a_cube(device):
    x = leaf([1, 2, -3], device)
    derivative = (x**3).sum()
    expected = [[3, 12, 27], [6, 12, -18], [6, 6, 6]]
    for values in expected:
        (derivative,) = grad(derivative.sum(), x, create_graph=True)
        assert_close(derivative, np.array(values, float))


def unet_loss(weights: list[Tensor], image: Tensor, labels: Tensor) -> Tensor:
    down, up, last = weights
    skip = gelu(conv2d(image, down, padding=1))
    risen = conv_transpose2d(max_pool2d(skip, 2), up, stride=2)
    return cross_entropy(conv2d(cat([skip, risen.tanh()], 1), last), labels)


def test_hessian_vector_product_of_a_unet(device, rng):
    """Against differences of the gradient along the vector; and the Hessian is symmetric: u H v = v H u."""
    shapes = [(3, 2, 3, 3), (3, 2, 2, 2), (3, 5, 1, 1)]
    values = [rng.standard_normal(s) for s in shapes]
    image = Tensor(to_device(rng.standard_normal((2, 2, 4, 6)), device))
    labels = Tensor(to_device(rng.integers(0, 3, (2, 4, 6)), device))
    u, v = ([rng.standard_normal(s) for s in shapes] for _ in range(2))

    def gradient(values: list[np.ndarray], create_graph: bool = False) -> tuple[Any, list[Tensor]]:
        weights = [leaf(w, device) for w in values]
        return grad(unet_loss(weights, image, labels), weights, create_graph=create_graph), weights

    def product(vector: list[np.ndarray]) -> list[np.ndarray]:
        slopes, weights = gradient(values, create_graph=True)
        return [to_numpy(g) for g in grad(slopes, weights, [Tensor(to_device(x, device)) for x in vector])]

    h = 1e-6
    above, below = (gradient([w + s * x for w, x in zip(values, v, strict=True)])[0] for s in (h, -h))
    for actual, a, b in zip(product(v), above, below, strict=True):
        assert_close(actual, (to_numpy(a) - to_numpy(b)) / (2 * h), rtol=1e-6, atol=1e-8)
    forth = sum(float((a * b).sum()) for a, b in zip(u, product(v), strict=True))
    back = sum(float((a * b).sum()) for a, b in zip(v, product(u), strict=True))
    assert forth == pytest.approx(back, rel=1e-12)


def test_gradient_penalty_trains_all_weights(device, rng):
    """`backward` of a penalty on the length of an image gradient, as a training step does it: against differences."""
    image, kernel, out = rng.standard_normal((2, 1, 4, 5)), rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((1, 12))

    def penalty(kernel: Tensor) -> Tensor:
        x = leaf(image, device)
        h = conv2d(x, kernel).relu() ** 2
        scores = h.reshape(2, -1) @ Tensor(to_device(out, device)).transpose(0, 1)
        (slope,) = grad(scores.sum(), x, create_graph=True)
        return ((slope.reshape(2, -1).norm(dim=1) - 1) ** 2).mean()

    w = leaf(kernel, device)
    penalty(w).backward()
    assert_close(w.grad, numerical_gradient(lambda k: penalty(leaf(k, device)), kernel, np.array(1.0)), rtol=1e-6, atol=1e-7)


def test_forward_mode_by_two_backwards(device):
    """J v is the gradient of u J with respect to u, for a u that requires a gradient."""
    x, u = leaf([0.5, 2.0], device), leaf([0.0, 0.0], device)
    (pulled,) = grad(x.exp() * x, x, u, create_graph=True)
    (pushed,) = grad(pulled, u, Tensor(to_device(np.array([1.0, -1.0]), device)))
    assert_close(pushed, np.exp([0.5, 2.0]) * (1 + np.array([0.5, 2.0])) * [1, -1])


# ---- what create_graph promises ----


def test_only_create_graph_gives_a_graph(device):
    x = leaf([1, 2], device)
    y = (x**3).sum()
    (plain,) = grad(y, x, retain_graph=True)
    assert not plain.requires_grad
    assert plain.grad_fn is None
    (recorded,) = grad(y, x, create_graph=True)
    assert recorded.requires_grad
    assert_close(recorded, plain)
    y.backward()  # create_graph kept the graph
    assert_close(x.grad, [3.0, 12])


def test_a_graph_may_be_freed_all_the_same(device):
    x = leaf([1, 2], device)
    h = x.exp()
    y = (h * h).sum()
    (g,) = grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="graph was freed"):
        y.backward()
    with pytest.raises(RuntimeError, match="graph was freed"):
        g.sum().backward()  # it leads back through the graph that is gone


def test_grad_of_a_freed_graph_says_so(device):
    x = leaf([2], device)
    y = x.exp().sum()
    grad(y, x)
    with pytest.raises(RuntimeError, match="graph was freed"):
        grad(y, x)


def test_backward_leaves_gradients_that_have_a_graph(device):
    """And they add up with their graphs; a plain backward then leaves a plain sum."""
    x = leaf([1, 2], device)
    (x**3).sum().backward(create_graph=True)
    (x**2).sum().backward(create_graph=True)
    assert_close(x.grad, [5.0, 16])
    total = x.grad.sum()
    x.grad = None
    total.backward()
    assert_close(x.grad, [8.0, 14])  # 6 x + 2
    x.grad = None
    (x**3).sum().backward(create_graph=True)
    (x.grad**2).sum().backward()
    assert_close(x.grad, [3.0 + 36, 12 + 288])  # 3 x^2 + 2 (3 x^2) (6 x)
    assert not x.grad.requires_grad


def test_a_gradient_belongs_to_its_leaf_alone(device):
    a, b = leaf([1, 2], device), leaf([3, 4], device)
    ((a + b) ** 2).sum().backward(create_graph=True)
    a.grad.array[0] = 100.0
    assert_close(b.grad, [8.0, 12])


def test_no_grad_around_it_plays_no_part(device):
    x = leaf([1, 2], device)
    y = (x**3).sum()
    with no_grad():
        (g,) = grad(y, x, create_graph=True)
        assert not is_grad_enabled()
    assert g.requires_grad


def test_hooks_see_tensors_with_a_graph(device):
    x = leaf([1, 2], device)
    h = x * x
    seen = []
    h.register_hook(seen.append)
    h.retain_grad()
    x.register_hook(lambda g: 10 * g)
    (g,) = grad((h * h).sum(), x, create_graph=True)
    assert seen[0].requires_grad
    assert h.grad.requires_grad
    assert_close(h.grad, [2.0, 8])
    assert_close(g, [40.0, 320])  # 10 * 4 x^3
    (second,) = grad(g.sum(), x)
    assert_close(second, [1200.0, 4800])  # the hook of x is met again: 10 * 10 * 12 x^2


def test_a_change_in_place_is_noticed(device):
    """Between the first and the second backward too."""
    x, w = leaf([1, 2], device), leaf([3, 4], device)
    (g,) = grad((x * w).exp().sum(), x, create_graph=True)
    with no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        g.sum().backward()


def test_one_input_asked_for_twice(device):
    x = leaf([1, 2], device)
    first_, second = grad((x * x).sum(), [x, x])
    assert_close(first_, [2.0, 4])
    assert_close(second, [2.0, 4])


def test_unused_inputs(device):
    x, other = leaf([1, 2], device), leaf([1], device)
    _, none = grad((x**2).sum(), [x, other], create_graph=True, allow_unused=True)
    assert none is None
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        grad((x**2).sum(), other, create_graph=True)


# ---- operations without a rule ----


class Twice(Function):
    """y = 2x, with a backward and no rule."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


@pytest.mark.parametrize("run", [lambda y, x: y.backward(create_graph=True), lambda y, x: grad(y, x, create_graph=True)])
def test_the_error_names_the_operation_and_nothing_is_added(run, device):
    x, late = leaf([1, 2], device), leaf([1, 1], device)
    y = (Twice()(x) + late).sum()
    with pytest.raises(NotImplementedError) as error:
        run(y, x)
    for words in ("create_graph=True", "Twice", "second_order.RULES", "numerical_gradient"):
        assert words in str(error.value)
    assert x.grad is None
    assert late.grad is None
    y.backward()  # nothing was freed
    assert_close(x.grad, [2.0, 2])


def test_the_error_gives_the_reason(device):
    x = leaf([1, 2], device)
    with pytest.raises(NotImplementedError, match=r"Digamma has no rule .* polygamma"):
        digamma(x).sum().backward(create_graph=True)


def test_operations_that_are_not_on_the_way_need_no_rule(device):
    """With `grad` only what lies between outputs and inputs counts."""
    x, other = leaf([1, 2], device), leaf([0.5], device)
    h = digamma(x)
    (g,) = grad((h * h).sum() + digamma(other).sum(), h, create_graph=True)
    assert_close(g, 2 * to_numpy(h))
    (curvature,) = grad(g.sum(), h)
    assert_close(curvature, [2.0, 2])


def test_grids_and_boxes_have_no_second_derivative(device):
    from minivision.functions.grid_sampling import grid_sample

    x, grid = leaf(np.ones((1, 1, 3, 3)), device), leaf(np.zeros((1, 2, 2, 2)), device)
    with pytest.raises(NotImplementedError, match=r"GridSample has no rule .*detach\(\) them"):
        grad(grid_sample(x, grid, align_corners=False).sum(), x, create_graph=True)


def test_a_rule_of_your_own(device, monkeypatch):
    monkeypatch.setitem(RULES, Twice, lambda f, g: g * 2)
    x = leaf([1, 2], device)
    (g,) = grad((Twice()(x) ** 2).sum(), x, create_graph=True)
    (second,) = grad(g.sum(), x)
    assert_close(second, [8.0, 8])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda f, g: g[:1], ["Twice.backward", "float64 (1,)", "float64 (2,)"]),
        (lambda f, g: (g, g), ["Twice.backward", "2 gradients", "1 inputs"]),
    ],
)
def test_a_wrong_rule_is_caught(rule, words, device, monkeypatch):
    monkeypatch.setitem(RULES, Twice, rule)
    x = leaf([1, 2], device)
    with pytest.raises(RuntimeError) as error:
        grad(Twice()(x).sum(), x, create_graph=True)
    for word in words:
        assert word in str(error.value)


def test_rules_are_loaded_when_they_are_needed():
    program = (
        "import sys, numpy, minivision; name = 'minivision.functions.second_order'; before = name in sys.modules\n"
        "x = minivision.tensor([1.0], requires_grad=True); (x * x).sum().backward(); between = name in sys.modules\n"
        "(x * x).sum().backward(create_graph=True); print(before, between, name in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False", "True"]


# ---- memory ----


@pytest.fixture
def no_collector():
    """The cyclic garbage collector is off: what goes, goes because nobody refers to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_graphs_go_with_the_last_reference(device, no_collector):
    x, w = leaf(np.ones((1, 2, 4, 4)), device), leaf(np.ones((3, 2, 3, 3)), device)
    hidden = conv2d(x, w).tanh()
    y = (hidden**2).sum()
    (g,) = grad(y, x, create_graph=True)
    refs = [weakref.ref(v) for v in (hidden.array, hidden.grad_fn, y.grad_fn, g.array, g.grad_fn)]
    (g**2).sum().backward()
    del hidden, y, g
    assert [r() for r in refs] == [None] * 5
    assert x.grad is not None
    assert w.grad is not None


def test_the_cycle_of_backward_ends_with_the_gradient(device, no_collector):
    """A leaf leads to its `.grad`, whose graph leads to the leaf; taking the gradient away opens the circle."""
    x = leaf([1, 2], device)
    y = (x.exp() ** 2).sum()
    y.backward(create_graph=True)
    ref = weakref.ref(x.grad.grad_fn)
    del y
    assert ref() is not None
    x.grad = None
    assert ref() is None


def test_ordinary_training_keeps_nothing_more(device):
    """The rules make do with what the backward needs: a recorded node holds no further array, and a walk adds none."""
    x, w = leaf(np.ones((2, 3)), device), leaf(np.ones((3, 4)), device)
    for product, kept in ((x @ w, {"a", "b"}), (x @ w.detach(), {"b"}), (x.detach() @ w, {"a"})):
        grad(product.sum(), [x, w], create_graph=True, allow_unused=True)
        assert {name for name, value in vars(product.grad_fn).items() if is_array(value)} == kept
