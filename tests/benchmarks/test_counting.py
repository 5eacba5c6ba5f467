"""What is counted is what happens; and the library keeps within bounds that no machine can make noisy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from benchmarks import counting, report
from benchmarks.peers.environment import ROOT


@pytest.fixture
def counted():
    """Runs source as `Counted` and returns (its names, the tally)."""

    def run(source, **names):
        tree = counting.Counted().visit(ast.parse(textwrap.dedent(source)))
        counting.tally.clear()
        scope = {**counting.NAMES, "np": np, **names}
        exec(compile(ast.fix_missing_locations(tree), "<counted>", "exec"), scope)
        return scope, counting.tally

    yield run
    counting.tally.clear()


def test_products(counted):
    a, b, c = np.ones((3, 4)), np.ones((4, 5)), np.ones((2, 3, 4))
    _, tally = counted("a @ b; np.matmul(c, b); np.einsum('ij,jk->ik', a, b); np.tensordot(a, b, 1); a.dot(b)", a=a, b=b, c=c)
    assert tally.total["products"] == 6 * 2 * 3 * 4 * 5
    assert tally.total["calls"] == 5


def test_bytes(counted):
    x = np.ones(10)
    _, tally = counted("y = x + 1", x=x)
    assert (tally.total["moved"], tally.total["fresh"]) == (160, 80)
    _, tally = counted("y = np.empty(10); np.add(x, x, out=y); np.add(x, x, y)", x=x)
    assert (tally.total["moved"], tally.total["fresh"]) == (480, 80)
    _, tally = counted("x += 1", x=x)
    assert (tally.total["moved"], tally.total["fresh"]) == (160, 0)
    _, tally = counted("x[2:4] = 0; x[:5] *= 2", x=x)
    assert (tally.total["moved"], tally.total["fresh"]) == (16 + 80, 0)
    _, tally = counted("np.copyto(x[:4], 1.0)", x=x)
    assert (tally.total["moved"], tally.total["fresh"]) == (32, 0)


def test_views_move_nothing(counted):
    x = np.ones((4, 6))
    source = "y = x.transpose(); z = x[1:, ::2]; w = x.reshape(-1); v = np.broadcast_to(x, (9, 4, 6)); np.may_share_memory(x, y)"
    _, tally = counted(source, x=x)
    assert tally.total["calls"] == 5
    assert tally.total["moved"] == tally.total["fresh"] == 0


def test_gathering_is_a_copy(counted):
    x = np.arange(10.0)
    scope, tally = counted("y = x[[1, 2, 3]]; z = x[0]", x=x)
    assert (tally.total["moved"], tally.total["fresh"]) == (2 * 24, 24)
    np.testing.assert_array_equal(scope["y"], [1, 2, 3])


def test_what_is_broadcast_counts_once():
    assert counting.extent(np.broadcast_to(np.ones(3), (5, 3))) == 24


def test_orders_of_memory(counted):
    x = np.ones((2, 3, 4, 5))
    last = np.empty((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    _, tally = counted("np.copyto(last, x)", x=x, last=last)
    assert tally.total["reordered"] == x.nbytes
    same = last.copy(order="K")
    _, tally = counted("np.copyto(y, x); last[...] = same; z = x.transpose(0, 2, 3, 1)", x=x, y=x.copy(), last=last, same=same)
    assert tally.total["reordered"] == 0


def test_the_program_stays_the_same(counted):
    scope, _ = counted(
        """
        from dataclasses import dataclass

        @dataclass
        class Point:
            x: int = 1
            y: "list[int]" = None

            def moved(self, by: tuple[int, ...] = (1, -2)) -> "Point":
                self.x += by[0]
                return self

        class Named(Point):
            def moved(self):
                return super().moved((10,))

        p, table, n = Named(), {"a": [1, 2, 3]}, 3
        table["a"][1] += 5
        table["b"], other = 7, -n
        p.moved().x *= 2
        n -= 1
        match -1:
            case -1 if n == 2:
                found = [k for k in table if k != "b" and 0 < n <= 2]
        late = lambda v, *rest, w=2, **more: v ** w
        squares = late(*[3], **{"w": 2})
        part = "abcdef"[1:-1:2]
        """
    )
    assert scope["p"].x == 22
    assert scope["table"] == {"a": [1, 7, 3], "b": 7}
    assert (scope["other"], scope["n"], scope["found"], scope["squares"], scope["part"]) == (-3, 2, ["a"], 9, "bd")


def test_counting_wants_a_process_of_its_own():
    with pytest.raises(RuntimeError, match="imported already"):
        counting.install("minivision")


@pytest.fixture(scope="module")
def counts():
    names = ["unet-small-inference", "unet-small-train", "conv3x3-few-16-odd", "conv3x3-odd-512", "tiny-operations"]
    done = subprocess.run([sys.executable, "-m", "benchmarks.counting", *names], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {count["name"]: count for count in found}


def test_a_network_stays_channels_last(counts):
    """Only the image comes in row-major, 0.4 MB of the 26 MB that inference writes."""
    assert counts["unet-small-inference"]["reordered"] < 1e6


def test_memory_is_used_again(counts):
    """Without `memory.empty`, 76 MB and 26 MB would be new."""
    assert counts["unet-small-train"]["fresh"] < 60e6
    assert counts["unet-small-inference"]["fresh"] < 15e6


def test_bytes_moved(counts):
    for name in ("unet-small-train", "unet-small-inference"):
        assert counts[name]["moved"] < 12 * counts[name]["bytes"]


def test_operations_of_the_convolutions(counts):
    assert 0.5 * counts["conv3x3-odd-512"]["flops"] > counts["conv3x3-odd-512"]["products"] > 0
    assert counts["unet-small-train"]["products"] <= 1.05 * counts["unet-small-train"]["flops"]


def test_calls_of_a_tiny_operation(counts):
    assert counts["tiny-operations"]["calls"] < 8 * 1000
    assert counts["tiny-operations"]["functions"] < 60 * 1000


def test_a_line_of_counts(counts):
    text = report.counts_line(counts["unet-small-train"])
    assert text.startswith("unet-small-train")
    assert "moved by: " in text
    assert "nan" not in report.counts_line(counts["tiny-operations"])
