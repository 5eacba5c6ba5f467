"""The kit around the exercises: sources, versions, starting, hints, comparing, checking files and notebooks, the command."""

from __future__ import annotations

import ast
import builtins
import json
import os
import re
import textwrap

import numpy as np
import pytest

from minivision import check, homework
from minivision.cli import main
from minivision.homework import checking, exercise, expect, sandbox, source, submission

HEADER = "# ---\n# title: T\n# topic: t\n# level: 1\n# points: 3\n# ---\n\n"
TASK = '# %% tags=["task"]\ndef f(x):\n    """Doc."""\n    # BEGIN SOLUTION\n    return x\n    # END SOLUTION\n'
CHECKS = """# %% tags=["checks"]
from minivision.homework import checked

@checked("f", points=3)
def c(student):
    student.f(1)
"""  # ---- sources ----


def test_a_source_is_read():
    read = source.parse(
        HEADER + "# %% [markdown]\n# # T\n#\n# text\n\n# %%\nimport numpy as np\n\n" + TASK
        + '\n# %% [markdown] tags=["hint"]\n# Think.\n\n' + CHECKS,
        "my-exercise",
    )  # fmt: skip
    assert (read.title, read.topic, read.level, read.points) == ("T", "t", 1, 3)
    assert [(c.kind, c.tags, c.line) for c in read.cells] == [
        ("markdown", (), 9), ("code", (), 14), ("code", ("task",), 17), ("markdown", ("hint",), 24), ("code", ("checks",), 27),
    ]  # fmt: skip
    assert read.cells[0].text == "# T\n\ntext"
    assert read.hints == ("Think.",)
    assert read.tasks == read.functions == ("f",)


def test_methods_and_nested_functions_are_named_by_what_is_written():
    text = """
    # %% tags=["task"]
    class Value:
        def __init__(self, x):
            self.x = x

        def add(self, other):
            # BEGIN SOLUTION
            def inner():
                return 1
            return inner()
            # END SOLUTION

    def walk(v):
        for i in range(3):
            # BEGIN SOLUTION
            pass
            # END SOLUTION
    """
    read = source.parse(HEADER + textwrap.dedent(text) + CHECKS, "e")
    assert read.tasks == ("Value.add", "walk")
    assert read.functions == ("Value", "walk")
    student = source.student_cells(read)[0].text
    assert '        raise NotImplementedError("Task: write Value.add")\n' in student + "\n"
    assert '        raise NotImplementedError("Task: write walk")' in student
    assert "inner" not in student
    ast.parse(student)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (TASK + CHECKS, 1, "the header is missing"),
        ("# ---\n# title: T\nx = 1\n", 3, "is no header entry"),
        ("# ---\n# title: T\n", 2, "has no closing"),
        (HEADER.replace("# topic: t\n", "") + TASK + CHECKS, 5, "no entry '# topic: ...'"),
        (HEADER.replace("level: 1", "level: easy") + TASK + CHECKS, 4, "level: 'easy' is not a whole number"),
        (HEADER + "x = 1\n" + TASK + CHECKS, 8, "'x = 1' stands before the first cell"),
        (HEADER + '# %% tags=["taks"]\n' + TASK + CHECKS, 8, "the tag 'taks' is unknown"),
        (HEADER + "# %% tags=[task]\n" + TASK + CHECKS, 8, "not a list of strings"),
        (HEADER + "# %% tags: task\n" + TASK + CHECKS, 8, "tags are written"),
        (HEADER + "# %% [markdown]\n# one\ntwo\n" + TASK + CHECKS, 10, "'two' stands in a markdown cell"),
        (HEADER + "# %%\nx = = 1\n" + TASK + CHECKS, 9, "this is not Python"),
        (HEADER + TASK.replace("    # END SOLUTION\n", "") + CHECKS, 11, "without an '# END SOLUTION' in the same cell"),
        (HEADER + TASK.replace("    # BEGIN SOLUTION\n", "") + CHECKS, 12, "without a '# BEGIN SOLUTION' before it"),
        (HEADER + TASK.replace("    return x\n", "    # BEGIN SOLUTION\n    return x\n") + CHECKS, 12, "a second '# BEGIN"),
        (HEADER + '# %% tags=["task"]\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n' + CHECKS, 9, "outside a function"),
        (HEADER + TASK.replace(' tags=["task"]', "") + CHECKS, 11, "outside a task"),
        (HEADER + '# %% tags=["task"]\ndef f(): pass\n' + CHECKS, 9, "has no region"),
        (HEADER + TASK.replace("    # BEGIN", "    x = [\n    # BEGIN").replace("return x", "1") + "    ]\n" + CHECKS, 12,
         "without the solution the cell is not Python any more"),
        (HEADER + '# %% tags=["hint"]\nx = 1\n' + TASK + CHECKS, 9, "a hint is text"),
        (HEADER + '# %% [markdown] tags=["task"]\n# x\n' + CHECKS, 9, "belong in code cells"),
        (HEADER + TASK, 13, 'no cell with tags=["checks"]'),
        (HEADER + CHECKS, 13, 'no cell with tags=["task"]'),
    ],
)  # fmt: skip
def test_malformed_sources(text, line, words):
    with pytest.raises(source.SourceError) as raised:
        source.parse(text, "my-exercise")
    assert str(raised.value).startswith(f"my-exercise.py, line {line}: ")
    assert words in str(raised.value)


