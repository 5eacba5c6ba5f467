"""Write topics/TOPIC.npz: what PyTorch answers for every case of a table. Run it when the table changes.

python -m tests.oracle.generate [TOPIC ...]

`regions` is answered by torchvision, which has to be installed with its compiled operations; otherwise the run ends with an
ImportError that says so, and the file stays as it is.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle.cases import Case, evaluate
from tests.oracle.libraries import torch_library
from tests.oracle.topics import topics

DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")
OPERATORS = ("add", "mul", "div", "lt")


def stored(topic: str) -> Path:
    """The file with PyTorch's answers for a topic."""
    return Path(__file__).parent / "topics" / f"{topic}.npz"


def generate(topic: str) -> dict[str, np.ndarray]:
    """The contents of that file: all results in one row of numbers, with their shapes and dtypes beside it.

    `promotion` has a line "operator left right result" for each pair of dtypes, where an operand may be a tensor with axes, a
    0-d tensor or a Python number.
    """
    library = torch_library()
    names, forms, values = [], [], []
    module = topics()[topic]
    for case in module.CASES:
        results = _quietly(case, library)
        names.append(case.name)
        forms.append(";".join(f"{r.dtype}{list(r.shape)}" for r in results))
        values += [np.asarray(r, np.float64).ravel() for r in results]
    return {
        "names": np.array(names),
        "forms": np.array(forms),
        "values": np.concatenate(values),
        "promotion": np.array(list(_promotion_lines())),
        "rejected": np.array([case.name for case in module.REJECTED if _raises(case, library)]),
    }


def read(topic: str) -> tuple[dict[str, list[np.ndarray]], list[str], list[str]]:
    """(results by case name, promotion lines, names of the calls that PyTorch rejects) out of the file of a topic."""
    with np.load(stored(topic)) as file:
        names, forms, values = file["names"].tolist(), file["forms"].tolist(), file["values"]
        promotion, rejected = file["promotion"].tolist(), file["rejected"].tolist()
    results: dict[str, list[np.ndarray]] = {}
    place = 0
    for name, form in zip(names, forms, strict=True):
        results[name] = []
        for entry in form.split(";"):
            dtype, _, lengths = entry.rstrip("]").partition("[")
            shape = tuple(int(n) for n in lengths.split(",") if n)
            size = int(np.prod(shape))
            results[name].append(values[place : place + size].reshape(shape).astype(dtype))
            place += size
    return results, promotion, rejected


def operands(library: Any, dtype: str) -> dict[str, Any]:
    """What can stand beside an operator for one dtype, by name."""
    number = {"bool": True, "int64": 1, "float32": 1.0}.get(dtype)
    found = {
        f"{dtype}(3,)": library.tensor(np.ones(3, dtype), False),
        f"{dtype}()": library.tensor(np.ones((), dtype), False),
    }
    return found if number is None else {**found, type(number).__name__: number}


def promotion_lines(library: Any) -> list[str]:
    """ "operator left right result" for every pair of operands of which at least one is a tensor."""
    every = {name: value for dtype in DTYPES for name, value in operands(library, dtype).items()}
    lines = []
    for operator, (a, left), (b, right) in itertools.product(OPERATORS, every.items(), every.items()):
        if hasattr(left, "dtype"):
            result = str(library.find(operator)(left, right).dtype).removeprefix("torch.")
            lines.append(f"{operator} {a} {b} {result}")
    return lines


def _promotion_lines() -> list[str]:
    return promotion_lines(torch_library())


def _quietly(case: Case, library: Any) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(case, library)


def _raises(case: Case, library: Any) -> bool:
    try:
        _quietly(case, library)
    except Exception:  # any kind: PyTorch's choice of class is not compared
        return True
    raise AssertionError(f"PyTorch accepts {case}")


if __name__ == "__main__":
    for topic in sys.argv[1:] or topics():
        np.savez_compressed(stored(topic), **generate(topic))
        print(f"{topic}: {stored(topic).stat().st_size / 1e6:.2f} MB")
