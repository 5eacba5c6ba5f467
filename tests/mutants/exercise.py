"""An exercise: one operation at one point, with right solutions and wrong ones.

    op = Exercise("affine", affine_forward, x, w, b)

    @op.accepts()
    def einsum(dout, cache): ...

    @op.rejects("sum over the batch")
    def db_not_summed(dout, cache): ...

The words are what the checker's sentences must contain, in any order; "a|b" stands for one of several. `rejects()` without words
is for mistakes that are to be found but need no name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass
class Solution:
    """A forward and a backward at a point."""

    operation: str
    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: tuple[Any, ...]
    words: tuple[str, ...] = ()
    wrt: Any = None

    def __str__(self) -> str:
        return f"{self.operation}: {self.name}"


@dataclass
class Exercise:
    operation: str
    forward: Callable[..., Any]
    inputs: tuple[Any, ...]
    wrt: Any = None
    right: list[Solution] = field(default_factory=list)
    wrong: list[Solution] = field(default_factory=list)
    at_kinks: list[Solution] = field(default_factory=list)  # right solutions, at ties and corners

    def __init__(self, operation: str, forward: Callable[..., Any], *inputs: Any, wrt: Any = None) -> None:
        self.operation, self.forward, self.inputs, self.wrt = operation, forward, inputs, wrt
        self.right, self.wrong, self.at_kinks = [], [], []

    def accepts(self, forward: Callable[..., Any] | None = None) -> Decorator:
        return self._keep(self.right, forward, self.inputs, ())

    def rejects(self, *words: str, forward: Callable[..., Any] | None = None) -> Decorator:
        return self._keep(self.wrong, forward, self.inputs, words)

    def with_kinks(self, *inputs: Any) -> None:
        """All the right solutions so far again, at inputs where there is no derivative."""
        self.at_kinks += [Solution(s.operation, s.name, s.forward, s.backward, inputs, (), s.wrt) for s in self.right]

    def _keep(
        self, place: list[Solution], forward: Callable[..., Any] | None, inputs: tuple[Any, ...], words: tuple[str, ...]
    ) -> Decorator:
        def keep(backward: Callable[..., Any]) -> Callable[..., Any]:
            name = backward.__name__.replace("_", " ").strip()
            place.append(Solution(self.operation, name, forward or self.forward, backward, inputs, words, self.wrt))
            return backward

        return keep
