"""The forms for course platforms, without the platforms' own tools; with them see test_grading_tools.py."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata

import pytest

from minivision import cli, homework
from minivision.homework import exercise, grading, source
from minivision.homework.platforms.cells import slug
from minivision.homework.platforms.gradescope import gradescope_files
from minivision.homework.platforms.wheel import PACKAGE, wheel, zipped

NAMES = [path.stem.replace("_", "-") for path in sorted(exercise.FOLDER.glob("*.py"))]
MUTANT = "the upstream forgotten"  # of relu: the three checks of the backward fail, 6 of 10 points


def cells_of(file):
    return json.loads(file.read_text(encoding="utf-8"))["cells"]


def text_of(cell):
    return "".join(cell["source"])


# ---- files ----


@pytest.mark.parametrize("name", NAMES)
def test_student_and_solution(name, tmp_path):
    loaded = homework.load(name)
    stem = loaded.path.stem
    student = homework.build(name, "student", tmp_path / "s")
    assert [file.name for file in student.files] == [f"{stem}.py", f"{stem}.ipynb"]
    assert [file.read_text(encoding="utf-8") for file in student.files] == [loaded.student(), loaded.student(notebook=True)]
    solution = homework.build(name, "solution", tmp_path / "s")
    assert [file.name for file in solution.files] == [f"{stem}_solution.py", f"{stem}_solution.ipynb"]
    assert [file.read_text(encoding="utf-8") for file in solution.files] == [loaded.solution(), loaded.solution(notebook=True)]


def test_what_was_edited_is_never_overwritten(tmp_path):
    first = homework.build("relu", "student", tmp_path)
    assert homework.build("relu", "student", tmp_path).files == first.files  # the same content: nothing to lose
    script, notebook = first.files
    script.write_text("my own work")
    notebook.unlink()
    with pytest.raises(FileExistsError, match=r"build: .*relu\.py is there already and differs.*choose another --out"):
        homework.build("relu", "student", tmp_path)
    assert script.read_text() == "my own work"
    assert not notebook.exists()  # all or nothing


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="'canvas' is unknown; there are student, solution, nbgrader, otter, gradescope"):
        homework.build("relu", "canvas", tmp_path)
    with pytest.raises(ValueError, match="did you mean relu"):
        homework.build("rellu", "otter", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", homework.TARGETS)
def test_the_command(target, tmp_path, capsys):
    assert cli.main(["homework", "build", "relu", "--target", target, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out.splitlines()
    written = [line.removeprefix("wrote ") for line in said if line.startswith("wrote ")]
    assert sorted(written) == sorted(str(path) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert len(said) == len(written) + 1  # and what to do with it


# ---- one check in a notebook ----


def namespace_of(loaded, replacement=""):
    names = {"__name__": "__main__"}
    for cell in loaded.cells(solution=True):
        if cell.kind == "code" and not set(cell.tags) & {"figure", "check"}:
            exec(compile(cell.text, "cell", "exec"), names)
    exec(replacement, names)
    return names


def test_require_runs_one_check(monkeypatch):
    loaded = homework.load("relu")
    ran = []
    judge = exercise.judge
    monkeypatch.setattr(exercise, "judge", lambda *a, **k: ran.append(judge(*a, **k)) or ran[-1])
    names = {**namespace_of(loaded), "__builtins__": __builtins__}
    assert homework.require("relu", "forward: every shape and dtype", names) is None
    # the functions were made by exec, so their source is not there, and they run in this process
    names["relu_backward"] = lambda dout, cache: (cache > 0) * 1.0
    with pytest.raises(homework.NotPassed, match="backward: the example by hand: failed\ndx differs in 1 of 4 entries"):
        homework.require("relu", "backward: the example by hand", names)
    assert all(len(result.checks) == 1 for result in ran)
    with pytest.raises(ValueError, match="there is no check 'backward'; there are 'forward: the example by hand', "):
        homework.require("relu", "backward", names)


def test_require_takes_the_functions_of_its_caller():
    code = "from minivision import homework\nhomework.require('relu', 'forward: the example by hand')"
    exec(code, namespace_of(homework.load("relu")))
    wrong = namespace_of(homework.load("relu"), "def relu_forward(x):\n    return -x, x\n")
    with pytest.raises(homework.NotPassed, match="out differs"):
        exec(code, wrong)


def test_a_notebook_shows_the_message_alone():
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell()
    shell.run_cell("def relu_forward(x):\n    return x, x\n")
    with capture_output() as shown:
        result = shell.run_cell("from minivision import homework\nhomework.require('relu', 'forward: the example by hand')")
    assert isinstance(result.error_in_exec, homework.NotPassed)
    lines = shown.stdout.strip().splitlines()
    assert lines[0] == "NotPassed: forward: the example by hand: failed"
    assert len(lines) == 2
    assert lines[1].startswith("out differs in 2 of 4 entries")


# ---- nbgrader ----


@pytest.mark.parametrize("name", NAMES)
def test_nbgrader_cells(name, tmp_path):
    loaded = homework.load(name)
    (file,) = homework.build(name, "nbgrader", tmp_path).files
    stem = loaded.path.stem
    assert file == tmp_path / "source" / stem / f"{stem}.ipynb"
    marked = [(cell, cell["metadata"]["nbgrader"]) for cell in cells_of(file) if "nbgrader" in cell["metadata"]]
    ids = [entries["grade_id"] for _, entries in marked]
    assert len(set(ids)) == len(ids)
    assert all(entries["schema_version"] == 3 and not entries["task"] for _, entries in marked)
    assert all(set(grade_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for grade_id in ids)

    tests = [(cell, entries) for cell, entries in marked if entries["grade"]]
    assert [entries["points"] for _, entries in tests] == [check.points for check in loaded.checks]
    assert all(entries["locked"] and not entries["solution"] for _, entries in tests)
    called = [ast.parse(text_of(cell)).body[-1].value for cell, _ in tests]
    assert [[argument.value for argument in call.args] for call in called] == [[name, c.title] for c in loaded.checks]

    solutions = [(cell, entries) for cell, entries in marked if entries["solution"]]
    assert len(solutions) + len(tests) == len(marked)
    assert all(not entries["locked"] and "points" not in entries for _, entries in solutions)
    written = "\n".join(text_of(cell) for cell, _ in solutions)
    assert written.count("### BEGIN SOLUTION") == written.count("### END SOLUTION") == len(loaded.source.tasks)
    assert "# BEGIN SOLUTION" not in written.replace("### BEGIN SOLUTION", "")
    plain = written.replace("### BEGIN SOLUTION", source.BEGIN).replace("### END SOLUTION", source.END)
    assert plain == "\n".join(cell.text for cell in loaded.source.tagged("task"))
    everything = "\n".join(text_of(cell) for cell in cells_of(file))
    assert "MUTANTS" not in everything
    assert not any(hint.splitlines()[0] in everything for hint in loaded.hints)


def test_nbgrader_notebooks_can_be_checked_here(tmp_path):
    """The test cells carry the tag of cells that are left out, and the header says which exercise it is."""
    (file,) = homework.build("relu", "nbgrader", tmp_path).files
    result = homework.check(file)
    assert (result.exercise, result.score, result.max_score, result.notes) == ("relu", 10, 10, [])


# ---- Otter ----


@pytest.mark.parametrize("name", NAMES)
def test_otter_cells(name, tmp_path):
    loaded = homework.load(name)
    (file,) = homework.build(name, "otter", tmp_path).files
    cells = cells_of(file)
    raw = [text_of(cell) for cell in cells if cell["cell_type"] == "raw"]
    assert raw[0].startswith(f"# ASSIGNMENT CONFIG\nname: {name}\n")
    tasks = len(loaded.source.tagged("task"))
    assert raw[1] == f"# BEGIN QUESTION\nname: {name}\npoints: {loaded.points}"
    assert raw[2:] == ["# BEGIN SOLUTION", "# END SOLUTION"] * tasks + ["# BEGIN TESTS", "# END TESTS", "# END QUESTION"]
    inside = [text_of(cells[i + 1]) for i, cell in enumerate(cells) if text_of(cell) == "# BEGIN SOLUTION"]
    for text in inside:
        ast.parse(text)
    at = next(i for i, cell in enumerate(cells) if text_of(cell) == "# BEGIN TESTS")
    tests = cells[at + 1 : at + 1 + len(loaded.checks)]
    assert text_of(cells[at + 1 + len(loaded.checks)]) == "# END TESTS"
    for cell, check in zip(tests, loaded.checks, strict=True):
        assert text_of(cell).startswith(f'""" # BEGIN TEST CONFIG\npoints: {check.points}\n')
        config, function = ast.parse(text_of(cell)).body
        assert isinstance(config.value.value, str)
        assert [argument.arg for argument in function.args.args] == ["env"]
        call = function.body[-1].value
        assert [argument.value for argument in call.args[:2]] == [name, check.title]


