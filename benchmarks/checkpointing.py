"""What gradient checkpointing costs and saves: time and peak memory of a U-Net's training step, its levels checkpointed or not.

    python -m benchmarks.checkpointing --widths 64 128 256 512 1024 --batch 1 --size 256

Each way runs in a fresh process, so that its peak is its own. `compare` returns the same numbers as dictionaries.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = (64, 128, 256, 512, 1024)
WAYS = ("plain", "checkpointed")
STEPS = 4


def compare(widths: Sequence[int] = WIDTHS, batch: int = 1, size: int = 256, threads: int | None = None) -> list[dict[str, Any]]:
    """For each way: its name, the median seconds of a step, the peak bytes of the process beyond the import, and the loss."""
    rows = []
    for way in WAYS:
        numbers = [str(n) for n in (batch, size, threads or 0, *widths)]
        command = [sys.executable, "-m", "benchmarks.checkpointing", "--one", way, *numbers]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(f"{way}, in a process of its own: {done.stderr.strip()[-500:]}")
        rows.append(json.loads(done.stdout))
    return rows


def one(way: str, batch: int, size: int, threads: int, widths: Sequence[int]) -> dict[str, Any]:
    """This process: a few steps in one of the two ways."""
    import minivision as mv
    from benchmarks.peak import resident
    from minivision.models import UNet
    from minivision.nn import functional as F
    from minivision.threads import set_num_threads

    if threads:
        set_num_threads(threads)
    imported = resident()["now"]
    mv.manual_seed(0)
    net = UNet(3, 4, tuple(widths))
    if way == "checkpointed":
        for level in (*net.down, net.bottom, *net.merge):
            level.forward = _checkpointed(level.forward)
    optimizer = mv.optim.Adam(net.parameters())
    rng = np.random.default_rng(0)
    image = mv.from_numpy(rng.normal(size=(batch, 3, size, size)).astype(np.float32))
    label = mv.from_numpy(rng.integers(0, 4, (batch, size, size)))
    seconds, loss = [], 0.0
    for _ in range(STEPS):
        start = time.perf_counter()
        optimizer.zero_grad()
        value = F.cross_entropy(net(image), label)
        value.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        loss = value.item()
    return {
        "way": way, "seconds": statistics.median(seconds[1:]), "peak": resident()["peak"] - imported, "loss": loss,
    }  # fmt: skip


def _checkpointed(forward: Any) -> Any:
    from minivision import checkpoint

    return lambda *tensors: checkpoint(forward, *tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, *numbers = arguments.one
        batch, size, threads, *widths = map(int, numbers)
        print(json.dumps(one(way, batch, size, threads, widths)))
        return
    rows = compare(arguments.widths, arguments.batch, arguments.size, arguments.threads)
    plain = rows[0]
    name = "-".join(map(str, arguments.widths))
    print(f"U-Net {name}, batch {arguments.batch}, {arguments.size} x {arguments.size}, a training step with Adam")
    for row in rows:
        time_ratio, memory_ratio = row["seconds"] / plain["seconds"], row["peak"] / plain["peak"]
        print(
            f"{row['way']:<13} {row['seconds']:7.3f} s ({time_ratio:.2f})   "
            f"peak {row['peak'] / 2**20:6.0f} MB ({memory_ratio:.2f})   loss {row['loss']:.6f}"
        )


if __name__ == "__main__":
    main()
