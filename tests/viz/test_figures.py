"""The figures: what stands on them, that they need no pyplot, and how they are saved. Pixels are not compared."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minivision import viz
from minivision.metrics import ConfusionMatrix
from minivision.viz.curves import running_mean, series
from minivision.viz.matrices import row_shares
from minivision.viz.segmentation import image_iou

CLASSES = ("background", "disk", "square")
TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [0, 2, 2, 255]])
PREDICTION = np.array([[0, 0, 1, 1], [0, 2, 1, 1], [0, 2, 2, 0]])  # one of 11 known pixels wrong
# class 0: 4/4, class 1: 3/4, class 2: 3/4
IOU = (1 + 3 / 4 + 3 / 4) / 3


def texts(figure):
    """Everything written on a figure."""
    axes = figure.axes
    legends = [*figure.legends, *(one.get_legend() for one in axes if one.get_legend())]
    return [
        *(one.get_title() for one in axes),
        *(one.get_xlabel() for one in axes),
        *(text.get_text() for one in axes for text in one.texts),
        *(text.get_text() for legend in legends for text in legend.get_texts()),
    ]


def pictures(figure):
    return [np.asarray(one.images[0].get_array()) for one in figure.axes if one.images]


def test_image_iou_leaves_out_classes_that_the_image_does_not_have():
    truth = np.array([[0, 0, 0, 1], [0, 0, 1, 255]])
    prediction = np.array([[0, 0, 2, 1], [0, 0, 0, 2]])
    assert image_iou(truth, prediction, 3) == pytest.approx((4 / 6 + 1 / 2) / 2)  # class 0: 4 of 6, class 1: 1 of 2
    assert image_iou(truth, truth % 255, 3) == 1


def test_segmentation_panels(rng):
    image = rng.random((3, 3, 4), dtype=np.float32)
    figure = viz.segmentation_panels([image, image], [TRUTH, TRUTH], [PREDICTION, np.where(TRUTH == 255, 0, TRUTH)], CLASSES)
    shown = pictures(figure)
    assert len(shown) == 8
    np.testing.assert_array_equal(shown[0], viz.as_rgb(image))
    np.testing.assert_array_equal(shown[1], viz.colorize(TRUTH))
    np.testing.assert_array_equal(shown[2], viz.colorize(PREDICTION))
    np.testing.assert_array_equal(shown[3], viz.error_map(image, TRUTH, PREDICTION))
    written = texts(figure)
    assert written[:4] == ["image", "truth", "prediction", "error"]
    assert {f"IoU {IOU:.3f}", "IoU 1.000", "9.1% of pixels wrong", "0.0% of pixels wrong"} <= set(written)
    assert {*CLASSES, "void", "wrong"} <= set(written)
    assert "2 images" in figure.alt


def test_segmentation_panels_of_void_alone():
    void = np.full((3, 4), 255)
    figure = viz.segmentation_panels(np.zeros((1, 3, 3, 4)), [void], [PREDICTION], CLASSES)
    assert {"IoU nan", "nan% of pixels wrong"} <= set(texts(figure))


def test_segmentation_panels_refuses():
    with pytest.raises(ValueError, match="1 images, 2 truths, 1 predictions"):
        viz.segmentation_panels([np.zeros((3, 3, 4))], [TRUTH, TRUTH], [PREDICTION], CLASSES)
    with pytest.raises(ValueError, match="at least one"):
        viz.segmentation_panels([], [], [], CLASSES)


@pytest.mark.parametrize("several", [False, True])
def test_compare_models(several):
    image = np.zeros((3, 3, 4))
    predictions = {"FCN-32s": np.zeros_like(TRUTH), "FCN-8s": PREDICTION}
    if several:
        figure = viz.compare_models([image], [TRUTH], {name: [p] for name, p in predictions.items()}, CLASSES)
    else:
        figure = viz.compare_models(image, TRUTH, predictions, CLASSES)
    written = texts(figure)
    assert written[:4] == ["image", "truth", "FCN-32s", "FCN-8s"]
    assert {f"IoU {IOU:.3f}", f"IoU {4 / 11 / 3:.3f}"} <= set(written)
    np.testing.assert_array_equal(pictures(figure)[3], viz.colorize(PREDICTION))
    lines = figure.axes[2].collections[0].get_segments()
    np.testing.assert_array_equal(lines, viz.outlines(TRUTH))


def test_compare_models_refuses():
    with pytest.raises(ValueError, match="no predictions"):
        viz.compare_models(np.zeros((3, 3, 4)), TRUTH, {}, CLASSES)
    with pytest.raises(ValueError, match="1 image, 1 truth, 2 FCN-8s"):
        viz.compare_models([np.zeros((3, 3, 4))], [TRUTH], {"FCN-8s": [TRUTH, TRUTH]}, CLASSES)


def test_confusion_matrix():
    confusion = ConfusionMatrix(3, names=CLASSES)
    confusion.matrix[:] = [[30, 10, 0], [0, 0, 0], [1, 0, 9999]]
    np.testing.assert_array_equal(row_shares(confusion.matrix), [[0.75, 0.25, 0], [np.nan] * 3, [1e-4, 0, 0.9999]])
    figure = viz.confusion_matrix(confusion)
    axes = figure.axes[0]
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert numbers == {(0, 0): "75.0", (1, 0): "25.0", (2, 0): "0", (0, 2): "<0.1", (1, 2): "0", (2, 2): ">99.9"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["background (40)", "disk (0)", "square (10,000)"]
    assert len(viz.confusion_matrix(confusion.matrix).axes[0].texts) == 6
    with pytest.raises(ValueError, match=r"counts \(K, K\) and K names, but got \(3, 3\) and 2 names"):
        viz.confusion_matrix(confusion, ("a", "b"))


HISTORY = [
    {"epoch": 1, "loss": 1.0, "val_loss": 1.1, "mean_iou": 0.4, "lr": 0.1},
    {"epoch": 2, "loss": 0.5, "val_loss": None, "mean_iou": 0.7, "lr": 0.05},
    {"epoch": 3, "loss": 0.01, "val_loss": 0.9, "mean_iou": 0.6, "lr": 0.01},
]


def test_series_passes_over_missing_values():
    epochs, values = series(HISTORY, "val_loss")
    np.testing.assert_array_equal(epochs, [1, 3])
    np.testing.assert_array_equal(values, [1.1, 0.9])
    assert series(HISTORY, "other")[0].shape == (0,)


def test_loss_curve():
    figure = viz.loss_curve(HISTORY, title="U-Net")
    loss, miou, rate = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 1.0], [2, 0.5], [3, 0.01]])
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [[1, 1.1], [3, 0.9]])
    assert loss.get_yscale() == "log"
    np.testing.assert_array_equal(miou.lines[1].get_xydata(), [[2, 0.7]])  # the best
    assert "best 0.700" in texts(figure)
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), [0.1, 0.05, 0.01])


def test_loss_curves_of_several_runs_and_missing_panels():
    short = [{"epoch": 1, "loss": 0.8}]
    figure = viz.loss_curve({"FCN-8s": HISTORY, "FCN-32s": short})
    assert len(figure.axes) == 3
    assert {"FCN-8s", "FCN-32s", "FCN-8s, best 0.700"} <= set(texts(figure))
    assert len(viz.loss_curve(short).axes) == 1
    with pytest.raises(ValueError, match="no epoch with a loss"):
        viz.loss_curve([])


def test_running_mean():
    np.testing.assert_allclose(running_mean([4.0, 2.0, 6.0, 1.0], 2), [4.0, 3.0, 4.0, 3.5])
    np.testing.assert_allclose(running_mean([4.0, 2.0, 6.0, 1.0], 9), [4.0, 3.0, 4.0, 3.25])
    assert running_mean([], 3).shape == (0,)


def test_loss_of_every_batch_runs_up_to_the_end_of_its_epoch():
    figure = viz.loss_curve(HISTORY, [3.0, 2.0, 1.0, 0.5, 0.2, 0.1])
    np.testing.assert_allclose(
        figure.axes[0].lines[0].get_xydata(), [[0.5, 3.0], [1, 2.0], [1.5, 1.0], [2, 0.5], [2.5, 0.2], [3, 0.1]]
    )
    figure = viz.loss_curve({"a": HISTORY, "b": HISTORY}, {"b": [3.0, 2.0, 1.0]})
    assert len(figure.axes[0].lines) == 5


def test_feature_maps():
    maps = np.arange(5 * 2 * 3, dtype=np.float32).reshape(1, 5, 2, 3)
    figure = viz.feature_maps(maps, max_channels=4, columns=3)
    shown = pictures(figure)
    assert len(shown) == 4
    np.testing.assert_array_equal(shown[3], maps[0, 3])
    assert "3: 18 to 23" in texts(figure)
    assert figure.get_suptitle() == "4 of 5 channels, 2 x 3"
    with pytest.raises(ValueError, match=r"feature_maps: .* its shape is \(2, 5, 2, 3\)"):
        viz.feature_maps(np.zeros((2, 5, 2, 3)))


def test_kernels():
    weight = np.zeros((2, 4, 3, 3))
    weight[1, 2, 0, 0], weight[0, 1, 2, 2] = -2.0, 1.0
    figure = viz.kernels(weight)
    shown = pictures(figure)[:8]
    np.testing.assert_array_equal(shown[6], weight[1, 2])
    assert figure.axes[0].images[0].get_clim() == (-2.0, 2.0)
    colours = np.zeros((1, 3, 2, 2))
    colours[0, 0, 0, 1] = 4.0
    picture = pictures(viz.kernels(colours))[0]
    np.testing.assert_array_equal(picture[0, 1], [1.0, 0.5, 0.5])
    np.testing.assert_array_equal(picture[0, 0], [0.5, 0.5, 0.5])
    viz.kernels(np.zeros((2, 2, 1, 1)))
    with pytest.raises(ValueError, match=r"kernels: .* \(2, 2\)"):
        viz.kernels(np.zeros((2, 2)))


def test_save_writes_the_whole_file_or_nothing(tmp_path):
    from PIL import Image

    figure = viz.loss_curve(HISTORY)
    path = tmp_path / "loss.png"
    viz.save(figure, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.text == {"Description": figure.alt}
    content = path.read_bytes()
    viz.save(figure, path)
    assert path.read_bytes() == content
    with pytest.raises(OSError, match=r"could not write .*nowhere"):
        viz.save(figure, tmp_path / "nowhere" / "loss.png")
    with pytest.raises(ValueError, match=r"must end in .png"):
        viz.save(figure, tmp_path / "loss.pdf")
    assert os.listdir(tmp_path) == ["loss.png"]


def test_a_notebook_shows_the_figure_with_its_description():
    figure = viz.loss_curve(HISTORY)
    content, metadata = figure._repr_png_()
    assert content.startswith(b"\x89PNG")
    assert metadata == {"alt": "Training curves: loss by epoch"}


def test_neither_pyplot_nor_a_display_is_needed():
    script = (
        "import sys\n"
        "from minivision import viz\n"
        "assert 'matplotlib' not in sys.modules\n"
        "viz.loss_curve([{'epoch': 1, 'loss': 1.0}])._repr_png_()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_matplotlib_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"needs matplotlib: pip install 'minivision\[train\]'"):
        viz.loss_curve(HISTORY)
