"""Every public operation: gradient, memory layouts, precisions, inputs left alone; and nothing forgotten.

The calls come from `calls.py`, the checks from `checks.py`; here they meet, operation by operation.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from minivision.autograd import Function, Tensor
from minivision.functions.matrix import linear_matrix
from tests.errors.table import topics as error_topics
from tests.oracle.cases import Case, Fixed, Given
from tests.registry import calls, checks
from tests.registry.calls import CALLS
from tests.registry.documentation import MATRICES, OURS, PAGE, RENEW, counterpart, heading, page
from tests.registry.operations import OPERATIONS, Operation, by_any_name, discover, layers, public_names

IN_PLACE = {o.name for o in OPERATIONS.values() if o.in_place} | {"__setitem__"}
WITHOUT_GRADIENT = calls.names(calls.WITHOUT_GRADIENT) | IN_PLACE
NOT_THE_DERIVATIVE = calls.names(calls.NOT_THE_DERIVATIVE)
WITHOUT_TENSOR = calls.names(calls.WITHOUT_TENSOR)
WITHOUT_IMAGE = calls.names(calls.WITHOUT_IMAGE) | WITHOUT_TENSOR
WITHOUT_FLOAT = calls.names(calls.WITHOUT_FLOAT) | WITHOUT_TENSOR
WITHOUT_ERROR = calls.names(calls.WITHOUT_ERROR)
OWN_DTYPE = calls.names(calls.OWN_DTYPE)
DRAWN = calls.names(calls.DRAWN)

every_operation = pytest.mark.parametrize("name", OPERATIONS)


# ---- what must be true of every operation ----


@every_operation
def test_memory_layout_does_not_matter(name: str, device: str) -> None:
    for case in CALLS[name]:
        for layout in (*checks.NON_CONTIGUOUS, "channels_last"):
            checks.check_layout(case, device, layout)


@every_operation
def test_precision_stays(name: str, device: str) -> None:
    for case in CALLS[name]:
        checks.check_dtypes(case, device, name in OWN_DTYPE, name in DRAWN)


@every_operation
def test_inputs_stay(name: str, device: str) -> None:
    for case in CALLS[name]:
        checks.check_inputs_stay(case, device, name in IN_PLACE)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in WITHOUT_GRADIENT | NOT_THE_DERIVATIVE])
def test_gradient(name: str, device: str) -> None:
    """On the two largest calls that are small enough for central differences."""
    checkable = sorted(filter(checks.has_gradient, CALLS[name]), key=checks.leaf_elements)
    small = [case for case in checkable if checks.leaf_elements(case) <= 60]
    for case in small[-2:] or checkable[:1]:
        checks.check_gradient(case, device)


@pytest.mark.parametrize("name", sorted(WITHOUT_GRADIENT))
def test_declared_without_gradient(name: str, device: str) -> None:
    for case in CALLS[name]:
        checks.check_no_graph(case, device)


# ---- nothing is forgotten ----


def faults(operation: Operation, cases: list[Case], with_error: set[str], text: str) -> list[str]:
    """What the registry lacks for an operation."""
    name = operation.name
    asked = {
        "no gradient check": name in WITHOUT_GRADIENT | NOT_THE_DERIVATIVE or any(map(checks.has_gradient, cases)),
        "no non-contiguous test": name in WITHOUT_TENSOR or any(checks.moved(c, "strided") for c in cases),
        "no channels-last test": name in WITHOUT_IMAGE or any(checks.moved(c, "channels_last") for c in cases),
        "no float32/float64 test": name in WITHOUT_FLOAT or any(map(checks.has_floats, cases)),
        "no error test": name in WITHOUT_ERROR | with_error,
        "missing from docs/operations.md": f"\n| `{heading(operation)}` |" in text,
    }
    return [fault for fault, present in asked.items() if not present]


def test_every_operation_is_registered() -> None:
    with_error = operations_with_an_error()
    text = PAGE.read_text()
    found = {o.name: faults(o, CALLS.get(o.name, []), with_error, text) for o in OPERATIONS.values()}
    report = [f"{name}: {', '.join(wrong)}" for name, wrong in found.items() if wrong]
    assert not report, "\n".join(["add calls to tests/registry/calls.py and rows to tests/errors:", *report])


def operations_with_an_error() -> set[str]:
    """The operations that have a row in tests/errors."""
    rows = [row for rows in error_topics().values() for row in rows]
    return {operation.name for row in rows if (operation := by_any_name(row.operation))}


def test_exemptions_hold() -> None:
    """No name in the lists of exceptions that is no operation, or could do what it is excused from."""
    tables = (WITHOUT_GRADIENT, NOT_THE_DERIVATIVE, WITHOUT_IMAGE, WITHOUT_FLOAT, WITHOUT_ERROR, OWN_DTYPE, DRAWN)
    assert set().union(*tables) <= set(OPERATIONS)
    assert not WITHOUT_GRADIENT & NOT_THE_DERIVATIVE
    assert not [n for n in WITHOUT_TENSOR if any(checks.tensors(c) for c in CALLS[n])]
    assert not [n for n in WITHOUT_FLOAT if any(map(checks.has_floats, CALLS[n]))]
    assert not [n for n in WITHOUT_IMAGE if any(checks.moved(c, "channels_last") for c in CALLS[n])]
    assert not WITHOUT_ERROR & operations_with_an_error()


def test_every_layer_has_its_operation() -> None:
    assert [layer for layer, operation in layers().items() if operation is None] == []


def test_names() -> None:
    """Aliases are one operation, the same name in two places need not be."""
    assert by_any_name("absolute") is by_any_name("Tensor.__abs__") is OPERATIONS["abs"]
    assert {"minivision.relu", "F.relu", "Tensor.relu"} == set(OPERATIONS["relu"].names)
    assert "Tensor.__radd__" in OPERATIONS["add"].names
    assert by_any_name("unfold") is OPERATIONS["unfold"] is not by_any_name("Tensor.unfold")
    assert by_any_name("convolve") is None
    assert len({heading(operation) for operation in OPERATIONS.values()}) == len(OPERATIONS)


# ---- the page ----


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), RENEW


def test_every_file_and_operation_on_the_page_exists() -> None:
    links = re.findall(r"\]\((\.\./[^)]+)\)", PAGE.read_text())
    assert len(links) > len(OPERATIONS)
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    listed = {name for line in MATRICES.values() for name in line.split()} | set(OURS.split())
    assert listed <= set(OPERATIONS)


@pytest.mark.parametrize("name", MATRICES["linear_matrix"].split())
def test_the_matrix_tier(name: str) -> None:
    """What the page calls a matrix is linear in its first argument, the others being constants; ValueError says it is not."""
    case = min(filter(checks.leaf_elements, CALLS[name]), key=checks.leaf_elements)
    shape = checks.run(case, "cpu").leaves[0].shape
    assert checks.is_leaf(case.inputs[0])

    def function(x: Tensor) -> Any:
        changed = dataclasses.replace(case, inputs=(Fixed(x.numpy()), *case.inputs[1:]))
        return checks.run(changed, "cpu", backward=False).outputs[0]

    matrix = linear_matrix(function, shape, dense=True)
    assert matrix.shape[1] == np.prod(shape)
    assert matrix.any()


@pytest.mark.oracle
def test_the_counterparts_exist() -> None:
    """PyTorch has what the page says it has, and nothing that the page calls ours; torchvision is not asked."""
    import torch

    for operation in OPERATIONS.values():
        path = counterpart(operation).strip("`").split(".")
        if path[0] == "torch":
            found: Any = torch
            for name in path[1:]:
                found = getattr(found, name)
        elif path == ["ours"]:
            assert not any(hasattr(place, operation.name) for place in (torch, torch.nn.functional, torch.Tensor))


# ---- the registry notices ----


def made_up(forward: Any, backward: Any = None) -> Any:
    """A public callable with one tensor, out of a forward and a backward on arrays."""

    class MadeUp(Function):
        def forward(self, x: Any) -> Any:
            self.x = x.copy()
            return forward(x)

        def backward(self, dy: Any) -> Any:
            return backward(self.x, dy)

    return lambda x: MadeUp()(x)


def calling(function: Any) -> Case:
    return Case("made_up", lambda library, x: function(x), ((2, 3, 2, 4),))


def test_an_operation_without_anything_has_every_fault() -> None:
    operation = discover([*public_names(), ("F.made_up", made_up(np.exp))])["made_up"]
    text = PAGE.read_text()
    every = [
        "no gradient check",
        "no non-contiguous test",
        "no channels-last test",
        "no float32/float64 test",
        "no error test",
        "missing from docs/operations.md",
    ]
    assert faults(operation, [], set(), text) == every
    # one by one
    whole = Case("made_up", "made_up", (Given(np.arange(48).reshape(2, 3, 2, 4)),))
    assert faults(operation, [whole], {"made_up"}, text + "\n| `made_up` |") == [every[0], every[3]]
    vector = calling(made_up(np.exp))
    vector = Case("made_up", vector.op, ((4,),))
    assert faults(operation, [vector], {"made_up"}, text + "\n| `made_up` |") == [every[2]]
    assert faults(operation, [calling(made_up(np.exp))], set(), text) == every[4:]


def test_a_good_operation_passes() -> None:
    good = calling(made_up(lambda x: x * x, lambda x, dy: 2 * x * dy))
    for layout in (*checks.NON_CONTIGUOUS, "channels_last"):
        checks.check_layout(good, "cpu", layout)
    checks.check_dtypes(good, "cpu")
    checks.check_inputs_stay(good, "cpu")
    checks.check_gradient(good, "cpu")


def in_memory_order(x: np.ndarray) -> np.ndarray:
    return x.ravel(order="K").reshape(x.shape)


def spoiling(x: np.ndarray) -> np.ndarray:
    x += 1
    return x * 1


def identity(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return dy


@pytest.mark.parametrize("layout", ["transposed", "channels_last"])
def test_a_forward_that_assumes_contiguous_memory_is_noticed(layout: str) -> None:
    with pytest.raises(AssertionError, match="made_up"):
        checks.check_layout(calling(made_up(in_memory_order, identity)), "cpu", layout)


@pytest.mark.parametrize("layout", ["transposed", "channels_last"])
def test_a_backward_that_assumes_contiguous_memory_is_noticed(layout: str) -> None:
    with pytest.raises(AssertionError, match="made_up"):
        checks.check_layout(calling(made_up(np.positive, lambda x, dy: in_memory_order(dy))), "cpu", layout)


def test_an_upcast_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"float32 in, \{'float64'\} out"):
        checks.check_dtypes(calling(made_up(lambda x: x * np.float64(2), lambda x, dy: dy.astype(x.dtype))), "cpu")


def test_a_loss_of_precision_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"float64 in, \{'float32'\} out"):
        checks.check_dtypes(calling(made_up(lambda x: x.astype(np.float32), lambda x, dy: dy.astype(x.dtype))), "cpu")


def test_a_changed_input_is_noticed() -> None:
    with pytest.raises(AssertionError, match="tensor 0 was changed"):
        checks.check_inputs_stay(calling(made_up(spoiling, identity)), "cpu")
    with pytest.raises(AssertionError, match="is not the tensor itself"):
        checks.check_inputs_stay(calling(made_up(np.positive, identity)), "cpu", in_place=True)


def test_a_wrong_gradient_is_noticed() -> None:
    with pytest.raises(AssertionError, match="made_up: input 0"):
        checks.check_gradient(calling(made_up(lambda x: x * x, lambda x, dy: x * dy)), "cpu")
    with pytest.raises(AssertionError, match="no graph was recorded"):
        checks.check_gradient(calling(lambda x: x.detach() * 2), "cpu")


def test_a_graph_that_was_denied_is_noticed() -> None:
    with pytest.raises(AssertionError, match="declared without a gradient"):
        checks.check_no_graph(calling(made_up(np.exp)), "cpu")
