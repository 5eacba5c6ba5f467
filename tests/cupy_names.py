"""What the real CuPy offers, read from cupy_names.txt: names, parameters, and the methods of each ufunc."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One public name of CuPy. `signature` is None for what is no function; `methods` is None for what is no ufunc."""

    signature: inspect.Signature | None = None
    methods: frozenset[str] | None = None


# cupy.ufunc.__call__ refuses every other keyword, `where` among them.
UFUNC = inspect.signature(lambda *args, out=None, dtype=None, casting=None: None)


def _read() -> tuple[str, dict[str, Entry]]:
    header, *lines = Path(__file__).with_name("cupy_names.txt").read_text().splitlines()
    entries = {}
    for line in lines:
        name, parenthesis, parameters = line.partition("(")
        if parenthesis:
            entries[name] = Entry(inspect.signature(eval(f"lambda {parameters[:-1]}: None")))
        else:
            name, *ufunc = line.split()
            entries[name] = Entry(UFUNC, frozenset(ufunc[1:])) if ufunc else Entry()
    return header.split()[2].rstrip(";"), entries


VERSION, NAMES = _read()
MODULES = {name.rpartition(".")[0] for name in NAMES if "." in name and not name.startswith("ndarray.")} | {"lib"}
