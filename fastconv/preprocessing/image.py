"""Images as training data, under the names of `keras.preprocessing.image`.

>>> from fastconv.preprocessing.image import ImageDataGenerator
>>> train = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
...     "dog-vs-cat/train", target_size=(100, 100), class_mode="binary"
... )  # doctest: +SKIP
Found 2000 images belonging to 2 classes.
"""

from __future__ import annotations

from .arrays import smart_resize
from .dataset import ImageDataset, image_dataset_from_directory
from .directory import DirectoryIterator
from .generator import ImageDataGenerator
from .growing import GrowingImages
from .image_files import array_to_img, img_to_array, load_img, save_img
from .iterators import Iterator, NumpyArrayIterator
from .paths import PathsIterator

__all__ = [
    "DirectoryIterator",
    "GrowingImages",
    "ImageDataGenerator",
    "ImageDataset",
    "Iterator",
    "NumpyArrayIterator",
    "PathsIterator",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "save_img",
    "smart_resize",
]
