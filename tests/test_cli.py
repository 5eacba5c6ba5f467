"""The command line, end to end on a tiny tree of image files: what is printed, written and returned."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minivision
from minivision import data, demo, models, training
from minivision.backend import manual_seed
from minivision.cli import main, output_files
from minivision.metrics import ConfusionMatrix

CLASSES = ("background", "disk", "square", "triangle")


@pytest.fixture(scope="module")
def voc_made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    for split, length, seed in (("train", 6, 0), ("val", 3, 1)):
        data.write_voc(root, data.ShapesWorld(length, size=(24, 20), seed=seed, objects=(1, 1), radius=(4, 6)), split)
    return root


@pytest.fixture
def voc(voc_made_once, tmp_path):
    """A tree of 6 + 3 images of 24 x 20 pixels that a test may damage."""
    return Path(shutil.copytree(voc_made_once, tmp_path / "voc"))


@pytest.fixture(scope="module")
def checkpoint_made_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "unet.safetensors"
    manual_seed(0)
    training.save_checkpoint(path, models.create("unet", num_classes=4, widths=(2, 4)), classes=CLASSES)
    return path


@pytest.fixture
def checkpoint(checkpoint_made_once, tmp_path):
    """An untrained U-Net for the four classes."""
    return Path(shutil.copy(checkpoint_made_once, tmp_path / "unet.safetensors"))


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in `tmp_path`; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return command


def train(voc, *more):
    return ("train", voc, "--widths", "2,4", "--batch-size", "3", "--workers", "0", "--out", "run", *more)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def error_line(err):
    """The one line that an error prints."""
    lines = err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("minivision: error: ")
    return lines[0].removeprefix("minivision: error: ")


# ---- usage ----


def test_version_and_help(run):
    assert run("--version") == (0, f"minivision {minivision.__version__}\n", "")
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in ("demo", "train", "evaluate", "predict", "info", "examples:"))
    for name in ("demo", "train", "evaluate", "predict", "info"):
        code, out, _ = run(name, "--help")
        assert code == 0
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND; see minivision --help"),
        (("paint",), "argument COMMAND: invalid choice: 'paint'"),
        (("train",), "the following arguments are required: DATA; see minivision train --help"),
        (("train", ".", "--epochs", "0"), "argument --epochs: '0' is not a whole number of at least 1"),
        (("train", ".", "--lr", "nan"), "argument --lr: 'nan' is not a positive number"),
        (("train", ".", "--widths", "4,x"), "argument --widths: 'x' is not a whole number"),
        (("train", ".", "--model", "vgg"), "argument --model: invalid choice: 'vgg'"),
        (("predict", "a", "b", "--device", "tpu"), "argument --device: device: 'tpu' is unknown; use 'cpu', 'cuda' or 'cuda:0'"),
        (("demo", "--seed", "-1"), "argument --seed"),
    ],
)
def test_usage_errors(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in error_line(err)


def test_info(run):
    code, out, _ = run("info", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["minivision"] == minivision.__version__
    assert facts["NumPy"] == np.__version__
    assert facts["cores"] >= 1
    assert facts["libraries"]["Pillow"] == Image.__version__
    assert set(facts["devices"]) == {"cpu", "cuda"}
    code, out, _ = run("info")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(facts)


def test_info_names_the_line_that_installs_a_missing_library(run, monkeypatch):
    monkeypatch.setattr("minivision.info.LIBRARIES", ("no-such-library",))
    assert "no-such-library missing (pip install 'minivision[train]')" in run("info")[1]


# ---- train, evaluate ----


def test_train_writes_a_run_and_evaluate_measures_it(run, voc, tmp_path):
    code, out, err = run(*train(voc, "--epochs", "2", "--flip", "--seed", "5"))
    assert (code, err) == (0, "")
    assert files("run") == ["best.safetensors", "history.json", "last.safetensors", "loss.png"]
    history = json.loads(Path("run/history.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2]
    assert out.count("epoch ") == 2
    with Image.open("run/loss.png") as image:
        assert image.width > 400
    assert training.load_checkpoint("run/last.safetensors").classes == list(CLASSES)

    code, out, err = run("evaluate", "run/last.safetensors", voc, "--json", "measures.json", "--workers", "0")
    assert (code, err) == (0, "")
    measures = json.loads(Path("measures.json").read_text())
    assert measures["mean_iou"] == pytest.approx(history[-1]["mean_iou"], abs=1e-12)
    assert measures["images"] == 3
    assert measures["classes"] == list(CLASSES)
    assert f"mean {measures['mean_iou']:10.3f}".split() == next(x for x in out.splitlines() if "mean" in x).split()[:2]


def test_a_run_repeats_exactly_and_resume_continues_it(run, voc):
    assert run(*train(voc, "--epochs", "1"))[0] == 0
    code, _, err = run(*train(voc, "--epochs", "1"))
    assert code == 2
    assert "run holds a training run already; go on with --resume, or choose another --out" in error_line(err)
    first = training.load_checkpoint("run/last.safetensors").weights
    assert run(*train(voc, "--epochs", "1", "--out", "again"))[0] == 0
    again = training.load_checkpoint("again/last.safetensors").weights
    assert all(np.array_equal(first[name], again[name]) for name in first)

    assert run(*train(voc, "--epochs", "2", "--resume"))[0] == 0
    assert [row["epoch"] for row in json.loads(Path("run/history.json").read_text())] == [1, 2]
    code, _, err = run(*train(voc, "--resume", "--out", "elsewhere"))
    assert code == 2
    assert "nothing to resume" in error_line(err)


def test_train_an_fcn_on_crops_without_validation(run, voc):
    more = (
        "--widths",
        "2,2,2,2,2",
        "--fc",
        "2",
        "--crop",
        "16",
        "--size",
        "22",
        "--clip-norm",
        "1",
        "--epochs",
        "1",
        "--val-set",
        "none",
    )
    code, _, err = run(*train(voc, "--model", "fcn16s", *more))
    assert (code, err) == (0, "")
    assert training.load_checkpoint("run/last.safetensors").config["widths"] == [2, 2, 2, 2, 2]
    assert "val_loss" not in json.loads(Path("run/history.json").read_text())[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model", "fcn8s"), "--widths: fcn8s has 5 blocks, but 2 widths are given"),
        (("--fc", "8"), "--fc: a U-Net has no fully connected layers"),
        (("--image-set", "test"), "has no split 'test'; the splits there are: train, val"),
        (("--val-set", "trainval"), "has no split 'trainval'"),
        (("--year", "2007"), "holds no Pascal VOC 2007 data"),
    ],
)
def test_train_refuses_before_anything_is_written(run, voc, more, message):
    code, out, err = run(*train(voc, *more))
    assert (code, out) == (2, "")
    assert message in error_line(err)
    assert not Path("run").exists()


def test_ctrl_c_ends_training_with_a_checkpoint(run, voc, monkeypatch):
    steps = []
    step = training.Trainer.train_step

    def interrupted(self, *batch):
        steps.append(batch)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return step(self, *batch)

    monkeypatch.setattr(training.Trainer, "train_step", interrupted)
    code, _, err = run(*train(voc, "--epochs", "3"))
    assert code == 130
    assert "go on with --resume" in error_line(err)
    assert training.load_checkpoint("run/last.safetensors").training["step"] == 3
    monkeypatch.setattr(training.Trainer, "train_step", step)
    assert run(*train(voc, "--epochs", "3", "--resume"))[0] == 0
    assert training.load_checkpoint("run/last.safetensors").training["step"] == 6


# ---- bad input ----


def voc_file(voc, kind, index=0):
    return sorted((voc / "VOCdevkit/VOC2012" / kind).glob("train_*"))[index]


def corrupt(voc):
    path = voc_file(voc, "JPEGImages")
    path.write_bytes(path.read_bytes()[:200])


def corrupt_mask(voc):
    voc_file(voc, "SegmentationClass").write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")


def resize_mask(voc):
    data.save_mask(voc_file(voc, "SegmentationClass"), np.zeros((20, 24), int))


def mislabel(voc):
    data.save_mask(voc_file(voc, "SegmentationClass"), np.full((24, 20), 7))


def remove_image(voc):
    voc_file(voc, "JPEGImages").unlink()


def empty_split(voc):
    (voc / "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt").write_text("\n")


def empty_folder(voc):
    shutil.rmtree(voc)
    voc.mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (corrupt, "train_000000.jpg: "),
        (corrupt_mask, "train_000000.png: "),
        (resize_mask, "train_000000.png: the mask is 24 x 20 pixels, but its image train_000000.jpg is 20 x 24"),
        (mislabel, "train_000000.png: label 7 is out of range; legal are 0..3"),
        (remove_image, "train_000000.jpg is missing"),
        (empty_split, "is empty: it lists no image"),
        (empty_folder, "holds no Pascal VOC 2012 data"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_bad_data_is_one_line_and_writes_nothing(run, voc, checkpoint, command, damage, message):
    damage(voc)
    arguments = train(voc) if command == "train" else ("evaluate", checkpoint, voc, "--image-set", "train", "--json", "m.json")
    code, _, err = run(*arguments)
    assert code == 2
    assert message in error_line(err)
    assert not Path("m.json").exists()
    assert files("run") == []


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def not_a_checkpoint(path):
    path.write_bytes(b"PK\x03\x04 a zip file")


def wrong_classes(path):
    training.save_checkpoint(path, models.create("unet", num_classes=21, widths=(2, 4)))


def other_names(path):
    training.save_checkpoint(path, models.create("unet", num_classes=4, widths=(2, 4)), classes=("background", "a", "b", "c"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "is truncated"),
        (not_a_checkpoint, "is not a safetensors file but a pickle"),
        (wrong_classes, "was trained for 21 classes, but 4 are wanted"),
        (other_names, "was trained for the classes background, a, b, c, but the data has background, disk, square, triangle"),
        (Path.unlink, "there is no file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_checkpoints(run, voc, checkpoint, damage, message):
    damage(checkpoint)
    code, out, err = run("evaluate", checkpoint, voc)
    assert (code, out) == (2, "")
    assert message in error_line(err)


@pytest.mark.parametrize("command", ["train", "predict", "demo"])
def test_a_file_in_the_place_of_the_output_folder(run, voc, checkpoint, command):
    Path("run").write_text("precious")
    arguments = {
        "train": train(voc),
        "predict": ("predict", checkpoint, voc_file(voc, "JPEGImages"), "--out", "run"),
        "demo": ("demo", "--quick", "--out", "run"),
    }[command]
    code, _, err = run(*arguments)
    assert code == 2
    assert "run: a file of that name exists" in error_line(err)
    assert Path("run").read_text() == "precious"


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_disk_full_while_training(run, voc, monkeypatch):
    assert run(*train(voc, "--epochs", "1"))[0] == 0
    before = {name: Path("run", name).read_bytes() for name in files("run")}
    monkeypatch.setattr("minivision.data.files.os.fsync", full)
    code, _, err = run(*train(voc, "--epochs", "2", "--resume"))
    assert code == 1
    assert "No space left on device; the previous file is intact" in error_line(err)
    assert {name: Path("run", name).read_bytes() for name in files("run")} == before


def test_disk_full_while_predicting(run, voc, checkpoint, monkeypatch):
    monkeypatch.setattr("minivision.data.files.os.replace", full)
    code, _, err = run("predict", checkpoint, voc_file(voc, "JPEGImages"), "--out", "masks")
    assert code == 1
    assert "could not write" in error_line(err)
    assert files("masks") == []


def test_nan_in_an_image(run, voc, monkeypatch):
    monkeypatch.setattr(data.voc, "read_image", lambda path: np.full((3, 24, 20), np.nan, np.float32))
    code, _, err = run(*train(voc))
    assert code == 2
    assert "NaN or infinite" in error_line(err)


def test_images_without_a_label(run, voc, monkeypatch):
    """Nothing to learn from: a loss of 0, measures that are not defined, and a warning."""
    monkeypatch.setattr(data.voc, "read_mask", lambda path: np.full((24, 20), 255))
    code, _, err = run(*train(voc, "--epochs", "1"))
    assert code == 0
    assert all(line.startswith("minivision: warning: cross_entropy: every label is ignore_index") for line in err.splitlines())
    row = json.loads(Path("run/history.json").read_text())[0]
    assert (row["loss"], row["mean_iou"]) == (0.0, None)
    code, out, err = run("evaluate", "run/last.safetensors", voc)
    assert (code, err) == (0, "")
    assert "pixel accuracy nan" in out


def test_weights_that_explode(run, voc, tmp_path):
    code, _, err = run(*train(voc, "--lr", "1e30", "--epochs", "30", "--out", tmp_path / "run"))
    assert code == 1
    assert "epoch" in error_line(err)
    for name in files(tmp_path / "run"):
        if name.endswith("safetensors"):
            weights = training.load_checkpoint(tmp_path / "run" / name).weights
            assert all(np.isfinite(array).all() for array in weights.values())


def test_no_gpu(run, voc, checkpoint):
    code, _, err = run("evaluate", checkpoint, voc, "--device", "cuda")
    assert code == 1
    assert "no GPU answers" in error_line(err)


def test_a_missing_library_is_one_line_with_the_way_out(run, voc, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, err = run(*train(voc))
    assert code == 1
    assert error_line(err) == "drawing the loss curve needs matplotlib: pip install 'minivision[train]'"
    assert not Path("run").exists()


def test_unexpected_errors_give_their_type_and_debug_their_traceback(run, checkpoint, monkeypatch):
    def broken(*_):
        raise KeyError("lost\nkey")

    monkeypatch.setattr("minivision.info.collect", broken)
    code, _, err = run("info")
    assert code == 1
    assert error_line(err) == "KeyError: 'lost\\nkey' (--debug shows where)"
    with pytest.raises(KeyError):
        run("info", "--debug")


@pytest.mark.parametrize(("error", "message"), [(MemoryError(), "not enough memory"), (OSError("a\nb"), "a b")])
def test_failures(run, monkeypatch, error, message):
    def failing():
        raise error

    monkeypatch.setattr("minivision.info.collect", failing)
    code, _, err = run("info")
    assert code == 1
    assert error_line(err).startswith(message)


# ---- predict ----


def make_images(folder):
    """One image of each kind, all of different odd sizes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (13, 17, 3)).astype(np.uint8)
    Image.fromarray(colours).save(folder / "photo.jpg")
    Image.fromarray(colours[:9]).save(folder / "photo.png")  # the same stem
    Image.fromarray(colours[:1, :1]).save(folder / "dot.png")
    Image.fromarray(colours[..., 0]).save(folder / "grey.png")
    Image.fromarray(colours[..., 1].astype(np.uint16) * 257).save(folder / "grey16.png")
    Image.fromarray(np.dstack([colours, colours[..., :1]])).save(folder / "alpha.png")
    return {"photo": (13, 17), "photo-2": (9, 17), "dot": (1, 1), "grey": (13, 17), "grey16": (13, 17), "alpha": (13, 17)}


