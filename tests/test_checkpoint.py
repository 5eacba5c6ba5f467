"""Checkpointed functions against the same functions called plainly: values, gradients, side effects, memory."""

from __future__ import annotations

import gc
import weakref
from collections import namedtuple
from typing import Any, ClassVar

import numpy as np
import pytest

import minivision
from minivision import Function, Tensor, checkpoint, nn
from minivision.autograd import grad
from minivision.functions.checkpointing import checkpoint_sequential, is_recomputing
from minivision.nn import functional as F
from tests.helpers import assert_close, to_device, to_numpy


def plain(function: Any, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


BOTH = [plain, checkpoint]


def leaf(rng: np.random.Generator, *shape: int, device: str = "cpu", dtype: str = "float64") -> Tensor:
    return Tensor(to_device(rng.standard_normal(shape).astype(dtype), device), requires_grad=True)


def both(run: Any) -> tuple[Any, Any]:
    """`run(call)` for both ways to call, from the same random numbers."""
    results = []
    for call in BOTH:
        minivision.manual_seed(7)
        results.append(run(call))
    return results[0], results[1]


def network(device: str = "cpu") -> nn.Module:
    minivision.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.4), nn.Conv2d(4, 3, 3, padding=1)
    ).to(device)  # fmt: skip


def gradients_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: to_numpy(p.grad).copy() for name, p in module.named_parameters()}


def assert_all_equal(a: Any, b: Any) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name], b[name]), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_has_the_same_gradients_and_drops_the_same_values(dtype, device, rng):
    x = to_device(rng.standard_normal((2, 2, 5, 6)).astype(dtype), device)
    dy = to_device(rng.standard_normal((2, 3, 5, 6)).astype(dtype), device)

    def run(call):
        model = network(device).to(np.dtype(dtype))
        image = Tensor(x.copy(), requires_grad=True)
        y = call(model, image)
        after = minivision.rand(3).numpy()
        y.backward(Tensor(dy))
        state = {name: to_numpy(t).copy() for name, t in model.state_dict().items()}
        more = {"y": to_numpy(y), "dx": to_numpy(image.grad), "then": after, "later": minivision.rand(3).numpy()}
        return gradients_of(model) | more | {f"state {name}": value for name, value in state.items()}

    one, other = both(run)
    assert_all_equal(one, other)
    assert other["state 1.num_batches_tracked"] == 1
    assert np.abs(one["0.weight"]).max() > 0


def test_the_first_layer_learns_from_images_that_need_no_gradient(rng):
    x = Tensor(rng.standard_normal((2, 2, 5, 6)).astype("float32"))

    def run(call):
        model = network()
        F.cross_entropy(call(model, x), Tensor(np.zeros((2, 5, 6), int))).backward()
        return gradients_of(model)

    assert_all_equal(*both(run))


def test_batch_norm_averages_each_batch_once(rng):
    batches = rng.standard_normal((3, 4, 2, 5, 6)).astype("float32")
    norm = nn.BatchNorm2d(2, momentum=None)
    for batch in batches:
        checkpoint(norm, Tensor(batch)).sum().backward()
    assert norm.num_batches_tracked.item() == 3
    assert_close(norm.running_mean, batches.mean(axis=(0, 1, 3, 4)), rtol=1e-5)
    assert_close(norm.running_var, batches.var(axis=(1, 3, 4), ddof=1).mean(axis=0), rtol=1e-5)


def test_what_the_function_finds_outside_gets_its_gradient(device, rng):
    """A weight, a skip connection, and one from which the other input was computed."""
    values = [rng.standard_normal((3, 4)) for _ in range(3)]

    def run(call):
        a, b, w = (Tensor(to_device(v.copy(), device), requires_grad=True) for v in values)
        skip = a * b
        x = skip.exp()
        y = call(lambda x: (x * w).tanh() * skip + x, x)
        (y * y).sum().backward()
        return {"y": to_numpy(y)} | {name: to_numpy(t.grad) for name, t in (("a", a), ("b", b), ("w", w))}

    assert_all_equal(*both(run))


