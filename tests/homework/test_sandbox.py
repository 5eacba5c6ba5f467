"""Hostile and clumsy code: every case is a failed check with a clear message, the tool goes on, and the other checks count."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from minivision.homework import sandbox, source
from minivision.homework.submission import Chunk, Submission

TEXT = """\
# ---
# title: Two functions
# topic: tests
# level: 1
# points: 5
# ---

# %%
import numpy as np

# %% tags=["task"]
def double(x):
    # BEGIN SOLUTION
    return 2 * x
    # END SOLUTION

# %% tags=["task"]
def square(x):
    # BEGIN SOLUTION
    return x * x
    # END SOLUTION

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

@checked("double", points=2)
def doubles(student):
    x = np.array([1.0, 2.0, 3.0])
    expect.close("double(x)", student.double(x), np.array([2.0, 4.0, 6.0]))

@checked("square", points=3)
def squares(student):
    expect.equal("square(x)", student.square(np.array([1.0, -2.0])), np.array([1.0, 4.0]))
"""
SOURCE = source.parse(TEXT, "two-functions")
SQUARE = "\ndef square(x):\n    return x * x\n"
posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX's")


def run(code, time_limit=10.0, memory_limit=sandbox.MEMORY_LIMIT):
    text = "import numpy as np\nimport os, sys, signal, threading, subprocess, time, builtins\n" + textwrap.dedent(code)
    handed_in = Submission("", [Chunk("two.py", text)])
    (first, second), notes, printed = sandbox.run(SOURCE, TEXT, handed_in, time_limit=time_limit, memory_limit=memory_limit)
    return first, second, notes, printed


def test_right_code():
    first, second, notes, printed = run("def double(x): return x + x" + SQUARE)
    assert (first.status, second.status) == ("passed", "passed")
    assert (first.earned, second.earned) == (2, 3)
    assert (notes, printed) == ([], "")


# name: (the body of `double`, which returns the right result if it returns at all; status; words of the message)
HOSTILE = {
    "an exception": ("return x + y", "error", "NameError: name 'y' is not defined\n  two.py, line 4, in double: return x + y"),
    "a deep recursion": ("return double(x)", "error", "RecursionError"),
    "sys.exit": ("sys.exit(0)", "error", "SystemExit: 0\n  two.py, line 4, in double: sys.exit(0)\nexit(), quit() and"),
    "exit": ("exit()", "error", "exit(), quit() and sys.exit() end the program"),
    "SystemExit": ("raise SystemExit", "error", "SystemExit"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
    "os._exit": ("os._exit(0)", "crashed", "ended with exit code 0 in the middle of it"),
    "os._exit with a code": ("os._exit(7)", "crashed", "exit code 7"),
    "kills itself": ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", "SIGKILL"),
    "kills its group": ("os.killpg(0, signal.SIGKILL)", "crashed", "SIGKILL"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
    "closes everything": ("os.closerange(0, 200); return 2 * x", "crashed", ""),
    "input": ("input('x?'); return 2 * x", "error", "input() gets no answer"),
    "kills the tool": ("os.kill(os.getppid(), signal.SIGKILL)", "error", "sends a signal to another process"),
    "a huge array": ("a = np.zeros((400, 1 << 20)) + 1; return 2 * x", "memory", "\n  two.py, line 4, in double: a = np.zeros"),
    "a growing list": ("a = [0]\n    while True: a = a + a", "memory", "more memory than there is"),
    "a thread left running": (
        "threading.Thread(target=time.sleep, args=(60,)).start(); return 2 * x",
        "failed", "leaves a thread running",
    ),
    "a process left running": (
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); return 2 * x",
        "failed", "leaves a process running",
    ),
    "np.allclose replaced": ("np.allclose = lambda *a, **k: True; return x", "failed", "replaces numpy.allclose"),
    "np.abs replaced": ("np.abs = lambda x: np.zeros(()); return x", "failed", "replaces numpy.abs"),
    "builtins replaced": ("builtins.AssertionError = ValueError; return x", "failed", "replaces builtins.AssertionError"),
    "expect replaced": (
        "import minivision.homework as h; h.expect.close = lambda *a, **k: None; return x",
        "failed", "replaces minivision.homework.expect.close",
    ),
    "the code of expect replaced": (
        "import minivision.homework as h; h.expect.close.__code__ = (lambda *a, **k: None).__code__; return x",
        "failed", "replaces minivision.homework.expect.close",
    ),
    "a report that is always right": (
        "from minivision.check import GradientReport as G; G.ok = True; return x",
        "failed", "GradientReport.ok",
    ),
    "x is changed": ("x *= 2; return x", "failed", "double changes its argument x in place"),
    "x is changed to fit": ("x[:] = 0; return x", "failed", "(it is 0 everywhere)"),
    "PyTorch": ("import torch; return 2 * x", "error", "to be written with NumPy, so torch cannot be imported"),
    "the library": ("from minivision import nn; return 2 * x", "error", "minivision cannot be imported"),
    "reads the solution": (
        "import minivision.homework as h; return open(h.__path__[0] + '/exercises/relu.py').read()",
        "error", "sources hold the solutions",
    ),
    "a lying __eq__": (
        "class Yes:\n        shape, dtype = (3,), np.dtype(float)\n        def __eq__(self, o): return True\n    return Yes()",
        "failed", "double(x) is a Yes where a NumPy array is right",
    ),
    "a subclass of ndarray": (
        "class A(np.ndarray):\n        def __array_ufunc__(self, *a, **k): return np.ones(3, bool)\n    return x.view(A)",
        "failed", "double(x) is an A where a NumPy array is right",
    ),
    "None": ("2 * x", "failed", "double(x) is None where a NumPy array is right; does the function end with return?"),
    "a list": ("return [2.0, 4.0, 6.0]", "failed", "a list where a NumPy array is right"),
    "float32": ("return np.float32(2) * x.astype(np.float32)", "failed", "float32 where float64 is right"),
    "another shape": ("return 2 * x[:, None]", "failed", "shape (3, 1) where (3,) is right (2 axes in place of 1)"),
    "wrong numbers": ("return 4 * x", "failed", "differs in all 3 entries; at [2] it is 12 where 6 is right (it is 2 times"),
    "not written": ("raise NotImplementedError('Task: write double')", "not written", "Task: write double"),
}  # fmt: skip
ON_POSIX = {
    *("kills itself", "kills its group", "kills the tool", "a segmentation fault", "closes everything"),
    "a process left running",
}
WITH_LIMITS = {"a huge array", "a growing list"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code(name):
    if name in ON_POSIX and os.name != "posix":
        pytest.skip("POSIX only")
    if name in WITH_LIMITS and not sys.platform.startswith("linux"):
        pytest.skip("memory is limited on Linux only")
    body, status, words = HOSTILE[name]
    memory = 200 << 20 if status == "memory" else sandbox.MEMORY_LIMIT
    first, second, _, _ = run(f"def double(x):\n    {body}\n{SQUARE}", memory_limit=memory)
    assert first.status == status, first.message
    assert words in first.message
    assert first.message
    assert first.earned == 0
    assert second.status == "passed", second.message


HARMLESS = {
    "megabytes of output": "sys.stdout.write('x' * 5_000_000); return 2 * x",
    "stdout closed": "sys.stdout.close(); return 2 * x",
    "print": "print('x is', x); return 2 * x",
    "a thread that was waited for": "t = threading.Thread(target=time.sleep, args=(0.01,)); t.start(); t.join(); return 2 * x",
    "a program that was waited for": "subprocess.run([sys.executable, '-c', '']); return 2 * x",
    "settings of NumPy": "np.seterr(all='raise'); np.random.seed(0); return 2 * x",
    "an assertion that holds": "assert (x == x).all(); return 2 * x",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_code(name):
    first, second, _, printed = run(f"def double(x):\n    {HARMLESS[name]}\n{SQUARE}")
    assert first.status == "passed", first.message
    assert second.status == "passed", second.message
    assert printed == {"megabytes of output": "x" * 10_000, "print": "x is [1. 2. 3.]\n"}.get(name, "")


@pytest.mark.parametrize("loop", ["while True: pass", "while True: print('x' * 1000)", "time.sleep(1000)", "signal.pause()"])
def test_endless_loops_end_at_the_time_limit(loop):
    began = time.monotonic()
    first, second, _, _ = run(f"def double(x):\n    {loop}\n{SQUARE}", time_limit=0.7)
    assert first.status == "timeout"
    said, where = first.message.split("\n")
    assert said == "no result within 0.7 s; is there a loop that does not end, or one over far too many entries?"
    assert where == f"  two.py, line 4, in double: {loop}"
    assert first.seconds >= 0.7
    assert second.status == "passed"
    assert time.monotonic() - began < 30


@posix
def test_catching_everything_does_not_help_against_the_time_limit():
    code = "def double(x):\n    while True:\n        try: time.sleep(1)\n        except BaseException: pass\n"
    code += "for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM): signal.signal(s, signal.SIG_IGN)\n"
    first, second, _, _ = run(code + SQUARE, time_limit=0.7)
    assert (first.status, second.status) == ("timeout", "passed")


@posix
def test_processes_of_the_student_end_with_the_check(tmp_path):
    marker = tmp_path / "alive"
    script = f"import time\nfor i in range(100):\n    time.sleep(0.1)\n    open({str(marker)!r}, 'a').write('x')"
    run(f"def double(x):\n    subprocess.Popen([sys.executable, '-c', {script!r}]); time.sleep(0.5); return 2 * x\n{SQUARE}")
    written = marker.stat().st_size if marker.exists() else 0
    time.sleep(0.5)
    assert (marker.stat().st_size if marker.exists() else 0) == written


@posix
def test_a_fork_that_returns_twice_does_not_count_twice():
    first, second, _, _ = run(f"def double(x):\n    os.fork()\n    return 2 * x\n{SQUARE}")
    assert first.status in ("passed", "failed")  # failed if the second process is still there when it is looked for
    assert second.status == "passed"


@posix
@pytest.mark.parametrize("line", [b"passed", b"0" * 32 + b' {"event": "done"}', b'{"event": "result", "check": 0}', b"\0\xff"])
def test_lines_without_the_token_are_no_results(line):
    """What an innocent or a guessing write to every open file can do: nothing."""
    write = f"""
    for fd in range(1, 30):
        try: os.write(fd, b"\\n" + {line!r} + b"\\n" + {line!r})
        except OSError: pass
    return x
    """
    first, second, _, _ = run("def double(x):" + write + SQUARE)
    assert first.status == "failed"
    assert first.message.startswith("double(x) differs in all 3 entries")
    assert second.status == "passed"


# ---- loading the file ----


def test_a_syntax_error():
    first, second, notes, _ = run("def double(x):\n    return 2 *\n" + SQUARE)
    assert (first.status, second.status) == ("not written", "not written")
    assert (
        "double is not defined, because your code stopped before: SyntaxError: invalid syntax\n  two.py, line 4" in first.message
    )
    assert notes[0].startswith("your code stopped with SyntaxError")


def test_what_was_defined_before_an_error_is_checked():
    first, second, notes, _ = run("def double(x): return 2 * x\nprint(double([1]) + 'a')\n" + SQUARE)
    assert (first.status, second.status) == ("passed", "not written")
    assert "square is not defined, because your code stopped before: TypeError" in second.message
    assert "two.py, line 4: print(double([1]) + 'a')" in notes[0]


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("while True: pass", "timeout", "while your code was loaded, before any check: no result within 0.7 s"),
        ("os._exit(0)", "crashed", "while your code was loaded, before any check: the process ended with exit code 0"),
    ],
)
def test_a_file_that_cannot_be_loaded(line, status, words):
    first, second, _, _ = run(f"{line}\ndef double(x): return 2 * x\n{SQUARE}", time_limit=0.7)
    assert first.status == second.status == status
    assert first.message.startswith(words)


def test_exit_at_the_end_of_the_file():
    first, second, notes, _ = run(f"def double(x): return 2 * x\n{SQUARE}\nsys.exit()")
    assert (first.status, second.status) == ("passed", "passed")
    assert notes[0].startswith("your code stopped with SystemExit")


def test_replacing_parts_of_numpy_while_loading_fails_every_check():
    first, second, notes, _ = run(f"np.array_equal = lambda *a: True\ndef double(x): return 2 * x\n{SQUARE}")
    assert first.status == second.status == "failed"
    assert first.message.startswith("your code replaces numpy.array_equal, which was put back")
    assert notes == [first.message]


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "10"])
def test_time_limits_that_are_none(limit):
    with pytest.raises(ValueError, match="must be a positive number of seconds"):
        run("", time_limit=limit)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
def test_the_memory_limit_is_that_of_the_caller():
    body = "a = np.ones(40_000_000); return 2 * x"  # 320 MB
    assert run(f"def double(x):\n    {body}\n{SQUARE}")[0].status == "passed"
    assert run(f"def double(x):\n    {body}\n{SQUARE}", memory_limit=100 << 20)[0].status == "memory"
    assert run(f"def double(x):\n    {body}\n{SQUARE}", memory_limit=None)[0].status == "passed"


@posix
def test_a_child_that_cannot_start_is_an_error_of_the_tool(monkeypatch):
    monkeypatch.setattr(sandbox, "_BOOT", "raise SystemExit('no such module')")
    with pytest.raises(RuntimeError, match=r"(?s)the process for the checks did not start.*no such module"):
        run(f"def double(x): return 2 * x\n{SQUARE}")


def test_without_resource_there_is_the_time_limit_only(monkeypatch):
    """As on Windows, where the module does not exist."""
    boot = sandbox._BOOT.replace("import sys, json;", "import sys, json; sys.modules['resource'] = None;")
    monkeypatch.setattr(sandbox, "_BOOT", boot)
    first, second, _, _ = run(f"def double(x):\n    while True: pass\n{SQUARE}", time_limit=0.7)
    assert (first.status, second.status) == ("timeout", "passed")
    assert run(f"def double(x):\n    a = np.ones(200_000_000, bool); return 2 * x\n{SQUARE}")[0].status == "passed"


# ---- in this process ----


def test_the_same_checks_in_this_process():
    code = f"import numpy as np\ndef double(x): np.allclose = None; return x\n{SQUARE}"
    first, second = sandbox.run_here(SOURCE, Submission("", [Chunk("two.py", code)]))
    assert first.status == "failed"
    assert "numpy.allclose" in first.message
    assert second.status == "passed"
    import numpy as np

    assert np.allclose(1, 1)


@posix
def test_the_time_limit_in_this_process():
    code = f"def double(x):\n    while True: pass\n{SQUARE}"
    first, second = sandbox.run_here(SOURCE, Submission("", [Chunk("two.py", code)]), time_limit=0.3)
    assert (first.status, second.status) == ("timeout", "passed")
    assert "no result within 0.3 s" in first.message


def test_isolation_from_the_folder(tmp_path):
    """A file numpy.py beside the student's hides nothing; a module of the student's own is found."""
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')")
    (tmp_path / "helper.py").write_text("def twice(x): return 2 * x")
    file = tmp_path / "two_functions.py"
    file.write_text(f"import numpy as np\nfrom helper import twice\ndef double(x): return twice(x)\n{SQUARE}")
    script = (
        "from minivision.homework import sandbox, source, submission\n"
        f"text = {TEXT!r}\n"
        f"results = sandbox.run(source.parse(text, 'two-functions'), text, submission.read({str(file)!r}))[0]\n"
        "print([r.status for r in results])"
    )
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    first = f"import sys\nsys.path.insert(0, {here!r})\nsys.path.remove('')\n"
    done = subprocess.run([sys.executable, "-c", first + script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "['passed', 'passed']", done.stderr
