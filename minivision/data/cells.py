"""TouchingCells: crowded round cells that only a line of background one pixel wide keeps apart."""

import numpy as np

from minivision.data.datasets import Dataset, checked_index
from minivision.data.scene import Scene, boxes_of


class TouchingCells(Dataset[Scene]):
    """A data set of `length` generated microscope pictures; scene i depends on `seed` and i alone.

    The task of the U-Net paper: separate cells that touch. Each cell grows as a disk until it meets a neighbour; where two
    meet, one pixel of background remains (neighbouring cells never touch, not even diagonally), hardly darker than they are.
    The scene's `masks` are the cells, `semantic` is 1 on every cell; keypoints, captions, depth and stuff are empty.

    Parameters
    ----------
    length : number of scenes.
    size : (H, W) in pixels, or one number for both.
    seed : a non-negative number.
    cells : fewest and most cells placed (a crowded picture may hold fewer).
    radius : smallest and largest radius in pixels.
    noise : standard deviation of the Gaussian pixel noise, where white is 1.
    """

    classes = ("background", "cell")
    vocabulary: tuple[str, ...] = ()

    def __init__(
        self,
        length: int,
        size: int | tuple[int, int] = (64, 64),
        seed: int = 0,
        *,
        cells: tuple[int, int] = (6, 12),
        radius: tuple[float, float] = (6, 10),
        noise: float = 0.03,
    ) -> None:
        self.length, self.seed = length, seed
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.cells, self.radius, self.noise = cells, radius, noise
        if min(length, seed) < 0 or not 0 <= cells[0] <= cells[1] or not 1 <= radius[0] <= radius[1] or noise < 0:
            raise ValueError(
                f"TouchingCells: length {length}, seed {seed} and noise {noise} must not be negative, cells {cells} must be"
                f" (fewest, most), radius {radius} must be (smallest, largest) of at least 1 pixel"
            )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Scene:
        rng = np.random.default_rng((self.seed, checked_index(index, self.length)))
        height, width = self.size
        owner = separate(self._grow(self._place(rng)))
        numbers = np.unique(owner[owner > 0])
        masks = np.array([owner == number for number in numbers], bool).reshape(-1, height, width)
        n = len(masks)
        return Scene(
            image=self._photograph(masks, rng),
            semantic=(owner > 0).astype(np.uint8),
            masks=masks,
            boxes=boxes_of(masks),
            labels=np.ones(n, np.int64),
            keypoints=np.zeros((n, 0, 3), np.float32),
            captions=np.zeros((n, 0), np.int64),
            depth=np.zeros(self.size, np.float32),
            stuff=np.zeros(self.size, np.uint8),
        )

    def _place(self, rng: np.random.Generator) -> np.ndarray:
        """Return cells (n, 3) as (x, y, radius): each new one overlaps an earlier one a little, none overlaps much."""
        height, width = self.size
        wanted = int(rng.integers(self.cells[0], self.cells[1] + 1))
        cells = np.zeros((0, 3))
        for _ in range(20 * wanted):
            if len(cells) == wanted:
                break
            radius, angle, closeness = rng.uniform(*self.radius), rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 0.95)
            if len(cells) == 0:
                x, y = rng.uniform(0, width), rng.uniform(0, height)
            else:
                near = cells[rng.integers(len(cells))]
                x, y = near[:2] + closeness * (radius + near[2]) * np.array([np.cos(angle), np.sin(angle)])
            apart = np.hypot(cells[:, 0] - x, cells[:, 1] - y) >= 0.79 * (cells[:, 2] + radius)
            if 0 <= x <= width and 0 <= y <= height and apart.all():
                cells = np.vstack([cells, [x, y, radius]])
        return cells

    def _grow(self, cells: np.ndarray) -> np.ndarray:
        """Return the instance map (H, W): each pixel inside a disk belongs to the disk it lies deepest in."""
        height, width = self.size
        if len(cells) == 0:
            return np.zeros(self.size, np.int64)
        x, y, radius = cells.T[:, :, None, None]
        # (n, 1, W) and (n, H, 1) -> (n, H, W)
        distance = np.hypot(np.arange(width) + 0.5 - x, np.arange(height)[:, None] + 0.5 - y) / radius - 1
        return np.where(distance.min(axis=0) < 0, distance.argmin(axis=0) + 1, 0)

    def _photograph(self, masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image (H, W, 3) uint8, grey: cells of uneven brightness, a little out of focus."""
        grey = np.full(self.size, rng.uniform(0.25, 0.4))
        for mask in masks:
            grey[mask] = rng.uniform(0.55, 0.75)
        grey = (np.roll(grey, 1, 0) + np.roll(grey, 1, 1) + np.roll(grey, -1, 0) + np.roll(grey, -1, 1) + 4 * grey) / 8
        grey += rng.normal(0.0, self.noise, self.size)
        return np.repeat((np.clip(grey, 0, 1) * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def separate(instances: np.ndarray) -> np.ndarray:
    """Return an instance map (H, W) with background wherever two cells touched: a line one pixel wide.

    Where cells touch, also at a corner, the one with the larger number gives up its pixel.
    """
    around = np.lib.stride_tricks.sliding_window_view(np.pad(instances, 1), (3, 3))  # (H, W, 3, 3)
    smallest = np.where(around == 0, instances.max(initial=0), around).min(axis=(2, 3))
    return np.where(smallest < instances, 0, instances)