def test_several_inputs_and_outputs_of_every_kind(rng):
    Pair = namedtuple("Pair", "left right")
    values = [rng.standard_normal((3, 4)) for _ in range(4)]

    def run(call):
        a, b, c, unused = (Tensor(v.copy(), requires_grad=True) for v in values)

        def function(pair, scale, *, options, flag):
            x, y = pair.left * scale, pair.right + options["c"][0]
            return {"pair": Pair(x, [y, y]), "same": x, "n": 3, "argument": a, "constant": Tensor(np.ones(2)), "flag": flag}

        out = call(function, Pair(a, b), 2.5, options={"c": [c], "d": unused}, flag=None)
        assert isinstance(out["pair"], Pair)
        assert out["pair"].left is out["same"]
        assert out["pair"].right[0] is out["pair"].right[1]
        assert out["argument"] is a
        assert (out["n"], out["flag"], out["constant"].requires_grad) == (3, None, False)
        (out["pair"].left.exp() * out["pair"].right[1] + a).sum().backward()
        assert unused.grad is None
        return {name: t.grad.array for name, t in (("a", a), ("b", b), ("c", c))}

    assert_all_equal(*both(run))


def test_an_output_that_nothing_uses(rng):
    values = rng.standard_normal((2, 3))

    def run(call):
        x = Tensor(values.copy(), requires_grad=True)
        y, _ = call(lambda x: (x.exp(), x.sin()), x)
        y.sum().backward()
        return {"x": x.grad.array}

    assert_all_equal(*both(run))


def test_one_within_another(rng):
    x = rng.standard_normal((2, 2, 5, 6)).astype("float32")

    def run(call):
        model = network()
        image = Tensor(x.copy(), requires_grad=True)

        def inner(h):
            return call(model[2:4], call(model[:2], h))

        y = call(lambda h: model[4](inner(h)), image)
        (y * y).sum().backward()
        return gradients_of(model) | {"x": image.grad.array, "mean": model[1].running_mean.array.copy()}

    assert_all_equal(*both(run))


def test_one_after_another_with_the_same_module(rng):
    x = rng.standard_normal((2, 3, 5, 6)).astype("float32")

    def run(call):
        minivision.manual_seed(2)
        layer = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Dropout(0.5), nn.Tanh())
        y = Tensor(x)
        for _ in range(3):
            y = call(layer, y)
        y.sum().backward()
        return gradients_of(layer)

    assert_all_equal(*both(run))


def test_a_second_backward(rng):
    x = leaf(rng, 4)
    y = checkpoint(lambda x: x.exp() * x, x).sum()
    y.backward(retain_graph=True)
    first = x.grad.array.copy()
    y.backward()
    assert_close(x.grad, 2 * first)
    assert_close(first, np.exp(x.array) * (1 + x.array))
    with pytest.raises(RuntimeError, match=r"backward\(\) was already run through "):
        y.backward()


def test_gradients_that_are_returned(rng):
    x, w = leaf(rng, 3), leaf(rng, 3)
    h = x * 2
    y = checkpoint(lambda h: (h * w).sin(), h).sum()
    dh, dw = grad(y, [h, w])
    assert_close(dh, np.cos(2 * x.array * w.array) * w.array)
    assert_close(dw, np.cos(2 * x.array * w.array) * 2 * x.array)
    assert x.grad is None
    assert w.grad is None


def test_hooks_see_the_gradient_once(rng):
    x, w, seen = leaf(rng, 3), leaf(rng, 3), []
    w.register_hook(lambda g: seen.append(g.array.copy()))
    checkpoint(lambda x: x * w, x).sum().backward()
    assert len(seen) == 1
    assert_close(seen[0], x.array)


def test_without_recording_it_is_the_plain_call(rng):
    calls = []

    def function(x):
        calls.append(minivision.is_grad_enabled())
        return x * 2

    with minivision.no_grad():
        assert checkpoint(function, leaf(rng, 3)).requires_grad is False
    assert checkpoint(function, Tensor(np.ones(3))).requires_grad is False
    assert checkpoint(lambda: 5) == 5
    assert calls == [False, True]


def test_it_runs_twice_and_knows_it(rng):
    seen = []

    def function(x):
        seen.append(is_recomputing())
        return x * x

    y = checkpoint(function, leaf(rng, 3)).sum()
    assert seen == [False]
    with minivision.no_grad():
        y.backward()
    assert seen == [False, True]
    assert not is_recomputing()


def test_random_numbers_that_are_not_put_back(rng):
    x = Tensor(np.ones(1000), requires_grad=True)
    minivision.manual_seed(0)
    y = checkpoint(lambda x: F.dropout(x, 0.5), x, preserve_rng_state=False)
    y.sum().backward()
    kept, passed = y.array != 0, x.grad.array != 0
    assert 0.2 < np.mean(kept != passed) < 0.8


