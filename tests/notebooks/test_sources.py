"""The committed notebooks are what their sources say, were executed from top to bottom, and carry nothing of the machine.

That they still run is the matter of `make test-notebooks`.
"""

import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in (FOLDER / "src").glob("*.py"))
# Folders of Unix, macOS and Windows machines, and of Colab; r"C:\\" as it stands in JSON too.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(home|root|tmp|work|usr|opt|var|mnt|private|Users|content)/|\b[A-Z]:\\+\w")
MEGABYTE = 1_000_000


def executed(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(name):
    return [cell for cell in executed(name).cells if cell.cell_type == "code"]


def outputs(name):
    return [output for cell in code_cells(name) for output in cell.outputs]


def test_every_source_has_its_notebook_and_the_other_way_round():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES
    assert {"fcn", "how-convolution-gets-fast", "quickstart", "unet"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_cells_equal_the_source(name):
    """Fails after an edit of only one of the two; `python notebooks/build.py NAME` brings them together."""
    source = jupytext.read(FOLDER / "src" / f"{name}.py")
    assert [(cell.cell_type, cell.source) for cell in executed(name).cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ]


@pytest.mark.parametrize("name", NAMES)
def test_is_a_valid_notebook_below_a_megabyte(name):
    nbformat.validate(executed(name))
    assert (FOLDER / f"{name}.ipynb").stat().st_size < MEGABYTE


@pytest.mark.parametrize("name", NAMES)
def test_was_executed_from_top_to_bottom_without_errors(name):
    counts = [cell.execution_count for cell in code_cells(name)]
    assert counts == list(range(1, len(counts) + 1))
    assert [output for output in outputs(name) if output.output_type == "error" or output.get("name") == "stderr"] == []


@pytest.mark.parametrize("name", NAMES)
def test_shows_text_and_pictures_with_alternative_texts(name):
    pictures = [output for output in outputs(name) if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3
    assert all(picture.metadata["image/png"]["alt"] for picture in pictures)
    assert any(output.output_type == "stream" for output in outputs(name))


@pytest.mark.parametrize("name", NAMES)
def test_asserts_what_it_claims(name):
    cells = code_cells(name)
    assert sum("assert " in cell.source for cell in cells) >= len(cells) / 3


@pytest.mark.parametrize("name", NAMES)
def test_carries_nothing_of_the_machine(name):
    notebook = executed(name)
    texts = [cell.source for cell in notebook.cells]
    for output in outputs(name):
        output.get("data", {}).pop("image/png", None)  # base64 may spell anything
        texts.append(json.dumps(output))
    assert [match.group() for text in texts if (match := ABSOLUTE_PATH.search(text))] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert [cell.metadata for cell in notebook.cells if cell.metadata] == []


@pytest.mark.parametrize("text", ["open('/home/ada/x.png')", "/tmp/tmpx1/VOC", r"C:\\Users\\ada", "at /content/data"])
def test_the_pattern_finds_absolute_paths(text):
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize("text", ["https://arxiv.org/abs/1505.04597", "a/tmp/b", "n / work", "VOCdevkit/VOC2012/classes.txt"])
def test_the_pattern_leaves_others_alone(text):
    assert not ABSOLUTE_PATH.search(text)
