"""The peak memory of a training step: a whole process, fresh for each framework, that imports it and takes three steps.

`python -m benchmarks.peak CASE FRAMEWORK THREADS` is one such process; it prints JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = 3


def resident() -> dict[str, float]:
    """{"now", "peak"} in bytes: the memory of this process that is in use, and the most that ever was.

    Linux's VmHWM is the peak of this program alone. `ru_maxrss`, for other systems, may include what the parent had when it
    started this one.
    """
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm"))
        return {"now": 1024.0 * int(fields["VmRSS"].split()[0]), "peak": 1024.0 * int(fields["VmHWM"].split()[0])}
    except (OSError, KeyError):
        import resource

        peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
        return {"now": peak, "peak": peak}


def measure(case: str, framework: str, threads: int) -> dict[str, float]:
    """{"imported": bytes resident after the import, "peak": bytes} of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peak", case, framework, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{case} in {framework}, in a process of its own: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def main(case_name: str, framework: str, threads: str) -> None:
    from benchmarks import frameworks

    torch: Any = frameworks.load(framework)
    frameworks.set_threads(framework, int(threads))
    imported = resident()["now"]
    from benchmarks.cases import CASES

    case = next(c for c in CASES if c.name == case_name)
    step = case.build(torch, case.inputs())
    for _ in range(STEPS):
        step()
    print(json.dumps({"imported": imported, "peak": resident()["peak"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
