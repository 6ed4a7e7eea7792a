"""What is decoded is whole, upright and of one moment, or it is an error that names the file."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from image_folders import write_folder, write_image
from PIL import Image, ImageFile

from fastconv.filter import main as filter_command
from fastconv.preprocessing import image_files
from fastconv.preprocessing.image import ImageDataGenerator, load_img
from fastconv.preprocessing.inspection import inspect


def ramp(height=24, width=30):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 10, columns * 8, rows * columns % 256], axis=-1).astype(np.uint8)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


COLOUR = Image.fromarray(ramp())
GREY = COLOUR.convert("L")
SIXTEEN = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
#: Formats with checksums of their pixels: a changed byte is found out or changes nothing.
CHECKED = {
    "rgb.png": encoded(COLOUR, "PNG"),
    "palette.png": encoded(COLOUR.quantize(16), "PNG"),
    "alpha.png": encoded(COLOUR.convert("RGBA"), "PNG"),
    "sixteen.png": encoded(SIXTEEN, "PNG"),
    "bilevel.png": encoded(GREY.convert("1"), "PNG"),
}
OTHERS = {
    "rgb.jpg": encoded(COLOUR, "JPEG"),
    "progressive.jpg": encoded(COLOUR, "JPEG", progressive=True),
    "grey.jpg": encoded(GREY, "JPEG"),
    "rgb.bmp": encoded(COLOUR, "BMP"),
    "grey.bmp": encoded(GREY, "BMP"),
    "rgb.gif": encoded(COLOUR, "GIF"),
    "rgb.ppm": encoded(COLOUR, "PPM"),
    "rgb.webp": encoded(COLOUR, "WEBP"),
    "lossless.webp": encoded(COLOUR, "WEBP", lossless=True),
    "rgb.tif": encoded(COLOUR, "TIFF"),
    "sixteen.tif": encoded(SIXTEEN, "TIFF"),
    "float.tif": encoded(Image.fromarray(np.asarray(GREY) / np.float32(255)), "TIFF"),
    "deflate.tif": encoded(COLOUR, "TIFF", compression="tiff_adobe_deflate"),
    "lzw.tif": encoded(COLOUR, "TIFF", compression="tiff_lzw"),
}


def pixels_or_error(data):
    """Return the pixels, or None for the one error that is allowed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a reader says of it may stand
        try:
            return np.asarray(load_img(io.BytesIO(data), "rgba"))
        except OSError:
            return None


