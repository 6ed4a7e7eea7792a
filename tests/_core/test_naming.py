"""Names of classes and of what is made without one."""

from __future__ import annotations

import pytest

from fastconv._core.naming import automatic_name, describe, of_model, shortened, snake_case
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
        ("Conv[Mine]", "conv_mine"),
    ],
)
def test_snake_case_is_keras(name, expected):
    assert snake_case(name) == expected


def test_names_count():
    clear_session()
    assert [automatic_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    clear_session()
    assert automatic_name("Dense") == "dense"


def test_errors_about_arguments_name_the_model():
    @of_model
    def fit(x):
        return x

    assert fit.__qualname__ == "Model.fit" and fit(3) == 3


def test_what_differs_from_the_defaults_is_shown():
    class Box:
        def __init__(self, width, lid=True, name=None, *rest, **more):
            self.width, self.lid, self.name = width, lid, name
            self.rest, self.more = rest, more

    assert describe(Box(3)) == "Box(width=3)"
    assert describe(Box(3, lid=False)) == "Box(width=3, lid=False)"
    assert describe(Box(3, name="box")) == "Box(width=3)"  # as it would be named anyway
    assert describe(Box(3, name="lid")) == "Box(width=3, name='lid')"
    assert describe(Box(3, lid="box")) == "Box(width=3, lid='box')"
    assert describe(Box(3), lid=2, full=1, empty=None) == "Box(width=3, lid=2, full=1)"
    assert len(describe(Box("x" * 999))) == len("Box(width=)") + 80


def test_long_lists_are_cut_short():
    assert shortened(["a", "b"]) == "a; b"
    assert shortened(["a"] * 20) == "; ".join(["a"] * 20)
    assert shortened(["a"] * 21).endswith("; a; and 1 more")
    assert shortened(["a", "b", "c", "d"], 2, ", ") == "a, b; and 2 more"