def test_predict_writes_masks_and_overlays_of_every_kind_of_image(run, checkpoint):
    sizes = make_images(Path("photos"))
    code, out, err = run("predict", checkpoint, "photos", "photos/photo.jpg", "--out", "masks")
    assert (code, err) == (0, "")
    assert files("masks") == sorted(f"{name}{kind}.png" for name in sizes for kind in ("", "_overlay"))
    model = training.load_model(checkpoint)
    for name, size in sizes.items():
        with Image.open(f"masks/{name}.png") as mask, Image.open(f"masks/{name}_overlay.png") as overlay:
            assert mask.mode == "P"
            assert (mask.height, mask.width) == (overlay.height, overlay.width) == size
            assert mask.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
    mask = data.read_mask("masks/photo.png")
    np.testing.assert_array_equal(mask, training.segment(model, data.read_image("photos/photo.jpg")))
    line = next(line for line in out.splitlines() if line.startswith("photos/photo.jpg"))
    assert line.startswith(f"photos/photo.jpg -> masks/photo.png: {CLASSES[mask.min()]} {(mask == mask.min()).mean():.1%}")


def test_predict_goes_on_after_a_damaged_image(run, checkpoint):
    make_images(Path("photos"))
    Path("photos/broken.png").write_bytes(Path("photos/alpha.png").read_bytes()[:90])
    Path("photos/empty.jpg").touch()
    code, out, err = run("predict", checkpoint, "photos", "--out", "masks")
    assert code == 1
    assert [line.split(": ")[2] for line in err.splitlines()] == ["photos/broken.png", "photos/empty.jpg"]
    assert len(files("masks")) == 12
    assert len(out.splitlines()) == 6


