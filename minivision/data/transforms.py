"""Transforms of an image together with its mask.

Every transform is called as `transform(image, mask, rng)` and returns `(image, mask)`: image (C, H, W) float32, mask (H, W)
int64 or None (an image to predict has no mask). Random transforms draw from `rng`, the others ignore it. Any function of this
form can stand beside the classes here. Pixels that a mask does not know are 255, the ignored label.
"""

from collections.abc import Callable, Sequence

import numpy as np

from minivision.data.optional import require

Pair = tuple[np.ndarray, np.ndarray | None]
PairTransform = Callable[[np.ndarray, np.ndarray | None, np.random.Generator | None], Pair]
IGNORE = 255


class Transform:
    """Base of the transforms: checks the pair, then calls `apply(image, mask, rng)`, which a subclass defines.

    Raises `ValueError` when image and mask are not (C, H, W) and (H, W) with the same H and W, and for a random transform
    called without `rng`.
    """

    random = False

    def __call__(self, image: np.ndarray, mask: np.ndarray | None = None, rng: np.random.Generator | None = None) -> Pair:
        name = type(self).__name__
        if image.ndim != 3:
            raise ValueError(f"{name}: image must be (C, H, W), but its shape is {image.shape}")
        if mask is not None and mask.shape != image.shape[1:]:
            raise ValueError(f"{name}: mask (H, W) = {mask.shape} does not fit image (C, H, W) = {image.shape}")
        if self.random and rng is None:
            raise ValueError(f"{name} draws at random: pass rng=np.random.default_rng(seed)")
        return self.apply(image, mask, rng)  # type: ignore[arg-type]

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator) -> Pair:
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class Compose:
    """Apply transforms one after the other."""

    def __init__(self, transforms: Sequence[PairTransform]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: np.ndarray, mask: np.ndarray | None = None, rng: np.random.Generator | None = None) -> Pair:
        for transform in self.transforms:
            image, mask = transform(image, mask, rng)
        return image, mask

    def __repr__(self) -> str:
        return f"Compose({self.transforms})"


class RandomHorizontalFlip(Transform):
    """Swap left and right with probability p."""

    random = True

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator) -> Pair:
        if rng.random() >= self.p:
            return image, mask
        return image[:, :, ::-1], None if mask is None else mask[:, ::-1]


class RandomVerticalFlip(Transform):
    """Swap top and bottom with probability p."""

    random = True

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator) -> Pair:
        if rng.random() >= self.p:
            return image, mask
        return image[:, ::-1], None if mask is None else mask[::-1]


class Pad(Transform):
    """Add a border around the picture.

    Parameters
    ----------
    padding : pixels on every side, or (left and right, top and bottom), or (left, top, right, bottom).
    fill, mask_fill : values of the border in image and mask.
    padding_mode : "constant"; or "reflect" or "edge" as in `np.pad`, which continue image and mask alike.
    """

    def __init__(
        self, padding: int | Sequence[int], fill: float = 0.0, mask_fill: int = IGNORE, padding_mode: str = "constant"
    ) -> None:
        sides = (padding,) if isinstance(padding, int) else tuple(padding)
        if len(sides) not in (1, 2, 4) or min(sides) < 0:
            raise ValueError(f"Pad: padding {padding} must be 1, 2 or 4 numbers of pixels, none negative")
        self.padding = sides * (4 // len(sides))
        self.fill, self.mask_fill, self.padding_mode = fill, mask_fill, padding_mode

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator | None) -> Pair:
        left, top, right, bottom = self.padding
        sides = ((top, bottom), (left, right))
        return self._pad(image, ((0, 0), *sides), self.fill), None if mask is None else self._pad(mask, sides, self.mask_fill)

    def _pad(self, array: np.ndarray, sides: tuple[tuple[int, int], ...], fill: float) -> np.ndarray:
        if self.padding_mode == "constant":
            return np.pad(array, sides, constant_values=fill)
        return np.pad(array, sides, mode=self.padding_mode)  # type: ignore[call-overload]


class CenterCrop(Transform):
    """Cut `size` (H, W) out of the middle; a picture that is smaller is padded first, as in torchvision."""

    def __init__(self, size: int | tuple[int, int], fill: float = 0.0, mask_fill: int = IGNORE) -> None:
        self.size, self.fill, self.mask_fill = both(size, "CenterCrop"), fill, mask_fill

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator | None) -> Pair:
        image, mask = _pad_to(image, mask, self.size, self.fill, self.mask_fill)
        spare = [have - want for have, want in zip(image.shape[1:], self.size, strict=True)]
        return _crop(image, mask, round(spare[0] / 2), round(spare[1] / 2), self.size)


class RandomCrop(Transform):
    """Cut `size` (H, W) out of a random place.

    Parameters
    ----------
    pad_if_needed : pad a picture that is smaller than `size`, half on each side, instead of raising `ValueError`.
    fill, mask_fill : values of that border in image and mask.
    """

    random = True

    def __init__(
        self, size: int | tuple[int, int], pad_if_needed: bool = False, fill: float = 0.0, mask_fill: int = IGNORE
    ) -> None:
        self.size, self.pad_if_needed = both(size, "RandomCrop"), pad_if_needed
        self.fill, self.mask_fill = fill, mask_fill

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator) -> Pair:
        if self.pad_if_needed:
            image, mask = _pad_to(image, mask, self.size, self.fill, self.mask_fill)
        spare = [have - want for have, want in zip(image.shape[1:], self.size, strict=True)]
        if min(spare) < 0:
            raise ValueError(
                f"RandomCrop: cannot cut {self.size} out of an image (C, H, W) = {image.shape}; pass pad_if_needed=True or"
                " resize first"
            )
        top, left = (int(rng.integers(pixels + 1)) for pixels in spare)
        return _crop(image, mask, top, left, self.size)


