"""The gradient checker itself: what it refuses and in which words, what it says at kinks, and what it leaves untouched."""

from __future__ import annotations

import json
import random
import time
import tracemalloc

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision import backend, check, nn, ops
from minivision.autograd import Function, Tensor
from minivision.check import tie_free
from minivision.functions.activation import ReLU


def values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X, W, B = values(4, 5), values(5, 3, seed=1), values(3, seed=2)


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def test_a_right_backward():
    report = check.backward(affine, affine_backward, X, W, B)
    assert report
    assert report.ok
    assert report.verdict == "right"
    assert report.summary.startswith("right: dx, dw, db agree with the differences in all 41 directions")
    assert [i.name for i in report.inputs] == ["x", "w", "b"]
    assert max(i.error for i in report.inputs) < 1e-8
    np.testing.assert_allclose(report.inputs[1].numeric, report.inputs[1].analytic, atol=1e-8)
    report.assert_ok()


# ---- promises that are broken, in words ----


def changed(edit):
    """The right backward with something done to its result or arguments."""
    return lambda dout, cache: edit(*affine_backward(dout, cache), dout, cache)


def nan_at(dx):
    dx[1, 2] = np.nan
    return dx


HARD = {
    "None": (changed(lambda dx, dw, db, *_: (dx, None, db)), "none", ["dw is None", "the graph is cut"]),
    "NaN": (changed(lambda dx, dw, db, *_: (nan_at(dx), dw, db)), "not finite", ["dx is nan at (1, 2)", "5% of its entries"]),
    "infinite": (changed(lambda dx, dw, db, *_: (dx, dw / 0, db)), "not finite", ["dw is", "inf"]),
    "shape that broadcasts": (
        changed(lambda dx, dw, db, *_: (dx, dw, db[None])),
        "shape",
        ["db has shape (1, 3), but b has (3,)", "would broadcast, which hides the mistake"],
    ),
    "shape that does not": (changed(lambda dx, dw, db, *_: (dx, dw.T, db)), "shape", ["dw has shape (3, 5), but w has (5, 3)"]),
    "longer": (
        changed(lambda dx, dw, db, *_: (np.pad(dx, 1), dw, db)),
        "shape",
        ["along axis 0, 1 it is longer: is padding not taken off"],
    ),
    "more axes": (changed(lambda dx, dw, db, dout, c: (dx, dw, dout)), "shape", ["it has more axes: is the sum over the batch"]),
    "float32": (
        changed(lambda dx, dw, db, *_: (dx, dw.astype(np.float32), db)),
        "dtype",
        ["dw is float32, but w is float64", "np.zeros_like(w)"],
    ),
    "complex": (changed(lambda dx, dw, db, *_: (dx, dw + 0j, db)), "dtype", ["dw is complex128; it must be float64 like w"]),
    "count": (
        changed(lambda dx, dw, db, *_: (dx, dw)),
        "wrong count",
        ["backward returned 2 gradients", "3 inputs that need one (x, w, b)"],
    ),
    "too many": (changed(lambda dx, dw, db, *_: (dx, dw, db, db)), "wrong count", ["backward returned 4 gradients"]),
    "one alone": (changed(lambda dx, dw, db, *_: dx), "wrong count", ["backward returned 1 gradients"]),
    "not linear": (
        changed(lambda dx, dw, db, *_: (np.tanh(dx), dw, db)),
        "not linear",
        ["dx is not linear in the upstream gradient"],
    ),
    "squared": (
        changed(lambda dx, dw, db, dout, c: (dx, dw, (dout**2).sum(0))),
        "not linear",
        ["db is not linear", "dout enters squared"],
    ),
    "upstream ignored": (
        changed(lambda dx, dw, db, dout, c: (dx, c[0].T @ np.ones_like(dout), db)),
        "upstream ignored",
        ["dw is the same for every upstream gradient"],
    ),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_hard_failures(name):
    backward, kind, words = HARD[name]
    report = check.backward(affine, backward, X, W, B)
    assert report.verdict == "wrong"
    assert not report
    assert kind in [b.kind for b in report.broken], report
    sentences = " ".join(b.sentence for b in report.broken)
    for word in words:
        assert word in sentences, report
        assert word in str(report)


def test_the_input_is_written_into_by_forward():
    def forward(x):
        x[x < 0] = 0
        return x, x > 0

    report = check.backward(forward, lambda dout, mask: dout * mask, X)
    assert report.verdict == "wrong"
    assert "forward changes its input x in place; work on x.copy()" in str(report)


def test_the_input_is_written_into_by_backward():
    def backward(dout, x):
        x *= 2
        return dout * x

    report = check.backward(lambda x: x**2, backward, X)
    assert "backward changes the input x in place" in str(report)


def test_the_upstream_is_written_into():
    def backward(dout, x):
        dout *= 2 * x
        return dout.copy()

    report = check.backward(lambda x: x**2, backward, X)
    assert report.verdict == "wrong"
    assert "backward changes the upstream gradient in place, which other branches still need; work on a copy" in str(report)


def test_the_upstream_is_returned():
    report = check.backward(lambda x: x + 1, lambda dout, x: dout, X)
    assert [b.kind for b in report.broken] == ["aliasing"]
    assert "dx is the upstream array itself" in str(report)
    assert check.backward(lambda x: x + 1, lambda dout, x: dout.copy(), X).ok


def test_an_input_is_returned():
    report = check.backward(lambda x: x**2 / 2, lambda dout, x: np.multiply(x, dout, out=x), X)
    assert {b.kind for b in report.broken} >= {"input modified", "aliasing"}
    assert "dx lies in the memory of an input" in str(report)


def test_forward_that_draws_numbers_of_its_own():
    rng = np.random.default_rng(0)
    report = check.backward(lambda x: x * rng.random(x.shape), lambda dout, x: dout, X)
    assert [b.kind for b in report.broken] == ["forward not deterministic"]
    assert "gives another output when it is called again" in report.summary


def test_forward_that_draws_from_the_global_generator_is_held_still():
    def dropout(x):
        mask = (np.random.rand(*x.shape) > 0.5) * 2.0  # noqa: NPY002
        return x * mask, mask

    assert check.backward(dropout, lambda dout, mask: dout * mask, X).ok


def test_backward_that_draws_numbers_of_its_own():
    rng = np.random.default_rng(0)
    report = check.backward(lambda x: 2 * x, lambda dout, x: 2 * dout * (1 + 0.1 * rng.random(x.shape)), X)
    assert "backward not deterministic" in [b.kind for b in report.broken]


def test_a_cache_that_is_used_up():
    report = check.backward(lambda x: (x**2, [x.copy()]), lambda dout, cache: 2 * dout * cache.pop(), X)
    assert [b.kind for b in report.broken] == ["second call different"]
    assert "IndexError" in report.summary
    assert "must not change the cache" in report.summary


def test_a_cache_that_is_written_into():
    def backward(dout, cache):
        cache *= 2
        return dout * cache

    report = check.backward(lambda x: (x**2, x.copy()), backward, X)
    assert [b.kind for b in report.broken] == ["second call different"]


def test_the_graph_is_cut():
    report = check.gradient(lambda x, w: (x.detach() * w).sum(), X, values(4, 5, seed=1))
    assert report.verdict == "wrong"
    assert "dx is None: backward gives x no gradient (the graph is cut" in report.summary


def test_the_whole_graph_is_cut():
    report = check.gradient(lambda x: x.detach() * 2, X)
    assert report.verdict == "wrong"
    assert "dx is None" in report.summary


def test_forward_that_is_not_finite():
    with np.errstate(invalid="ignore"):
        report = check.backward(lambda x: np.sqrt(x), lambda dout, x: dout, X)
    assert report.verdict == "wrong"
    assert "the output of forward is nan at" in report.summary


def test_forward_that_gives_integers():
    report = check.backward(lambda x: (x > 0).astype(int), lambda dout, x: dout, X)
    assert "the output of forward is int64, and only a floating output has a gradient" in report.summary


# ---- kinks ----


def test_kinks_make_it_inconclusive_with_advice():
    report = check.backward(lambda x: (np.maximum(x, 0), x), lambda dout, x: dout * (x > 0), np.zeros((3, 4)))
    assert report.verdict == "inconclusive"
    assert not report.ok
    assert "meet a kink or a jump" in report.summary
    assert "check.tie_free(*shape)" in report.summary
    with pytest.raises(AssertionError, match="inconclusive"):
        report.assert_ok()


def test_few_kinks_are_told_but_pass():
    x = tie_free(5, 6)
    x[1, 2] = 0
    report = check.backward(lambda x: (np.maximum(x, 0), x), lambda dout, x: dout * (x > 0), x)
    assert report.verdict == "right"
    assert "wherever there is a derivative" in report.summary
    assert report.inputs[0].count("kink") >= 1
    assert any("meet a kink" in note for note in report.notes)


def test_a_kink_does_not_hide_a_mistake_elsewhere():
    x = tie_free(5, 6)
    x[1, 2] = 0
    assert check.backward(lambda x: (np.maximum(x, 0), x), lambda dout, x: dout * (x < 0), x).verdict == "wrong"


def test_decisions_name_what_changed():
    report = check.gradient(lambda x: F.max_pool2d(x, 2), np.zeros((1, 1, 4, 4)))
    assert report.verdict == "inconclusive"
    assert "changes within the step" in report.summary


def test_tie_free():
    x = tie_free(4, 5, 6, low=-2, high=3)
    steps = np.diff(np.sort(x, axis=None))
    np.testing.assert_allclose(steps, steps[0])
    assert x.shape == (4, 5, 6)
    assert x.min() >= -2
    assert x.max() <= 3
    assert np.abs(x).min() > 0.05 * 5 / 120
    np.testing.assert_array_equal(x, tie_free(4, 5, 6, low=-2, high=3))
    assert not np.array_equal(x, tie_free(4, 5, 6, low=-2, high=3, seed=1))
    assert tie_free(0, 3).shape == (0, 3)


# ---- precision, methods, size ----


def test_a_float32_forward_is_checked_roughly():
    def forward(x):
        return np.tanh(x.astype(np.float32)), x

    def right(dout, x):
        return (dout * (1 - np.tanh(x) ** 2)).astype(np.float32)

    report = check.backward(forward, right, X)
    assert report.ok, report
    assert any("float32" in note for note in report.notes)
    assert check.backward(forward, lambda dout, x: 1.1 * right(dout, x), X).verdict == "wrong"


def test_float32_inputs_are_checked_in_float64():
    assert check.backward(affine, affine_backward, *(a.astype(np.float32) for a in (X, W, B))).ok
    assert max(i.error for i in check.gradient(lambda x: x.exp(), X.astype(np.float32)).inputs) < 1e-8


def test_complex_steps():
    report = check.backward(
        lambda x: np.exp(x) * np.sin(x), lambda dout, x: dout * np.exp(x) * (np.sin(x) + np.cos(x)), X, method="complex"
    )
    assert report.ok
    assert report.inputs[0].error < 1e-13
    assert "complex steps" in report.method
    off = check.backward(lambda x: np.exp(x), lambda dout, x: dout * np.exp(x) * (1 + 1e-8), X, method="complex")
    assert check.backward(lambda x: np.exp(x), lambda dout, x: dout * np.exp(x) * (1 + 1e-8), X).ok  # too small for differences
    assert off.verdict == "wrong"
    with pytest.raises(ValueError, match="not analytic"):
        check.backward(lambda x: np.abs(x), lambda dout, x: dout * np.sign(x), X, method="complex")
    with pytest.raises(ValueError, match="method='forward' is unknown"):
        check.backward(affine, affine_backward, X, W, B, method="forward")


def test_large_inputs_are_sampled():
    x = values(60, 500)
    report = check.backward(lambda x: np.sin(x), lambda dout, x: dout * np.cos(x), x)
    assert report.ok
    assert len(report.inputs[0].probes) < 100
    assert "of 30000 entries and random directions" in report.method

    def one_wrong(dout, x):
        dx = dout * np.cos(x)
        dx[31, 77] += 1
        return dx

    report = check.backward(lambda x: np.sin(x), one_wrong, x)
    assert report.verdict == "wrong"  # the random directions go through every entry


def test_an_empty_input():
    assert check.backward(lambda x: np.sin(x), lambda dout, x: dout * np.cos(x), np.zeros((0, 3))).ok


def test_several_outputs():
    def forward(x):
        return (np.sin(x), x[:2] ** 2), x

    def backward(dout, x):
        dx = dout[0] * np.cos(x)
        dx[:2] += 2 * dout[1] * x[:2]
        return dx

    assert check.backward(forward, backward, X).ok
    assert check.backward(forward, lambda dout, x: dout[0] * np.cos(x), X).verdict == "wrong"


def test_the_seed_draws_another_upstream():
    a, b = (check.backward(affine, affine_backward, X, W, B, seed=s).inputs[0].analytic for s in (0, 1))
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(a, check.backward(affine, affine_backward, X, W, B, seed=0).inputs[0].analytic)


def test_the_upstream_is_not_the_input():
    """Who draws x from default_rng(0) must not get the same numbers as upstream: a mask of dout would pass for that of x."""
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert check.backward(lambda x: np.maximum(x, 0), lambda dout, x: np.where(dout > 0, dout, 0), x).verdict == "wrong"


# ---- which inputs ----


def test_settings_and_labels_are_passed_on():
    def loss(x, labels, scale):
        return scale * x[np.arange(4), labels].sum(), (x.shape, labels, scale)

    def backward(dout, cache):
        shape, labels, scale = cache
        dx = np.zeros(shape)
        dx[np.arange(4), labels] = dout * scale
        return dx

    assert check.backward(loss, backward, X, np.array([0, 2, 1, 4]), 3).ok


def test_wrt():
    report = check.backward(affine, affine_backward, X, W, B, wrt="w")
    assert [i.name for i in report.inputs] == ["w"]
    assert [i.name for i in check.backward(affine, affine_backward, X, W, B, wrt=[0, -1]).inputs] == ["x", "b"]
    only_dw = check.backward(affine, lambda dout, c: c[0].T @ dout, X, W, B, wrt="w")
    assert only_dw.ok
    with pytest.raises(ValueError, match="wrt='v' is no input; they are x, w, b"):
        check.backward(affine, affine_backward, X, W, B, wrt="v")
    with pytest.raises(TypeError, match=r"x is int64.*x\.astype\(float\)"):
        check.backward(affine, affine_backward, np.ones((4, 5), int), W, B, wrt="x")


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"no input is a floating array \(x: int64\).*astype\(float\)"):
        check.backward(lambda x: x * 2, lambda dout, x: 2 * dout, np.arange(3))


