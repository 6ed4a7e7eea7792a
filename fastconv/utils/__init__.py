"""What belongs to no model: the random seed, classes of a user's own, labels, images, data."""

from __future__ import annotations

import random as python_random

import numpy as np

from .._core import random
from .._core.missing_names import missing_names, old_modules
from .._core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from .._core.session import clear_session
from .._core.validation import integer, wrong_value
from ..preprocessing.dataset import image_dataset_from_directory
from ..preprocessing.image_files import array_to_img, img_to_array, load_img, save_img
from ..preprocessing.py_dataset import PyDataset
from ..visualization.model_plot import plot_model
from .numerical import (
    normalize,
    pack_x_y_sample_weight,
    to_categorical,
    unpack_x_y_sample_weight,
)

Sequence = PyDataset  # its name before Keras 3
CustomObjectScope = custom_object_scope  # which Keras has in both spellings

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def set_random_seed(seed: int) -> None:
    """Seed fastconv's, NumPy's and Python's random numbers, as Keras does.

    Call it before a model is built: weights and dropout draw their seeds then.

    >>> set_random_seed(7)
    >>> first = random.next_seed()
    >>> set_random_seed(7)
    >>> random.next_seed() == first
    True

    Raises TypeError or ValueError unless `seed` is an int in [0, 2**32).
    """
    number = integer(seed, "seed", "set_random_seed")
    if not 0 <= number < 2**32:
        raise wrong_value(seed, "seed", "set_random_seed", "in [0, 2**32)")
    random.seed(number)
    np.random.seed(number)
    python_random.seed(number)


__getattr__ = missing_names(__name__)
old_modules(__name__, "generic_utils", "np_utils", "vis_utils")