def test_slugs():
    assert slug('backward: "0" where x is 0, Ä') == "backward-0-where-x-is-0"


# ---- Gradescope ----


def test_the_wheel_is_whole():
    name, content = wheel()
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert name == f"minivision-{metadata.version('minivision')}-py3-none-any.whl"
    assert archive.testzip() is None
    files = set(archive.namelist())
    assert {f"minivision/{p.relative_to(PACKAGE).as_posix()}" for p in PACKAGE.rglob("*.py")} <= files
    assert not [file for file in files if "__pycache__" in file]
    info = name.removesuffix("-py3-none-any.whl") + ".dist-info"
    recorded = dict(line.split(",", 1) for line in archive.read(f"{info}/RECORD").decode().splitlines())
    assert recorded.keys() == files
    for file in files - {f"{info}/RECORD"}:
        digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(file)).digest()).rstrip(b"=").decode()
        assert recorded[file] == f"sha256={digest},{archive.getinfo(file).file_size}"
    assert b"\nRequires-Dist: numpy" in archive.read(f"{info}/METADATA")
    assert wheel() == (name, content)


def test_a_wheel_of_what_is_not_installed(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(RuntimeError, match="packing minivision needs it installed: pip install -e"):
        wheel()


def test_zip_files_keep_what_is_executable():
    archive = zipfile.ZipFile(io.BytesIO(zipped({"a.sh": "x", "b": b"y"}, executable=("a.sh",))))
    assert [(e.filename, oct(e.external_attr >> 16)) for e in archive.infolist()] == [("a.sh", "0o100755"), ("b", "0o100644")]


def autograded(root, name="relu", **files):
    """The results for a submission of files, given by their names with _ for the dot."""
    (root / "submission").mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (root / "submission" / file.replace("_dot_", ".")).write_text(text, encoding="utf-8")
    grading.gradescope(name, root)
    assert [path.name for path in (root / "results").iterdir()] == ["results.json"]
    return json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))


