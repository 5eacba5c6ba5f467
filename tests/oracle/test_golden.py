"""minivision's values and gradients against PyTorch's, recorded in golden.npz: no PyTorch needed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.oracle import generate
from tests.oracle.cases import REJECTED, Case, cases, evaluate
from tests.oracle.libraries import minivision_library

RESULTS, PROMOTION, TORCH_REJECTS = generate.read()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_case(case: Case, device: str) -> None:
    """Outputs and gradients, float64: the same shapes, kinds of dtype and values to 1e-9."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # division by zero at the kinks; every label ignored
        actual = evaluate(case, minivision_library(device))
    expected = RESULTS[case.name]
    assert [(a.dtype, a.shape) for a in actual] == [(e.dtype, e.shape) for e in expected]
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-11)


def test_every_case_is_recorded() -> None:
    assert list(RESULTS) == [case.name for case in cases()]
    assert len(RESULTS) == len(set(RESULTS)) > 800


def test_dtype_promotion() -> None:
    """The dtype of a binary operation on tensors, 0-d tensors and Python numbers of every pair of dtypes."""
    assert generate.promotion_lines(minivision_library()) == PROMOTION
    assert len(PROMOTION) > 600


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.name)
def test_what_torch_rejects(case: Case, device: str) -> None:
    """A call that PyTorch refuses is refused here too, with a message that names the operation."""
    assert case.name in TORCH_REJECTS
    with pytest.raises((ValueError, TypeError, RuntimeError, IndexError)) as error:
        evaluate(case, minivision_library(device))
    if isinstance(case.op, str):
        assert str(error.value).startswith((f"{case.op}:", f"{case.op} "))


@pytest.mark.oracle
def test_golden_file_is_what_torch_answers() -> None:
    """Regenerated with the PyTorch that is installed: a new release must not have moved."""
    fresh = generate.generate()
    with np.load(generate.GOLDEN) as stored:
        for name in ("names", "forms", "promotion", "rejected"):
            assert fresh[name].tolist() == stored[name].tolist()
        np.testing.assert_allclose(fresh["values"], stored["values"], rtol=1e-9, atol=1e-11)
