"""How long `import minivision` takes in a fresh interpreter, and how much of that is NumPy's own import.

The target is 0.2 s in all. Times are wall clock around the import statement: the start of Python does not count. The
compiled `.pyc` files are there, as after any installation, also where PYTHONDONTWRITEBYTECODE would keep Python from
writing them (compiling the package's source at every start takes about 0.1 s).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys

SCRIPT = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
LIMIT = 0.2


def import_seconds(module: str) -> float:
    """Seconds that `import module` takes in a new interpreter."""
    command = [sys.executable, "-c", SCRIPT.format(module=module)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="fresh interpreters per module (default: %(default)s)")
    runs = parser.parse_args().runs
    modules = ("numpy", "minivision")
    times: dict[str, list[float]] = {module: [] for module in modules}
    for module in modules:
        import_seconds(module)  # writes the .pyc files and warms the disk cache
    for _ in range(runs):  # taking turns, so that a busy moment of the machine hits both
        for module in modules:
            times[module].append(import_seconds(module))

    print(f"Python {platform.python_version()}, {platform.machine()}, median of {runs} fresh interpreters")
    medians = {module: statistics.median(times[module]) for module in modules}
    for module in modules:
        print(f"import {module:<12} {1e3 * medians[module]:7.1f} ms   (fastest {1e3 * min(times[module]):.1f} ms)")
    print(f"minivision itself   {1e3 * (medians['minivision'] - medians['numpy']):7.1f} ms")
    print(f"limit               {1e3 * LIMIT:7.1f} ms   {'kept' if medians['minivision'] < LIMIT else 'EXCEEDED'}")


if __name__ == "__main__":
    main()