def test_what_is_computed_inside_is_not_kept(rng):
    class Big(Function):
        """exp, which keeps its output"""

        alive: ClassVar[Any] = weakref.WeakSet()

        def forward(self, x):
            self.alive.add(self)
            self.y = np.exp(x)
            return self.y

        def backward(self, dy):
            return dy * self.y

    x = leaf(rng, 5)
    gc.disable()
    try:
        y = x
        for _ in range(4):
            y = checkpoint(lambda y: Big()(Big()(y) * 0.1) * 0.1, y)
        assert len(Big.alive) == 0
        most = []
        hooked = x * 1.0

        def function(h):
            h.register_hook(lambda g: most.append(len(Big.alive)))
            return Big()(h)

        checkpoint(function, y).sum().backward()
    finally:
        gc.enable()
    assert hooked.requires_grad
    assert x.grad is not None
    assert len(Big.alive) == 0
    expected = leaf(rng, 5)
    expected.array[...] = x.array
    z = expected
    for _ in range(4):
        z = ((z.exp() * 0.1).exp()) * 0.1
    z.exp().sum().backward()
    assert_close(x.grad, expected.grad)


def test_sequential_in_segments(rng):
    x = rng.standard_normal((2, 2, 5, 6)).astype("float32")
    results = []
    for segments in (None, 1, 2, 5):
        minivision.manual_seed(3)
        model = network()
        image = Tensor(x.copy(), requires_grad=True)
        minivision.manual_seed(4)
        steps = list(model) if segments == 2 else model
        y = model(image) if segments is None else checkpoint_sequential(steps, segments, image, use_reentrant=False)
        (y * y).sum().backward()
        results.append(gradients_of(model) | {"x": image.grad.array})
    for other in results[1:]:
        for name, value in results[0].items():
            assert_close(other[name], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"segments=6 is out of range; legal are 1 .. 5"):
        checkpoint_sequential(model, 6, image)


def test_pytorchs_place():
    assert minivision.utils.checkpoint.checkpoint is checkpoint
    assert minivision.utils.checkpoint.checkpoint_sequential is checkpoint_sequential


# ---- errors ----


def test_not_a_function():
    with pytest.raises(TypeError, match="checkpoint: function=3 must be a module or another callable"):
        checkpoint(3, Tensor(np.ones(2)))


def test_an_argument_that_changes_before_backward(rng):
    x = leaf(rng, 3)
    h = x * 1.0
    y = checkpoint(lambda h: h * h, h)
    with minivision.no_grad():
        h.add_(1)
    with pytest.raises(RuntimeError, match=r"Checkpoint: a tensor of shape \(3,\) that its backward needs was changed in place"):
        y.sum().backward()
    w = leaf(rng, 2)
    y = checkpoint(lambda h: h[:2] * w, x)
    with minivision.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match=r"Checkpoint: a tensor of shape \(2,\)"):
        y.sum().backward()


def test_a_function_that_changes_its_argument(rng):
    @minivision.no_grad()
    def double(h):
        h.mul_(2)

    with pytest.raises(RuntimeError, match=r"changes its argument of shape \(3,\) in place"):
        checkpoint(lambda h: double(h) or h * h, leaf(rng, 3) * 1.0)


def test_a_function_that_does_something_else_the_second_time(rng):
    lengths = iter([3, 2])
    y = checkpoint(lambda x: x[: next(lengths)], leaf(rng, 5))
    with pytest.raises(
        RuntimeError, match=r"second run, for backward, gave results \[\(2,\)\], but the first one gave \[\(3,\)\]"
    ):
        y.sum().backward()
    assert not is_recomputing()


def test_an_error_in_the_second_run_leaves_the_random_numbers(rng):
    calls = []

    def function(x):
        calls.append(1)
        minivision.rand(3)
        if len(calls) == 2:
            raise ValueError("no")
        return x * 2

    y = checkpoint(function, leaf(rng, 5)).sum()
    state = minivision.default_generator.get_state()
    with pytest.raises(ValueError, match="no"):
        y.backward()
    assert minivision.default_generator.get_state() == state
    assert not is_recomputing()


def test_the_gradient_of_a_gradient_says_what_to_do(rng):
    x = leaf(rng, 3)
    with pytest.raises(NotImplementedError, match="call the function without checkpoint"):
        grad(checkpoint(lambda x: x * x, x).sum(), x, create_graph=True)
