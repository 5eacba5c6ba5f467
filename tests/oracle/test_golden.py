"""minivision's values and gradients against PyTorch's, recorded beside the tables: no PyTorch needed."""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np
import pytest

from tests.oracle import generate
from tests.oracle.cases import Case, evaluate
from tests.oracle.libraries import minivision_library, torchvision_ops
from tests.oracle.topics import topics

RECORDED = {topic: generate.read(topic) for topic in topics()}
ACCEPTED = [(topic, case) for topic, module in topics().items() for case in module.CASES]
REJECTED = [(topic, case) for topic, module in topics().items() for case in module.REJECTED]


def identify(value: object) -> str:
    return value.name if isinstance(value, Case) else str(value)


@pytest.mark.parametrize(("topic", "case"), ACCEPTED, ids=identify)
def test_case(topic: str, case: Case, device: str) -> None:
    """Outputs and gradients, float64: the same shapes, kinds of dtype and values to 1e-9."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # division by zero at the kinks; every label ignored
        actual = evaluate(case, minivision_library(device))
    expected = RECORDED[topic][0][case.name]
    assert [(a.dtype, a.shape) for a in actual] == [(e.dtype, e.shape) for e in expected]
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("topic", "module"), topics().items())
def test_every_case_is_recorded(topic: str, module: ModuleType) -> None:
    results = RECORDED[topic][0]
    assert list(results) == [case.name for case in module.CASES]
    assert len(results) == len(set(results)) > 30


def test_dtype_promotion() -> None:
    """The dtype of a binary operation on tensors, 0-d tensors and Python numbers of every pair of dtypes."""
    recorded = RECORDED["segmentation"][1]
    assert generate.promotion_lines(minivision_library()) == recorded
    assert len(recorded) > 600


@pytest.mark.parametrize(("topic", "case"), REJECTED, ids=identify)
def test_what_torch_rejects(topic: str, case: Case, device: str) -> None:
    """A call that PyTorch refuses is refused here too, with a message that names the operation."""
    assert case.name in RECORDED[topic][2]
    with pytest.raises((ValueError, TypeError, RuntimeError, IndexError)) as error:
        evaluate(case, minivision_library(device))
    if isinstance(case.op, str):
        assert str(error.value).startswith((f"{case.op}:", f"{case.op} "))


@pytest.mark.oracle
@pytest.mark.parametrize("topic", topics())
def test_recorded_is_what_torch_answers(topic: str) -> None:
    """Regenerated with the PyTorch that is installed: a new release must not have moved."""
    if topic == "regions":
        try:
            torchvision_ops()
        except ImportError as error:
            pytest.skip(str(error))
    fresh = generate.generate(topic)
    with np.load(generate.stored(topic)) as recorded:
        for name in ("names", "forms", "promotion", "rejected"):
            assert fresh[name].tolist() == recorded[name].tolist()
        np.testing.assert_allclose(fresh["values"], recorded["values"], rtol=1e-9, atol=1e-11)
