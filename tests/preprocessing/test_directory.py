"""Batches from folders of real JPEGs."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from fastconv.preprocessing import image_files
from fastconv.preprocessing.image import ImageDataGenerator, load_img

AUGMENT = {"rotation_range": 40, "shear_range": 0.2, "zoom_range": 0.2, "horizontal_flip": True}


def write_image(path, seed, size=(30, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes of 5 and 7 images in several formats and sizes."""
    root = tmp_path / "set"
    endings = ("jpg", "JPEG", "png", "bmp", "tif", "ppm", "tiff")
    for name, count in (("dog", 7), ("cat", 5)):
        for i in range(count):
            path = root / name / f"{name}.{i}.{endings[i]}"
            write_image(path, hash_of(name, i), (20 + i, 30 - i))
    (root / "readme.txt").write_text("not a class")
    (root / "cat" / "notes.txt").write_text("not an image")
    return root


def hash_of(name, i):
    return 100 * len(name) + i + (name == "dog") * 50


def flow(folder, generator=None, **options):
    options = {"target_size": (16, 20), "class_mode": "binary", "seed": 1, **options}
    return (generator or ImageDataGenerator()).flow_from_directory(folder, **options)


def test_finds_counts_and_prints(folder, capsys):
    iterator = flow(folder, shuffle=False, batch_size=5)
    assert capsys.readouterr().out == "Found 12 images belonging to 2 classes.\n"
    assert (iterator.n, iterator.samples, len(iterator), iterator.num_classes) == (12, 12, 3, 2)
    assert iterator.class_indices == {"cat": 0, "dog": 1}
    np.testing.assert_array_equal(iterator.classes, [0] * 5 + [1] * 7)
    assert iterator.filenames[0] == os.path.join("cat", "cat.0.jpg")
    assert iterator.filepaths[5] == os.path.join(folder, "dog", "dog.0.jpg")
    assert iterator.image_shape == (16, 20, 3)
    assert [len(iterator[i][1]) for i in range(3)] == [5, 5, 2]


def test_pixels_are_those_of_load_img(folder):
    iterator = flow(folder, ImageDataGenerator(rescale=1 / 255), shuffle=False)
    for _ in range(2):  # decoded, then from the cache
        batch, _ = iterator[0]
        for pixels, path in zip(batch, iterator.filepaths, strict=True):
            expected = np.asarray(load_img(path, target_size=(16, 20)), np.float32) / 255
            np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_class_modes(folder):
    numbers = [0] * 5 + [1] * 7
    for mode in ("binary", "sparse"):
        _, y = flow(folder, class_mode=mode, shuffle=False)[0]
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, numbers)
    _, y = flow(folder, class_mode="categorical", shuffle=False)[0]
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.eye(2)[numbers])
    x, y = flow(folder, class_mode="input")[0]
    assert x is not y
    np.testing.assert_array_equal(x, y)
    assert flow(folder, class_mode=None)[0].shape == (12, 16, 20, 3)


@pytest.mark.parametrize(("color_mode", "channels"), [("rgb", 3), ("grayscale", 1), ("rgba", 4)])
def test_color_modes(folder, color_mode, channels):
    iterator = flow(folder, color_mode=color_mode, shuffle=False)
    x, _ = iterator[0]
    assert x.shape == (12, 16, 20, channels) == (12, *iterator.image_shape)
    expected = load_img(iterator.filepaths[3], color_mode=color_mode, target_size=(16, 20))
    np.testing.assert_array_equal(x[3].squeeze(), np.asarray(expected))


def test_interpolation_and_aspect_ratio(folder):
    iterator = flow(folder, interpolation="bilinear", keep_aspect_ratio=True, shuffle=False)
    expected = load_img(iterator.filepaths[2], "rgb", (16, 20), "bilinear", True)
    np.testing.assert_array_equal(iterator[0][0][2], np.asarray(expected))


def test_classes_choose_and_order(folder, capsys):
    iterator = flow(folder, classes=["dog", "cat"])
    assert iterator.class_indices == {"dog": 0, "cat": 1}
    assert flow(folder, classes=["dog"]).class_indices == {"dog": 0}
    assert "Found 7 images belonging to 1 classes." in capsys.readouterr().out


def test_classes_are_sorted_as_strings(tmp_path):
    for name in ("10", "9", "a", "B"):
        write_image(tmp_path / name / "x.png", 1)
    iterator = flow(tmp_path, class_mode="sparse")
    assert list(iterator.class_indices) == ["10", "9", "B", "a"]


