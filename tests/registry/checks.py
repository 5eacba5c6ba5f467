"""What must be true of every operation, whatever it computes. Each check calls it, and raises AssertionError if it is not so."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minivision
from minivision.autograd import Tensor
from tests.helpers import layouts, numerical_gradient, to_device, to_numpy
from tests.oracle.cases import Case, Fixed, Library, call, uniform
from tests.registry.operations import by_any_name

SEED = 7  # of what an operation draws at random


@dataclass
class Result:
    """One call: the tensors that went in, the values they had, what came out, and upstream gradients for it."""

    given: list[Tensor]
    values: list[np.ndarray]
    outputs: list[Any]
    upstream: list[tuple[Tensor, np.ndarray]]  # for the outputs that can be differentiated

    @property
    def leaves(self) -> list[Tensor]:
        return [x for x in self.given if x.requires_grad]

    def everything(self) -> list[Any]:
        """The outputs and the gradients."""
        return self.outputs + [x.grad for x in self.leaves]


def run(case: Case, device: str, layout: str = "contiguous", dtype: Any = np.float64, backward: bool = True) -> Result:
    """Make the call with floats in `dtype` and all arrays, upstream gradients too, in a memory layout; then differentiate."""
    given: list[Tensor] = []
    values: list[np.ndarray] = []

    def tensor(array: np.ndarray, requires_grad: bool) -> Tensor:
        array = array.astype(dtype) if array.dtype == np.float64 else array
        x = Tensor(to_device(arranged(array, layout), device))
        values.append(array.copy())
        given.append(x.requires_grad_() if requires_grad else x)
        return x

    minivision.manual_seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, outputs = call(case, Library(tensor, _find))
        result = Result(given, values, outputs, [])
        for i, y in enumerate(outputs):
            if isinstance(y, Tensor) and y.requires_grad:
                upstream = uniform(f"{case.name}/upstream/{i}", y.shape).astype(y.dtype)
                result.upstream.append((y, upstream))
                if backward:
                    y.backward(Tensor(to_device(arranged(upstream, layout), y.device.type)), retain_graph=True)
    return result


def _find(name: str) -> Callable[..., Any]:
    operation = by_any_name(name)
    assert operation is not None, f"there is no operation {name}"
    return operation.function


def arranged(array: np.ndarray, layout: str) -> np.ndarray:
    """The values in another memory layout; as they are where they have too few axes for it."""
    if layout == "transposed":
        return np.array(array, order="F")
    return dict(layouts(array)).get(layout, array)


NON_CONTIGUOUS = ("strided", "transposed")  # every second element from the end; the first axis fastest


def tensors(case: Case) -> list[np.ndarray]:
    """The values of every tensor that goes into a call, which is not made."""
    return run(dataclasses.replace(case, op=lambda library, *args, **kwargs: ()), "cpu").values


def moved(case: Case, layout: str) -> bool:
    """Whether the layout makes a difference to a tensor that goes into this call."""
    return any(x.size > 1 and arranged(x, layout).strides != x.strides for x in tensors(case))


def has_floats(case: Case) -> bool:
    return any(x.dtype == np.float64 for x in tensors(case))


def has_gradient(case: Case) -> bool:
    """Whether central differences say anything: there is something to vary, and the answer is finite."""
    if leaf_elements(case) == 0:
        return False
    outputs = [to_numpy(y) for y in run(case, "cpu", backward=False).outputs]
    return all(np.isfinite(y).all() for y in outputs)


def check_layout(case: Case, device: str, layout: str) -> None:
    """The same values and gradients, whatever the memory looks like."""
    expected, actual = run(case, device), run(case, device, layout)
    _compare(case.name, actual.everything(), expected.everything(), rtol=1e-10, atol=1e-12)


def check_dtypes(case: Case, device: str, own_dtype: bool = False, drawn: bool = False) -> None:
    """float32 gives float32 and float64 float64, values and gradients, and float32 agrees to its own accuracy."""
    if not has_floats(case):
        return
    doubles, singles = run(case, device), run(case, device, dtype=np.float32)
    for x, dtype in [(doubles, np.float64), (singles, np.float32)]:
        kinds = {str(y.dtype) for y in x.outputs if hasattr(y, "dtype") and y.dtype.kind == "f"}
        assert own_dtype or kinds <= {np.dtype(dtype).name}, f"{case.name}: {dtype.__name__} in, {kinds} out"
        for leaf in x.leaves:
            assert leaf.grad is None or leaf.grad.dtype == leaf.dtype == dtype, f"{case.name}: a gradient is {leaf.grad.dtype}"
    if not drawn:
        _compare(case.name, singles.everything(), doubles.everything(), rtol=1e-3, atol=2e-5)


def check_inputs_stay(case: Case, device: str, in_place: bool = False) -> None:
    """No input is written to, by the call or by its backward; in place, the first and no other."""
    for layout in ("contiguous", *NON_CONTIGUOUS):
        result = run(case, device, layout)
        pairs = list(zip(result.given, result.values, strict=True))
        for i, (x, before) in enumerate(pairs[1:] if in_place else pairs):
            assert np.array_equal(to_numpy(x), before, equal_nan=before.dtype.kind == "f"), f"{case.name}: tensor {i} was changed"
        if in_place:
            assert result.outputs[0] is result.given[0], f"{case.name}: the answer is not the tensor itself"
            assert not np.array_equal(to_numpy(result.given[0]), result.values[0]), f"{case.name}: nothing was changed"


def check_gradient(case: Case, device: str) -> None:
    """The gradient of sum(upstream * output) to every leaf equals central differences, in float64."""
    result = run(case, device)
    inputs = list(case.inputs)
    positions = [i for i, x in enumerate(inputs) if is_leaf(x)]
    assert len(positions) == len(result.leaves) > 0, f"{case.name}: no input can be differentiated"
    assert result.upstream, f"{case.name}: no graph was recorded"
    for position, leaf in zip(positions, result.leaves, strict=True):

        def loss(values: np.ndarray, position: int = position) -> np.ndarray:
            changed = dataclasses.replace(case, inputs=(*inputs[:position], Fixed(values), *inputs[position + 1 :]))
            outputs = run(changed, device, backward=False).upstream
            return np.array(sum(float((to_numpy(y) * u).sum()) for y, u in outputs))

        numerical = numerical_gradient(loss, to_numpy(leaf), np.array(1.0))
        analytic = np.zeros(leaf.shape) if leaf.grad is None else to_numpy(leaf.grad)
        np.testing.assert_allclose(analytic, numerical, rtol=1e-5, atol=1e-7, err_msg=f"{case.name}: input {position}")


def check_no_graph(case: Case, device: str) -> None:
    """The answer is outside the graph, even of inputs that require a gradient."""
    for y in run(case, device, backward=False).outputs:
        assert not (isinstance(y, Tensor) and y.requires_grad), f"{case.name}: recorded, though declared without a gradient"


def is_leaf(spec: Any) -> bool:
    return isinstance(spec, Fixed) or type(spec) is tuple or type(spec).__name__ == "Normal"


def leaf_elements(case: Case) -> int:
    """How many numbers can be differentiated."""
    shapes = [np.shape(x.values) if isinstance(x, Fixed) else getattr(x, "shape", x) for x in case.inputs if is_leaf(x)]
    return sum(int(np.prod(shape)) for shape in shapes)


def _compare(name: str, actual: list[Any], expected: list[Any], rtol: float, atol: float) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert (a is None) == (e is None), f"{name}: a gradient is missing"
        if a is not None:
            a, e = to_numpy(a), to_numpy(e)
            np.testing.assert_allclose(a, e, rtol=rtol, atol=atol, err_msg=name)
            assert a.shape == e.shape, f"{name}: shape {a.shape}, expected {e.shape}"
