"""What a long loop tells: a bar in a terminal or a notebook, plain lines in a log file, nothing if silent."""

from __future__ import annotations

import sys
import warnings
from types import TracebackType
from typing import Any, Self


class Progress:
    """A bar over `total` batches with lines above it; a context manager.

    The bar (tqdm, on stderr) is there only where somebody watches: in a terminal or a notebook. Lines go to stdout, so that a log
    file holds one line per epoch and no carriage returns. Without tqdm there are lines only.

    Parameters
    ----------
    enabled: False for silence.
    total: batches in all, None if unknown.
    done: batches done before, in a run that is resumed.
    """

    def __init__(self, enabled: bool = True, total: int | None = None, done: int = 0):
        self.enabled = enabled
        self.bar = _bar(total, done) if enabled and (sys.stderr.isatty() or in_notebook()) else None

    def advance(self, description: str = "", note: str = "") -> None:
        """One batch more."""
        if self.bar is not None:
            self.bar.set_description_str(description, refresh=False)
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update()

    def line(self, text: str) -> None:
        """A line that stays."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stdout)  # above the bar, not through it
            sys.stdout.flush()
        elif self.enabled:
            print(text, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel, whose output is a page and not a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def _bar(total: int | None, done: int) -> Any:
    try:
        with warnings.catch_warnings():
            # a notebook without ipywidgets gets tqdm's text bar, which needs no warning
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, initial=done, leave=False, dynamic_ncols=True, unit=" batch")