def checks_of(text, points=3):
    return checking.load_checks(source.parse(HEADER.replace("points: 3", f"points: {points}") + TASK + text, "e"))


def test_checks_are_loaded_and_counted():
    two = CHECKS + CHECKS.replace('# %% tags=["checks"]', "").replace('"f"', '"g"').replace("def c", "def d")
    assert [(c.title, c.points) for c in checks_of(two, 6)] == [("f", 3), ("g", 3)]
    with pytest.raises(source.SourceError, match="the checks have 6 points together, but the header says points: 7"):
        checks_of(two, 7)
    with pytest.raises(source.SourceError, match="two checks have the same title, 'f'"):
        checks_of(two.replace('"g"', '"f"'), 6)
    with pytest.raises(source.SourceError, match="no function of the checks is decorated"):
        checks_of('# %% tags=["checks"]\nx = 1\n')
    with pytest.raises(ValueError, match="points=0 must be"):
        homework.checked("f", points=0)
    with pytest.raises(TypeError, match="title=3 must be"):
        homework.checked(3, points=1)


# ---- versions ----


def test_versions_can_be_read_again():
    relu = homework.load("relu")
    for text in (relu.student(), relu.solution()):
        header = re.search(r"# ---\n(.*?)# ---\n", text, re.DOTALL)[1]
        assert header.splitlines() == [
            "# exercise: relu", "# title: ReLU", "# topic: activation", "# level: 1", "# points: 10",
        ]  # fmt: skip
        compile(text, "relu.py", "exec")


def test_versions_are_those_of_jupytext():
    """What other programs read from our file is what we meant."""
    jupytext = pytest.importorskip("jupytext")
    relu = homework.load("relu")
    cells = relu.cells()
    head, *read = jupytext.reads(relu.student(), fmt="py:percent").cells
    assert "exercise: relu" in head.source
    assert [cell.cell_type for cell in read] == [cell.kind for cell in cells]
    assert [cell.source for cell in read] == [cell.text for cell in cells]
    assert [tuple(cell.metadata.get("tags", [])) for cell in read] == [cell.tags for cell in cells]


def test_notebooks_are_valid():
    nbformat = pytest.importorskip("nbformat")
    for one in homework.list():
        for text in (one.student(notebook=True), one.solution(notebook=True)):
            notebook = nbformat.reads(text, as_version=4)
            nbformat.validate(notebook)
            assert notebook.metadata.minivision.exercise == one.name


# ---- finding, starting, hints ----


def test_the_list():
    listed = homework.list()
    assert "relu" in [one.name for one in listed]
    assert "activation\n  relu  " in str(listed)
    assert homework.list().topics()["activation"][0].name == "relu"
    assert repr(homework.load("relu")) == "<exercise relu: ReLU, 10 points>"
    assert homework.load("max_pooling" if "max-pooling" in str(listed) else "relu").name in str(listed)


@pytest.mark.parametrize("name", ["rellu", "../exercise", "", "relu.py", "__init__"])
def test_no_such_exercise(name):
    with pytest.raises(ValueError, match=rf"there is no exercise '{re.escape(name)}'; "):
        homework.load(name)


