"""Networks written for PyTorch, run with minivision in torch's place, against what PyTorch computed."""

from __future__ import annotations

import numpy as np
import pytest

import minivision
from tests.models.parity import CASES, HERE, load, run


@pytest.fixture(scope="module")
def networks():
    return load({"torch": minivision, "torch.nn": minivision.nn, "torch.nn.functional": minivision.nn.functional})


@pytest.mark.parametrize("case", CASES)
def test_torch_code_computes_the_same_with_minivision(case, networks):
    ours = run(minivision, networks, case)
    theirs = {k.removeprefix(f"{case}/"): v for k, v in np.load(HERE / "parity.npz").items() if k.startswith(f"{case}/")}
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_the_stored_values_are_those_of_the_installed_torch(case):
    import torch

    for name, value in run(torch, load({}), case).items():
        np.testing.assert_allclose(np.load(HERE / "parity.npz")[f"{case}/{name}"], value, rtol=1e-8, atol=1e-10, err_msg=name)
