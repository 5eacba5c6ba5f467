"""One training step of the demo's U-Net (forward, loss, backward, Adam), beside the same network in PyTorch.

Both start from the same weights and see the same batch; their losses are compared before anything is timed. Steps alternate
(ours, PyTorch, ours, ...), so that a busy moment of the machine hits both. The number to read is the ratio of medians.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_info, threadpool_limits

import minivision as mv
from minivision.models import UNet


class TorchUNet(torch.nn.Module):
    """`minivision.models.UNet` with padding="same" and norm="batch", and the same parameter names."""

    def __init__(self, in_channels: int, num_classes: int, widths: tuple[int, ...]):
        super().__init__()
        nn = torch.nn

        def double(a: int, b: int) -> torch.nn.Sequential:
            layers = [(nn.Conv2d(i, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for i in (a, b)]
            return nn.Sequential(*layers[0], *layers[1])

        *levels, bottom = widths
        self.down = nn.ModuleList(double(a, b) for a, b in zip([in_channels, *levels], levels, strict=False))
        self.bottom = double(levels[-1], bottom)
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in zip(widths[:0:-1], levels[::-1], strict=True))
        self.merge = nn.ModuleList(double(2 * w, w) for w in reversed(levels))
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Any) -> Any:
        copies = []
        for block in self.down:
            copies.append(block(x))
            x = F.max_pool2d(copies[-1], 2)
        x = self.bottom(x)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([copies.pop(), up(x)], dim=1))
        return self.head(x)


def steps(widths: tuple[int, ...], batch: int, size: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """Two functions that each do one training step and return the loss."""
    mv.manual_seed(0)
    ours = UNet(3, 4, widths)
    theirs = TorchUNet(3, 4, widths)
    theirs.load_state_dict({name: torch.from_numpy(v.numpy().copy()) for name, v in ours.state_dict().items()})
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, 3, size, size)).astype(np.float32)
    target = rng.integers(0, 4, (batch, size, size))
    adam, torch_adam = mv.optim.Adam(ours.parameters()), torch.optim.Adam(theirs.parameters())

    def step(framework: Any, model: Any, loss_function: Any, optimizer: Any) -> Callable[[], float]:
        image, label = framework.from_numpy(x), framework.from_numpy(target)

        def run() -> float:
            optimizer.zero_grad()
            loss = loss_function(model(image), label)
            loss.backward()
            optimizer.step()
            return loss.item()

        return run

    return step(mv, ours, mv.nn.functional.cross_entropy, adam), step(torch, theirs, F.cross_entropy, torch_adam)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, help="threads of BLAS and of PyTorch (default: each library's own choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    with threadpool_limits(arguments.threads, user_api="blas") if arguments.threads else nullcontext():
        ours, theirs = steps(tuple(arguments.widths), arguments.batch, arguments.size)
        first, second = ours(), theirs()
        if abs(first - second) > 1e-4 * abs(second):
            raise SystemExit(f"the two networks are not the same: losses {first} and {second}")
        times: dict[str, list[float]] = {"minivision": [], "PyTorch": []}
        for _ in range(arguments.runs):
            for name, step in (("minivision", ours), ("PyTorch", theirs)):
                start = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - start)
        blas = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)

    print(
        f"U-Net {'-'.join(map(str, arguments.widths))}, batch {arguments.batch}, {arguments.size} x {arguments.size}, float32; "
        f"Python {platform.python_version()}, NumPy {np.__version__} ({blas} BLAS threads), PyTorch {torch.__version__} "
        f"({torch.get_num_threads()} threads)"
    )
    for name, seconds in times.items():
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name:<11} median {1e3 * middle:7.1f} ms   ({1e3 * low:.1f} .. {1e3 * high:.1f})")
    print(f"minivision / PyTorch  {statistics.median(times['minivision']) / statistics.median(times['PyTorch']):.2f}")


if __name__ == "__main__":
    main()
