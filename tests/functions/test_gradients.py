"""Every Function against central differences: every input, three memory layouts, both precisions, by hand and recorded."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np
import pytest

from minivision import backend
from minivision.autograd import Function, Tensor
from tests.functions.cases import GradientCase, collected
from tests.helpers import assert_close, layouts, numerical_gradient, to_device, to_numpy
from tests.oracle.libraries import operation_modules

CASES = collected()


def every_function() -> set[type[Function]]:
    """The operations of minivision.functions; names with an underscore are common bases."""
    return {
        value
        for module in operation_modules()
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Function) and value is not Function and not name.startswith("_")
    }


def test_every_function_is_checked(device: str) -> None:
    made = {type(c.make(lambda a: to_device(a, device))) for c in CASES}
    assert {f.__name__ for f in every_function()} == {f.__name__ for f in made}


def first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def identify(c: GradientCase) -> str:
    return f"{type(c.make(np.asarray)).__name__} {c.name}".strip()


all_cases = pytest.mark.parametrize("case", CASES, ids=identify)


@all_cases
def test_gradient(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """Recorded, with a random upstream gradient: equal to central differences, whatever the memory layout."""

    def put(a: Any) -> Any:
        return to_device(a, device)

    inputs = case.inputs(rng)
    plain = to_numpy(first(case.make(put)(*(Tensor(put(x)) for x in inputs))))
    upstream = rng.standard_normal(plain.shape)
    numerical = [
        numerical_gradient(
            lambda x, i=i: first(case.make(put)(*(Tensor(put(x if j == i else other)) for j, other in enumerate(inputs)))),
            v,
            upstream,
        )
        for i, v in enumerate(inputs)
    ]
    arrangements = [list(layouts(a)) for a in (upstream, *inputs)]
    for variant in range(3):
        (name, dy), *arranged = (choices[variant % len(choices)] for choices in arrangements)
        leaves = [Tensor(put(x), requires_grad=True) for _, x in arranged]
        y = first(case.make(put)(*leaves))
        assert_close(y, plain, rtol=1e-12)
        assert y.dtype == np.float64
        y.backward(Tensor(put(dy)))
        for i, (x, expected) in enumerate(zip(leaves, numerical, strict=True)):
            assert x.grad is not None, f"input {i} got no gradient"
            assert x.grad.dtype == np.float64
            np.testing.assert_allclose(to_numpy(x.grad), expected, rtol=1e-6, atol=1e-8, err_msg=f"input {i}, layout {name}")


@all_cases
def test_by_hand(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """`f.forward(x)` and `f.backward(dy)` on plain arrays give what the recorded call gives, and inputs stay as they were."""

    def put(a: Any) -> Any:
        return to_device(a, device)

    inputs = case.inputs(rng)
    leaves = [Tensor(put(x), requires_grad=True) for x in inputs]
    y = first(case.make(put)(*leaves))
    dy = rng.standard_normal(y.shape)
    y.backward(Tensor(put(dy)))

    function = case.make(put)
    arrays = [put(x) for x in inputs]
    result = function.forward(*arrays)
    assert_close(first(result), y, rtol=0, atol=0)
    upstream = [put(dy)] + [backend.xp_of(r).zeros_like(r) for r in (result[1:] if isinstance(result, tuple) else ())]
    gradients = function.backward(*upstream)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert len(gradients) == len(inputs)
    for i, (given, x, recorded) in enumerate(zip(gradients, inputs, leaves, strict=True)):
        if not function.broadcasts:
            assert_close(given, recorded.grad, rtol=1e-14)
        np.testing.assert_array_equal(to_numpy(arrays[i]), x)
    np.testing.assert_array_equal(to_numpy(upstream[0]), dy)


@all_cases
def test_single_precision_stays_single(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """float32 in, float32 out and float32 gradients, close to those in float64."""

    def put(a: Any) -> Any:
        a = np.asarray(a)
        return to_device(a.astype(np.float32) if a.dtype == np.float64 else a, device)

    inputs = case.inputs(rng)
    doubles = [Tensor(to_device(x, device), requires_grad=True) for x in inputs]
    singles = [Tensor(put(x), requires_grad=True) for x in inputs]
    exact = first(case.make(lambda a: to_device(a, device))(*doubles))
    rounded = first(case.make(put)(*singles))
    if "Cast" not in identify(case):
        assert rounded.dtype == np.float32
    dy = rng.standard_normal(exact.shape)
    exact.backward(Tensor(to_device(dy, device)))
    rounded.backward(Tensor(to_device(dy.astype(rounded.dtype), device)))
    for x, x32 in zip(doubles, singles, strict=True):
        assert x.grad is not None
        assert x32.grad is not None
        assert x32.grad.dtype == np.float32
        assert_close(x32.grad, x.grad, rtol=1e-3, atol=2e-5)


@all_cases
def test_only_wanted_gradients(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """With one input that requires a gradient the others get none, and the one gets the same as ever."""

    def put(a: Any) -> Any:
        return to_device(a, device)

    inputs = case.inputs(rng)
    every = [Tensor(put(x), requires_grad=True) for x in inputs]
    y = first(case.make(put)(*every))
    dy = Tensor(put(rng.standard_normal(y.shape)))
    y.backward(dy)
    for wanted in range(len(inputs)):
        some = [Tensor(put(x), requires_grad=i == wanted) for i, x in enumerate(inputs)]
        first(case.make(put)(*some)).backward(dy)
        assert [x.grad is not None for x in some] == [i == wanted for i in range(len(inputs))]
        assert_close(some[wanted].grad, every[wanted].grad, rtol=1e-14)


COSTLY = {"Mul", "Div", "Pow", "MatMul", "Linear", "Convolution", "TransposedConvolution", "BatchNorm", "GroupNorm", "FixedNorm"}


@pytest.mark.parametrize("case", [c for c in CASES if identify(c).split()[0] in COSTLY | {"SoftCrossEntropy"}], ids=identify)
def test_unwanted_gradients_are_not_computed(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """`backward` itself answers None for them, for every combination."""
    inputs = [to_device(x, device) for x in case.inputs(rng)]
    for needs in itertools.product((False, True), repeat=len(inputs)):
        function = case.make(lambda a: to_device(a, device))
        function.needs_input_grad = needs
        y = function.forward(*inputs)
        gradients = function.backward(y)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        assert tuple(g is not None for g in gradients) == needs


@all_cases
def test_decisions_fit_the_gradient(case: GradientCase, rng: np.random.Generator, device: str) -> None:
    """What `decisions` shows is an array by name, and smooth operations show nothing."""
    function = case.make(lambda a: to_device(a, device))
    function.forward(*(to_device(x, device) for x in case.inputs(rng)))
    for name, choice in function.decisions().items():
        assert isinstance(name, str)
        assert backend.is_array(choice)
        assert choice.dtype.kind in "biuf"
