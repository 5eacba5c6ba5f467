"""Execute the notebooks: `notebooks/src/NAME.py` (jupytext's percent format) -> `notebooks/NAME.ipynb` with outputs.

    python notebooks/build.py [NAME ...]        all of them by default

The source is the truth: edit it, run this, commit both. What depends on the machine or the moment of the run is left out of the
notebook: execution times, kernel versions, progress bars.
"""

import base64
import io
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "src"
TIMEOUT = 300  # seconds for one cell


def build(name: str) -> Path:
    """Execute one notebook and write it; return its path. Raises `nbclient.exceptions.CellExecutionError` when a cell fails."""
    notebook = from_source(SOURCES / f"{name}.py")
    # In an empty folder, as a notebook that somebody downloaded would run.
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False, store_widget_state=False,
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute()
    clean(notebook)
    path = FOLDER / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def from_source(source: Path) -> nbformat.NotebookNode:
    """Read a percent file as a notebook without outputs; the ids of the cells are their numbers, so that a diff stays small."""
    notebook = jupytext.read(source)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def clean(notebook: nbformat.NotebookNode) -> None:
    """Remove, in place, what differs between two runs of the same notebook and the bars of ended loops; shrink the pictures."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for key in ("execution", "lines_to_next_cell"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = joined([output for output in cell.outputs if not is_progress(output)])
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])


def is_progress(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a progress bar: a widget, or the line that tqdm rewrites on stderr."""
    return "application/vnd.jupyter.widget-view+json" in output.get("data", {}) or (
        output.get("name") == "stderr" and "\r" in output.get("text", "")
    )


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Put neighbouring texts of the same stream into one output."""
    result: list[nbformat.NotebookNode] = []
    for output in outputs:
        if result and "name" in output and result[-1].get("name") == output.name:  # only streams have names
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def smaller(png: str) -> str:
    """Return a base64 PNG with a palette of 256 colours, which nobody tells from the original, if that is smaller."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    packed = base64.b64encode(buffer.getvalue()).decode()
    return min(png, packed, key=len)


def main() -> None:
    names = sys.argv[1:] or sorted(source.stem for source in SOURCES.glob("*.py"))
    for name in names:
        started = time.perf_counter()
        path = build(name)
        print(f"{path.name}: {time.perf_counter() - started:.0f} s, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
