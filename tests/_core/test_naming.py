"""Names of classes and of what is made without one."""

from __future__ import annotations

import pytest

from fastconv._core.naming import automatic_name, snake_case
from fastconv.utils import clear_session


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