def test_predict_never_replaces_an_input(run, checkpoint):
    make_images(Path("photos"))
    before = {path: path.read_bytes() for path in Path("photos").iterdir()}
    code, out, err = run("predict", checkpoint, "photos", "--out", "photos")
    assert (code, out) == (2, "")
    assert "is one of the images, and its mask would replace it" in error_line(err)
    assert {path: path.read_bytes() for path in Path("photos").iterdir()} == before


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/x.jpg", "b/x.jpg", "b/X.png"], ["x", "x-2", "X-3"]),
        (["a.jpg", "a_overlay.jpg"], ["a", "a_overlay-2"]),
        (["a_overlay.jpg", "a.jpg"], ["a_overlay", "a-2"]),
        (["a-2.jpg", "a.jpg", "a.png"], ["a-2", "a", "a-3"]),
    ],
)
def test_output_files_are_all_different(names, expected, tmp_path):
    outputs = output_files([tmp_path / name for name in names], Path("masks"))
    assert outputs == [(Path(f"masks/{stem}.png"), Path(f"masks/{stem}_overlay.png")) for stem in expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no file or folder nowhere"),
        (("empty",), "the folder empty holds no images"),
    ],
)
def test_predict_without_images(run, checkpoint, arguments, message):
    Path("empty").mkdir()
    code, _, err = run("predict", checkpoint, *arguments)
    assert code == 2
    assert message in error_line(err)
    assert not Path("predictions").exists()


