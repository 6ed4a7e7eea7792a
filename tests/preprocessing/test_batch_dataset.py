"""Data sets made of others: mapped, kept, reordered, cut into parts, and trained on."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from image_folders import write_folder
from PIL import Image

import fastconv
from fastconv import layers, models
from fastconv.callbacks import ModelCheckpoint
from fastconv.preprocessing import image_dataset_from_directory
from fastconv.preprocessing.image import load_img
from fastconv.preprocessing.image_input import ImageInput

SIZE = (12, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos"), {"cat": 9, "dog": 8})


def data(folder, **options):
    arguments = {"image_size": SIZE, "batch_size": 4, "seed": 1, "verbose": False, **options}
    return image_dataset_from_directory(folder, **arguments)


def same(first, second):
    for one, other in zip(first, second, strict=True):
        for part, twin in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, twin)


def test_map_changes_batches(folder):
    plain, scaled = data(folder), data(folder).map(lambda x, y: (x / 255, 1 - y))
    for _ in range(2):  # epochs
        same([(x / 255, 1 - y) for x, y in plain], scaled)
    assert scaled.class_names == ["cat", "dog"] and len(scaled) == scaled.cardinality() == 5
    images = data(folder, labels=None).map(lambda x: x.shape, num_parallel_calls=-1)
    assert next(iter(images)) == (4, *SIZE, 3)
    with pytest.raises(TypeError, match="map_func is 3"):
        data(folder).map(3)


def test_a_layer_may_be_mapped(folder):
    flip = layers.RandomFlip(seed=3)
    flipped = data(folder).map(lambda x, y: (flip(x, training=True), y))
    assert next(iter(flipped))[0].shape == (4, *SIZE, 3)


def test_parts_stay_apart_whatever_the_epoch(folder):
    whole = data(folder)
    train, rest = whole.take(3), whole.skip(3)
    assert (len(train), len(rest)) == (3, 2)
    first = list(train), list(rest)
    list(whole)  # goes on to another epoch
    same(train, first[0])
    same(rest, first[1])
    same([*first[0], *first[1]], data(folder))
    assert len(whole.take(-1)) == 5 and len(whole.skip(-1)) == 0 and len(whole.take(99)) == 5
    assert len(whole.skip(2).take(2).skip(1)) == 1
    with pytest.raises(ValueError, match="take: count is -2"):
        whole.take(-2)
    with pytest.raises(IndexError):
        train[3]


def test_shuffle_reorders_batches_by_seed_and_epoch(folder):
    def labels(dataset):
        return [tuple(y) for _, y in dataset]

    fixed = data(folder, shuffle=False)
    kept = labels(fixed)
    shuffled = fixed.shuffle(100, seed=4)
    epochs = [labels(shuffled) for _ in range(4)]
    assert all(sorted(epoch) == sorted(kept) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1
    again = data(folder, shuffle=False).shuffle(1, seed=4)
    assert epochs == [labels(again) for _ in range(4)]
    same_order = fixed.shuffle(seed=4, reshuffle_each_iteration=False)
    assert labels(same_order) == labels(same_order)
    # The option of that name is still there.
    assert not fixed.shuffle and data(folder).shuffle and repr(data(folder).shuffle) == "True"
    fixed.shuffle = True
    assert fixed.shuffle


def test_what_is_cached_is_made_once(folder):
    calls = []

    def change(x, y):
        calls.append(len(x))
        return x + np.random.random(), y

    cached = data(folder).map(change).cache()
    first = [tuple(np.array(part) for part in batch) for batch in cached]
    for x, _ in cached:
        x[...] = 0  # the caller's own
    same(first, cached)
    assert len(calls) == 5
    whole = data(folder)
    assert whole.cache() is whole and whole.prefetch(2) is whole


@pytest.mark.parametrize(
    "chain",
    [
        lambda d: d.map(lambda x, y: (x / 255, y)),
        lambda d: d.cache().shuffle(10, seed=2).prefetch(3),
        lambda d: d.take(3).map(lambda x, y: (x / 255, y)).cache().shuffle(3),
    ],
)
def test_a_resumed_training_goes_on_with_the_same_bits(folder, tmp_path, chain):
    def fit(**options):
        fastconv.utils.set_random_seed(6)
        model = models.Sequential(
            [layers.Flatten(input_shape=(*SIZE, 3)), layers.Dense(1, activation="sigmoid")]
        )
        model.compile("adam", "binary_crossentropy")
        model.fit(chain(data(folder)), epochs=4, verbose=0, **options)
        return model

    whole = fit(callbacks=ModelCheckpoint(tmp_path / "m-{epoch}.npz"))
    resumed = fit(resume_from=tmp_path / "m-2.npz")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.class_names == ["cat", "dog"]
    assert whole.predict(data(folder)).shape == (17, 1)


def test_states_and_copies(folder):
    dataset = data(folder).map(lambda x, y: (x, y)).shuffle(9)
    list(dataset)
    twin, state = copy.deepcopy(dataset), json.loads(json.dumps(dataset.get_state()))
    epoch = list(dataset)
    same(epoch, twin)
    dataset.set_state(state)
    same(epoch, dataset)


def test_a_model_learns_how_images_are_made_unless_a_function_changed_them(folder):
    mapped = data(folder).map(lambda x, y: (x, y))
    for dataset, noted in ((data(folder).take(2), True), (mapped, False), (mapped.take(1), False)):
        model = models.Sequential([layers.Flatten(input_shape=(*SIZE, 3)), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(dataset, verbose=0)
        assert ("images" in model.metadata) is noted


def test_pictures_are_padded(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (40, 20), (255, 9, 7)).save(tmp_path / "a/wide.png")
    options = {"pad_to_aspect_ratio": True, "label_mode": None, "verbose": False}
    dataset = image_dataset_from_directory(tmp_path, image_size=(20, 20), **options)
    image = next(iter(dataset))[0]
    np.testing.assert_array_equal(image[5:15], np.broadcast_to([255.0, 9, 7], (10, 20, 3)))
    assert not image[:5].any() and not image[15:].any()
    assert load_img(tmp_path / "a/wide.png", target_size=(9, 20), pad_to_aspect_ratio=True).size
    with pytest.raises(ValueError, match="give one"):
        image_dataset_from_directory(tmp_path, crop_to_aspect_ratio=True, **options)
    model = models.Sequential([layers.Flatten(input_shape=(20, 20, 3)), layers.Dense(1)])
    ImageInput.note(model, dataset)
    assert ImageInput.of(model).options["pad_to_aspect_ratio"]


def test_what_is_said_and_refused(folder, capsys):
    data(folder)
    assert capsys.readouterr().out == ""
    dataset = data(folder, verbose=True)
    assert capsys.readouterr().out == "Found 17 images belonging to 2 classes.\n"
    assert len(dataset.file_paths) == 17 and dataset.file_paths[0].endswith(".jpg")
    assert "batches of <ImageDataset: 17 images" in repr(dataset.take(2))
    with pytest.raises(
        TypeError, match=r"labels is a list; .* use ImageDataGenerator\(\)\.flow_fr"
    ):
        data(folder, labels=[0] * 17)
    with pytest.raises(ValueError, match="data_format"):
        data(folder, data_format="channels_first")
    with pytest.raises(AttributeError, match="unbatch"):
        dataset.take(1).unbatch()