def test_near_names_are_offered():
    with pytest.raises(ValueError, match="did you mean relu"):
        homework.load("rellu")


def test_start_writes_and_never_overwrites(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = homework.start("relu")
    assert str(file) == "relu.py"
    assert file.read_text() == homework.load("relu").student()
    file.write_text("my work")
    with pytest.raises(FileExistsError, match=r"relu.py is there already and is never overwritten; .* --path OTHER.py"):
        homework.start("relu")
    assert file.read_text() == "my work"
    assert homework.start("relu", "week1/").as_posix() == "week1/relu.py"
    assert homework.start("relu", "week1", notebook=True).as_posix() == "week1/relu.ipynb"
    assert homework.start("relu", "week1/mine.py").as_posix() == "week1/mine.py"
    with pytest.raises(ValueError, match=r"mine.txt must end in .py"):
        homework.start("relu", "mine.txt")


def test_hints_open_one_at_a_time(tmp_path):
    hints = homework.load("relu").hints
    first = homework.hint("relu", tmp_path)
    assert first == f"Hint 1 of 2 for relu (1 more is left):\n\n{hints[0]}"
    assert hints[1] not in first
    assert homework.hint("relu", tmp_path) == f"Hint 2 of 2 for relu (this was the last one):\n\n{hints[1]}"
    everything = homework.hint("relu", tmp_path)
    assert everything.startswith("All 2 hints of relu are open")
    assert all(hint in everything for hint in hints)
    assert everything._repr_markdown_() == repr(everything) == str(everything)
    other = tmp_path / "other"
    other.mkdir()
    assert "Hint 1 of 2" in homework.hint("relu", other)


@pytest.mark.parametrize("content", ["not JSON", "[]", '{"relu": "many"}', '{"relu": -3}'])
def test_hints_do_not_stumble_over_a_damaged_memory(tmp_path, content):
    (tmp_path / exercise.REMEMBERED).write_text(content)
    assert "Hint 1 of 2" in homework.hint("relu", tmp_path)


def test_hints_where_nothing_can_be_written(tmp_path):
    assert "Hint 1 of 2" in homework.hint("relu", tmp_path / "missing")


# ---- expect ----

RIGHT = np.arange(60.0).reshape(3, 4, 5)


def changed(index, value=-1.0):
    x = RIGHT.copy()
    x[index] = value
    return x


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (changed((0, 1, 2)), "out differs in 1 of 60 entries, only in column 2; at [0, 1, 2] it is -1 where 7 is right"),
        (changed(np.s_[:, -1]), "out differs in 15 of 60 entries, only in the last row; at [2, 3, 4] it is -1 where 59 is right"),
        (changed(np.s_[:, 0]), "only in the first row"),
        (changed(np.s_[..., -1]), "only in the last column"),
        (changed(np.s_[..., [1, 3]]), "only in columns 1, 3"),
        (changed(np.s_[1]), "only where index 0 is 1; at [1, 3, 4]"),
        (changed(np.s_[:, 1:-1, 1:-1]), "only inside, not at the border of the last two axes"),
        (np.where(np.pad(np.ones((2, 3)), 1)[None] == 1, RIGHT, -1), "only at the border of the last two axes"),
        (changed((0, 0, 0), np.nan), "at [0, 0, 0] it is nan where 0 is right"),
        (changed((0, 0, 0), np.inf), "it is inf where 0 is right"),
        (RIGHT[:, :3], "out has shape (3, 3, 5) where (3, 4, 5) is right"),
        (RIGHT.ravel(), "out has shape (60,) where (3, 4, 5) is right (1 axis in place of 3)"),
        (RIGHT.astype(np.float32), "out is float32 where float64 is right; give the dtype"),
        (RIGHT.astype(int), "out is int64 where float64 is right"),
        (-RIGHT, "(everywhere the sign is wrong)"),
        (3 * RIGHT, "(it is 3 times the right result)"),
        (RIGHT / 4, "(it is the right result divided by 4)"),
        (RIGHT[..., ::-1], "(it is the right result mirrored left to right)"),
        (RIGHT[:, ::-1], "upside down"),
        (RIGHT[:, ::-1, ::-1], "turned by 180 degrees"),
        (0 * RIGHT, "(it is 0 everywhere)"),
        (None, "out is None where a NumPy array is right; does the function end with return?"),
        (RIGHT.tolist(), "out is a list where a NumPy array is right of 3 entries; return np.array(...)"),
        ((RIGHT, RIGHT), "out is a tuple where a NumPy array is right of 2 entries"),
        ("text", "out is a str where"),
        (np.ma.masked_array(RIGHT), "out is a MaskedArray where"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("comparison", [expect.equal, expect.close])
def test_differences_in_words(comparison, given, sentence):
    with pytest.raises(AssertionError) as raised:
        comparison("out", given, RIGHT)
    assert sentence in str(raised.value)
    assert "array(" not in str(raised.value).replace("np.array(", "")
    assert len(str(raised.value)) < 250


def test_square_results_that_are_transposed():
    x = RIGHT[:, :, :4]
    with pytest.raises(AssertionError, match=r"\(it is the right result with its last two axes exchanged\)"):
        expect.equal("w", np.swapaxes(x, 1, 2), x)


def test_samples_and_channels():
    x = np.ones((2, 3, 4, 5))
    wrong = x.copy()
    wrong[1] = 0
    with pytest.raises(AssertionError, match="60 of 120 entries, only in the last sample; at"):
        expect.equal("out", wrong, x)
    wrong = x.copy()
    wrong[:, 1] = 0
    with pytest.raises(AssertionError, match="only in channel 1; at"):
        expect.equal("out", wrong, x)


def test_what_is_equal():
    expect.equal("a", np.array([1.0, np.nan, -0.0, np.inf]), np.array([1.0, np.nan, 0.0, np.inf]))
    expect.equal("a", np.zeros((0, 3)), np.zeros((0, 3)))
    expect.equal("a", np.arange(3, dtype=np.int32), np.arange(3))
    expect.equal("a", 3, 3)
    expect.equal("a", np.float64(0.5), 0.5)
    expect.equal("a", np.array(["x"]), np.array(["x"]))
    expect.close("a", np.array([1.0, 0.0]), np.array([1.0 + 1e-9, 1e-9]))
    expect.close("a", np.float32([1.0]), np.float32([1.00001]))
    expect.close("a", 1, 1.0)
    expect.shape("a", RIGHT, (3, None, 5))
    expect.that(True, "never said")
    expect.that(np.bool_(True), "never said")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: expect.equal("n", 2, 3), "n is 2 where 3 is right"),
        (lambda: expect.equal("a", np.array([1.0]), np.array([1.0 + 1e-15])), "a differs in its only entry"),
        (lambda: expect.equal("a", np.array([1]), np.array([True])), "a is int64 where bool is right"),
        (lambda: expect.close("a", np.array([1.0, 0.0]), np.array([1.0, 1e-6])), "in 1 of 2 entries, only in the last entry"),
        (lambda: expect.close("a", np.array([1.0]), np.array([np.nan])), "it is 1 where nan is right"),
        (lambda: expect.shape("a", RIGHT, (3, 4)), "a has shape (3, 4, 5) where (3, 4) is right (3 axes in place of 2)"),
        (lambda: expect.shape("a", RIGHT, (None, 5, 5)), "where (any, 5, 5) is right"),
        (lambda: expect.that(False, "boxes overlap"), "boxes overlap"),
    ],
)
def test_more_differences(call, sentence):
    with pytest.raises(AssertionError) as raised:
        call()
    assert sentence in str(raised.value)


