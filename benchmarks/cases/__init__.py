"""All cases, one file for each kind of work."""

from __future__ import annotations

from benchmarks.case import Case
from benchmarks.cases import convolutions, graph, layers, networks

CASES: list[Case] = [*convolutions.CASES, *layers.CASES, *networks.CASES, *graph.CASES]
