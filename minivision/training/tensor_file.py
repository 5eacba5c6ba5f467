"""safetensors files: named arrays and a few strings, written whole or not at all, read with an explanation when damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minivision.backend import Array, to_numpy
from minivision.data.files import atomic_write
from minivision.data.optional import require

MAX_HEADER = 100_000_000  # bytes, a limit of the format


class CheckpointError(ValueError):
    """A file cannot serve as the checkpoint or the weights that it was given as; nothing has been changed."""


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays by name, and strings by name into the header; at every moment `path` is the old file or the new one.

    Raises OSError, which says that the previous file is intact, when the disk is full or the folder cannot be written.
    """
    safetensors = require("safetensors.numpy", "saving weights")
    # the file holds row-major arrays; asarray leaves those without axes as they are
    arrays = {name: np.asarray(to_numpy(array), order="C") for name, array in tensors.items()}
    contents = safetensors.save(arrays, dict(metadata) if metadata else None)
    with atomic_write(path) as file:
        file.write(contents)


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the strings of a safetensors file.

    Raises FileNotFoundError, and CheckpointError for a file that is no safetensors file or has lost its end.
    """
    safetensors = require("safetensors.numpy", "loading weights")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}{_neighbours(path)}")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name a .safetensors file{_neighbours(path / 'x')}")
    contents = path.read_bytes()
    header = _checked_header(path, contents)
    try:
        arrays = safetensors.load(contents)
    except KeyError as error:
        raise CheckpointError(f"{path} has numbers of type {error}, which NumPy lacks; save it as float32") from error
    except Exception as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return dict(sorted(arrays.items())), header.get("__metadata__", {})


def _checked_header(path: Path, contents: bytes) -> dict[str, Any]:
    """The JSON in front of the numbers: 8 bytes of length, then name -> dtype, shape, place."""
    length = int.from_bytes(contents[:8], "little")
    if len(contents) < 9 or contents[8:9] != b"{" or length > MAX_HEADER:
        what = "is empty" if not contents else "is not a safetensors file"
        if contents[:2] in (b"PK", b"\x80\x02"):
            what += (
                " but a pickle, which can run code when opened; convert it where it was made, with safetensors.torch.save_file"
            )
        raise CheckpointError(f"{path} {what}")
    if len(contents) < 8 + length:
        raise CheckpointError(f"{path} is truncated: its header has {length} bytes, of which {len(contents) - 8} are there")
    try:
        header = json.loads(contents[8 : 8 + length])
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: its header cannot be read ({error})") from error
    if len(contents) < 8 + length + end:
        raise CheckpointError(
            f"{path} is truncated: it should have {8 + length + end} bytes, but has {len(contents)}; copy it again, or use an "
            "earlier checkpoint"
        )
    return header


def _neighbours(path: Path) -> str:
    found = sorted(p.name for p in path.parent.glob("*.safetensors") if p != path)[:5]
    return f"; its folder has {', '.join(found)}" if found else ""
