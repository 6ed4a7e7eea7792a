import random as python_random

import numpy as np
import pytest

from fastconv._core import random
from fastconv.utils import automatic_name, clear_session, set_random_seed, snake_case


def test_set_random_seed_seeds_all_three():
    def draw():
        set_random_seed(12)
        return random.next_seed(), np.random.random(), python_random.random()

    assert draw() == draw()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed):
    before = random.get_state()
    with pytest.raises(ValueError, match="seed is"):
        set_random_seed(seed)
    with pytest.raises(TypeError, match="seed is None"):
        set_random_seed(None)
    assert random.get_state() == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Conv2D", "conv2d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("L2Pooling2D", "l2_pooling2d"),
        ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ("BatchNormalization", "batch_normalization"),
        ("ReLU", "re_lu"),
        ("InputLayer", "input_layer"),
        ("_Private", "private"),
    ],
)
def test_snake_case_is_keras(name, expected):
    assert snake_case(name) == expected


def test_names_count():
    clear_session()
    assert [automatic_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    clear_session()
    assert automatic_name("Dense") == "dense"
