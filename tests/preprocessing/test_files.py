"""An image that cannot be read takes nothing else with it: rows, names and numbers agree."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from image_folders import write_folder
from PIL import Image

import fastconv
from fastconv.preprocessing.image import ImageDataGenerator

COUNT = 12
SIZE = (6, 6)
BROKEN = "05.png"


def numbered(folder, count=COUNT):
    """Write `count` pictures whose grey is ten times their number."""
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", SIZE, (10 * i,) * 3).save(folder / f"{i:02}.png")
    return folder.parent


def flow(root, broken=None, when="before", generator=None, **options):
    """Return an iterator over `root`, of which one file breaks before or after the listing."""
    options = {"target_size": SIZE, "class_mode": None, "seed": 7, "batch_size": 5, **options}

    def damage():
        for path in [] if broken is None else root.glob(f"*/{broken}"):
            path.write_bytes(b"\xff\xd8 not a photo \xff\xd9")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if when == "before":
            damage()
        iterator = (generator or ImageDataGenerator()).flow_from_directory(root, **options)
        if when == "after":
            damage()
            iterator.decode()
    return iterator


def number_of(image):
    return round(float(image.mean()) / 10)


@pytest.mark.parametrize("cache", ["memory", None])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
def test_images_and_masks_stay_together(tmp_path, when, shuffle, cache):
    options = {"shuffle": shuffle, "cache": cache}
    images = flow(numbered(tmp_path / "images" / "x"), BROKEN, when, **options)
    masks = flow(numbered(tmp_path / "masks" / "x"), **options)
    assert len(images) == len(masks) == 3
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images.batch(0, 0), images.batch(0, 1), images.batch(0, 2)
    for epoch in range(2):
        for step in range(3):
            pair = images.batch(epoch, step), masks.batch(epoch, step)
            for image, mask in zip(*pair, strict=True):
                if np.isnan(image).all():
                    assert number_of(mask) == 5
                else:
                    assert number_of(image) == number_of(mask)
                    seen.append(number_of(image))
    assert sorted(seen) == sorted([*range(5), *range(6, COUNT)] * 2)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("class_mode", ["binary", None])
def test_random_changes_are_those_of_the_file_whatever_else_is_broken(tmp_path, when, class_mode):
    for name in ("whole", "broken"):
        numbered(tmp_path / name / "x")
        for path in (tmp_path / name / "x").iterdir():
            noise = np.random.default_rng(int(path.stem)).integers(0, 256, (*SIZE, 3))
            Image.fromarray(noise.astype(np.uint8)).save(path)
        numbered(tmp_path / name / "y", 2)
    options = {"class_mode": class_mode, "generator": ImageDataGenerator(rotation_range=90)}
    whole = flow(tmp_path / "whole", **options)
    broken = flow(tmp_path / "broken", BROKEN, when, **options)

    def epoch_of(iterator):
        batches = [iterator.batch(1, step) for step in range(len(iterator))]
        images = np.concatenate([b if class_mode is None else b[0] for b in batches])
        return images[~np.isnan(images).any(axis=(1, 2, 3))]

    lost = flow(tmp_path / "whole", shuffle=False, **options).filenames.index(f"x/{BROKEN}")
    expected = [
        image
        for image, index in zip(epoch_of(whole), whole._order(1), strict=True)
        if index != lost
    ]
    np.testing.assert_array_equal(epoch_of(broken), expected)


def model_of_means():
    model = fastconv.Sequential(
        [fastconv.layers.GlobalAveragePooling2D(input_shape=(*SIZE, 3)), fastconv.layers.Dense(1)]
    )
    model.set_weights([np.full((3, 1), 1 / 30, np.float32), np.zeros(1, np.float32)])
    return model


@pytest.mark.parametrize("batch_size", [1, 5, 32])
@pytest.mark.parametrize("cache", ["memory", None])
@pytest.mark.parametrize("class_mode", ["binary", "categorical", "input", None])
@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_of_predict_are_those_of_filenames(tmp_path, when, class_mode, cache, batch_size):
    root = numbered(tmp_path / "set" / "x")
    numbered(root / "y", 3)
    options = {"class_mode": class_mode, "cache": cache, "batch_size": batch_size}
    iterator = flow(root, BROKEN, when, shuffle=False, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = model_of_means().predict(iterator, verbose=0)[:, 0]
    names = iterator.filenames
    assert len(rows) == len(names) == len(iterator.filepaths) == iterator.samples == iterator.n
    assert len(iterator.classes) == len(iterator.labels) == len(names)
    assert (f"x/{BROKEN}" in names) == (class_mode is None)
    for row, name, label in zip(rows, names, iterator.classes, strict=True):
        assert label == (name[0] == "y")
        if name == f"x/{BROKEN}":
            assert np.isnan(row)
        else:
            assert round(float(row)) == int(name[2:4])


def test_the_batches_of_a_run_go_on_where_all_of_one_broke(tmp_path):
    root = numbered(tmp_path / "set" / "x", 4)
    numbered(root / "y", 4)
    iterator = flow(root, "01.png", "after", class_mode="binary", batch_size=1)
    assert sum(len(iterator.batch(0, step)[1]) == 0 for step in range(len(iterator))) == 2
    model = model_of_means()
    model.compile("sgd", "mse")
    history = model.fit(iterator, epochs=2, verbose=0, validation_data=iterator)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(history.history["val_loss"]).all()


@pytest.mark.parametrize("class_mode", ["raw", "sparse"])
def test_the_rows_of_a_table_stay_together(tmp_path, class_mode):
    folder = numbered(tmp_path / "x") / "x"
    names = [f"{i:02}.png" for i in range(COUNT)]
    iterator = ImageDataGenerator().flow_from_paths(
        names, list(range(COUNT)), directory=folder, class_mode=class_mode, target_size=SIZE
    )
    (folder / BROKEN).write_bytes(b"broken")
    with pytest.warns(UserWarning, match=BROKEN):
        iterator.decode()
    images, labels = iterator[0]
    assert [number_of(image) for image in images] == labels.tolist() and len(labels) == COUNT - 1
    assert iterator.labels.tolist() == [i for i in range(COUNT) if i != 5]
    assert iterator.filenames == [name for name in names if name != BROKEN]


@pytest.mark.parametrize("cache", ["memory", None])
@pytest.mark.parametrize("class_mode", ["binary", None])
def test_files_that_vanish_cost_one_warning(tmp_path, cache, class_mode):
    root = write_folder(tmp_path / "set", {"a": 30, "b": 30})
    iterator = ImageDataGenerator().flow_from_directory(
        root, SIZE, class_mode=class_mode, cache=cache, batch_size=60
    )
    for i in range(25):
        os.remove(root / "a" / f"a.{i}.jpg")
    with pytest.warns(UserWarning) as caught:
        for _ in range(3):
            iterator[0]
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "25 files are not readable" in text and "and 5 more" in text
    assert ("their rows are NaN" in text) == (class_mode is None)


def test_a_refused_file_is_refused_without_labels_too(tmp_path):
    root = numbered(tmp_path / "set" / "x")
    (root / "x" / BROKEN).write_bytes(b"broken")
    with pytest.raises(OSError, match=BROKEN):
        ImageDataGenerator().flow_from_directory(root, SIZE, class_mode=None, on_error="raise")
    for path in (root / "x").iterdir():
        path.write_bytes(b"broken")
    with (
        pytest.warns(UserWarning, match="12 files"),
        pytest.raises(ValueError, match="has no images"),
    ):
        ImageDataGenerator().flow_from_directory(root, SIZE, class_mode=None)
