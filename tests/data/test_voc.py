"""The Pascal VOC layout, written and read; every file that can be missing or wrong."""

import errno
import os
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from minivision.data import (
    VOC_CLASSES,
    Normalize,
    RandomHorizontalFlip,
    SceneSegmentation,
    ShapesWorld,
    VOCSegmentation,
    read_mask,
    save_mask,
    write_voc,
)


@pytest.fixture
def world():
    return ShapesWorld(4, size=(60, 53), seed=3, objects=(0, 3))


@pytest.fixture
def tree(tmp_path, world):
    return write_voc(tmp_path, world, "train", image_suffix=".png")


def test_layout(tmp_path, world):
    folder = write_voc(tmp_path, world, "train")
    write_voc(tmp_path, ShapesWorld(2, seed=9), "val")
    assert folder == tmp_path / "VOCdevkit" / "VOC2012"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    ids = [*(f"train_{index:06d}" for index in range(4)), "val_000000", "val_000001"]
    assert files == {
        *(f"JPEGImages/{name}.jpg" for name in ids),
        *(f"{kind}/{name}.png" for kind in ("SegmentationClass", "SegmentationObject") for name in ids),
        *(f"Annotations/{name}.xml" for name in ids),
        *(f"ImageSets/{kind}/{split}.txt" for kind in ("Main", "Segmentation") for split in ("train", "val")),
        *(f"ImageSets/Main/{name}_{split}.txt" for name in ("disk", "square", "triangle") for split in ("train", "val")),
        "classes.txt",
    }
    assert (folder / "ImageSets/Segmentation/val.txt").read_text() == "val_000000\nval_000001\n"
    assert (folder / "classes.txt").read_text() == "background\ndisk\nsquare\ntriangle\n"


def test_masks_are_palette_images_with_the_labels_as_indices(tree, world):
    for index, scene in enumerate(world):
        name = f"train_{index:06d}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(tree / "SegmentationClass" / name)), scene.semantic)
        np.testing.assert_array_equal(np.asarray(Image.open(tree / "SegmentationObject" / name)), scene.instances)
        np.testing.assert_array_equal(np.asarray(Image.open(tree / "JPEGImages" / name)), scene.image)
        assert Image.open(tree / "SegmentationClass" / name).getpalette()[3:6] == [128, 0, 0]


