"""The networks that are written once run in both frameworks, and give the same."""

from __future__ import annotations

import numpy as np
import pytest

import minivision
from benchmarks import networks
from benchmarks.case import Different, check_equal
from benchmarks.cases import CASES
from benchmarks.cases import networks as network_cases
from benchmarks.cases.layers import roi_align_by_grid_sample

SMALL = {
    "unet": (lambda torch: networks.unet(torch, (4, 6, 8)), (2, 3, 13, 18)),
    "unet with norm": (lambda torch: networks.unet(torch, (4, 6), norm=True), (2, 3, 8, 11)),
    "fcn8s": (lambda torch: networks.fcn8s(torch, classes=2, fc=8, widths=(2, 3, 4, 5, 6)), (1, 3, 32, 64)),
}
by_name = {case.name: case for case in CASES}


@pytest.mark.parametrize("name", SMALL)
def test_scores_have_the_size_of_the_image(name):
    network, shape = SMALL[name]
    model = networks.with_weights(minivision, network(minivision))
    assert model(minivision.ones(shape)).shape == (shape[0], 2, *shape[2:])


def test_weights_are_the_same_each_time_and_of_he_s_size():
    shapes = {"a.weight": (64, 16, 3, 3), "n.weight": (5,), "a.bias": (64,), "n.running_var": (5,), "n.num_batches_tracked": ()}
    first, second = (networks.weights(shapes, np.random.default_rng(1)) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in shapes)
    assert np.std(first["a.weight"]) == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.05)
    assert (first["n.weight"] == 1).all()
    assert (first["n.running_var"] == 1).all()
    assert (first["a.bias"] == 0).all()
    assert first["n.num_batches_tracked"].dtype == np.int64


def test_the_work_of_a_network_counts_its_convolutions():
    model = networks.unet(minivision, (2, 3), channels=1, classes=1)
    flops, moved, parameters = networks.work_of(minivision, model, minivision.zeros(1, 1, 4, 4))
    convolutions = 16 * 9 * (1 * 2 + 2 * 2 + 4 * 2 + 2 * 2) + 4 * 9 * (2 * 3 + 3 * 3) + 4 * (3 * 2 * 4) + 16 * 2
    assert flops == 2 * convolutions
    assert parameters == sum(p.numel() for p in model.parameters())
    assert moved > 4 * parameters


@pytest.mark.oracle
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_both_frameworks_train_alike(name, optimizer):
    import torch

    network, shape = SMALL[name]
    arrays = network_cases.arrays_of(shape, 2)(np.random.default_rng(0))
    build = network_cases.training(network, optimizer)
    steps = [build(framework, arrays) for framework in (minivision, torch)]
    case = by_name["unet-small-train"]
    for _ in range(2):  # the second step sees what the optimizer made of the first
        ours, theirs = (step() for step in steps)
        assert ours.keys() == theirs.keys()
        assert check_equal(case, ours, theirs) < 1e-2


@pytest.mark.oracle
def test_a_wrong_network_is_found():
    import torch

    network, shape = SMALL["unet"]
    arrays = network_cases.arrays_of(shape, 2)(np.random.default_rng(0))

    def with_means(framework):
        model = network(framework)
        model.pool = framework.nn.AvgPool2d(2)
        return model

    ours = network_cases.training(with_means, "adam")(minivision, arrays)()
    theirs = network_cases.training(network, "adam")(torch, arrays)()
    with pytest.raises(Different):
        check_equal(by_name["unet-small-train"], ours, theirs)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["conv3x3-few-16-odd", "transposed2x2-odd", "max-unpool-odd", "roi-align-small", "tiny-operations"]
)
def test_cases_agree(name):
    import torch

    case = by_name[name]
    assert check_equal(case, *(case.build(framework, case.inputs())() for framework in (minivision, torch))) < 1e-4


def test_roi_align_by_grid_sample_is_roi_align(rng):
    x = minivision.from_numpy(rng.standard_normal((2, 3, 12, 15)))
    boxes = minivision.from_numpy(np.array([[0, 1, 1, 9, 8], [0, 2.5, 3, 3, 9.5], [1, 0.5, 0.5, 13, 10]]))
    ours = roi_align_by_grid_sample(minivision, x, boxes, (3, 2), 2)
    expected = minivision.ops.roi_align(x, boxes, (3, 2), sampling_ratio=2)
    np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-10, atol=1e-12)
