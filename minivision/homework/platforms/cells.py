"""What the notebooks of the platforms have in common: cells with metadata, and the code that runs one check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from minivision.homework import source
from minivision.homework.exercise import Exercise
from minivision.homework.source import Cell


def notebook(cells: Iterable[tuple[Cell, dict[str, Any]]], exercise: Exercise) -> str:
    """The cells, each with its metadata, as a Jupyter notebook."""
    pairs = list(cells)
    made = json.loads(source.to_notebook([cell for cell, _ in pairs], source.shown_header(exercise.source)))
    for entry, (_, metadata) in zip(made["cells"], pairs, strict=True):
        entry["metadata"].update(metadata)
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def quoted(text: str) -> str:
    """A text as a Python string in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def slug(text: str) -> str:
    """Lower case letters and digits, joined by hyphens: what every platform takes as a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
