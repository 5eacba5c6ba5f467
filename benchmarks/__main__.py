"""Time minivision beside PyTorch and other frameworks, in turns, against the targets: `python -m benchmarks`, or `make bench`.

Without a name, every case is measured, beside every framework that can run it, and a few are counted; this takes about half an
hour. `python -m benchmarks --list` shows the names; benchmarks/README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import frameworks, report
from benchmarks.case import Case, chosen
from benchmarks.cases import CASES
from benchmarks.report import Row
from benchmarks.running import OTHERS, Bench, counts, prepared

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SCRIPTS = {
    "import-time": "how long `import minivision` takes in a fresh interpreter",
    "convolution-algorithms": "every algorithm of convolution side by side, by face (two minutes; only when named)",
    "checkpointing": "time and memory of a U-Net with and without checkpoints (only when named)",
    "checkers": "wrong backwards that the gradient checkers in use reject (ten minutes; only when named)",
    "difficulty": "the demo's networks on every difficulty of ShapesWorld (half an hour; only when named)",
}
COUNTED = ("conv3x3-64", "conv3x3-few-16", "unet-small-train", "unet-small-inference", "unet-medium-train", "tiny-operations")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases, groups, beginnings of names (unet-small), or globs")
    parser.add_argument("--list", action="store_true", help="show the names and stop")
    parser.add_argument("--check", action="store_true", help="only compare the results with PyTorch's")
    parser.add_argument("--count", action="store_true", help="count minivision's operations and bytes instead of timing them")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads, for all sides (1 2)")
    parser.add_argument("--runs", type=int, default=15, help="rounds of turns for each case, at most (15)")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each case, after which 5 rounds do, or 3 (3)")
    parser.add_argument(
        "--peers", nargs="*", choices=("torch", *OTHERS), metavar="FRAMEWORK",
        help=f"beside PyTorch, which is always there: {' '.join(OTHERS)} (all of them without names and for `peers`, else none)",
    )  # fmt: skip
    parser.add_argument(
        "--heap", choices=("kept", "system"), default="kept",
        help="whether freed memory stays with the process, which spares PyTorch page faults (kept), or as the C library does it",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, default=RESULTS / "bench.json", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--plot", type=Path, default=RESULTS / "bench.png", metavar="FILE", help="default: %(default)s")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    scripts = [name for name in options.names if name in SCRIPTS]
    names = [name for name in options.names if name not in SCRIPTS]
    everything = not options.names
    try:
        cases = list(CASES) if everything else chosen(CASES, names)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if options.list:
        print(listing(cases))
        return 0
    if options.check:
        return compare(cases, options.threads)

    failed = False
    if options.count:
        print_counts(cases)
    elif cases:
        failed = measure(cases, options)
        if everything:
            print_counts([case for case in cases if case.name in COUNTED])
    for name in ["import-time"] if everything and not options.count else scripts:
        print(f"\n== {name}", flush=True)
        failed |= bool(subprocess.run([sys.executable, "-m", f"benchmarks.{name.replace('-', '_')}"], cwd=HERE.parent).returncode)
    return 1 if failed else 0


def listing(cases: Sequence[Case]) -> str:
    """Groups, cases and scripts, each with what it is."""
    groups = sorted({group for case in cases for group in case.groups})
    lines = [f"{case.name:<26} {case.title}" for case in cases]
    return "\n".join([f"groups: {' '.join(groups)}", "", *lines, "", *(f"{name:<26} {what}" for name, what in SCRIPTS.items())])


def compare(cases: Sequence[Case], threads: Sequence[int]) -> int:
    """Compare the results of every case with PyTorch's without measuring anything; 1 if some differ."""
    failed = 0
    for case in cases:
        for number in [] if case.memory else threads:
            try:
                print(f"{case.name:<26} {number:>7}  {prepared(case, number)[1]:.1e}", flush=True)
            except Exception as error:  # one case that cannot be run does not stop the others
                failed = 1
                print(f"{case.name:<26} {number:>7}  FAILED: {error}", flush=True)
    return failed


def measure(cases: Sequence[Case], options: argparse.Namespace) -> bool:
    """Print the table while it is made, then write JSON and plot; whether a case failed."""
    peers = options.peers
    if peers is None:
        peers = OTHERS if not options.names or "peers" in options.names else ()
    peers = [name for name in peers if name in OTHERS] if any(case.peer for case in cases) else []
    heap = "kept" if options.heap == "kept" and frameworks.keep_heap() else "of the system"
    bench = Bench(options.threads, options.runs, options.seconds, peers)
    run: dict[str, Any] = {
        "machine": frameworks.machine(),
        "versions": frameworks.versions() | {r.title: ", ".join(map(" ".join, r.versions.items())) for r in bench.remotes},
        "limits": [bound.as_dict() for bound in bench.limits.values()],
        "threads": options.threads,
        "heap": heap,
        "notes": bench.notes,
    }
    print(f"{run['machine']['processor']}, {run['machine']['cores']} cores; float32, medians of turns A B A B, heap {heap}")
    print("; ".join(f"{name} {version}" for name, version in run["versions"].items()))
    for bound in bench.limits.values():
        print(f"limits, {bound}")
    print(f"\n{report.HEADER}")

    rows: list[Row] = []
    failed = False
    for case in cases:
        for threads in options.threads:
            try:
                for row in bench.rows(case, threads):
                    rows.append(row)
                    print(report.line(row), flush=True)
            except Exception as error:  # one case that cannot be run does not stop the others
                failed = True
                bench.notes.append(f"{case.name}, {threads} thr.: {error}")
                print(f"{case.name:<26} {threads:>7} FAILED: {error}", flush=True)
    bench.close()

    print()
    pixels = {case.name: case.pixels for case in cases if case.pixels}
    for text in [*report.per_pixel(rows, pixels), report.summary(rows), *bench.notes]:
        if text:
            print(text)
    if rows:
        report.write_json(options.json, run, rows)
        report.plot(options.plot, rows, "; ".join(f"{k} {v}" for k, v in list(run["versions"].items())[:4]))
        print(f"written: {options.json}, {options.plot}")
    return failed


def print_counts(cases: Sequence[Case]) -> None:
    found = counts(cases)
    print(f"\n{report.COUNTS_HEADER}")
    for count in found:
        print(report.counts_line(count))


if __name__ == "__main__":
    raise SystemExit(main())