def test_a_condition_must_be_one():
    with pytest.raises(TypeError, match=r"use .all\(\) or .any\(\)"):
        expect.that(np.ones(3), "x")


# ---- judging ----


def judged(body, check_body="expect.equal('f(x)', student.f(np.ones(3)), np.ones(3))"):
    text = CHECKS.replace("student.f(1)", check_body).replace(
        "from minivision.homework import checked",
        "import numpy as np\nfrom minivision import check\nfrom minivision.homework import checked, expect",
    )
    read = source.parse(HEADER + TASK + text, "e")
    (result,) = sandbox.run_here(read, submission.Submission("", [submission.Chunk("e.py", f"import numpy as np\n{body}")]))
    return result


def test_a_report_decides():
    pair = "def f(x): return x * x, x\ndef g(d, x): return {} * d * x"
    body = "return check.backward(student.f, student.g, np.arange(1.0, 4.0))"
    right, wrong = judged(pair.format(2), body), judged(pair.format(1), body)
    assert right.status == "passed"
    assert right.report["verdict"] == "right"
    assert wrong.status == "failed"
    assert wrong.message.startswith("wrong: ")
    assert wrong.report["verdict"] == "wrong"
    json.dumps(wrong.to_dict())


def test_an_adjoint_report_decides():
    body = "return check.adjoint(student.f, student.g, (3,), arrays=True)"
    assert judged("def f(x): return 2 * x\ndef g(y): return 2 * y", body).status == "passed"
    wrong = judged("def f(x): return 2 * x\ndef g(y): return 3 * y", body)
    assert wrong.status == "failed"
    assert wrong.message.startswith("NOT adjoint")