def test_predict_normalises_as_the_checkpoint_says(run, tmp_path):
    path = tmp_path / "normalised.safetensors"
    manual_seed(1)
    model = models.create("unet", num_classes=3, widths=(2, 4), norm=None)
    training.save_checkpoint(path, model, normalization={"mean": [0.9, 0.1, 0.4], "std": [0.1, 0.2, 0.3]})
    make_images(Path("photos"))
    assert run("predict", path, "photos/photo.jpg", "--out", "masks")[0] == 0
    image = data.read_image("photos/photo.jpg")
    normalised = (image - np.array([0.9, 0.1, 0.4])[:, None, None]) / np.array([0.1, 0.2, 0.3])[:, None, None]
    np.testing.assert_array_equal(data.read_mask("masks/photo.png"), training.segment(model, normalised.astype(np.float32)))


# ---- demo ----


def test_demo(run, tmp_path):
    started = time.perf_counter()
    code, out, err = run("demo", "--quick", "--out", "demo")
    assert (code, err) == (0, "")
    assert time.perf_counter() - started < 20
    results = json.loads(Path("demo/results.json").read_text())
    assert list(results) == ["unet", "fcn32s", "fcn16s", "fcn8s"]
    for name, result in results.items():
        assert list(result) == ["miou", "pixel_accuracy", "seconds", "parameters"]
        model = training.load_model(f"demo/checkpoints/{name}.safetensors")
        assert result["parameters"] == sum(p.numel() for p in model.parameters())
        assert 0 <= result["miou"] <= 1
    for picture in ("unet.png", "fcn.png", "loss.png", "confusion.png"):
        with Image.open(f"demo/{picture}") as image:
            assert min(image.size) > 200
    assert len(files("demo/data/VOCdevkit/VOC2012/JPEGImages")) == demo.QUICK.train_images + demo.QUICK.test_images

    # the held-out images are measured by the ordinary command to the same numbers
    assert run("evaluate", "demo/checkpoints/unet.safetensors", "demo/data", "--json", "m.json")[0] == 0
    assert json.loads(Path("m.json").read_text())["mean_iou"] == pytest.approx(results["unet"]["miou"], abs=1e-4)
    assert "FCN-8s" in out