class Resize(Transform):
    """Resize the image bilinearly and the mask by nearest neighbour, both with half-pixel centres.

    Bilinear is that of `F.interpolate(align_corners=False)`, without antialiasing; nearest is "nearest-exact", so that image
    and mask stay in register.

    Parameters
    ----------
    size : (H, W), or one number for the shorter side, which keeps the aspect ratio.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        both(size, "Resize")
        self.size = size

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator | None) -> Pair:
        height, width = self._target(*image.shape[1:])
        image = _resize_axis(_resize_axis(image, 1, height), 2, width)
        if mask is not None:
            rows, columns = (
                np.floor(_centres(have, want)).astype(int) for have, want in zip(mask.shape, (height, width), strict=True)
            )
            mask = mask[rows[:, None], columns]
        return image, mask

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if not isinstance(self.size, int):
            return self.size
        shorter = min(height, width)
        return int(self.size * height / shorter), int(self.size * width / shorter)


class Normalize(Transform):
    """Subtract `mean` and divide by `std`, one number each or one for each channel; the mask stays as it is."""

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = mean, std
        if np.min(std) <= 0:
            raise ValueError(f"Normalize: std {std} must be positive")

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator | None) -> Pair:
        mean, std = (np.atleast_1d(np.asarray(value, image.dtype)) for value in (self.mean, self.std))
        if {len(mean), len(std)} - {1, len(image)}:
            raise ValueError(
                f"Normalize: mean has {len(mean)} and std {len(std)} values, but image (C, H, W) = {image.shape} has"
                f" {len(image)} channels"
            )
        return (image - mean[:, None, None]) / std[:, None, None], mask


class ElasticDeformation(Transform):
    """Bend the picture as if it were printed on rubber: the augmentation of the U-Net paper.

    Random displacement vectors on a coarse grid that spans the picture are interpolated bicubically to every pixel; there the
    image is sampled bilinearly and the mask by nearest neighbour. Beyond the border the picture continues mirrored.

    Parameters
    ----------
    std : standard deviation of the displacements in pixels.
    points : grid points along each axis.

    Source: Ronneberger, Fischer, Brox: U-Net, 2015, section 3.1 (3 x 3 grid, 10 pixels).
    """

    random = True

    def __init__(self, std: float = 10.0, points: int = 3) -> None:
        if std < 0 or points < 2:
            raise ValueError(f"ElasticDeformation: std {std} must not be negative and points {points} be at least 2")
        self.std, self.points = std, points

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator) -> Pair:
        ndimage = require("scipy.ndimage", "ElasticDeformation")
        height, width = image.shape[1:]
        grid = rng.normal(0.0, self.std, (2, self.points, self.points))
        fine = np.meshgrid(*(np.linspace(0, self.points - 1, size) for size in (height, width)), indexing="ij")
        shift = [ndimage.map_coordinates(coarse, fine, order=3, mode="mirror") for coarse in grid]
        places = np.indices((height, width)) + shift  # (2, H, W): row and column to sample

        def sample(plane: np.ndarray, order: int) -> np.ndarray:
            return ndimage.map_coordinates(plane, places, order=order, mode="reflect")

        image = np.stack([sample(channel, 1) for channel in image])
        return image, None if mask is None else sample(mask, 0)


def both(size: int | tuple[int, int], name: str) -> tuple[int, int]:
    """Return `size` as (H, W); raise `ValueError` unless both are positive."""
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"{name}: size {size} must be positive")
    return height, width


def _crop(image: np.ndarray, mask: np.ndarray | None, top: int, left: int, size: tuple[int, int]) -> Pair:
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    return image[:, rows, columns], None if mask is None else mask[rows, columns]


def _pad_to(image: np.ndarray, mask: np.ndarray | None, size: tuple[int, int], fill: float, mask_fill: int) -> Pair:
    """Pad a picture smaller than `size` (H, W) up to it, the odd pixel at the bottom and on the right."""
    down, right = (max(want - have, 0) for have, want in zip(image.shape[1:], size, strict=True))
    sides = (right // 2, down // 2, right - right // 2, down - down // 2)
    return Pad(sides, fill, mask_fill)(image, mask) if down or right else (image, mask)


def _centres(have: int, want: int) -> np.ndarray:
    """Return where the centres of `want` pixels lie on a line of `have` pixels; pixel j covers [j, j+1]."""
    return (np.arange(want) + 0.5) * (have / want)


def _resize_axis(image: np.ndarray, axis: int, want: int) -> np.ndarray:
    """Interpolate linearly between pixel centres along one axis; beyond the outermost centres the value stays the same."""
    have = image.shape[axis]
    place = np.clip(_centres(have, want) - 0.5, 0, have - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, have - 1)
    shape = [1] * image.ndim
    shape[axis] = want
    weight = (place - low).astype(image.dtype).reshape(shape)
    return image.take(low, axis) * (1 - weight) + image.take(high, axis) * weight
