"""Checkpoints: one safetensors file with the weights and everything else that a run needs to go on.

The weights stand under their own names, so that any safetensors reader finds them; the optimizer's arrays stand under
"optimizer/<number of the parameter>/<name>"; the rest is JSON in the strings of the header. Nothing in a file is ever executed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minivision import models
from minivision.autograd import Tensor
from minivision.backend import Device, is_array
from minivision.nn import Module
from minivision.optim import Optimizer
from minivision.training.tensor_file import CheckpointError, read_tensors, write_tensors

FORMAT = "minivision checkpoint"
FORMAT_VERSION = 1
OPTIMIZER = "optimizer/"


@dataclass(frozen=True)
class Checkpoint:
    """What `load_checkpoint` found.

    Attributes
    ----------
    weights: the model's `state_dict`, as NumPy arrays.
    config: what `models.create` builds the model from, or None if the model had no `config`.
    classes: the names of the classes, in the order of their labels.
    normalization: how images are normalised before the model sees them, e.g. {"mean": [...], "std": [...]}.
    results: the measures at the end of the last epoch.
    training: how far the run had come; None in a checkpoint that cannot be resumed.
    optimizer_state: what `Optimizer.load_state_dict` takes, or None.
    minivision_version: of the package that wrote the file.
    """

    path: Path
    weights: dict[str, np.ndarray]
    config: dict[str, Any] | None = None
    classes: list[str] | None = None
    normalization: dict[str, Any] | None = None
    results: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    optimizer_state: dict[str, Any] | None = None
    minivision_version: str = "unknown"

    @property
    def num_classes(self) -> int | None:
        """How many classes the model tells apart, as far as the checkpoint says."""
        if self.config is not None and "num_classes" in self.config:
            return self.config["num_classes"]
        return None if self.classes is None else len(self.classes)

    def build_model(self) -> Module:
        """The model with its weights, in evaluation mode. Raises CheckpointError when the file does not describe it."""
        if self.config is None:
            raise CheckpointError(
                f"{self.path} has no description of the model (a `config`, as those of minivision.models have); build the model "
                "yourself and call load_weights(path, model)"
            )
        try:
            model = models.create(**self.config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path}: the model {self.config} cannot be built here: {error}") from error
        dtype = next((w.dtype for w in self.weights.values() if w.dtype.kind == "f"), None)
        if dtype is not None:
            model.to(dtype)
        self.load_into(model)
        return model.eval()

    def load_into(self, model: Module) -> None:
        """Copy the weights into `model`. Raises CheckpointError, before anything is changed, when they do not fit."""
        _check_classes(self.path, self.num_classes, (config_of(model) or {}).get("num_classes"))
        _copy_weights(self.path, self.weights, model)


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Module,
    *,
    optimizer: Optimizer | None = None,
    classes: Sequence[str] | None = None,
    normalization: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a model, and what belongs to it, into one file; see `Checkpoint` for the parts. All but the arrays must be JSON-able.

    The file appears whole or not at all: killed at any moment, the previous one is intact. Raises OSError when it cannot be
    written, and TypeError for what JSON cannot hold.
    """
    tensors = {name: tensor.array for name, tensor in model.state_dict().items()}
    settings = None
    if optimizer is not None:
        arrays, settings = _flat(optimizer)
        tensors |= arrays
    parts = {
        "config": config_of(model),
        "classes": None if classes is None else list(classes),
        "normalization": normalization,
        "results": results,
        "training": training,
        "optimizer": settings,
    }
    header = {"format": FORMAT, "format_version": str(FORMAT_VERSION), "minivision_version": _version()}
    header |= {name: _to_json(name, part) for name, part in parts.items() if part is not None}
    write_tensors(path, tensors, header)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Raises FileNotFoundError, and CheckpointError for a file that is truncated, no checkpoint, or of a newer format.
    """
    tensors, header = read_tensors(path)
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds weights, but is no minivision checkpoint; call load_weights(path, model)")
    try:
        version = int(header["format_version"])
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has checkpoint format {version}, written by minivision {header.get('minivision_version')}, and this "
                f"minivision {_version()} reads up to format {FORMAT_VERSION}: pip install --upgrade minivision"
            )
        known = {"config", "classes", "normalization", "results", "training", "optimizer"}
        parts = {name: json.loads(header[name]) for name in known & set(header)}
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is damaged: its header lacks or garbles {error}") from error
    settings = parts.pop("optimizer", None)
    return Checkpoint(
        Path(path),
        _weights_of(tensors),
        optimizer_state=None if settings is None else _nested(tensors, settings),
        minivision_version=header.get("minivision_version", "unknown"),
        **parts,
    )


def load_model(path: str | os.PathLike[str], *, num_classes: int | None = None, device: str | Device = "cpu") -> Module:
    """The trained model of a checkpoint, in evaluation mode.

    `num_classes` is how many the caller counts on. Raises what `load_checkpoint` raises, and CheckpointError for another number
    of classes or a model that the file does not describe.
    """
    checkpoint = load_checkpoint(path)
    _check_classes(checkpoint.path, checkpoint.num_classes, num_classes)
    return checkpoint.build_model().to(device)


def save_weights(path: str | os.PathLike[str], model: Module) -> None:
    """Write the `state_dict` alone, each array in its dtype; `safetensors.torch.load_file` reads it too."""
    write_tensors(path, {name: tensor.array for name, tensor in model.state_dict().items()})


def load_weights(path: str | os.PathLike[str], model: Module, *, strict: bool = True) -> list[str]:
    """Copy the weights of a safetensors file (a checkpoint, or from PyTorch) into `model`, converted to its dtype.

    With `strict=False` only those that fit by name and shape are copied, to fine-tune a network with another head. Returns the
    names in the model that got nothing. Raises CheckpointError, before anything is changed, when the weights do not fit.
    """
    tensors, header = read_tensors(path)
    weights = _weights_of(tensors)
    if not strict:
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        fitting = {name: array for name, array in weights.items() if array.shape == shapes.get(name)}
        if not fitting:
            raise CheckpointError(
                f"{path}: none of its {len(weights)} weights fits this {type(model).__name__} by name and shape"
            )
        return model.load_state_dict(fitting, strict=False).missing_keys
    if header.get("format") == FORMAT:
        load_checkpoint(path).load_into(model)
    else:
        _copy_weights(path, weights, model)
    return []


def config_of(model: Module) -> dict[str, Any] | None:
    """What `models.create` builds such a model from; None for a model that does not say."""
    config = getattr(model, "config", None)
    return dict(config) if isinstance(config, Mapping) else None


def _copy_weights(path: str | os.PathLike[str], weights: Mapping[str, np.ndarray], model: Module) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        text = str(error)
        raise CheckpointError(f"{path}: {text if len(text) < 500 else text[:500] + ' ...'}") from error


def _check_classes(path: str | os.PathLike[str], there: int | None, wanted: int | None) -> None:
    if there is not None and wanted is not None and there != wanted:
        raise CheckpointError(
            f"{path} was trained for {there} classes, but {wanted} are wanted; use num_classes={there}, or start from its other "
            f"layers with load_weights(path, model, strict=False) and train for {wanted}"
        )


def _weights_of(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in tensors.items() if not name.startswith(OPTIMIZER)}


def _flat(optimizer: Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """An optimizer's state as (arrays by name, the rest for JSON)."""
    state = optimizer.state_dict()
    arrays: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    for index, entries in state["state"].items():
        arrays |= {f"{OPTIMIZER}{index}/{name}": value for name, value in entries.items() if is_array(value)}
        numbers[str(index)] = {name: value for name, value in entries.items() if not is_array(value)}
    return arrays, {"type": type(optimizer).__name__, "param_groups": state["param_groups"], "state": numbers}


def _nested(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_flat`, with the type of the optimizer beside its state."""
    state = {int(index): dict(numbers) for index, numbers in settings["state"].items()}
    for key, array in tensors.items():
        if key.startswith(OPTIMIZER):
            _, index, name = key.split("/")
            state[int(index)][name] = array
    return {"type": settings["type"], "param_groups": settings["param_groups"], "state": state}


def _to_json(name: str, value: Any) -> str:
    def plain(item: Any) -> Any:
        if isinstance(item, np.ndarray | np.generic | Tensor):
            return item.tolist()
        raise TypeError(f"save_checkpoint: {name} holds a {type(item).__name__}, which JSON cannot hold")

    return json.dumps(value, default=plain)


def _version() -> str:
    try:
        return importlib.metadata.version("minivision")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