@pytest.mark.parametrize("name", [*CHECKED, *OTHERS])
def test_what_is_cut_short_is_an_error_or_the_same_picture(name):
    data = {**CHECKED, **OTHERS}[name]
    whole = pixels_or_error(data)
    assert whole is not None
    for length in range(0, len(data), max(1, len(data) // 150)):
        found = pixels_or_error(data[:length])
        assert found is None or np.array_equal(found, whole), length


@pytest.mark.parametrize("name", [*CHECKED, *OTHERS])
def test_a_switch_of_pillows_does_not_fill_up_what_is_cut_short(name, monkeypatch):
    data = {**CHECKED, **OTHERS}[name]
    whole = pixels_or_error(data)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for length in range(len(data) // 2, len(data), max(1, len(data) // 50)):
        found = pixels_or_error(data[:length])
        assert found is None or np.array_equal(found, whole), length
    assert ImageFile.LOAD_TRUNCATED_IMAGES  # it is others' to use


@pytest.mark.parametrize("name", CHECKED)
def test_a_changed_byte_of_a_png_is_an_error_or_the_same_picture(name):
    data = CHECKED[name]
    whole = pixels_or_error(data)
    for place in range(0, len(data), max(1, len(data) // 300)):
        for bits in (0x01, 0x40):
            changed = bytearray(data)
            changed[place] ^= bits
            found = pixels_or_error(bytes(changed))
            assert found is None or np.array_equal(found, whole), place


@pytest.mark.parametrize("name", OTHERS)
def test_a_changed_byte_of_any_file_is_a_picture_or_an_os_error(name, capfd):
    data = OTHERS[name]
    for place in range(0, len(data), max(1, len(data) // 150)):
        changed = bytearray(data)
        changed[place] ^= 0x41
        pixels_or_error(bytes(changed))
    capfd.readouterr()  # libtiff writes what it thinks


def damaged_png(folder):
    """Write a PNG that breaks in the middle of its pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = bytearray(encoded(Image.fromarray(noise), "PNG"))
    data[len(data) // 3] ^= 0xFF
    (folder / "damaged.png").write_bytes(data)
    return folder / "damaged.png"


def test_damaged_pixels_do_not_pass_for_damaged_metadata(tmp_path, capsys):
    path = damaged_png(tmp_path)
    with pytest.raises(OSError, match=r"damaged\.png.*checksum"):
        load_img(path)
    assert filter_command([str(path), "--kernel", "blur", "-o", str(tmp_path / "out.png")]) == 2
    assert "damaged.png" in capsys.readouterr().err and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("when", ["before", "after"])
def test_on_error_raise_refuses_damaged_pixels_whenever_they_break(tmp_path, when):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 2})
    write_image(folder / "a" / "damaged.png", 9)
    if when == "before":
        damaged_png(folder / "a")
        with pytest.raises(OSError, match=r"damaged\.png"):
            ImageDataGenerator().flow_from_directory(folder, (8, 8), on_error="raise")
        return
    iterator = ImageDataGenerator().flow_from_directory(
        folder, (8, 8), on_error="raise", shuffle=False
    )
    damaged_png(folder / "a")
    with pytest.raises(OSError, match=r"damaged\.png"):
        iterator[0]


TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["rgb.tif", "sixteen.tif", "lzw.tif", "png", "webp", "jpg"])
def test_every_format_is_turned_once_and_its_size_is_that_of_the_picture(
    tmp_path, orientation, kind
):
    image = SIXTEEN if kind == "sixteen.tif" else COLOUR
    path = tmp_path / "set" / "a" / f"turned.{'tif' if kind.endswith('tif') else 'jpg'}"
    write_image(tmp_path / "set" / "b" / "other.png", 1)
    path.parent.mkdir(parents=True)
    if kind.endswith("tif"):
        compression = "tiff_lzw" if kind == "lzw.tif" else None
        image.save(path, tiffinfo={0x0112: orientation}, compression=compression)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        kind = {"jpg": "JPEG"}.get(kind, kind)
        image.save(path, kind, exif=exif, lossless=True, quality=100)
    found = load_img(path)
    upright = image if image is COLOUR else GREY.convert("RGB")
    if orientation > 1:
        upright = upright.transpose(Image.Transpose[TURNS[orientation]])
    assert found.size == upright.size
    difference = np.abs(np.asarray(found, int) - np.asarray(upright, int)).mean()
    assert difference < (10 if kind == "JPEG" else 0.1)
    sizes = [picture.size for picture in inspect(tmp_path / "set").pictures]
    assert sizes[0] == upright.size


REWRITING = """
import sys
sys.path[:] = sys.argv[2:]
from fastconv.preprocessing.image import load_img
path = sys.argv[1]
image = load_img(path, "grayscale")
with open(path, "r+b") as file:  # written anew in place: shorter, then with other pixels
    file.truncate(100)
print(image.getpixel((5, 5)))
"""


def test_a_picture_does_not_change_with_its_file(tmp_path):
    Image.new("L", (2000, 1000), 77).save(tmp_path / "grey.bmp")
    command = [sys.executable, "-c", REWRITING, str(tmp_path / "grey.bmp"), *sys.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "77"), done


def test_a_file_that_is_rewritten_all_the_time_is_read_or_refused(tmp_path):
    path = tmp_path / "grey.bmp"
    whole = encoded(Image.new("L", (600, 400), 77), "BMP")
    path.write_bytes(whole)
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            path.write_bytes(whole)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(60):
            try:
                assert np.asarray(load_img(path, "grayscale")).min() == 77
            except OSError as error:
                assert "grey.bmp" in str(error)
    finally:
        stop.set()
        writer.join()


def test_a_file_larger_than_any_picture_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(1 << 20)
    with pytest.raises(OSError, match=r"large\.png.*more than 16000 bytes"):
        load_img(tmp_path / "large.png")


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_no_room_is_not_a_broken_file(tmp_path, monkeypatch, error):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 2})
    write_image(folder / "a" / "a.png", 5)
    iterator = ImageDataGenerator().flow_from_directory(folder, (8, 8), cache=None)

    def fail(self):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    for use in (
        lambda: load_img(folder / "a" / "a.png"),
        lambda: iterator[0],
        lambda: ImageDataGenerator().flow_from_directory(folder, (8, 8)),
        lambda: inspect(folder),
    ):
        with pytest.raises(error):
            use()


def test_no_room_for_the_users_own_step_is_raised_as_it_is():
    def fail(image):
        raise MemoryError

    generator = ImageDataGenerator(preprocessing_function=fail)
    with pytest.raises(MemoryError):
        generator.flow(np.zeros((2, 4, 4, 3), np.uint8))[0]


def test_what_pillow_warns_of_names_the_file(tmp_path):
    """In threads of their own as well: nothing is kept for the process."""
    paths = [tmp_path / f"photo{i}.tif" for i in range(6)]
    for path in paths:
        data = bytearray(OTHERS["rgb.tif"])
        data[:] = data.replace(b"\x16\x01\x04\x00\x01", b"\x16\x01\x04\x00\x02")  # two rows counts
        path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        workers = [threading.Thread(target=load_img, args=(path,)) for path in paths]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        Image.open(paths[0]).close()
    named = [str(w.message) for w in caught if "Metadata Warning" in str(w.message)]
    for path in paths:
        assert any(str(path) in text for text in named), path
    assert any(".tif" not in text for text in named)  # Pillow's own use is as ever


def test_the_cache_of_pixels_is_of_this_decoding(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 2})
    options = {"cache": "disk", "cache_dir": tmp_path / "kept", "cache_limit_mb": 100}
    ImageDataGenerator().flow_from_directory(folder, (8, 8), **options).decode()
    monkeypatch.setattr(image_files, "_DECODING", -1)
    ImageDataGenerator().flow_from_directory(folder, (8, 8), **options).decode()
    assert len(list((tmp_path / "kept").iterdir())) == 2
