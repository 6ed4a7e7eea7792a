"""Image files: odd modes, sizes, orientation, damaged files, and back to files again."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from fastconv.preprocessing.image import array_to_img, img_to_array, load_img, save_img
from fastconv.preprocessing.image_files import find_fault


def ramp(height=40, width=60):
    """A smooth colour picture whose corners all differ."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 / height, columns * 255 / width, 0 * rows + 90], axis=-1).astype(
        np.uint8
    )


@pytest.fixture
def jpeg(tmp_path):
    path = tmp_path / "ramp.jpg"
    Image.fromarray(ramp()).save(path, quality=95)
    return path


def test_reads_a_jpeg_as_pillow_does(jpeg):
    image = load_img(jpeg)
    assert image.mode == "RGB" and image.size == (60, 40)
    with Image.open(jpeg) as expected:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))


@pytest.mark.parametrize(
    "kind", [str, lambda path: path, lambda path: io.BytesIO(path.read_bytes())]
)
def test_reads_from_a_name_a_path_and_an_open_file(jpeg, kind):
    assert load_img(kind(jpeg)).size == (60, 40)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "lanczos"])
def test_target_size_is_height_and_width(jpeg, interpolation):
    image = load_img(jpeg, target_size=(20, 10), interpolation=interpolation)
    assert image.size == (10, 20)
    with Image.open(jpeg) as opened:
        expected = opened.resize((10, 20), Image.Resampling[interpolation.upper()])
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))


def test_keep_aspect_ratio_cuts_the_middle(jpeg):
    image = load_img(jpeg, target_size=(20, 20), keep_aspect_ratio=True)
    with Image.open(jpeg) as opened:
        expected = opened.resize((20, 20), Image.Resampling.NEAREST, box=(10, 0, 50, 40))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))


@pytest.mark.parametrize(("color_mode", "channels"), [("rgb", 3), ("grayscale", 1), ("rgba", 4)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_is_read_alike(tmp_path, mode, color_mode, channels):
    grey = Image.fromarray(ramp()[:, :, 1])
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(np.asarray(grey).astype(np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    elif mode == "1":
        image = grey.point(lambda value: 255 * (value > 127)).convert("1")
    elif mode == "P":
        image = grey.quantize(128)
    else:
        image = grey.convert("RGB").convert(mode)
    assert image.mode == mode
    path = tmp_path / "odd.tif"
    image.save(path)
    assert find_fault(str(path)) is None
    array = img_to_array(load_img(path, color_mode=color_mode))
    assert array.shape == (40, 60, channels) and array.dtype == np.float32
    expected = np.asarray(image.convert("L")) if mode == "1" else np.asarray(grey)
    np.testing.assert_allclose(array[:, :, 0], expected, atol=2)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(ramp()).quantize(16)
    image.save(tmp_path / "p.png", transparency=bytes(range(16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = img_to_array(load_img(tmp_path / "p.png"))
    np.testing.assert_array_equal(array, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path, orientation):
    image = Image.fromarray(ramp())
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    upright = np.asarray(load_img(tmp_path / "turned.png"))
    from PIL import ImageOps

    with Image.open(tmp_path / "turned.png") as opened:
        np.testing.assert_array_equal(upright, np.asarray(ImageOps.exif_transpose(opened)))
    assert upright.shape == ((40, 60, 3) if orientation < 5 else (60, 40, 3))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff garbage"
    Image.fromarray(ramp()).save(tmp_path / "exif.jpg", exif=exif)
    assert load_img(tmp_path / "exif.jpg").size == (60, 40)
    assert find_fault(str(tmp_path / "exif.jpg")) is None


def test_a_korean_name(tmp_path):
    path = tmp_path / "고양이 사진.jpg"
    Image.fromarray(ramp()).save(path)
    assert load_img(path).size == (60, 40)


def damaged_files(folder):
    """Write files that are no images; return {name: part of the reason}."""
    good = io.BytesIO()
    Image.fromarray(ramp(200, 200)).save(good, "JPEG")
    good_png = io.BytesIO()
    Image.fromarray(ramp(200, 200)).save(good_png, "PNG")
    contents = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"<html>not found</html>", "not an image"),
        "tiny.jpg": (b"x", "not an image of a known format"),
        "truncated.jpg": (good.getvalue()[:-300], "truncated"),
        "header.jpg": (good.getvalue()[:200], ""),
        "truncated.png": (good_png.getvalue()[:-200], ""),
        "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    }
    for name, (data, _) in contents.items():
        (folder / name).write_bytes(data)
    return {name: reason for name, (_, reason) in contents.items()}


def test_files_that_are_no_images_are_found_out(tmp_path):
    for name, reason in damaged_files(tmp_path).items():
        fault = find_fault(str(tmp_path / name))
        assert fault is not None and reason in fault, (name, fault)
        with pytest.raises(OSError, match=name):
            load_img(tmp_path / name)


def test_special_files_are_found_out(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for name in ("folder.jpg", "dangling.jpg", "loop.jpg"):
        assert find_fault(str(tmp_path / name)) is not None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_a_pipe_and_a_device_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "endless.jpg"):
        with pytest.raises(OSError, match=f"{name}' cannot be read as an image: not a regular"):
            load_img(tmp_path / name)


def test_a_decompression_bomb_is_refused(tmp_path):
    # A PNG header that claims 30,000 x 30,000 pixels.
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    assert "decompression bomb" in find_fault(str(path))
    with pytest.raises(OSError, match=r"bomb\.png"):
        load_img(path)


def test_a_missing_file_and_wrong_arguments(jpeg):
    with pytest.raises(FileNotFoundError):
        load_img(jpeg.parent / "none.jpg")
    with pytest.raises(ValueError, match="color_mode is 'bgr'; it must be one of 'rgb'"):
        load_img(jpeg, color_mode="bgr")
    with pytest.raises(ValueError, match="interpolation is 'cubic'"):
        load_img(jpeg, interpolation="cubic")
    with pytest.raises(ValueError, match="target_size"):
        load_img(jpeg, target_size=(0, 10))
    with pytest.raises(ValueError, match="channels_first"):
        img_to_array(load_img(jpeg), data_format="channels_first")


def test_arrays_and_images_there_and_back():
    for channels in (1, 3, 4):
        x = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.float32)
        image = array_to_img(x, scale=False)
        assert image.size == (7, 5)
        np.testing.assert_array_equal(img_to_array(image), x)
    stretched = np.asarray(array_to_img(np.array([[[-1.0], [0.0], [1.0]]])))
    np.testing.assert_array_equal(stretched, [[0, 127, 255]])
    np.testing.assert_array_equal(np.asarray(array_to_img(np.full((2, 2, 1), 3.0))), 0)
    with pytest.raises(ValueError, match=r"x has shape \(5, 5\)"):
        array_to_img(np.zeros((5, 5)))
    with pytest.raises(ValueError, match="img has shape"):
        img_to_array(np.zeros((2, 5, 5, 3)))


def test_save_img_writes_what_load_img_reads(tmp_path):
    x = ramp()
    save_img(tmp_path / "x.png", x, scale=False)
    np.testing.assert_array_equal(np.asarray(load_img(tmp_path / "x.png")), x)
    rgba = np.dstack([x, np.full((40, 60, 1), 200, np.uint8)])
    with pytest.warns(UserWarning, match="no transparency"):
        save_img(tmp_path / "x.JPG", rgba, scale=False)
    assert load_img(tmp_path / "x.JPG").mode == "RGB"
    buffer = io.BytesIO()
    save_img(buffer, x, file_format="jpg", quality=50)
    assert buffer.getvalue().startswith(b"\xff\xd8")