def test_validation_split_takes_the_first_part_of_each_class(folder):
    generator = ImageDataGenerator(validation_split=0.3)
    first = flow(folder, generator, subset="validation", shuffle=False)
    rest = flow(folder, generator, subset="training", shuffle=False)
    assert first.filenames == [
        os.path.join("cat", "cat.0.jpg"),
        os.path.join("dog", "dog.0.jpg"),
        os.path.join("dog", "dog.1.JPEG"),
    ]
    assert len(rest.filenames) == 9 and not set(first.filenames) & set(rest.filenames)


def test_nested_folders_hidden_ones_and_korean_names(tmp_path):
    for name in ("고양이/집/나비.jpg", "강아지/바둑이.jpg", ".cache/x.jpg", "고양이/.x/x.jpg"):
        write_image(tmp_path / name, 3)
    (tmp_path / "고양이" / "._나비.jpg").write_bytes(b"resource fork")
    iterator = flow(tmp_path, shuffle=False)
    assert iterator.class_indices == {"강아지": 0, "고양이": 1}
    assert iterator.filenames[1] == os.path.join("고양이", "집", "나비.jpg")


def test_links(folder):
    (folder / "cat" / "others").symlink_to(folder / "dog")
    (folder / "cat" / "loop").symlink_to(folder / "cat")
    assert flow(folder).n == 12
    with pytest.warns(UserWarning, match="7 links lead to a photo of another class, left out"):
        iterator = flow(folder, follow_links=True)
    assert iterator.n == 12 and sum(iterator.classes) == 7


def test_a_photo_has_one_label_however_many_links_lead_to_it(folder, tmp_path):
    (folder / "cat" / "dog.link.jpg").symlink_to(folder / "dog" / "dog.0.jpg")
    with pytest.warns(UserWarning, match=r"1 link leads to a photo of another class.*dog\.link"):
        iterator = flow(folder)
    assert iterator.n == 12
    write_image(tmp_path / "far" / "photo.png", 77)
    for name in ("cat", "dog"):
        (folder / name / f"{name}.far.png").symlink_to(tmp_path / "far" / "photo.png")
    with pytest.warns(UserWarning, match="3 links lead to a photo of another class"):
        assert flow(folder).n == 12
    generator = ImageDataGenerator(validation_split=0.5)
    with pytest.warns(UserWarning, match="3 links"):
        parts = [flow(folder, generator, subset=s) for s in ("training", "validation")]
    assert sum(part.n for part in parts) == 12
    # Without labels there is none to be wrong, and links to one's own class are copies.
    assert flow(folder, class_mode=None).n == 15
    for path in folder.rglob("*.link.jpg"), folder.rglob("*.far.png"):
        for link in path:
            link.unlink()
    (folder / "cat" / "again.jpg").symlink_to(folder / "cat" / "cat.0.jpg")
    assert flow(folder).n == 13


def test_cache_or_not_the_batches_are_the_same(folder):
    generator = ImageDataGenerator(**AUGMENT)
    image_bytes = 16 * 20 * 3
    kinds = [
        flow(folder, generator),
        flow(folder, generator, cache=None),
        flow(folder, generator, cache_limit_mb=4.5 * image_bytes / 2**20),
    ]
    assert [k._cache.capacity for k in kinds] == [12, 0, 4]
    for epoch in range(2):
        batches = [k.batch(epoch, 0) for k in kinds]
        for x, y in batches[1:]:
            np.testing.assert_array_equal(x, batches[0][0])
            np.testing.assert_array_equal(y, batches[0][1])


def test_every_file_is_decoded_once(folder, monkeypatch):
    decoded = []
    real = image_files.load_img
    monkeypatch.setattr(
        image_files, "load_img", lambda path, *rest: decoded.append(path) or real(path, *rest)
    )
    iterator = flow(folder, batch_size=5)
    for epoch in range(3):
        for step in range(3):
            iterator.batch(epoch, step)
    assert sorted(decoded) == sorted(iterator.filepaths)


def test_what_a_caller_writes_does_not_reach_the_cache(folder):
    iterator = flow(folder, shuffle=False)
    first = iterator[0][0].copy()
    iterator[0][0][:] = 0
    np.testing.assert_array_equal(iterator[0][0], first)


