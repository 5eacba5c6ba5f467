"""Libraries that only some functions need, imported when one of them is called."""

import importlib
from typing import Any


def require(module: str, purpose: str) -> Any:
    """Import and return `module`; raise `ImportError` with the line that installs it when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = {"PIL": "Pillow"}.get(module.split(".")[0], module.split(".")[0])
        raise ImportError(f"{purpose} needs {library}: pip install 'minivision[train]'") from error
