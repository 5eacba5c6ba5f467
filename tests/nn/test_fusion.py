"""Neighbouring layers of a Sequential computed as one: the same results, and only where nobody looks between them."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import nn, no_grad
from minivision.autograd import Function, Tensor
from tests.helpers import assert_close, to_numpy


def net():
    layers = [
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 6, 1), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2), nn.BatchNorm2d(4),
    ]  # fmt: skip
    return nn.Sequential(*layers).double()


def operations(y):
    """The names of the operations that led to y, from the last to the first."""
    names, node = [], y.grad_fn
    while isinstance(node, Function):
        names.append(node.name)
        node = node.edges[0][0] if node.edges and node.edges[0] else None
    return names


def run(model, x):
    model.zero_grad()
    image = Tensor(x.copy(), requires_grad=True)
    y = model(image)
    (y * Tensor(np.cos(np.arange(y.numel())).reshape(y.shape))).sum().backward()
    return [y, image.grad, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("training", [True, False])
def test_same_values_and_gradients(training, rng):
    """Running statistics included: they are moved once in each run, from the same start."""
    model, x = net().train(training), rng.standard_normal((2, 3, 17, 14))
    state = {name: t.clone() for name, t in model.state_dict().items()}
    together, after = run(model, x), {name: t.clone() for name, t in model.state_dict().items()}
    model.load_state_dict(state)
    with nn.fusion(False):
        apart = run(model, x)
    for one, other in zip(together, apart, strict=True):
        assert_close(one, other, rtol=1e-12, atol=1e-12)
    for name, value in model.state_dict().items():
        assert_close(after[name], value, rtol=1e-12)


def test_batch_norm_goes_into_the_convolution_in_evaluation(rng):
    model, x = net(), Tensor(rng.standard_normal((2, 3, 17, 14)))
    model(x)  # so that the running statistics are something
    model.eval()
    with no_grad():
        together = model(x)
        with nn.fusion(False):
            apart = model(x)
    assert_close(together, apart, rtol=1e-12, atol=1e-12)
    model.requires_grad_(False)
    image = Tensor(to_numpy(x), requires_grad=True)
    names = operations(model(image))
    assert names == ["ConvolutionNorm", "GroupNormReLU", "Convolution", "ConvolutionNorm", "ConvolutionReLU"]
    model[3].weight.requires_grad_()  # its gradient is wanted, so it stays a layer
    names = operations(model(image))
    assert names[3:] == ["FixedNormReLU", "Convolution", "ConvolutionReLU"]


def test_what_runs_in_training(rng):
    model, x = net(), Tensor(rng.standard_normal((2, 3, 17, 14)), requires_grad=True)
    assert operations(model(x)) == [
        "BatchNorm", "Convolution", "GroupNormReLU", "Convolution", "BatchNormReLU", "Convolution", "ConvolutionReLU",
    ]  # fmt: skip
    with nn.fusion(False):
        assert operations(model(x))[-5:] == ["ReLU", "BatchNorm", "Convolution", "ReLU", "Convolution"]
        with nn.fusion():
            assert "ConvolutionReLU" in operations(model(x))
        assert "ConvolutionReLU" not in operations(model(x))
    assert "ConvolutionReLU" in operations(model(x))


def hooked(model, place):
    seen = []
    model[place].register_forward_hook(lambda module, inputs, output: seen.append(to_numpy(output).copy()))
    return seen


@pytest.mark.parametrize("place", [0, 1])
def test_a_forward_hook_sees_its_layer(place, rng):
    model, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), Tensor(rng.standard_normal((1, 3, 6, 5)).astype(np.float32))
    seen = hooked(model, place)
    y = model(x)
    expected = model[0](x) if place == 0 else y
    assert_close(seen[0], expected)
    assert (to_numpy(expected) < 0).any() == (place == 0)


def test_a_backward_hook_sees_its_layer(rng):
    model, x = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU()), Tensor(rng.standard_normal((1, 2, 4, 4)).astype(np.float32))
    seen = []
    model[1].register_full_backward_hook(lambda module, incoming, outgoing: seen.append((incoming[0], outgoing[0])))
    model(x).sum().backward()
    (incoming, outgoing), = seen  # fmt: skip
    assert_close(outgoing, np.ones((1, 3, 4, 4), np.float32))
    assert_close(incoming, (to_numpy(model[0](x)) > 0).astype(np.float32))


def test_a_pre_hook_is_called(rng):
    model, x = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()), Tensor(rng.standard_normal((2, 2, 3, 3)).astype(np.float32))
    model[1].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 100,))
    assert to_numpy(model(x)).min() > 90


def test_derived_layers_and_own_forwards_run_themselves(rng):
    class Doubled(nn.ReLU):
        def forward(self, input):
            return 2 * super().forward(input)

    x = Tensor(rng.standard_normal((1, 2, 3, 3)).astype(np.float32))
    convolution = nn.Conv2d(2, 2, 1)
    expected = 2 * np.maximum(to_numpy(convolution(x)), 0)
    assert_close(nn.Sequential(convolution, Doubled())(x), expected)
    replaced = nn.ReLU()
    replaced.forward = lambda input: input * 0 + 7
    assert_close(nn.Sequential(convolution, replaced)(x), np.full((1, 2, 3, 3), 7, np.float32))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        (lambda: [nn.Conv1d(2, 3, 3, padding="same"), nn.BatchNorm1d(3), nn.ReLU()], (2, 2, 7)),
        (lambda: [nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3), nn.ReLU()], (2, 2, 3, 4, 5)),
        (lambda: [nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU()], (1, 2, 5, 4)),
        (lambda: [nn.Conv2d(2, 3, 3), nn.ReLU()], (2, 5, 4)),  # a single image
        (lambda: [nn.BatchNorm1d(3), nn.ReLU()], (5, 3)),
        (lambda: [nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU()], (2, 2, 3, 3)),
        (lambda: [nn.ReLU(), nn.Conv2d(2, 3, 1)], (1, 2, 3, 3)),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_layers_of_all_kinds(layers, shape, training, rng):
    model = nn.Sequential(*layers()).double().train(training)
    x = Tensor(rng.standard_normal(shape))
    with no_grad():
        together = model(x)
        with nn.fusion(False):
            assert_close(together, model(x), rtol=1e-12, atol=1e-12)


def test_errors_are_the_layers_own():
    x = Tensor(np.zeros((1, 3, 4, 4), np.float32))
    with pytest.raises(ValueError, match="conv2d: input has 3 channels"):
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())(x)
    with pytest.raises(ValueError, match=r"BatchNorm2d: input has shape .* C = 5"), no_grad():
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(5)).eval()(x)
    with pytest.raises(TypeError, match="enabled"), nn.fusion(0.5):
        pass


def test_nothing_to_see_from_outside():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model(Tensor(np.zeros((1, 3, 4, 4), np.float32)))
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]
    assert repr(model).splitlines()[2] == "  (1): ReLU()"


def test_empty_and_short():
    x = Tensor(np.ones((1, 2, 3, 3), np.float32))
    assert nn.Sequential()(x) is x
    assert nn.Sequential(nn.Conv2d(2, 4, 3))(x).shape == (1, 4, 1, 1)