def solution(replacement="", name="relu"):
    return homework.load(name).solution() + "\n# %%\n" + replacement


@pytest.mark.parametrize("name", NAMES)
def test_gradescope_right(name, tmp_path):
    loaded = homework.load(name)
    results = autograded(tmp_path, name, **{f"{loaded.path.stem}_dot_py": loaded.solution()})
    assert results["score"] == loaded.points, results
    assert results["output"] == ""
    assert [(t["name"], t["score"], t["max_score"], t["status"], t["visibility"]) for t in results["tests"]] == [
        (check.title, check.points, check.points, "passed", "visible") for check in loaded.checks
    ]
    worst = len(loaded.checks) * (2 * exercise.sandbox.TIME_LIMIT + 5)  # each check ends at its limit, and loading too
    assert worst < 0.9 * 600, "the global time limit of 10 minutes would end it without any result"


def test_gradescope_partial_credit_with_reasons(tmp_path):
    results = autograded(tmp_path, work_dot_py=solution(homework.load("relu").mutants[MUTANT]))
    assert [(t["score"], t["max_score"], t["status"]) for t in results["tests"]] == [
        (1, 1, "passed"), (3, 3, "passed"), (0, 1, "failed"), (0, 4, "failed"), (0, 1, "failed"),
    ]  # fmt: skip
    assert results["score"] == 4
    assert "dx is the mask alone: multiply by the upstream gradient dout" in results["tests"][3]["output"]
    assert all(t["output"] for t in results["tests"] if t["status"] == "failed")


def test_gradescope_prints_exits_and_forged_results(tmp_path):
    """Whatever the code prints, and wherever it writes, the results are those of the checks."""
    forged = json.dumps({"score": 1000, "tests": []})
    target = tmp_path / "results" / "results.json"
    results = autograded(
        tmp_path,
        relu_dot_py=solution(
            f"print('{forged}')\nprint('\\x00\\ud800', flush=True)\nopen({str(target)!r}, 'w').write({forged!r})\n"
            "def relu_backward(dout, cache):\n    print('stray')\n    import os\n    os._exit(0)\n"
        ),
    )
    assert results["score"] == 4
    assert [t["output"].partition(":")[0] for t in results["tests"][2:]] == ["crashed"] * 3
    assert "Your code printed:" in results["output"]
    assert "stray" in results["output"]