def test_names():
    report = check.backward(lambda *a: a[0] * a[1], lambda dout, *a: (dout * a[1], dout * a[0]), X, X + 1, names=["q", "k"])
    assert "dq, dk agree" in report.summary
    with pytest.raises(ValueError, match=r"names=\['q'\] has 1 entries for 2 inputs"):
        check.backward(lambda *a: a[0], lambda dout, *a: dout, X, X, names=["q"])


# ---- functions of Tensors, modules, Functions, PyTorch ----


def test_functions_of_tensors():
    report = check.gradient(lambda x, w: F.conv2d(x, w, padding=1).tanh(), values(2, 3, 5, 4), values(2, 3, 3, 3))
    assert report.ok
    assert "dx, dw agree" in report.summary


class HalfWrong(Function):
    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, dy):
        return 2 * self.x**2 * dy


def test_function_classes_and_instances():
    for fn in (HalfWrong, HalfWrong()):
        report = check.gradient(fn, X)
        assert report.verdict == "wrong"
        assert report.operation == "HalfWrong"
        assert "dx is the right one times 0.666667" in report.summary
    assert check.gradient(ReLU, tie_free(3, 4)).ok
    assert check.gradient(ReLU(), tie_free(3, 4)).ok


def test_any_class_with_forward_and_backward():
    class Square:
        def forward(self, x):
            self.x = x
            return x**2

        def backward(self, dout):
            return 2 * self.x * dout

    assert check.gradient(Square, X).ok


