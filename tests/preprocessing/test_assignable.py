"""What of an iterator may be assigned: what would be accepted and do nothing is refused."""

from __future__ import annotations

import numpy as np
import pytest
from image_folders import write_folder

from fastconv.preprocessing.image import ImageDataGenerator, NumpyArrayIterator

X = np.full((3, 4, 4, 3), 2, np.uint8)


@pytest.mark.parametrize("name", ["x", "y", "n", "image_shape", "batchsize"])
def test_an_iterator_of_arrays_refuses_what_would_do_nothing(name):
    iterator = ImageDataGenerator().flow(X, np.arange(3))
    with pytest.raises(AttributeError, match=name):
        setattr(iterator, name, 2)
    assert next(iterator)[0].shape == X.shape


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_size", (2, 2)),
        ("image_shape", (2, 2, 3)),
        ("color_mode", "grayscale"),
        ("interpolation", "bilinear"),
        ("class_mode", None),
        ("classes", [0]),
        ("filenames", []),
        ("directory", "elsewhere"),
        ("samples", 2),
        ("colour_mode", "rgb"),
    ],
)
def test_an_iterator_of_files_refuses_what_would_do_nothing(tmp_path, name, value):
    write_folder(tmp_path, {"a": 2, "b": 2})
    iterator = ImageDataGenerator().flow_from_directory(tmp_path, target_size=(8, 8), shuffle=False)
    before = next(iterator)
    with pytest.raises(AttributeError, match=f"{name} cannot be set"):
        setattr(iterator, name, value)
    iterator.reset()
    assert all(map(np.array_equal, next(iterator), before))


def test_another_generator_counts_from_the_next_batch():
    iterator = ImageDataGenerator().flow(X)
    assert next(iterator).max() == 2
    iterator.image_data_generator = ImageDataGenerator(rescale=0.5)
    assert next(iterator).max() == 1


def test_classes_of_ones_own_have_what_they_like():
    class Counting(NumpyArrayIterator):
        served = 0

        def __next__(self):
            self.served += 1
            return super().__next__()

    iterator = Counting(X, None, ImageDataGenerator())
    assert next(iterator).shape == X.shape
    assert iterator.served == 1