def test_gradescope_memory(tmp_path):
    """More than the container has is refused while there is still somebody to say so."""
    pytest.importorskip("resource")
    greedy = "def relu_forward(x):\n    waste = np.ones(500 << 17)\n    return np.maximum(x, 0), x\n"  # 500 MB
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "relu.py").write_text(solution(greedy), encoding="utf-8")
    # by a process of its own: what is counted as its children's includes what the process had itself when it started them
    program = (
        "import pathlib, resource, sys\n"
        "from minivision.homework import grading\n"
        "grading.gradescope('relu', pathlib.Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    results = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert {t["output"].partition(":")[0] for t in results["tests"]} == {"memory"}
    assert results["score"] == 0
    assert int(run.stdout.split()[-1]) < 768 << 10  # KiB


def test_gradescope_unwritten_and_notebook(tmp_path):
    results = autograded(tmp_path, relu_dot_ipynb=homework.load("relu").student(notebook=True))
    assert results["score"] == 0
    assert {t["output"] for t in results["tests"]} == {"not written: Task: write relu_forward"}  # which backward needs too


def test_gradescope_files(tmp_path):
    right = solution()
    assert autograded(tmp_path / "renamed", **{"My work (1)_dot_py": right, "notes_dot_txt": ""})["score"] == 10
    assert autograded(tmp_path / "no header", anything_dot_py=right.replace("# exercise: relu\n", ""))["score"] == 10
    helped = {"relu_dot_py": right, "helper_dot_py": "x = 1\n"}
    assert autograded(tmp_path / "a helper", **helped)["score"] == 10
    hidden = tmp_path / "hidden" / "submission" / "__MACOSX"
    hidden.mkdir(parents=True)
    (hidden / "relu.py").write_text("nonsense")
    assert autograded(tmp_path / "hidden", relu_dot_py=right)["score"] == 10


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"hand in relu\.py or relu\.ipynb\. There was no file at all\."),
        ({"relu_dot_pdf": ""}, r"hand in relu\.py or relu\.ipynb\. There was relu\.pdf\."),
        ({"relu_dot_py": "", "relu_dot_ipynb": '{"cells": []}'}, "several files are for relu: relu.ipynb, relu.py. Hand in one"),
        ({"a_dot_py": "", "b_dot_py": ""}, "none of the files says that it is for relu: a.py, b.py"),
        ({"relu_dot_ipynb": '{"cells": ['}, r"relu\.ipynb is not a Jupyter notebook of version 4"),
        ({"relu_dot_ipynb": '{"cells": 3}'}, r"relu\.ipynb cannot be read"),
        ({"relu_dot_ipynb": '{"cells": [3]}'}, r"relu\.ipynb cannot be read"),
    ],
)
def test_gradescope_nothing_to_check(files, said, tmp_path):
    results = autograded(tmp_path, **files)
    assert re.search(said, results["output"]), results["output"]
    assert results["score"] == 0
    assert sum(t["max_score"] for t in results["tests"]) == 10
    assert {t["status"] for t in results["tests"]} == {"failed"}


def test_gradescope_says_when_it_is_broken(tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise OSError("no processes left")

    monkeypatch.setattr(exercise, "judge", broken)
    results = autograded(tmp_path, relu_dot_py=solution())
    assert results == {"score": 0, "output": grading.BROKEN, "tests": []}
    assert "no processes left" in capsys.readouterr().err  # for instructors


@pytest.mark.skipif(os.name != "posix", reason="the autograder is a shell script for Gradescope's Linux")
def test_the_zip_file_runs_as_on_gradescope(tmp_path):
    """setup.sh once, then run_autograder for each submission, all under a root that is not /autograder."""
    root = tmp_path / "auto grader"
    (root / "submission").mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(gradescope_files(homework.load("relu")))) as archive:
        archive.extractall(root / "source")
    environment = {
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AUTOGRADER_ROOT": str(root),
    }

    def run(script, **more):
        done = subprocess.run(
            ["bash", str(root / "source" / script)], env={**environment, **more}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def results():
        return json.loads((root / "results" / "results.json").read_text())

    run("run_autograder")  # without setup.sh there is no Python
    assert "did not start" in results()["output"]
    run("setup.sh", PIP_NO_DEPS="1", PIP_NO_INDEX="1", PIP_NO_CACHE_DIR="1")
    # NumPy would come from the index; here it is this environment's, by a path file, which does not bring along its minivision
    site = next((root / "environment").glob("lib/python*/site-packages"))
    (site / "numpy.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert (site / "minivision" / "__init__.py").is_file()

    (root / "submission" / "relu.py").write_text(solution())
    run("run_autograder")
    assert results()["score"] == 10
    (root / "submission" / "relu.py").write_text(solution(homework.load("relu").mutants[MUTANT]))
    run("run_autograder")
    assert (results()["score"], [t["score"] for t in results()["tests"]]) == (4, [1, 3, 0, 0, 0])
