"""One run of each torch-style network: weights from a formula, one forward and backward in float64, everything as NumPy.

`python -m tests.models.parity` runs them with PyTorch and writes `parity.npz`, which the tests compare minivision with.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

HERE = Path(__file__).parent

CASES: dict[str, tuple[str, dict[str, Any], tuple[int, int]]] = {
    "unet": ("PaddedUNet", {}, (13, 18)),
    "unet-bilinear": ("PaddedUNet", {"bilinear": True}, (12, 11)),
    "fcn": ("SkipFCN", {}, (21, 26)),
    "segnet": ("IndexSegNet", {}, (11, 14)),
}


def load(modules: dict[str, types.ModuleType]) -> types.ModuleType:
    """torch_style.py, with `import torch` meaning the given modules."""
    spec = importlib.util.spec_from_file_location("torch_style", HERE / "torch_style.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, modules):
        spec.loader.exec_module(module)
    return module


def run(torch: Any, networks: types.ModuleType, case: str) -> dict[str, np.ndarray]:
    """Output, loss and every gradient of one case, by name."""
    name, arguments, size = CASES[case]
    torch.manual_seed(0)
    model = getattr(networks, name)(**arguments).double()
    for module in model.modules():
        if type(module).__name__.startswith("Dropout"):
            module.p = 0.0  # the frameworks draw different masks
    rng = np.random.default_rng(7)
    with torch.no_grad():
        for _, p in model.named_parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.3, tuple(p.shape))))
    model.train()
    x = torch.from_numpy(rng.normal(size=(2, 3, *size))).requires_grad_()
    target = rng.integers(0, 4, (2, *size))
    target[0, :2] = 255
    y = model(x)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64)
    criterion = torch.nn.CrossEntropyLoss(weight=weight, ignore_index=255)
    loss = criterion(y, torch.from_numpy(target)) + 0.01 * (y**2).mean()
    loss.backward()
    result = {"output": y.detach().numpy(), "loss": np.array(loss.item()), "grad.input": x.grad.numpy()}
    for p_name, p in model.named_parameters():
        result[f"grad.{p_name}"] = p.grad.numpy()
    for b_name, b in model.named_buffers():
        result[f"buffer.{b_name}"] = np.asarray(b.numpy())
    return result


def main() -> None:
    import torch

    networks = load({})
    arrays = {f"{case}/{name}": value for case in CASES for name, value in run(torch, networks, case).items()}
    np.savez_compressed(HERE / "parity.npz", **arrays)
    print(f"{len(arrays)} arrays from torch {torch.__version__} in {HERE / 'parity.npz'}")


if __name__ == "__main__":
    main()