def test_modules_and_their_parameters():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh())
    report = check.gradient(model, values(2, 2, 4, 5))
    assert report.ok, report
    assert {i.name for i in report.inputs} >= {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_parameters_from_outside():
    w = Tensor(W, requires_grad=True)
    report = check.gradient(lambda x: x @ w, X, parameters={"w": w})
    assert report.ok
    assert [i.name for i in report.inputs] == ["x", "w"]
    np.testing.assert_array_equal(w.numpy(), W)


def test_not_a_tensor():
    with pytest.raises(TypeError, match=r"returned ndarray, but must return a Tensor.*check\.backward"):
        check.gradient(lambda x: x.numpy(), X)


@pytest.mark.oracle
def test_functions_of_pytorch():
    torch = pytest.importorskip("torch")
    assert check.gradient(lambda x, w: torch.tanh(x @ w), torch.tensor(X), torch.tensor(W)).ok

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, dout):
            return dout * ctx.saved_tensors[0]

    report = check.gradient(lambda x: Wrong.apply(x), torch.tensor(X))
    assert report.verdict == "wrong"
    assert "half of what it should be" in report.summary


# ---- what is left as it was found ----


def test_everything_is_left_as_found():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5))
    before = {name: p.numpy().copy() for name, p in model.state_dict().items()}
    arrays = {name: p.array for name, p in model.named_parameters()}
    x = values(2, 2, 5, 4)
    kept = x.copy()
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    backend.manual_seed(3)
    expected = np.random.rand(), random.random(), mv.rand(2).numpy()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    backend.manual_seed(3)
    check.gradient(model, x)
    found = np.random.rand(), random.random(), mv.rand(2).numpy()  # noqa: NPY002
    np.testing.assert_array_equal(x, kept)
    assert found[:2] == expected[:2]
    np.testing.assert_array_equal(found[2], expected[2])
    for name, p in model.state_dict().items():
        np.testing.assert_array_equal(p.numpy(), before[name])
    for name, p in model.named_parameters():
        assert p.array is arrays[name]
        assert p.dtype == np.float32
        assert p.grad is None
    assert model.training