def test_not_written_inside_the_checker():
    body = "return check.backward(student.f, student.g, np.ones(3))"
    result = judged("def f(x): return x, x\ndef g(d, x): raise NotImplementedError('Task: write g')", body)
    assert (result.status, result.message) == ("not written", "Task: write g")


def test_not_written_and_caught():
    body = "try: student.f(1)\n    except Exception: pass"
    assert judged("def f(x): raise NotImplementedError('Task: write f')", body).status == "not written"


def test_a_result_of_another_form():
    result = judged("def f(x): return None", "out, cache = student.f(np.ones(3))")
    assert result.status == "error"
    assert result.message == (
        "the check could not use what your functions returned (TypeError: cannot unpack non-iterable NoneType object); "
        "the last call: f returned None"
    )


def test_only_the_students_lines_are_shown():
    result = judged("def helper(x):\n    return x.shpae\ndef f(x):\n    return helper(x)")
    assert result.status == "error"
    assert result.message.splitlines() == [
        "AttributeError: 'numpy.ndarray' object has no attribute 'shpae'",
        "  e.py, line 5, in f: return helper(x)",
        "  e.py, line 3, in helper: return x.shpae",
    ]


def test_an_author_who_returns_something_else():
    with pytest.raises(TypeError, match="a check must return None or a report"):
        judged("def f(x): return x", "return 3")


def test_results_as_text_html_and_json():
    checks = [
        homework.CheckResult("one <1>", 3, "passed", seconds=0.1),
        homework.CheckResult("two", 7, "failed", "out & dx differ\nmore"),
    ]
    result = homework.Result("relu", "ReLU", "relu.py", checks, ["a note"], "x < y\n")
    assert (result.score, result.max_score, result.ok, bool(result)) == (3, 10, False, False)
    assert str(result) == (
        "ReLU: 3 of 10 points\n  passed        3/3   one <1>\n  failed        0/7   two\n      out & dx differ\n      more\n"
        "  note: a note\n  your code printed:\n      x < y"
    )
    page = result._repr_html_()
    assert "one &lt;1&gt;" in page
    assert "out &amp; dx differ" in page
    assert "<1>" not in page
    assert json.loads(result.to_json()) == result.to_dict()
    assert result.to_dict()["checks"][0] == {
        "name": "one <1>", "points": 3, "earned": 3, "status": "passed", "message": "", "report": None, "seconds": 0.1,
    }  # fmt: skip
    assert not homework.Result("relu", "ReLU", "", [])


# ---- files, notebooks, the command ----


@pytest.fixture
def written(tmp_path):
    """Writes the solution of relu, changed by a function, and returns the file."""

    def write(change=lambda text: text, notebook=False, name="relu"):
        file = tmp_path / f"{name}{'.ipynb' if notebook else '.py'}"
        file.write_text(change(homework.load("relu").solution(notebook)), encoding="utf-8")
        return file

    return write


@pytest.mark.parametrize("notebook", [False, True])
def test_checking_a_file(written, notebook):
    result = homework.check(written(notebook=notebook, name="my_solution"))
    assert result.ok, str(result)
    assert (result.exercise, result.score) == ("relu", 10)


def test_the_name_of_the_file_says_which_exercise(written, tmp_path):
    def headless(text):
        return "# %%" + text.partition("# %%")[2]

    assert homework.check(written(headless)).ok
    with pytest.raises(ValueError, match=r"other.py: which exercise is it\? .* add the line '# exercise: NAME'"):
        homework.check(written(headless, name="other"))
    with pytest.raises(FileNotFoundError, match="minivision homework start NAME"):
        homework.check(tmp_path / "none.py")
    (tmp_path / "relu.ipynb").write_text("[]")
    with pytest.raises(ValueError, match=r"relu.ipynb is not a Jupyter notebook"):
        homework.check(tmp_path / "relu.ipynb")
    with pytest.raises(ValueError, match="neither a Python file"):
        homework.check_file(written().with_suffix(".py").rename(tmp_path / "relu.txt"))


