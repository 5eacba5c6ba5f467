"""Writing scenes as a Pascal VOC data set."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from minivision.data.files import atomic_write, make_folder
from minivision.data.images import encode, encode_mask, write_encoded
from minivision.data.scene import Scene
from minivision.data.voc import VOID, read_classes

FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation", "ImageSets/Main")


def write_voc(
    root: str | os.PathLike[str],
    scenes: Iterable[Scene],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    year: str = "2012",
    image_suffix: str = ".jpg",
    border: int = 0,
) -> Path:
    """Write scenes as one split of a Pascal VOC tree, `root/VOCdevkit/VOC2012`, and return that folder.

    Further calls add splits to the same tree; writing a split again replaces it. Each file appears whole or not at all, and
    the list of a split is written last, so that it never names a file that is not there.

    Parameters
    ----------
    scenes : a `ShapesWorld`, or any iterable of `Scene`s. The IDs are `<split>_000000` and so on.
    classes : class names, background first; `scenes.classes` by default.
    image_suffix : ".jpg" (quality 95, full colour resolution) or ".png" (exact).
    border : pixels on both sides of every object's outline that the masks mark as void (255), as the real data set does.

    Raises
    ------
    ValueError : no scenes, no class names, labels beyond them, or a tree that has other classes already.
    OSError : a file or folder cannot be written (disk full, no permission); the message names it.
    """
    names = tuple(classes if classes is not None else getattr(scenes, "classes", ()))
    if not names:
        raise ValueError("write_voc: the class names are unknown; pass classes=('background', ...)")
    folder = Path(root) / "VOCdevkit" / f"VOC{year}"
    for name in FOLDERS:
        make_folder(folder / name)
    _write_classes(folder, names)

    present: dict[str, list[bool]] = {}  # ID -> for each class after background, whether the image has one
    for index, scene in enumerate(scenes):
        image_id = f"{split}_{index:06d}"
        if scene.semantic.max(initial=0) >= len(names):
            raise ValueError(f"write_voc: scene {index} has label {scene.semantic.max()}, but there are {len(names)} classes")
        file = f"{image_id}{image_suffix}"
        options = {"quality": 95, "subsampling": 0} if image_suffix in (".jpg", ".jpeg") else {}
        outline = _outline(scene.instances, border)
        write_encoded(folder / "JPEGImages" / file, encode(scene.image, image_suffix, **options))
        for kind, labels in (("SegmentationClass", scene.semantic), ("SegmentationObject", scene.instances)):
            write_encoded(folder / kind / f"{image_id}.png", encode_mask(np.where(outline, VOID, labels)))
        write_encoded(folder / "Annotations" / f"{image_id}.xml", _annotation(scene, file, names))
        present[image_id] = [label in scene.labels for label in range(1, len(names))]
    if not present:
        raise ValueError(f"write_voc: there are no scenes to write as split {split!r}")

    for number, name in enumerate(names[1:]):
        _write_lines(
            folder / "ImageSets" / "Main" / f"{name}_{split}.txt",
            [f"{image_id} {1 if has[number] else -1:2d}" for image_id, has in present.items()],
        )
    for kind in ("Main", "Segmentation"):
        _write_lines(folder / "ImageSets" / kind / f"{split}.txt", list(present))
    return folder


def _write_classes(folder: Path, names: tuple[str, ...]) -> None:
    """Write `classes.txt` into a new tree; refuse to mix two sets of classes in one."""
    if not any((folder / "ImageSets" / "Segmentation").glob("*.txt")):
        _write_lines(folder / "classes.txt", names)
    elif read_classes(folder) != names:
        raise ValueError(f"write_voc: {folder} has the classes {read_classes(folder)} already, not {names}; use another folder")


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _outline(instances: np.ndarray, border: int) -> np.ndarray:
    """Return where (H, W) another object, or background, lies within `border` pixels along both axes."""
    padded = np.pad(instances, border, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * border + 1, 2 * border + 1))  # (H, W, window, window)
    return windows.max(axis=(2, 3)) != windows.min(axis=(2, 3))


def _annotation(scene: Scene, file: str, names: tuple[str, ...]) -> bytes:
    """Return the XML of one picture. VOC counts pixels from 1 and includes the last one: xmin = x1 + 1, xmax = x2."""
    height, width = scene.semantic.shape
    root = ElementTree.Element("annotation")
    _add(root, folder="VOC2012", filename=file)
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=1)
    for label, (x1, y1, x2, y2) in zip(scene.labels, scene.boxes.astype(int), strict=True):
        thing = ElementTree.SubElement(root, "object")
        truncated = int(x1 == 0 or y1 == 0 or x2 == width or y2 == height)
        _add(thing, name=names[label], pose="Unspecified", truncated=truncated, difficult=0)
        _add(ElementTree.SubElement(thing, "bndbox"), xmin=x1 + 1, ymin=y1 + 1, xmax=x2, ymax=y2)
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root) + b"\n"


def _add(parent: ElementTree.Element, **children: object) -> None:
    for tag, text in children.items():
        ElementTree.SubElement(parent, tag).text = str(text)
