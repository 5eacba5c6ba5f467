"""The other side: runs in the environment of one framework, takes orders on standard input, answers on standard output.

One JSON object a line. {"do": "versions"}; {"do": "prepare", "work", "inputs", "outputs", "threads"}, arrays as .npz files;
{"do": "turn", "calls", "warm_up"}. Any answer may be {"error": why}. It needs the framework, NumPy and threadpoolctl, and old
versions of them do.
"""

import importlib
import json
import os
import platform
import sys


def old_names(np):
    """Names that NumPy took away and that Chainer 7.8 and DeZero still use, as NumPy defined them."""
    before = {name: getattr(__import__("builtins"), name) for name in ("bool", "int", "float", "complex", "object", "str")}
    before["sctypes"] = {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64],
        "complex": [np.complex64, np.complex128],
        "others": [bool, object, bytes, str, np.void],
    }
    for name, value in before.items():
        if name not in vars(np):
            setattr(np, name, value)


def main(module):
    # What a framework prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    handle = None
    for line in sys.stdin:
        try:
            if handle is None:
                handle = Worker(module)
            answer = handle.answer(json.loads(line))
        except Exception as error:  # of whatever kind: the other side says so
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    def __init__(self, module):
        import numpy as np

        old_names(np)
        self.np, self.name = np, module
        self.framework = importlib.import_module(module)
        self.works = importlib.import_module(f"benchmarks.peers.in_{module}").WORKS
        self.threads = self.program = None

    def answer(self, order):
        if order["do"] == "versions":
            version = getattr(self.framework, "__version__", None) or _installed(self.name)
            return {"versions": {self.name: version, "NumPy": self.np.__version__, "Python": platform.python_version()}}
        if order["do"] == "prepare":
            return self.prepare(order)
        return {"seconds": self.program.turn(order["calls"], order["warm_up"])}

    def prepare(self, order):
        from threadpoolctl import threadpool_limits

        from benchmarks.timing import Local

        work = order["work"]
        build = self.works[work["work"]]
        if isinstance(build, str):  # why it cannot
            return {"error": build}
        self.threads = threadpool_limits(order["threads"])  # stays until the next one
        with self.np.load(order["inputs"]) as arrays:
            step = build(work, dict(arrays))
        self.np.savez(order["outputs"], **step())
        self.program = Local(step)
        return {}


def _installed(name):
    from importlib import metadata

    return metadata.version(name)


if __name__ == "__main__":
    main(sys.argv[1])
