"""Image and mask files, read and written with Pillow."""

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minivision.data.files import atomic_write
from minivision.data.optional import require

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FilePath = str | os.PathLike[str]


def read_image(path: FilePath) -> np.ndarray:
    """Read an image file as RGB: (3, H, W) float32 in [0, 1].

    Grey, palette, 1-bit and CMYK images become RGB; 16-bit grey is scaled by 1/65535; transparent pixels are laid over white;
    the picture is turned upright as its EXIF orientation says.

    Raises `FileNotFoundError`, or `ValueError` naming the file when it is not a whole, readable image.
    """
    image = require("PIL.ImageOps", "reading an image file").exif_transpose(_open(path))
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float32) / 65535
        if grey.min() < 0 or grey.max() > 1:
            raise ValueError(f"{path}: 32-bit integer images have no known range; save it with 8 or 16 bits")
        return np.repeat(grey[None], 3, axis=0)
    if image.mode == "F":
        raise ValueError(f"{path}: floating-point images have no known range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        Image = require("PIL.Image", "reading an image file")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    pixels = np.asarray(image.convert("RGB"))
    return np.moveaxis(pixels, -1, 0).astype(np.float32) / 255


def read_mask(path: FilePath) -> np.ndarray:
    """Read a label mask: (H, W) int64, the palette indices (or grey values) as they are stored.

    Raises `FileNotFoundError`, or `ValueError` naming the file when it is unreadable, in colours, or stored with loss.
    """
    image = _open(path)
    if image.format == "JPEG":
        raise ValueError(f"{path}: JPEG compression changes labels; a mask must be a palette or grey PNG")
    if not (image.mode in ("P", "L", "1") or image.mode.startswith("I")):
        raise ValueError(
            f"{path}: this mask is in colours (mode {image.mode}), but labels are the indices of a palette PNG or the values"
            " of a grey one; turn colours into labels first"
        )
    return np.asarray(image).astype(np.int64)


def save_image(path: FilePath, image: np.ndarray) -> None:
    """Write an image (3, H, W) in [0, 1] as an 8-bit RGB file, in the format of the suffix, in one step.

    Raises `ValueError` for another shape or values outside [0, 1], `OSError` naming the file when it cannot be written.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"save_image: image must be (3, H, W), but its shape is {image.shape}")
    if not (image.min(initial=0) >= 0 and image.max(initial=1) <= 1):
        raise ValueError("save_image: values must lie in [0, 1] and not be NaN; undo Normalize or clip first")
    write_encoded(path, encode(np.moveaxis(image * 255, 0, -1).round().astype(np.uint8), Path(path).suffix))


def save_mask(path: FilePath, mask: np.ndarray) -> None:
    """Write labels (H, W) in 0..255 as a palette PNG in Pascal VOC's colours, in one step.

    Raises `ValueError` for another shape, type or range, `OSError` naming the file when it cannot be written.
    """
    write_encoded(path, encode_mask(mask))


def encode(pixels: np.ndarray, suffix: str, **options: Any) -> bytes:
    """Return pixels (H, W, 3) uint8 as the bytes of an image file of the format that `suffix` (".jpg", ".png") names."""
    Image = require("PIL.Image", "writing an image file")
    form = Image.registered_extensions().get(suffix.lower())
    if form is None:
        raise ValueError(f"no image format has the suffix {suffix!r}; use .png or .jpg")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def encode_mask(mask: np.ndarray) -> bytes:
    """Return labels (H, W) in 0..255 as the bytes of a palette PNG in Pascal VOC's colours."""
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        raise ValueError(f"save_mask: mask must be integer labels (H, W), but it is {mask.dtype} of shape {mask.shape}")
    if mask.min(initial=0) < 0 or mask.max(initial=0) > 255:
        raise ValueError(f"save_mask: labels must lie in 0..255, but they are {mask.min()}..{mask.max()}")
    image = require("PIL.Image", "writing a mask").fromarray(mask.astype(np.uint8))
    image.putpalette(voc_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_encoded(path: FilePath, content: bytes) -> None:
    """Write the bytes of a picture that can be made again: in one step, but without waiting for the disk."""
    with atomic_write(path, sync=False) as file:
        file.write(content)


def list_images(paths: FilePath | Iterable[FilePath]) -> list[Path]:
    """Return the image files that `paths`, files and folders, stand for, sorted within each folder.

    A folder stands for the files in it (not in its subfolders) with an image suffix; hidden files are skipped. A file is
    taken whatever its suffix.

    Raises `FileNotFoundError` for a path that does not exist and for a folder without images.
    """
    images: list[Path] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = Path(path)
        if path.is_dir():
            found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != "."]
            if not found:
                raise FileNotFoundError(f"the folder {path} holds no images (files ending in {', '.join(SUFFIXES)})")
            images += sorted(found)
        elif path.exists():
            images.append(path)
        else:
            raise FileNotFoundError(f"there is no file or folder {path}")
    return images


def voc_palette(n: int = 256) -> np.ndarray:
    """Return Pascal VOC's colours (n, 3) uint8 of the labels 0..n-1.

    Bit k of a label goes to channel k % 3 (red, green, blue) at bit 7 - k // 3: 1 -> (128, 0, 0), 2 -> (0, 128, 0),
    255 -> (224, 224, 192).
    """
    label = np.arange(n)
    palette = np.zeros((n, 3), np.int64)
    for k in range(8):
        palette[:, k % 3] |= (label >> k & 1) << (7 - k // 3)
    return palette.astype(np.uint8)


def _open(path: FilePath) -> "Image":
    """Read and decode an image file whole; every complaint of the decoder becomes one `ValueError` naming the file."""
    Image = require("PIL.Image", "reading an image file")
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is a folder, not an image file" if Path(path).is_dir() else f"there is no file {path}")
    content = Path(path).read_bytes()
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except Image.UnidentifiedImageError:
        raise ValueError(f"{path}: not an image file, or a corrupt one ({len(content)} bytes)") from None
    except Exception as error:  # decoders fail with OSError, SyntaxError, struct.error, zlib.error, ...
        raise ValueError(f"{path}: the image is damaged: {error}") from error
    return image
