"""Grey of more than 8 bits: the file says what is white, no single pixel does; doubts are told."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from image_folders import write_folder, write_image
from PIL import Image

from fastconv.check import main as check
from fastconv.preprocessing.image import ImageDataGenerator, load_img
from fastconv.preprocessing.inspection import inspect

DRAW = np.random.default_rng(3)


def read(pixels, kind="TIFF", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return np.asarray(load_img(buffer_at_start(buffer), "grayscale")).astype(int)


def buffer_at_start(buffer):
    buffer.seek(0)
    return buffer


def png_of_16_bits(pixels):
    """Return an RGB PNG of 16 bits, which Pillow does not write."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def twelve_bit_tiff(pixels):
    """Return a grey TIFF of 12 bits per sample, packed."""
    height, width = pixels.shape
    even, odd = pixels[:, ::2].astype(int), pixels[:, 1::2].astype(int)
    packed = np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], axis=-1)
    data = packed.astype(np.uint8).tobytes()
    tags = [
        (256, width),
        (257, height),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(data)),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, 4 if tag == 279 else 3, 1, value) for tag, value in tags
    )
    start = b"II*\0" + struct.pack("<I", 8 + len(data))
    return start + data + directory + bytes(4)


@pytest.mark.parametrize("outlier", [1.0001, 3.0, 255.0, 70000.0])
def test_one_float_does_not_decide_what_is_white(outlier):
    pixels = np.full((20, 20), 0.5, np.float32)
    before = read(pixels)
    pixels[3, 4] = outlier
    after = read(pixels)
    assert before.mean() == 128 and abs(after.mean() - 128) < 1 and after[3, 4] == 255


@pytest.mark.parametrize("outlier", [256, 70000, -5])
def test_one_integer_does_not_decide_what_is_white(outlier):
    pixels = DRAW.integers(0, 256, (30, 30)).astype(np.int32)
    before = read(pixels)
    np.testing.assert_array_equal(before, pixels)
    pixels[3, 4] = outlier
    after = read(pixels)
    assert after[3, 4] == (255 if outlier > 0 else 0)
    after[3, 4] = before[3, 4]
    np.testing.assert_array_equal(after, before)


def test_the_usual_scales_of_floats_and_integers_are_known():
    unit = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    expected = np.rint(unit * 255).astype(int)
    for pixels in (unit, unit * 255, unit * 65535):
        assert np.abs(read(pixels) - expected).max() <= 1
    assert np.abs(read((unit * 65535).astype(np.int32)) - expected).max() <= 1
    holes = unit.copy()
    holes[0, :3] = np.nan, np.inf, -np.inf
    assert read(holes)[0, :3].tolist() == [0, 255, 0]
    assert not read(np.zeros((4, 4), np.float32)).any()


def test_what_nobody_can_tell_is_refused_by_name(tmp_path):
    pixels = np.full((20, 20), 0.5, np.float32)
    pixels[0] = 40  # one in twenty
    path = tmp_path / "set" / "a" / "doubt.tif"
    write_image(tmp_path / "set" / "b" / "b.png", 1)
    write_image(tmp_path / "set" / "a" / "a.png", 2)
    for values in (pixels, pixels * 100_000, (pixels * 100_000).astype(np.int32)):
        Image.fromarray(values).save(path)
        with pytest.raises(OSError, match=r"doubt\.tif.*does not say which value is white; save"):
            load_img(path)
        with pytest.warns(UserWarning, match=r"doubt\.tif \(.*which value is white"):
            ImageDataGenerator().flow_from_directory(tmp_path / "set", (8, 8))
        assert "which value is white" in inspect(tmp_path / "set").findings[0].text


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_by_their_range_whatever_is_used(kind):
    pixels = DRAW.integers(0, 4096, (30, 30)).astype(np.uint16)
    expected = np.rint(pixels / 257).astype(int)
    assert np.abs(read(pixels, kind) - expected).max() <= 1
    pixels[4, 5] = 65535
    found = read(pixels, kind)
    assert found[4, 5] == 255 and np.abs(found - expected)[:4].max() <= 1


def test_12_bits_of_a_tiff_keep_their_greys():
    pixels = DRAW.integers(0, 4096, (30, 30)).astype(np.uint16)
    found = np.asarray(load_img(io.BytesIO(twelve_bit_tiff(pixels)), "grayscale")).astype(int)
    np.testing.assert_allclose(found, pixels.astype(float) * 255 / 4095, atol=0.51)


def test_a_tiff_may_say_that_0_is_white():
    pixels = DRAW.integers(0, 65536, (30, 30)).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    data = buffer.getvalue()
    tag = struct.pack("<HHIH", 262, 3, 1, 1)
    assert data.count(tag) == 1
    data = data.replace(tag, struct.pack("<HHIH", 262, 3, 1, 0))
    found = np.asarray(load_img(io.BytesIO(data), "grayscale")).astype(int)
    np.testing.assert_allclose(found, 255 - pixels / 257, atol=0.51)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("kind", ["grey.png", "grey.tif", "rgb.png"])
def test_few_bits_in_16_are_told_by_the_listing_and_by_check(tmp_path, capsys, kind, bits):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 3})
    pixels = DRAW.integers(0, 1 << bits, (20, 20, 3)).astype(np.uint16)
    pixels[2, 3] = 65535  # a hot pixel changes nothing
    path = folder / "a" / kind
    if kind == "rgb.png":
        path.write_bytes(png_of_16_bits(pixels))
    else:
        Image.fromarray(pixels[:, :, 0]).save(path)
    with pytest.warns(UserWarning, match=rf"1 file is nearly black: .*{kind} \(16 bits of which"):
        ImageDataGenerator().flow_from_directory(folder, (8, 8))
    assert check([str(folder)]) == 1
    output = capsys.readouterr().out
    assert f"16 bits of which the lower {bits} are used" in output and kind in output
    assert "Nothing needs you" not in output


def test_full_16_bits_and_black_give_no_reason_to_say_anything(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 3})
    pixels = DRAW.integers(0, 65536, (20, 20)).astype(np.uint16)
    Image.fromarray(pixels).save(folder / "a" / "full.png")
    Image.fromarray(0 * pixels).save(folder / "a" / "black.png")
    (folder / "a" / "rgb.png").write_bytes(png_of_16_bits(np.stack([pixels] * 3, axis=-1)))
    ImageDataGenerator().flow_from_directory(folder, (8, 8))
    assert not [f for f in inspect(folder).findings if f.code == "grey levels"]


def test_check_notes_what_is_taken_for_white(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 3})
    Image.fromarray(np.full((9, 9), 0.5, np.float32)).save(folder / "a" / "unit.tif")
    (note,) = inspect(folder).findings
    assert not note.act and "1 is taken for white" in note.text and "unit.tif" in note.text
