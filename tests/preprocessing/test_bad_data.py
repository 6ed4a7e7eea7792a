"""Files as people have them: each is converted, skipped with one warning, or refused."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_folder, write_image
from PIL import Image

from fastconv.preprocessing import image_files
from fastconv.preprocessing.image import ImageDataGenerator

SIZE = (12, 14)


def flow(folder, **options):
    options = {"target_size": SIZE, "batch_size": 4, "seed": 1, "shuffle": False, **options}
    return ImageDataGenerator().flow_from_directory(folder, **options)


def ramp(height=24, width=28):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 10, columns * 9, rows + columns], axis=-1).astype(np.uint8)


def bomb():
    """A PNG that claims 30,000 x 30,000 pixels."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def write_odd_images(folder):
    """Write readable files of unusual kinds; return how many."""
    image = Image.fromarray(ramp())
    grey = image.convert("L")
    odd = {
        "cmyk.jpg": image.convert("CMYK"),
        "palette.png": image.quantize(16),
        "sixteen.png": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "alpha.png": image.convert("LA"),
        "bilevel.bmp": grey.convert("1"),
        "float.tif": Image.fromarray(np.asarray(grey).astype(np.float32)),
        "고양이.jpg": image,
    }
    for name, picture in odd.items():
        picture.save(folder / name)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    frames = [Image.fromarray(ramp() + shade) for shade in (0, 60, 120)]
    frames[0].save(folder / "moving.png", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "gif.bin", "GIF", save_all=True, append_images=frames[1:])
    os.rename(folder / "gif.bin", folder / "moving.jpg")
    return len(odd) + 3


def write_bad_files(folder, outside):
    """Write files that are no images; return their names."""
    good = (write_image(outside / "good.jpg", 1, (200, 160))).read_bytes()
    contents = {
        "truncated.jpg": good[: len(good) // 2],
        "empty.png": b"",
        "text.jpg": b"<html>404</html>",
        "bomb.png": bomb(),
        "pdf.tif": b"%PDF-1.4",
        "byte.jpg": b"\xff",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    os.mkfifo(folder / "pipe.jpg")
    return [*contents, "dangling.jpg", "circle.jpg", "pipe.jpg"]


@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
def test_odd_images_are_converted_without_a_word(tmp_path, color_mode):
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 2})
    odd = write_odd_images(folder / "a")
    iterator = flow(folder, color_mode=color_mode)
    assert iterator.n == 5 + odd
    for _ in range(2):
        for step in range(len(iterator)):
            assert np.isfinite(iterator[step][0]).all()
    turned = iterator.filenames.index(os.path.join("a", "turned.jpg"))
    assert iterator.batch(0, turned // 4)[0][turned % 4].std() > 10


@pytest.mark.parametrize("follow_links", [False, True])
@pytest.mark.parametrize("cache", ["memory", "disk", None])
def test_bad_files_cost_one_warning_that_names_them_and_no_epoch(tmp_path, cache, follow_links):
    folder = write_folder(tmp_path / "set", {"a": 6, "b": 5})
    bad = write_bad_files(folder / "b", tmp_path)
    (folder / "a" / "loop").symlink_to(folder / "a", target_is_directory=True)
    with pytest.warns(UserWarning, match=f"{len(bad)} files are not readable") as caught:
        iterator = flow(folder, cache=cache, cache_dir=tmp_path / "kept", follow_links=follow_links)
    assert len(caught) == 1 and caught[0].filename == __file__
    for name in bad:
        assert name in str(caught[0].message)
    assert "byte.jpg (not an image of a known format)" in str(caught[0].message)
    assert iterator.n == 11
    for _ in range(2):
        assert sum(len(iterator[step][1]) for step in range(len(iterator))) == 11


@pytest.mark.parametrize("cache", ["memory", None])
def test_the_warning_of_a_large_photo_names_it(tmp_path, monkeypatch, cache):
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 2})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 28)
    for name, side in (("large", 30), ("larger", 60)):
        Image.fromarray(ramp(30, side)).save(folder / "a" / f"{name}.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        iterator = flow(folder, cache=cache)
        assert iterator.n == 6
        for _ in range(2):
            assert len([iterator[step] for step in range(len(iterator))]) == 2
    texts = [str(warning.message) for warning in caught]
    large, larger = (repr(str(folder / "a" / f"{name}.png")) for name in ("large", "larger"))
    of_size = [text for text in texts if text.startswith("Image size (900 pixels) exceeds limit")]
    assert len(of_size) == 1 and of_size[0].endswith(f" ({large})")
    assert any(f"skipped: {larger[1:-1]} (Image size (1800 pixels)" in text for text in texts)


def test_on_error_raise_refuses_and_names_them(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 2})
    assert flow(folder, on_error="raise").n == 5
    bad = write_bad_files(folder / "b", tmp_path)
    with pytest.raises(OSError, match=f"{len(bad)} files are not readable .*on_error='skip'"):
        flow(folder, on_error="raise")
    with pytest.raises(ValueError, match="on_error is 'ignore'; it must be one of 'skip', 'raise'"):
        flow(folder, on_error="ignore")


