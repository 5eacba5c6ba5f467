"""Image and mask files: every mode Pillow knows, and every way a file can be bad."""

import io

import numpy as np
import pytest
from PIL import Image

from minivision.data import list_images, read_image, read_mask, save_image, save_mask, voc_palette

RGB = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3) * 2


def as_read(pixels):
    """What reading pixels (H, W, 3) should give."""
    return pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(255)


def grey(values):
    return as_read(np.stack([values] * 3, axis=2))


def test_rgb_png(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, as_read(RGB))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_modes_become_rgb(tmp_path, mode):
    values = np.where(RGB[..., 0] > 90, 255, 0).astype(np.uint8)
    Image.fromarray(values).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey(values))


def test_palette_image_gives_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), as_read(np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90]]])))


def test_16_bit_grey(tmp_path):
    values = np.array([[0, 1, 256], [32768, 65534, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_image(tmp_path / "a.png"), np.stack([values / 65535] * 3), rtol=1e-6)


def test_transparency_lies_over_white(tmp_path):
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), as_read(np.array([[[10, 20, 30], [255, 255, 255]]])))


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (9, 5), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg"), as_read(np.full((5, 9, 3), (255, 0, 0))), atol=0.02)


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned by 90 degrees clockwise
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), as_read(np.rot90(RGB, -1)))


def test_floating_point_image_is_refused(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=r"a.tiff: floating-point images have no known range"):
        read_image(tmp_path / "a.tiff")
    Image.fromarray(np.full((2, 2), 70000, np.int32)).save(tmp_path / "b.tiff")
    with pytest.raises(ValueError, match=r"b.tiff: 32-bit integer images have no known range"):
        read_image(tmp_path / "b.tiff")


def encoded(form):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("reader", [read_image, read_mask])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no image",
        encoded("PNG")[:20],
        encoded("PNG")[:2000],
        encoded("PNG")[:60] + b"garbage" * 10 + encoded("PNG")[130:],
        encoded("JPEG")[:1000],
        encoded("JPEG")[:100],
    ],
    ids=["empty", "text", "PNG header", "cut PNG", "corrupt PNG", "cut JPEG", "JPEG header"],
)
def test_damaged_file_is_named(tmp_path, reader, content):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken.png: (not an image file|the image is damaged)"):
        reader(tmp_path / "broken.png")


@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_missing_file_and_folder(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.png"):
        reader(tmp_path / "none.png")
    with pytest.raises(FileNotFoundError, match="is a folder, not an image file"):
        reader(tmp_path)


def test_mask_keeps_indices_whatever_the_palette(tmp_path):
    mask = np.array([[0, 1, 20], [255, 2, 0]])
    save_mask(tmp_path / "m.png", mask)
    read = read_mask(tmp_path / "m.png")
    assert read.dtype == np.int64
    np.testing.assert_array_equal(read, mask)
    stored = Image.open(tmp_path / "m.png")
    assert stored.mode == "P"
    np.testing.assert_array_equal(np.asarray(stored.convert("RGB"))[0], [[0, 0, 0], [128, 0, 0], [0, 64, 128]])


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_bilevel_masks(tmp_path, mode):
    values = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    Image.fromarray(values * 255).convert("1").save(tmp_path / "m.png") if mode == "1" else Image.fromarray(values).save(
        tmp_path / "m.png"
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), values)


def test_16_bit_instance_mask(tmp_path):
    Image.fromarray(np.array([[0, 1000]], np.uint16)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), [[0, 1000]])


def test_mask_in_colours_is_refused(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m.png: this mask is in colours \(mode RGB\), but labels are the indices"):
        read_mask(tmp_path / "m.png")
    Image.fromarray(RGB[..., 0]).save(tmp_path / "m.jpg")
    with pytest.raises(ValueError, match=r"m.jpg: JPEG compression changes labels"):
        read_mask(tmp_path / "m.jpg")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((2, 2, 2), int), r"int64 of shape \(2, 2, 2\)"),
        (np.zeros((2, 2)), r"float64 of shape \(2, 2\)"),
        (np.array([[256]]), r"0..255, but they are 256..256"),
        (np.array([[-1, 3]]), r"0..255, but they are -1..3"),
    ],
)
def test_mask_that_cannot_be_saved(tmp_path, mask, message):
    with pytest.raises(ValueError, match=message):
        save_mask(tmp_path / "m.png", mask)
    assert list(tmp_path.iterdir()) == []


def test_save_image_reads_back(tmp_path):
    image = as_read(RGB)
    save_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)
    for bad, message in (
        (image[0], r"must be \(3, H, W\)"),
        (image * 3, r"values must lie in \[0, 1\]"),
        (image * np.nan, r"values must lie in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            save_image(tmp_path / "b.png", bad)
    with pytest.raises(ValueError, match=r"no image format has the suffix '.xyz'"):
        save_image(tmp_path / "b.xyz", image)


def test_save_into_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"could not write .*m.png: the folder .*none does not exist"):
        save_mask(tmp_path / "none" / "m.png", np.zeros((2, 2), int))


def test_list_images(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("b.PNG", "a.jpg", "._a.jpg", "notes.txt", "c.tif"):
        (folder / name).write_bytes(b"")
    (folder / "sub.png").mkdir(exist_ok=True)
    alone = tmp_path / "alone.dat"
    alone.write_bytes(b"")
    (folder / "sub.png").rmdir()
    assert list_images(folder) == [folder / "a.jpg", folder / "b.PNG", folder / "c.tif"]
    assert list_images([alone, str(folder)]) == [alone, folder / "a.jpg", folder / "b.PNG", folder / "c.tif"]


def test_list_images_of_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .* holds no images \(files ending in .bmp, "):
        list_images(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*none"):
        list_images([tmp_path / "none"])


def test_voc_palette():
    palette = voc_palette()
    assert palette.shape == (256, 3)
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        8: (64, 0, 0),
        15: (192, 128, 128),
        255: (224, 224, 192),
    }
    assert {label: tuple(palette[label].tolist()) for label in known} == known
    for label in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            if label & 1 << bit:
                colour[bit % 3] += 2 ** (7 - bit // 3)
        assert palette[label].tolist() == colour
    assert len(np.unique(palette, axis=0)) == 256
    assert voc_palette(3).tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