def test_the_standard_recipe_reports_its_claims():
    results = {
        name: {"miou": miou, "pixel_accuracy": 0.9, "seconds": 1.0, "parameters": 1000}
        for name, miou in (("unet", 0.91), ("fcn32s", 0.5), ("fcn16s", 0.8), ("fcn8s", 0.7))
    }
    lines = demo.report(results, demo.STANDARD).splitlines()
    assert lines[-2] == "yes  U-Net reaches mIoU 0.90"
    assert lines[-1] == "NO   FCN-8s is better than FCN-16s, and that better than FCN-32s"
    assert len(demo.report(results, demo.QUICK).splitlines()) == 5


def test_ctrl_c_in_the_demo(run, monkeypatch):
    def interrupted(self, *batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Trainer, "train_step", interrupted)
    code, _, err = run("demo", "--quick")
    assert code == 130
    assert error_line(err) == "stopped by Ctrl-C"
    assert not Path("demo/results.json").exists()


def test_plain_json():
    confusion = ConfusionMatrix(3)
    confusion.update(np.array([0, 1]), np.array([0, 0]))
    plain = demo.plain({"iou": confusion.iou, "matrix": confusion.matrix, "path": Path("a"), 1: (np.float32(0.5), np.nan)})
    assert plain == {"iou": [0.5, 0.0, None], "matrix": [[1, 1, 0], [0, 0, 0], [0, 0, 0]], "path": "a", "1": [0.5, None]}


# ---- as a program ----


def test_a_reader_that_goes_away(tmp_path):
    """`minivision info | head -1`: neither a traceback nor a complaint."""
    script = "import sys; from minivision.cli import main; sys.exit(main(['info']))"
    reader, writer = os.pipe()
    os.close(reader)
    program = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert program.returncode == 1
    assert program.stderr == ""


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="Windows sends no SIGINT to a child")
def test_ctrl_c_as_a_program(tmp_path):
    script = (
        "import signal, sys, time; from minivision import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background begins with Ctrl-C ignored
        "def wait(): print('ready', flush=True); time.sleep(60)\n"
        "cli.info.collect = wait; sys.exit(cli.main(['info']))"
    )
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert program.returncode == 130
    assert err == "minivision: error: stopped by Ctrl-C\n"
