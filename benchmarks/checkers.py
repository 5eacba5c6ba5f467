"""How many wrong backwards the gradient checkers in use reject, on the mistakes of `tests/mutants`, and how many right ones.

Each checker is written here anew, after its source, with its own step, upstream gradient and tolerance:

- CS231n: `eval_numerical_gradient_array` and `rel_error` (cs231n.github.io, assignment 2, cs231n/gradient_check.py): central
  differences of every entry, h = 1e-5. The student judges the number; here 1e-4 is an error, as in the course's notes on
  gradient checks. Once with a random upstream gradient, as the notebooks have it, and once with ones, as a summed loss gives.
- DLSys: `gradient_check` (dlsyscourse/hw1, tests/hw1/test_autograd_hw.py): h = 1e-4, upstream ones, the sum of the norms of the
  errors under 1e-6.
- minitorch: `grad_check` (minitorch/minitorch, minitorch/tensor_functions.py): one random entry of each input, h = 1e-6,
  upstream ones, to 1e-2.
- PyTorch: `torch.autograd.gradcheck` with its defaults, the pair wrapped in a `torch.autograd.Function`; left out where PyTorch
  is not installed (the `oracle` extra).
- minivision: `minivision.check.backward`; its last column says how many of the mistakes it names as expected.

A mistake counts as rejected too when the checker stops with an exception. The mistakes were collected while minivision's checker
was written, so its own rate is what its tests hold, not a measurement on code it has never seen.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from minivision import check
from minivision.check import subjects
from minivision.check.subjects import Subject
from tests.mutants.exercise import Solution
from tests.mutants.suite import EXERCISES
from tests.mutants.test_mutants import is_named

try:
    import torch
except ImportError:
    torch = None

Checker = Callable[[Subject, np.random.Generator], bool]


def output(subject: Subject, values: list[np.ndarray]) -> np.ndarray:
    return np.asarray(subject.call(values).outputs[0], np.float64)


def gradients(subject: Subject, dout: np.ndarray) -> list[np.ndarray]:
    call = subject.call([v.copy() for v in subject.point])
    return call.pull([dout if isinstance(call.outputs[0], np.ndarray) else dout[()]])


def numerical(subject: Subject, which: int, dout: np.ndarray, h: float) -> np.ndarray:
    """Every entry is moved both ways, in place."""
    values = [v.copy() for v in subject.point]
    x = values[which]
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        old = x[index]
        x[index] = old + h
        above = output(subject, values).copy()
        x[index] = old - h
        below = output(subject, values).copy()
        x[index] = old
        grad[index] = np.sum((above - below) * dout) / (2 * h)
    return grad


def cs231n(subject: Subject, rng: np.random.Generator, ones: bool = False) -> bool:
    y = output(subject, [v.copy() for v in subject.point])
    dout = np.ones(y.shape) if ones else rng.standard_normal(y.shape)
    analytic = gradients(subject, dout.copy())
    errors = []
    for which, claimed in enumerate(analytic):
        other = numerical(subject, which, dout, 1e-5)
        errors.append(np.max(np.abs(claimed - other) / np.maximum(1e-8, np.abs(claimed) + np.abs(other))))
    return bool(max(errors) <= 1e-4)


def dlsys(subject: Subject, rng: np.random.Generator) -> bool:
    dout = np.ones(output(subject, [v.copy() for v in subject.point]).shape)
    analytic = gradients(subject, dout.copy())
    return bool(sum(np.linalg.norm(g - numerical(subject, i, dout, 1e-4)) for i, g in enumerate(analytic)) < 1e-6)


def minitorch(subject: Subject, rng: np.random.Generator) -> bool:
    dout = np.ones(output(subject, [v.copy() for v in subject.point]).shape)
    analytic = gradients(subject, dout.copy())
    for which, claimed in enumerate(analytic):
        index = tuple(int(rng.integers(n)) for n in subject.point[which].shape)
        sums = []
        for h in (1e-6, -1e-6):
            values = [v.copy() for v in subject.point]
            values[which][index] += h
            sums.append(output(subject, values).sum())
        central = (sums[0] - sums[1]) / 2e-6
        if not np.isclose(claimed[index], central, rtol=1e-2, atol=1e-2):
            return False
    return True


def gradcheck(subject: Subject, rng: np.random.Generator) -> bool:
    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            call = subject.call([t.detach().numpy().copy() for t in tensors])
            ctx.call = call
            return torch.from_numpy(np.array(call.outputs[0], np.float64))

        @staticmethod
        def backward(ctx, dout):
            g = np.array(dout.numpy())
            found = ctx.call.pull([g if isinstance(ctx.call.outputs[0], np.ndarray) else g[()]])
            return tuple(None if g is None else torch.from_numpy(np.array(g)) for g in found)

    inputs = [torch.tensor(v, requires_grad=True) for v in subject.point]
    return bool(torch.autograd.gradcheck(Pair.apply, inputs, raise_exception=False))


RIVALS: dict[str, Checker] = {
    "CS231n": cs231n,
    "CS231n, ones": lambda subject, rng: cs231n(subject, rng, ones=True),
    "DLSys": dlsys,
    "minitorch": minitorch,
}
if torch is not None:
    RIVALS["gradcheck"] = gradcheck


def accepts(checker: Checker, s: Solution, seed: int) -> bool:
    try:
        with np.errstate(all="ignore"):
            return checker(subjects.of_pair(s.forward, s.backward, s.inputs, s.wrt, None), np.random.default_rng(seed))
    except Exception:  # of whatever kind: the student sees it
        return False


def measure(pattern: str, seed: int) -> list[dict[str, object]]:
    rows = []
    for exercise in EXERCISES:
        if pattern not in exercise.operation:
            continue
        row: dict[str, object] = {"operation": exercise.operation, "wrong": len(exercise.wrong), "right": len(exercise.right)}
        for name, checker in RIVALS.items():
            began = time.perf_counter()
            row[name] = sum(not accepts(checker, s, seed) for s in exercise.wrong)
            row[f"{name}: false alarms"] = sum(not accepts(checker, s, seed) for s in exercise.right)
            row[f"{name}: at kinks"] = sum(not accepts(checker, s, seed) for s in exercise.at_kinks)
            row[f"{name}: seconds"] = time.perf_counter() - began
        began = time.perf_counter()
        reports = [check.backward(s.forward, s.backward, *s.inputs, wrt=s.wrt, seed=seed) for s in exercise.wrong]
        row["minivision"] = sum(r.verdict == "wrong" for r in reports)
        row["minivision: named"] = sum(
            bool(s.words) and is_named(r, s.words) for s, r in zip(exercise.wrong, reports, strict=True)
        )
        row["minivision: to be named"] = sum(bool(s.words) for s in exercise.wrong)
        others = [check.backward(s.forward, s.backward, *s.inputs, wrt=s.wrt, seed=seed).verdict for s in exercise.right]
        row["minivision: false alarms"] = sum(v != "right" for v in others)
        kinks = [check.backward(s.forward, s.backward, *s.inputs, wrt=s.wrt, seed=seed).verdict for s in exercise.at_kinks]
        row["minivision: at kinks"] = sum(v == "wrong" for v in kinks)
        row["minivision: seconds"] = time.perf_counter() - began
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    arguments = parser.parse_args()
    rows = measure(arguments.only, arguments.seed)
    names = [*RIVALS, "minivision"]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, seed {arguments.seed}")
    if torch is None:
        print("PyTorch is not installed (pip install 'minivision[oracle]'): gradcheck is left out")
    total = lambda key: sum(int(row[key]) for row in rows)  # type: ignore[call-overload]  # noqa: E731
    wrong, right = total("wrong"), total("right")
    print("wrong backwards that are rejected, and named\n")
    print(f"{'operation':36} {'wrong':>6} " + " ".join(f"{name:>13}" for name in names) + f" {'named':>8}")
    for row in rows:
        print(
            f"{row['operation']:36} {row['wrong']:>6} "
            + " ".join(f"{row[name]:>13}" for name in names)
            + f" {row['minivision: named']:>8}"
        )
    print(f"{'all':36} {wrong:>6} " + " ".join(f"{total(name):>13}" for name in names) + f" {total('minivision: named'):>8}")
    shares = " ".join(f"{total(name) / wrong:>13.1%}" for name in names)
    print(f"{'share':36} {'':>6} {shares} {total('minivision: named') / total('minivision: to be named'):>8.1%}")
    print(
        f"\nright backwards that are rejected (of {right}), and at points with ties or kinks (of "
        f"{sum(len(e.at_kinks) for e in EXERCISES)})"
    )
    for key in ("false alarms", "at kinks"):
        print(f"{key:36} {'':>6} " + " ".join(f"{total(f'{name}: {key}'):>13}" for name in names))
    seconds = " ".join(f"{sum(float(row[f'{name}: seconds']) for row in rows):>13.1f}" for name in names)  # type: ignore[arg-type]
    print(f"{'seconds for everything':36} {'':>6} {seconds}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({"seed": arguments.seed, "numpy": np.__version__, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