# ---- the report ----


def wrong_report():
    return check.backward(affine, changed(lambda dx, dw, db, *_: (dx, dw / 4, db)), X, W, B)


def test_text():
    text = str(wrong_report())
    lines = text.splitlines()
    assert lines[0] == wrong_report().summary
    assert lines[0].startswith("wrong: dw is too small by the factor 4, N, the size of the batch")
    assert "random upstream (seed 0), central differences, h = 1e-05, all 38 entries" in text
    assert any(line.split()[:1] == ["dw"] and "16" in line.split() for line in lines)
    assert "\x1b" not in text


def test_html():
    html = wrong_report()._repr_html_()
    assert "wrong: dw is too small" in html
    assert html.startswith("<div>")
    assert "<lambda>" not in check.backward(lambda x: x, lambda d, x: 2 * d, X)._repr_html_()


def test_json():
    report = wrong_report()
    found = json.loads(report.to_json())
    assert found == json.loads(json.dumps(report.to_dict()))
    assert found["verdict"] == "wrong"
    assert found["diagnosis"][0]["input"] == "w"
    assert [i["name"] for i in found["inputs"]] == ["x", "w", "b"]
    assert found["inputs"][1]["wrong"] >= 15
    assert found["inputs"][1]["worst"]["outcome"] == "wrong"
    json.loads(check.backward(affine, changed(lambda dx, dw, db, *_: (dx, None, db)), X, W, B).to_json())


