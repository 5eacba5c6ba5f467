"""The Pascal VOC segmentation data set, or any data in its layout.

    VOCdevkit/VOC2012/JPEGImages/ID.jpg                 the pictures (.png is read too)
    VOCdevkit/VOC2012/SegmentationClass/ID.png          palette masks: the index is the class, 255 is void
    VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt  the IDs of a split
    VOCdevkit/VOC2012/classes.txt                       class names, one a line, background first (VOC's 21 without it)

`write_voc` makes such a folder.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minivision.data.datasets import Dataset
from minivision.data.images import read_image, read_mask
from minivision.data.scene import Scene
from minivision.data.transforms import Compose, Pair, PairTransform, Transform

VOID = 255
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


class VOCSegmentation(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Pairs of image (3, H, W) float32 in [0, 1] and mask (H, W) int64 from files; 255 in the mask is void.

    Parameters
    ----------
    root : the folder that holds `VOCdevkit`; `VOCdevkit` itself or the folder of the year are understood too.
    year : picks `VOC2012` or another year.
    image_set : a split, the name of a file in `ImageSets/Segmentation`.
    transforms : a function `(image, mask, rng) -> (image, mask)`, such as those of `minivision.data.transforms`.
    transform, target_transform : as in torchvision, functions of the image alone and of the mask alone; not together with
        `transforms`.

    Attributes: `ids`, `images` and `masks` (file paths), `classes` (names, background first).

    Raises
    ------
    FileNotFoundError : the folder, the split, or a file that the split lists is missing.
    ValueError : an empty split; and when a sample is read, a damaged file, an image and a mask of different size, a mask in
        colours, or a label that is neither a class nor 255. The message names the file.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        year: str = "2012",
        image_set: str = "train",
        *,
        transform: Callable[[np.ndarray], np.ndarray] | None = None,
        target_transform: Callable[[np.ndarray], np.ndarray] | None = None,
        transforms: PairTransform | None = None,
    ) -> None:
        self.folder = find_voc(root, year)
        self.image_set = image_set
        self.transforms = _joined(transform, target_transform, transforms)
        self.classes = read_classes(self.folder)
        self.ids = self._read_split()
        self.images = [self._image_file(name) for name in self.ids]
        self.masks = [self._existing(self.folder / "SegmentationClass" / f"{name}.png") for name in self.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def get(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, mask = read_image(self.images[index]), read_mask(self.masks[index])
        if mask.shape != image.shape[1:]:
            raise ValueError(
                f"{self.masks[index]}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels, but its image"
                f" {self.images[index].name} is {image.shape[2]} x {image.shape[1]}"
            )
        wrong = np.unique(mask[(mask >= len(self.classes)) & (mask != VOID)])
        if len(wrong):
            raise ValueError(
                f"{self.masks[index]}: label {wrong[0]} is out of range; legal are 0..{len(self.classes) - 1}"
                f" ({', '.join(self.classes)}) and {VOID} (void)"
            )
        return self.transforms(image, mask, rng)  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"VOCSegmentation({self.folder}, {self.image_set}: {len(self)} images, {len(self.classes)} classes)"

    def _read_split(self) -> list[str]:
        splits = self.folder / "ImageSets" / "Segmentation"
        file = splits / f"{self.image_set}.txt"
        if not file.is_file():
            known = ", ".join(sorted(path.stem for path in splits.glob("*.txt"))) or "none"
            raise FileNotFoundError(f"{splits} has no split {self.image_set!r}; the splits there are: {known}")
        ids = [line.split()[0] for line in file.read_text().splitlines() if line.strip()]
        if not ids:
            raise ValueError(f"the split {file} is empty: it lists no image")
        return ids

    def _image_file(self, name: str) -> Path:
        folder = self.folder / "JPEGImages"
        for suffix in (".jpg", ".png", ".jpeg"):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
        return self._existing(folder / f"{name}.jpg")

    def _existing(self, file: Path) -> Path:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing, but the split {self.image_set!r} lists it")
        return file


class SceneSegmentation(Dataset[tuple[np.ndarray, np.ndarray]]):
    """The same pairs as `VOCSegmentation`, straight from scenes in memory.

    Parameters
    ----------
    scenes : a `ShapesWorld`, a `TouchingCells` or a list of `Scene`s.
    transforms : a function `(image, mask, rng) -> (image, mask)`.
    """

    def __init__(self, scenes: "Dataset[Scene] | list[Scene]", transforms: PairTransform | None = None) -> None:
        self.scenes = scenes
        self.transforms = _joined(None, None, transforms)

    def __len__(self) -> int:
        return len(self.scenes)

    def get(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.transforms(*self.scenes[index].pair(), rng)  # type: ignore[return-value]


def find_voc(root: str | os.PathLike[str], year: str = "2012") -> Path:
    """Return the folder `VOC<year>` in, or at, `root`; raise `FileNotFoundError` naming the places looked at."""
    places = [Path(root) / "VOCdevkit" / f"VOC{year}", Path(root) / f"VOC{year}", Path(root)]
    for place in places:
        if (place / "ImageSets").is_dir():
            return place
    if not Path(root).is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    raise FileNotFoundError(f"{root} holds no Pascal VOC {year} data: {places[0]} does not exist")


def read_classes(folder: Path) -> tuple[str, ...]:
    """Return the class names, background first: those of `classes.txt`, or VOC's 21."""
    file = folder / "classes.txt"
    return (
        tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
        if file.is_file()
        else VOC_CLASSES
    )


def _joined(
    transform: Callable[[np.ndarray], np.ndarray] | None,
    target_transform: Callable[[np.ndarray], np.ndarray] | None,
    transforms: PairTransform | None,
) -> PairTransform:
    """Return one pair transform for the three that torchvision's signature allows."""
    if transform is None and target_transform is None:
        return transforms or Compose([])
    if transforms is not None:
        raise ValueError("VOCSegmentation: pass either transforms, or transform and target_transform, not both")
    if isinstance(transform, Transform | Compose):
        raise ValueError(f"VOCSegmentation: {transform} takes image and mask together: pass it as transforms=")

    def separate(image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator | None) -> Pair:
        image = transform(image) if transform else image
        return image, target_transform(mask) if target_transform and mask is not None else mask

    return separate