def test_lines_are_those_of_the_file_and_of_the_cell(written):
    file = written(lambda text: text.replace("out = np.maximum(x, 0)", "out = np.maximun(x, 0)"))
    line = 1 + file.read_text().splitlines().index("    out = np.maximun(x, 0)")
    result = homework.check(file)
    assert [check.status for check in result.checks] == ["error"] * 5
    assert f"relu.py, line {line}, in relu_forward: out = np.maximun(x, 0)" in result.checks[0].message
    notebook = written(lambda text: text.replace("out = np.maximum(x, 0)", "out = np.maximun(x, 0)"), notebook=True)
    assert "relu.ipynb, code cell 2, line 3, in relu_forward: out = np.maximun" in homework.check(notebook).checks[0].message


def test_a_file_that_checks_itself_and_magics_in_a_notebook(written):
    more = '\n\n# %%\nfrom minivision import homework\nhomework.check("relu")\nhomework.check("relu.py")\n'
    assert homework.check(written(lambda text: text + more)).ok

    def magic(text):
        notebook = json.loads(text)
        notebook["cells"].insert(1, {"cell_type": "code", "metadata": {}, "source": "%matplotlib inline\n!ls\nx = 1"})
        notebook["cells"].insert(1, {"cell_type": "code", "metadata": {}, "source": ["%%bash\n", "ls"]})
        return json.dumps(notebook)

    assert homework.check(written(magic, notebook=True)).ok


def test_a_notebook_that_jupytext_made_of_the_file(tmp_path):
    """The header is then a raw cell."""
    jupytext = pytest.importorskip("jupytext")
    notebook = jupytext.reads(homework.load("relu").solution(), fmt="py:percent")
    file = tmp_path / "other_name.ipynb"
    file.write_text(jupytext.writes(notebook, fmt="ipynb"))
    assert homework.check(file).ok


RELU = """
import numpy as np
from math import inf as infinity
ZERO = 0
TABLE = np.array([[0.0, 1.0], [np.nan, np.inf]])

def helper(x):
    return np.where((x > ZERO) & (x < infinity), x, TABLE[0, 0]).astype(x.dtype)

class Cache:
    def __init__(self, x):
        self.mask = x > 0

def relu_forward(x):
    return helper(x), Cache(x)

def relu_backward(dout, cache):
    return dout * cache.mask
"""


def in_a_notebook(code, name="cell"):
    """Run code as a notebook does: its source can be found, and its names live in one namespace."""
    import linecache
    import sys
    import types

    module = types.ModuleType(f"notebook_{name}")
    sys.modules[module.__name__] = module
    file = f"<{name} of a notebook>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    exec(compile(code, file, "exec"), vars(module))
    return vars(module)


def test_functions_of_a_notebook_run_in_a_process_of_their_own():
    names = in_a_notebook(RELU)
    result = homework.check("relu", names)
    assert result.ok, str(result)
    assert result.notes == []
    assert result.file == ""
    names["relu_forward"].__globals__["ZERO"] = 1  # its value now counts
    assert not homework.check("relu", names).ok


def test_the_callers_names_are_taken():
    names = in_a_notebook(RELU + "\nfrom minivision import homework\ndef run(): return homework.check('relu')", "caller")
    assert names["run"]().ok


def test_functions_without_a_source_run_here():
    def make():
        def relu_forward(x):
            return np.maximum(x, 0), x

        return relu_forward

    names = {"relu_forward": make(), "relu_backward": lambda dout, cache: dout * (cache > 0)}
    result = homework.check("relu", names)
    assert result.ok, str(result)
    assert result.notes == [
        "checked inside this process, without a memory limit, because relu_forward is a function, which cannot be written "
        "down again"
    ]


