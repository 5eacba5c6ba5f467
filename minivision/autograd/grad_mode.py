"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

# A context variable, not a module global: each thread (and each asyncio task) has its own, and a new thread starts with True.
_enabled: ContextVar[bool] = ContextVar("minivision_grad_enabled", default=True)


is_recording = _enabled.get  # the same as below, without a call in between: every operation asks


def is_grad_enabled() -> bool:
    """Whether operations in this thread are being recorded for `backward()`."""
    return _enabled.get()


class _GradMode:
    """A context manager, and a decorator, that switches recording in this thread and puts it back on the way out."""

    def __init__(self, mode: bool):
        self.mode = mode
        self._before: list[bool] = []  # a stack, so that one object can be entered again inside itself

    def __enter__(self) -> None:
        self._before.append(_enabled.get())
        _enabled.set(self.mode)

    def __exit__(self, *exc: object) -> None:
        _enabled.set(self._before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(self.mode):  # a new one for each call: several threads may be inside at once
                return function(*args, **kwargs)

        return call


class no_grad(_GradMode):
    """Do not record: `with no_grad(): ...` or `@no_grad()`. For inference and for updating parameters."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_GradMode):
    """Record again inside a `no_grad` block."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_GradMode):
    """Switch recording on or off: from now on, `set_grad_enabled(False)`, or for a block, `with set_grad_enabled(False): ...`."""

    def __init__(self, mode: bool):
        super().__init__(mode)
        self._outside: bool | None = _enabled.get()
        _enabled.set(mode)

    def __enter__(self) -> None:
        self._undo()
        super().__enter__()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self._undo()
        return super().__call__(function)

    def _undo(self) -> None:
        if self._outside is not None:
            _enabled.set(self._outside)
            self._outside = None
