"""Progress: a bar where somebody watches, lines in a log, silence on request."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import types
import warnings

import pytest

from minivision.training.progress import Progress, in_notebook
from tests.training.small import CLASSES, small_trainer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LINE = re.compile(
    r"epoch \d/3  loss \d\.\d{4}  val loss \d\.\d{4}  mIoU \d\.\d{3}  pixel accuracy \d\.\d{3}  "
    r"lr 0\.\d+  \d\.\d s(  \(best\))?"
)


def test_a_log_file_gets_one_plain_line_per_epoch(capsys):
    small_trainer(progress=True).fit(3)
    out, err = capsys.readouterr()
    assert err == ""
    assert "\r" not in out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all(LINE.fullmatch(line) for line in lines)


def test_a_terminal_gets_a_bar_and_keeps_the_lines(monkeypatch):
    out, err = Terminal(), Terminal()
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)  # no thread of tqdm's in the tests
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    small_trainer(progress=True).fit(3)
    assert len([line for line in out.getvalue().split("\n") if LINE.fullmatch(line)]) == 3
    assert "\r" in err.getvalue()
    assert "/12" in err.getvalue()  # 3 epochs of 4 batches


def test_silence(capsys):
    small_trainer(progress=False).fit(1)
    assert capsys.readouterr() == ("", "")


def test_resuming_says_where_it_goes_on(tmp_path, capsys):
    trainer = small_trainer(tmp_path, progress=True)

    def stop(trainer):
        raise KeyboardInterrupt

    trainer.on_epoch_end = stop
    trainer.fit(3)
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"interrupted before epoch 2; saved as {tmp_path / 'last.safetensors'}, go on with resume=True"
    )
    trainer.folder = None
    trainer.fit(3)
    assert capsys.readouterr().out.splitlines()[-1] == "interrupted before epoch 3; nothing was saved, as no folder was given"


def test_without_tqdm_there_are_lines(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(True, 3) as progress:
        progress.advance("epoch 1/1", "loss 1")
        progress.line("done")
    assert capsys.readouterr().out == "done\n"


def test_a_notebook_is_known_by_its_kernel(monkeypatch):
    assert not in_notebook()
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()


NO_WIDGETS = """
import sys, types, warnings
warnings.simplefilter("error")
sys.modules["ipywidgets"] = sys.modules["IPython.html"] = None
class Shell: kernel = None
ipython = types.ModuleType("IPython"); ipython.get_ipython = lambda: Shell()
sys.modules["IPython"] = ipython
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
from minivision.training import Progress
with Progress(True, 2) as progress:
    progress.advance("epoch 1/1", "loss 1"); progress.advance(); progress.line("done")
"""


def test_a_notebook_without_ipywidgets_is_not_scolded():
    run = subprocess.run([sys.executable, "-c", NO_WIDGETS], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "done"
    assert "Warning" not in run.stderr
    assert "/2" in run.stderr


def test_a_bar_of_unknown_length(monkeypatch, capsys):
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    with Progress(True, None) as progress:
        for _ in range(3):
            progress.advance("evaluate")
    assert "0 batch" in err.getvalue()


@pytest.mark.parametrize("progress", [False, True])
def test_warnings_of_the_training_itself_are_not_swallowed(progress, capsys):
    def loss(scores, masks):
        warnings.warn("look here", stacklevel=1)
        return (scores * 0).sum()

    with pytest.warns(UserWarning, match="look here"):
        small_trainer(loss_fn=loss, progress=progress, num_classes=CLASSES).fit(1)