def test_what_cannot_be_written_down():
    code = "rng = __import__('numpy').random.default_rng(0)\ndef relu_forward(x):\n    rng.random()\n    return x, x\n"
    names = in_a_notebook(code, "generator")
    with pytest.raises(submission.SourceUnavailable, match="rng is a Generator, which cannot be written down again"):
        submission.from_namespace(["relu_forward"], names, "relu")


def test_a_notebook_without_the_functions():
    with pytest.raises(ValueError, match="relu asks for relu_forward, relu_backward, and none of them is defined here"):
        homework.check("relu", {})
    part = in_a_notebook(RELU.partition("def relu_backward")[0], "half")
    statuses = [(c.status, c.message) for c in homework.check("relu", part).checks]
    assert statuses[0] == ("passed", "")
    assert statuses[-1] == ("not written", "relu_backward is not defined")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["homework", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def test_the_command_from_start_to_full_points(command, tmp_path):
    assert command("list") == (0, f"{homework.list()}\n", "")
    assert command("start", "relu") == (0, "wrote relu.py; check it with: minivision homework check relu.py\n", "")
    code, _, err = command("start", "relu")
    assert code == 2
    assert err.startswith("minivision: error: relu.py is there already")
    code, out, _ = command("check", "relu.py")
    assert code == 1
    assert out.startswith(
        "ReLU: 0 of 10 points\n  not written   0/1   forward: the example by hand\n      Task: write relu_forward"
    )
    assert "Hint 1 of 2" in command("hint", "relu")[1]
    assert "Hint 2 of 2" in command("hint", "relu", "--folder", ".")[1]
    (tmp_path / "relu.py").write_text(homework.load("relu").solution())
    code, out, err = command("check", "relu.py", "--json", "--time-limit", "20")
    assert (code, err) == (0, "")
    assert json.loads(out)["score"] == 10
    assert command("start", "relu", "--notebook", "--path", "week1/")[0] == 0
    assert os.listdir("week1") == ["relu.ipynb"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "none.py"], "none.py: there is no such file"),
        (["check", "relu"], "relu: there is no such file"),
        (["start", "relo"], "there is no exercise 'relo'; did you mean relu"),
        (["hint", "relo"], "there is no exercise 'relo'"),
        (["check", "relu.py", "--time-limit", "0"], "is not a positive number"),
        ([], "the following arguments are required: COMMAND"),
        (["build", "relu", "--target", "moon"], "invalid choice: 'moon'"),
    ],
)
def test_errors_of_the_command_are_one_line(command, arguments, words):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


def test_debug_shows_where(command):
    with pytest.raises(ValueError, match="there is no exercise"):
        main(["homework", "--debug", "start", "relo"])
    with pytest.raises(ValueError, match="there is no exercise"):
        main(["homework", "start", "--debug", "relo"])


# ---- imports that do the exercise ----


@pytest.mark.parametrize(
    ("line", "ok"),
    [
        ("import torch", False),
        ("import minivision", False),
        ("import minivision as mv", False),
        ("from minivision import nn", False),
        ("from minivision import homework, nn", False),
        ("import minivision.nn.functional as F", False),
        ("from minivision.functions.pooling import max_pool2d", False),
        ("from minivision import homework, check", True),
        ("from minivision.homework import use", True),
        ("import math, itertools", True),
        ("from numpy.lib.stride_tricks import sliding_window_view", True),
    ],
)
def test_imports(line, ok):
    loaded = submission.execute(submission.Submission("", [submission.Chunk("e.py", line)]))
    assert (loaded.error is None) == ok, loaded.message
    if not ok:
        assert "this exercise is to be written with NumPy" in loaded.message


def test_imports_that_an_exercise_allows():
    read = source.parse(HEADER.replace("# points", "# allow: torch, scipy\n# points") + TASK + CHECKS, "e")
    assert read.allowed == ("torch", "scipy")
    assert source.parse(HEADER + TASK + CHECKS, "e").allowed == ()
    importing = submission._import_unless_forbidden(submission.Submission("", []), ("math2", "nowhere_to_be_found"))
    with pytest.raises(ModuleNotFoundError):
        importing("nowhere_to_be_found")
    assert builtins.__import__ is not importing


def test_the_guard_finds_nothing_in_peace():
    guard = checking.Guard()
    check.backward(lambda x: (x, x), lambda d, x: d * 1, np.ones(2))
    np.testing.assert_allclose(1, 1)
    homework.list()
    assert guard.restore() == []