def test_assert_ok():
    with pytest.raises(AssertionError, match="wrong: dw is too small by the factor 4"):
        wrong_report().assert_ok()


def test_where_it_is_wrong():
    def last_column(dx, dw, db, *_):
        dw[:, 2] *= 1.5
        return dx, dw, db

    assert "dw is wrong exactly where index 1 is 2" in str(check.backward(affine, changed(last_column), X, W, B))


def test_plot():
    pytest.importorskip("matplotlib")
    figure = wrong_report().plot()
    assert "dw (5, 3) of" in figure.get_suptitle()
    images = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    np.testing.assert_allclose(np.abs(images[0] - images[1]), images[2], atol=1e-12)
    assert "dx (4, 5)" in wrong_report().plot("x").get_suptitle()


# ---- time and memory ----

SHIPPED = {
    "conv2d": lambda: check.gradient(lambda x, w, b: F.conv2d(x, w, b, 2, 1), values(2, 3, 9, 8), values(4, 3, 3, 3), values(4)),
    "conv_transpose2d": lambda: check.gradient(
        lambda x, w: F.conv_transpose2d(x, w, None, 2), values(2, 4, 5, 4), values(4, 3, 2, 2)
    ),
    "max_pool2d": lambda: check.gradient(lambda x: F.max_pool2d(x, 3, 2), tie_free(2, 3, 9, 7)),
    "batch_norm": lambda: check.gradient(nn.BatchNorm2d(3), values(3, 3, 5, 4)),
    "interpolate": lambda: check.gradient(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), values(2, 3, 5, 4)),
    "cross_entropy": lambda: check.gradient(lambda x: F.cross_entropy(x, np.ones((2, 5, 4), int)), values(2, 3, 5, 4)),
    "roi_align": lambda: check.gradient(
        lambda x: ops.roi_align(x, np.array([[0, 0.3, 0.2, 5.5, 4.1]]), 3, 1.0, 2, True), values(1, 3, 7, 6)
    ),
    "a large convolution": lambda: check.gradient(
        lambda x, w: F.conv2d(x, w, padding=1), values(2, 16, 32, 32), values(16, 16, 3, 3)
    ),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_check_takes_less_than_two_seconds_and_200_megabytes(name):
    SHIPPED[name]()
    began = time.process_time()
    report = SHIPPED[name]()
    seconds = time.process_time() - began
    assert report.ok, report
    assert seconds < 2
    tracemalloc.start()
    SHIPPED[name]()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_a_wrong_large_convolution_takes_no_more():
    x, w = values(2, 16, 32, 32), values(16, 16, 3, 3)
    right = lambda x, w: F.conv2d(Tensor(x), w, padding=1).numpy()  # noqa: E731
    began = time.process_time()
    tracemalloc.start()
    report = check.backward(right, lambda dout, x, w: (np.zeros_like(x) + dout, np.zeros_like(w)), x, w)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.verdict == "wrong"
    assert peak < 200e6
    assert time.process_time() - began < 8  # tracing memory makes it several times slower


def test_settings_that_forward_writes_into_are_left_as_found():
    """CS231n keeps the running statistics of batch norm in a dict among the arguments."""

    def forward(x, settings):
        settings["calls"] = settings.get("calls", 0) + 1
        return x * settings["factor"] + settings["rng"].standard_normal(x.shape), settings["factor"]

    settings = {"factor": 3.0, "rng": np.random.default_rng(0)}
    assert check.backward(forward, lambda dout, factor: dout * factor, np.arange(4.0) + 0.5, settings).ok
    assert list(settings) == ["factor", "rng"]
    assert settings["rng"].random() == np.random.default_rng(0).random()
