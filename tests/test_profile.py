"""`profile`: calls, bytes and shapes are exact, time is each operation's own, and nothing is measured when none runs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import minivision
from minivision import profiling
from minivision.autograd import Function, Tensor, no_grad
from minivision.nn import functional as F
from tests.helpers import to_device


def leaf(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.float32), device), requires_grad=True)


def row_of(p, name, **kw):
    found = [row for row in p.rows(**kw) if row.name == name]
    assert len(found) == 1
    return found[0]


class Sleep(Function):
    """y = x, after a while."""

    def __init__(self, seconds=0.02):
        self.seconds = seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return x * 1

    def backward(self, dy):
        time.sleep(self.seconds)
        return dy * 1


class Around(Function):
    """y = x, by way of another operation."""

    def forward(self, x):
        return Sleep(0.05)(Tensor(x)).array

    def backward(self, dy):
        return Sleep(0.05)(Tensor(dy)).array


def test_calls_and_bytes(device):
    x, w = leaf(np.ones((3, 4)), device), leaf(np.ones((4, 5)), device)
    with minivision.profile() as p:
        h = x @ w  # (3, 5); keeps x and w, which are leaves
        y = h * h  # keeps h, once
        z = y * 0.5 + y  # Mul keeps nothing of the number's; Add nothing
        z.sum().backward()
    calls = {row.name: (row.forward_calls, row.backward_calls, row.made, row.kept) for row in p.rows()}
    assert calls == {
        "MatMul": (1, 1, 60, 0),
        "Mul": (2, 2, 120, 60),
        "Add": (1, 1, 60, 0),
        "Sum": (1, 1, 4, 0),
    }
    total = p.sum()
    assert (total.forward_calls, total.backward_calls, total.made, total.kept) == (5, 5, 244, 60)


def test_views_make_nothing(device):
    x = leaf(np.ones((2, 6)), device)
    with minivision.profile() as p:
        y = x.reshape(3, 4)[1:]
    assert p.sum().made == 0
    assert y.shape == (2, 4)


def test_nothing_is_kept_without_a_graph(device):
    x = leaf(np.ones((2, 6)), device)
    with minivision.profile() as p, no_grad():
        (x.exp() * x.exp()).sum()
    assert p.sum().kept == 0
    assert row_of(p, "Exp").made == 2 * 48


def test_by_shape(device):
    with minivision.profile() as p:
        for n in (2, 3, 3):
            (leaf(np.ones((n, 4)), device) * leaf(np.ones(4), device)).sum().backward()
    rows = {row.shapes: row for row in p.rows(by="shape") if row.name == "Mul"}
    assert {shapes: (row.forward_calls, row.backward_calls, row.made) for shapes, row in rows.items()} == {
        "(2, 4) (4,)": (1, 1, 32),
        "(3, 4) (4,)": (2, 2, 96),
    }
    assert row_of(p, "Mul").forward_calls == 3
    assert row_of(p, "Mul").shapes == ""


def test_time_is_an_operations_own():
    x = leaf([1.0])
    with minivision.profile() as p:
        y = Around()(x)
        y.backward(Tensor(np.ones(1, np.float32)))
    around, inner = row_of(p, "Around"), row_of(p, "Sleep")
    assert (around.forward_calls, around.backward_calls, inner.forward_calls, inner.backward_calls) == (1, 1, 2, 0)
    assert inner.forward_time >= 0.1  # two sleeps of 0.05
    assert around.time + inner.time <= p.total
    assert 0 <= around.forward_time < inner.forward_time
    assert 0 <= around.backward_time < inner.forward_time


def test_forward_and_backward_are_told_apart():
    x = leaf([1.0])
    with minivision.profile() as p:
        Sleep()(x).backward()
    row = row_of(p, "Sleep")
    assert row.forward_time >= 0.02
    assert row.backward_time >= 0.02
    assert row.time == row.forward_time + row.backward_time


def test_sorting():
    x = leaf(np.ones(100))
    with minivision.profile() as p:
        Sleep()(x)
        for _ in range(3):
            x.exp()
    assert [row.name for row in p.rows()] == ["Sleep", "Exp"]
    assert [row.name for row in p.rows(sort="forward_calls")] == ["Exp", "Sleep"]
    assert [row.name for row in p.rows(sort="made")] == ["Exp", "Sleep"]
    assert [row.name for row in p.rows(sort="name")] == ["Exp", "Sleep"]


@pytest.mark.parametrize(("setting", "words"), [({"sort": "speed"}, "'speed'"), ({"by": "colour"}, "'colour'")])
def test_unknown_settings(setting, words):
    with pytest.raises(ValueError, match=f"profile: .*{words} is unknown; use one of"):
        minivision.profile().table(**setting)


def test_nested_and_again():
    x = leaf([1.0])
    outer, inner = minivision.profile(), minivision.profile()
    with outer:
        x.exp()
        with inner:
            x.exp()
            x.log()
        x.log()
    with inner:
        x.exp()
    assert {row.name: row.forward_calls for row in outer.rows()} == {"Exp": 2, "Log": 2}
    assert {row.name: row.forward_calls for row in inner.rows()} == {"Exp": 2, "Log": 1}
    with outer, pytest.raises(RuntimeError, match="profile: this one is running already"):
        outer.__enter__()


def test_an_error_ends_it():
    x = leaf([1.0, 2.0])
    p = minivision.profile()
    with p:
        x.exp()
    with pytest.raises(ValueError, match="broadcast"), p:
        x + leaf([1.0, 2.0, 3.0])
    x.exp()
    assert {row.name: row.forward_calls for row in p.rows()} == {"Exp": 1}
    assert Function.__call__ is profiling._plain_call
    assert Function._run_backward is profiling._plain_backward


def test_an_operation_that_raises_is_not_counted():
    class Fails(Function):
        def forward(self, x):
            raise ZeroDivisionError

    with minivision.profile() as p:
        with pytest.raises(ZeroDivisionError):
            Fails()(leaf([1.0]))
        leaf([1.0]).exp()
    assert [row.name for row in p.rows()] == ["Exp"]


def test_each_thread_has_its_own():
    seen, ready = {}, threading.Barrier(2, timeout=10)

    def work(name, operation, times):
        x = leaf([1.0])
        with minivision.profile() as p:
            ready.wait()
            for _ in range(times):
                operation(x).backward()
            ready.wait()
        seen[name] = {row.name: (row.forward_calls, row.backward_calls) for row in p.rows()}

    threads = [
        threading.Thread(target=work, args=("a", Tensor.exp, 50)),
        threading.Thread(target=work, args=("b", Tensor.log, 70)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": {"Exp": (50, 50)}, "b": {"Log": (70, 70)}}
    assert Function.__call__ is profiling._plain_call


def test_gradients_are_the_same():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 8, 8)).astype("f4"), rng.standard_normal((4, 3, 3, 3)).astype("f4")

    def gradient():
        a, b = leaf(x), leaf(w)
        F.relu(F.conv2d(a, b)).sum().backward()
        return a.grad.numpy(), b.grad.numpy()

    plain = gradient()
    with minivision.profile():
        profiled = gradient()
    for a, b in zip(plain, profiled, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_of_gradients():
    x = leaf([2.0])
    with minivision.profile() as p:
        (first,) = minivision.autograd.grad(x * x * x, x, create_graph=True)
        first.backward()
    assert x.grad.item() == 12.0
    assert row_of(p, "Mul").forward_calls > 2  # those of the rules
    assert row_of(p, "Mul").backward_calls > 2


def test_the_table():
    x = leaf(np.ones((8, 8)))
    with minivision.profile() as p:
        (x.exp() * x).sum().backward()
    lines = str(p).splitlines()
    assert lines[0].split() == ["operation", "calls", "forward", "calls", "backward", "time", "share", "outputs", "kept"]
    assert {line.split()[0] for line in lines[2:5]} == {"Exp", "Mul", "Sum"}
    assert lines[-2].startswith("(between operations)")
    assert lines[-1].split()[0] == "total"
    assert lines[-1].split()[1] == "3"
    assert "100.0%" in lines[-1]
    assert all("256 B" in line for line in lines[2:5] if line.startswith(("Exp", "Mul")))
    limited = p.table(by="shape", limit=1).splitlines()
    assert limited[3].startswith("(2 more)")
    assert "(8, 8)" in p.table(by="shape")
    page = p._repr_html_()
    assert page.count("<tr>") == 6  # head, three operations, what is between, totals
    assert "<td>256 B</td>" in page


def test_an_empty_profile():
    with minivision.profile() as p:
        pass
    assert p.rows() == []
    assert "total" in str(p)
    assert "total" in str(minivision.profile())
    assert repr(p).startswith("<profile of 0 calls in ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 us"), (1.234e-6, "1.23 us"), (45.67e-6, "45.7 us"), (0.0123, "12.3 ms"), (2.5, "2.50 s"), (125, "125 s")],
)
def test_times_as_text(seconds, text):
    assert profiling._seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 << 20, "5.0 MB"), (3 << 30, "3.0 GB")]
)
def test_bytes_as_text(count, text):
    assert profiling._bytes(count) == text


def test_loaded_on_demand():
    code = "import sys, minivision as m; a = 'minivision.profiling' in sys.modules; m.profile; print(a, 'html' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False True\n"
