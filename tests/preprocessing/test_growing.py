"""Images that grow as the training goes on: the same files, order and changes at each size."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from image_folders import write_folder
from small_models import same_weights

from fastconv.callbacks import ModelCheckpoint
from fastconv.layers import Conv2D, Dense, GlobalAveragePooling2D, Input
from fastconv.models import Sequential, load_model
from fastconv.preprocessing.growing import GrowingImages
from fastconv.preprocessing.image import ImageDataGenerator


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "photos", {"a": 5, "b": 5})


def iterator(folder, size, seed=3, **options):
    generator = ImageDataGenerator(rescale=1 / 255, rotation_range=20, horizontal_flip=True)
    return generator.flow_from_directory(
        folder, target_size=(size, size), class_mode="binary", batch_size=4, seed=seed, **options
    )


def growing(folder, at=2):
    return GrowingImages({at: iterator(folder, 16), 0: iterator(folder, 8)})


def network():
    model = Sequential(
        [
            Input((None, None, 3)),
            Conv2D(4, 3, activation="relu"),
            GlobalAveragePooling2D(),
            Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("sgd", "binary_crossentropy")
    return model


def test_each_epoch_has_its_size_and_its_order(folder):
    images, alone = growing(folder), iterator(folder, 16)
    for epoch, size in enumerate((8, 8, 16, 16)):
        images.set_epoch(epoch)
        alone.set_epoch(epoch)
        for step in range(len(images)):
            (x, y), (large, labels) = images[step], alone[step]
            assert x.shape[1:] == (size, size, 3)
            np.testing.assert_array_equal(y, labels)
            assert size == 8 or np.array_equal(x, large)
    assert images.class_indices == {"a": 0, "b": 1} and images.image_shape == (16, 16, 3)


def test_a_run_goes_on_bit_for_bit_and_the_model_knows_its_size(folder, tmp_path):
    start = tmp_path / "start.npz"
    network().save(start)

    def run(path, **options):
        model = load_model(path)
        checkpoint = ModelCheckpoint(tmp_path / "{epoch}.npz")
        model.fit(growing(folder), epochs=4, verbose=0, callbacks=[checkpoint], **options)
        return model

    whole = run(start)
    assert whole.metadata["images"]["size"] == [16, 16]
    for done in (1, 2, 3):
        path = tmp_path / f"{done}.npz"
        assert same_weights(run(path, resume_from=path), whole)


def test_copies_go_on_by_themselves(folder):
    images = growing(folder)
    images.set_epoch(2)
    again = copy.deepcopy(images)
    again.set_epoch(0)
    assert images[0][0].shape == (4, 16, 16, 3) and again[0][0].shape == (4, 8, 8, 3)


def test_iterators_that_are_not_alike_are_refused(folder):
    with pytest.raises(ValueError, match="one iterator's seed is 4, another one's 3"):
        GrowingImages({0: iterator(folder, 8, seed=4), 1: iterator(folder, 16)})
    with pytest.raises(ValueError, match="there is no iterator for epoch 0"):
        GrowingImages({1: iterator(folder, 8)})
    images = growing(folder)
    with pytest.raises(ValueError, match="cannot seek"):
        images.set_state({"seed": 3, "epoch": 3, "step": 99})
    assert images.get_state()["epoch"] == 0