def break_later(folder):
    """Damage the coded data of two JPEGs whose beginning and end look whole."""
    for name in ("a/a.1.jpg", "b/b.0.jpg"):
        Image.fromarray(ramp(200, 200)).save(folder / name, "JPEG")
        content = (folder / name).read_bytes()
        # A segment that is longer than the file.
        (folder / name).write_bytes(content[:2] + b"\xff\xdb\xff\xff" + content[6:])


def test_files_that_only_decoding_finds_out(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 3})
    iterator = flow(folder)
    refusing = flow(folder, on_error="raise")
    break_later(folder)
    with pytest.warns(UserWarning, match="2 files are not readable") as caught:
        iterator.decode()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = [iterator[step] for step in range(2)]
        again = [iterator[step] for step in range(2)]
    for (x1, y1), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)
    # They are left out, with their labels and their names.
    assert [y.tolist() for _, y in first] == [[[1, 0]] * 2, [[0, 1]] * 2]
    assert iterator.filenames == [os.path.join("a", f"a.{i}.jpg") for i in (0, 2)] + [
        os.path.join("b", f"b.{i}.jpg") for i in (1, 2)
    ]
    with pytest.raises(OSError, match=r"2 files are not readable.*a\.1\.jpg.*b\.0\.jpg"):
        refusing.decode()


def test_the_first_pass_of_fit_like_use_warns_once(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 5, "b": 5})
    iterator = flow(folder)
    break_later(folder)
    with pytest.warns(UserWarning) as caught:
        for step in (0, 0, 1, 2):
            iterator[step]
    named = [str(w.message) for w in caught]
    assert sum("a.1.jpg" in text for text in named) == 1
    assert sum("b.0.jpg" in text for text in named) == 1


def test_raise_refuses_every_batch_with_a_broken_file_and_no_other(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 3})
    iterator = flow(folder, on_error="raise", batch_size=2)
    break_later(folder)
    for _ in range(2):
        for step, name in ((0, "a.1.jpg"), (1, "b.0.jpg")):
            with pytest.raises(OSError, match=f"1 file is not readable.*{name}"):
                iterator.batch(0, step)
        assert iterator.batch(0, 2)[0].shape == (2, *SIZE, 3)
    with pytest.raises(OSError, match=r"2 files are not readable|1 file is not readable"):
        list(iterator[step] for step in range(3))
    for step in (0, 1):
        with pytest.raises(OSError, match="not readable"):
            iterator[step]


def test_links_back_to_the_data_set_are_no_classes(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 2})
    (folder / "whole").symlink_to(folder, target_is_directory=True)
    (folder / "above").symlink_to(tmp_path, target_is_directory=True)
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "linked").symlink_to(write_folder(tmp_path / "far", {"c": 4}) / "c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        iterator = flow(folder)
    assert iterator.class_indices == {"a": 0, "b": 1, "linked": 2} and iterator.n == 9


@contextlib.contextmanager
def without_root():
    """Lay down root's rights, which no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions as POSIX has them")
def test_what_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = write_folder(Path(place, "set"), {"a": 3, "b": 3, "locked": 2})
        write_image(folder / "b" / "inner" / "deep.jpg", 50)
        flow(folder).batch(0, 0)  # Python's own files may be root's, too: all are loaded now
        closed = (folder / "a" / "a.0.jpg", folder / "b" / "inner", folder / "locked")
        for path in closed:
            path.chmod(0)
        try:
            with without_root(), pytest.warns(UserWarning) as caught:
                iterator = flow(folder)
                batch = iterator.batch(0, 1)[0]
            with without_root(), pytest.raises(PermissionError, match="locked"):
                flow(folder / "locked")
        finally:
            for path in closed:
                path.chmod(0o755)
    assert iterator.n == 5 and len(batch) == 1
    text = str(caught[0].message)
    assert text.count("(Permission denied)") == 3 and "3 files are not readable" in text
    for path in closed:
        assert str(path) in text
    assert "no images of 'locked'" in str(caught[1].message) and len(caught) == 2


def test_a_broken_pillow_is_not_blamed_on_the_files(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 2})
    iterator = flow(folder)
    monkeypatch.setattr(image_files, "_READERS", ("Nowhere",))
    with pytest.raises(ImportError, match="Nowhere"):
        flow(folder)
    with pytest.raises(ImportError, match="Nowhere"):
        iterator.decode()