def test_files_that_are_no_images_are_named_once_and_not_counted(folder, capsys):
    good = (folder / "dog" / "dog.0.jpg").read_bytes()
    (folder / "cat" / "empty.jpg").write_bytes(b"")
    (folder / "cat" / "page.jpg").write_text("<html></html>")
    (folder / "dog" / "half.jpg").write_bytes(good[: len(good) // 2])
    (folder / "dog" / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    with pytest.warns(UserWarning, match="4 files are not readable") as caught:
        iterator = flow(folder)
    assert len(caught) == 1
    for name in ("empty.jpg", "page.jpg", "half.jpg", "gone.jpg"):
        assert name in str(caught[0].message)
    assert caught[0].filename == __file__
    assert "Found 12 images" in capsys.readouterr().out
    assert iterator.n == 12 and len(iterator[0][0]) == 12


def test_many_bad_files_are_counted_and_the_first_named(folder):
    for i in range(30):
        (folder / "cat" / f"bad{i:02}.jpg").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"30 files .*bad19\.jpg .*; and 10 more"):
        flow(folder)


@pytest.mark.parametrize("cache", ["memory", None])
def test_a_file_that_breaks_later_does_not_stop_the_epoch(folder, cache):
    iterator = flow(folder, shuffle=False, batch_size=4, cache=cache)
    (folder / "cat" / "cat.2.png").write_bytes(b"broken")
    os.remove(folder / "cat" / "cat.4.tif")
    with pytest.warns(UserWarning) as caught:
        first = [iterator.batch(0, step) for step in range(3)]
    assert len(caught) == 2  # one for each batch
    for warning, name in zip(caught, ("cat.2.png", "cat.4.tif"), strict=True):
        assert f"skipped: {folder / 'cat' / name} (" in str(warning.message)
    again = [iterator.batch(0, step) for step in range(3)]  # warns no more
    for (x1, y1), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)
    # They are left out with their targets; the others stay in their batches.
    assert [y.tolist() for _, y in first] == [[0, 0, 0], [1, 1, 1], [1, 1, 1, 1]]


def test_no_readable_file_left_is_an_error(folder):
    iterator = flow(folder, cache=None)
    for path in iterator.filepaths:
        os.remove(path)
    with (
        pytest.warns(UserWarning, match="not readable"),
        pytest.raises(OSError, match="none of the 12 images"),
    ):
        iterator[0]


def test_two_iterators_and_thread_counts_agree(folder):
    import fastconv

    generator = ImageDataGenerator(**AUGMENT)
    before = fastconv.get_num_threads()
    batches = []
    try:
        for threads in (1, 3):
            fastconv.set_num_threads(threads)
            batches.append(flow(folder, generator, batch_size=5).batch(1, 1))
    finally:
        fastconv.set_num_threads(before)
    np.testing.assert_array_equal(batches[0][0], batches[1][0])
    np.testing.assert_array_equal(batches[0][1], batches[1][1])


def test_empty_folders_and_wrong_arguments(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        flow(tmp_path / "none")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(ValueError, match="has no images; one sub-folder per class"):
        flow(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="classes names 'bird'"):
        flow(folder, classes=["cat", "bird"])
    with pytest.raises(ValueError, match="named once"):
        flow(folder, classes=["cat", "cat"])
    with pytest.raises(ValueError, match="class_mode is 'other'"):
        flow(folder, class_mode="other")
    with pytest.raises(ValueError, match="cache is 'tape'"):
        flow(folder, cache="tape")
    with pytest.raises(ValueError, match="color_mode is 'bgr'"):
        flow(folder, color_mode="bgr")
    with pytest.raises(ValueError, match="target_size is"):
        flow(folder, target_size=(0, 3))
    (folder / "bird").mkdir()
    with pytest.raises(ValueError, match="class_mode='binary' is for two classes"):
        flow(folder)
    # An empty class keeps its number.
    with pytest.warns(UserWarning, match="no images of 'bird'") as caught:
        assert flow(folder, class_mode="categorical")[0][1].shape == (12, 3)
    assert caught[0].filename == __file__


def test_a_single_class_is_warned_of_where_targets_are_asked_for(tmp_path):
    write_image(tmp_path / "all" / "x.png", 1)
    for mode in ("binary", "categorical", "sparse"):
        with pytest.warns(UserWarning, match="has one class only, 'all'") as caught:
            flow(tmp_path, class_mode=mode)
        assert caught[0].filename == __file__
    flow(tmp_path, class_mode=None)
    flow(tmp_path, class_mode="binary", classes=["all"])


def test_heavy_packages_wait_for_their_first_use():
    import subprocess
    import sys

    code = (
        "import sys, fastconv.preprocessing.image, fastconv.datasets; "
        "print([m for m in ('PIL', 'skimage', 'scipy', 'tqdm', 'urllib.request') "
        "if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