def test_annotations_count_from_one_and_include_the_last_pixel(tree, world):
    for index, scene in enumerate(world):
        root = ElementTree.parse(tree / "Annotations" / f"train_{index:06d}.xml").getroot()
        assert [root.findtext(f"size/{tag}") for tag in ("width", "height", "depth")] == ["53", "60", "3"]
        things = root.findall("object")
        assert [thing.findtext("name") for thing in things] == [world.classes[label] for label in scene.labels]
        for thing, mask in zip(things, scene.masks, strict=True):
            xmin, ymin, xmax, ymax = (int(thing.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax"))
            assert mask.sum() == mask[ymin - 1 : ymax, xmin - 1 : xmax].sum()
            for edge in (mask[ymin - 1], mask[ymax - 1], mask[:, xmin - 1], mask[:, xmax - 1]):
                assert edge.any()
            assert (thing.findtext("difficult"), thing.findtext("truncated")) == ("0", "0")


def test_main_lists_say_which_classes_are_there(tree, world):
    for label, name in enumerate(world.classes[1:], start=1):
        lines = (tree / "ImageSets" / "Main" / f"{name}_train.txt").read_text().splitlines()
        expected = [(f"train_{index:06d}", "1" if (scene.semantic == label).any() else "-1") for index, scene in enumerate(world)]
        assert [tuple(line.split()) for line in lines] == expected


def test_border_is_void(tmp_path, world):
    folder = write_voc(tmp_path, world, border=2)
    for index, scene in enumerate(world):
        mask = read_mask(folder / "SegmentationClass" / f"train_{index:06d}.png")
        for i in range(60):
            for j in range(53):
                window = scene.instances[max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3]
                assert mask[i, j] == (scene.semantic[i, j] if (window == window[0, 0]).all() else 255)


def test_reads_what_was_written(tmp_path, tree, world):
    for root in (tmp_path, tmp_path / "VOCdevkit", tree):
        dataset = VOCSegmentation(root, image_set="train")
        assert dataset.classes == world.classes
        assert len(dataset) == 4
        for (image, mask), scene in zip(dataset, world, strict=True):
            assert (image.dtype, mask.dtype) == (np.float32, np.int64)
            np.testing.assert_array_equal(image, scene.pair()[0])
            np.testing.assert_array_equal(mask, scene.semantic)


def test_jpeg_is_close(tmp_path, world):
    write_voc(tmp_path, world)
    for (image, _), scene in zip(VOCSegmentation(tmp_path), world, strict=True):
        assert np.abs(image - scene.pair()[0]).mean() < 0.015


def test_real_layout_without_classes_file(tmp_path):
    """A hand-made tree as the real data set has it: JPEG, VOC's 21 classes, void borders, another year."""
    folder = tmp_path / "VOCdevkit" / "VOC2007"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (7, 5), (255, 0, 0)).save(folder / "JPEGImages/2007_000032.jpg")
    mask = np.full((5, 7), 15)
    mask[0] = 255
    save_mask(folder / "SegmentationClass/2007_000032.png", mask)
    (folder / "ImageSets/Segmentation/val.txt").write_text("2007_000032\n\n")
    dataset = VOCSegmentation(tmp_path, year="2007", image_set="val")
    assert (len(dataset), dataset.classes, dataset.classes[15]) == (1, VOC_CLASSES, "person")
    image, read = dataset[0]
    np.testing.assert_allclose(image[:, 2, 3], [1, 0, 0], atol=0.02)
    np.testing.assert_array_equal(read, mask)


def test_transforms(tmp_path, tree):
    plain = VOCSegmentation(tmp_path)
    flipped = VOCSegmentation(tmp_path, transforms=RandomHorizontalFlip(p=1))
    np.testing.assert_array_equal(flipped[1][0], plain[1][0][:, :, ::-1])
    np.testing.assert_array_equal(flipped[1][1], plain[1][1][:, ::-1])
    separate = VOCSegmentation(tmp_path, transform=lambda image: image * 2, target_transform=lambda mask: mask + 1)
    np.testing.assert_array_equal(separate[1][0], plain[1][0] * 2)
    np.testing.assert_array_equal(separate[1][1], plain[1][1] + 1)
    with pytest.raises(ValueError, match="either transforms, or transform and target_transform"):
        VOCSegmentation(tmp_path, transform=abs, transforms=RandomHorizontalFlip())
    with pytest.raises(ValueError, match=r"Normalize\(mean=0, std=1\) takes image and mask together: pass it as transforms="):
        VOCSegmentation(tmp_path, transform=Normalize(0, 1))


def test_scene_segmentation_is_the_same_without_files(tmp_path, tree, world):
    from_files, from_memory = (
        VOCSegmentation(tmp_path, transforms=RandomHorizontalFlip()),
        SceneSegmentation(world, RandomHorizontalFlip()),
    )
    assert len(from_memory) == 4
    for index in range(4):
        for a, b in zip(from_files[index], from_memory[index], strict=True):
            np.testing.assert_array_equal(a, b)


def test_missing_folder_split_and_empty_split(tmp_path, tree):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        VOCSegmentation(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"holds no Pascal VOC 2012 data: .*VOC2012 does not exist"):
        VOCSegmentation(tree / "JPEGImages")
    write_voc(tmp_path, ShapesWorld(1), "val")
    with pytest.raises(FileNotFoundError, match=r"has no split 'test'; the splits there are: train, val$"):
        VOCSegmentation(tmp_path, image_set="test")
    (tree / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"the split .*val.txt is empty"):
        VOCSegmentation(tmp_path, image_set="val")


@pytest.mark.parametrize("file", ["JPEGImages/train_000002.png", "SegmentationClass/train_000002.png"])
def test_missing_file(tmp_path, tree, file):
    (tree / file).unlink()
    with pytest.raises(FileNotFoundError, match=r"train_000002.(jpg|png) is missing, but the split 'train' lists it"):
        VOCSegmentation(tmp_path)


@pytest.mark.parametrize("file", ["JPEGImages/train_000002.png", "SegmentationClass/train_000002.png"])
def test_damaged_file(tmp_path, tree, file):
    (tree / file).write_bytes((tree / file).read_bytes()[:60])
    dataset = VOCSegmentation(tmp_path)
    dataset[1]
    with pytest.raises(ValueError, match=f"{file}: the image is damaged|{file}: not an image file"):
        dataset[2]


def test_mask_of_another_size(tmp_path, tree):
    save_mask(tree / "SegmentationClass/train_000001.png", np.zeros((53, 60), int))
    with pytest.raises(
        ValueError, match=r"train_000001.png: the mask is 60 x 53 pixels, but its image train_000001.png is 53 x 60"
    ):
        VOCSegmentation(tmp_path)[1]


def test_mask_in_colours(tmp_path, tree):
    Image.new("RGB", (53, 60)).save(tree / "SegmentationClass/train_000001.png")
    with pytest.raises(ValueError, match=r"train_000001.png: this mask is in colours"):
        VOCSegmentation(tmp_path)[1]


def test_label_out_of_range(tmp_path, tree):
    mask = np.zeros((60, 53), int)
    mask[3, 4], mask[0, 0] = 4, 255
    save_mask(tree / "SegmentationClass/train_000001.png", mask)
    with pytest.raises(
        ValueError,
        match=r"train_000001.png: label 4 is out of range; legal are 0..3 \(background, disk, square, triangle\) and 255",
    ):
        VOCSegmentation(tmp_path)[1]


def test_writer_refuses_what_it_cannot_name(tmp_path, world):
    with pytest.raises(ValueError, match="class names are unknown; pass classes="):
        write_voc(tmp_path, list(world))
    with pytest.raises(ValueError, match=r"has label \d, but there are 1 classes"):
        write_voc(tmp_path, ShapesWorld(1), classes=("background",))
    with pytest.raises(ValueError, match="no scenes to write as split 'val'"):
        write_voc(tmp_path / "b", ShapesWorld(0), "val")
    write_voc(tmp_path / "c", world)
    with pytest.raises(ValueError, match=r"has the classes .*'triangle'\) already, not .*'ring'\)"):
        write_voc(tmp_path / "c", ShapesWorld(1, shapes=("ring",)), "val")


def test_disk_full_while_writing(tmp_path, world, monkeypatch):
    """The split that was there stays readable; the message names the file."""
    folder = write_voc(tmp_path, world, "train")

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"could not write .*val_000000.jpg: No space left on device$"):
        write_voc(tmp_path, world, "val")
    assert len(VOCSegmentation(tmp_path)) == 4
    assert not (folder / "ImageSets/Segmentation/val.txt").exists()
    assert not list(folder.rglob("*.tmp"))


def test_folder_that_cannot_be_made(tmp_path, world):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="could not create the folder"):
        write_voc(tmp_path / "file", world)
