"""Labels of flow_from_paths: what is none is refused, and its rows are named."""

from __future__ import annotations

import numpy as np
import pytest
from image_folders import write_image

from fastconv.preprocessing.image import ImageDataGenerator


@pytest.fixture
def paths(tmp_path):
    return [write_image(tmp_path / f"{i}.png", i, (8, 8)) for i in range(4)]


def flow(paths, labels, class_mode="sparse", **options):
    return ImageDataGenerator().flow_from_paths(
        paths, labels, class_mode=class_mode, target_size=(4, 4), shuffle=False, **options
    )


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ([0, 1, float("nan"), float("nan")], "row 2 is nan; row 3 is nan"),
        (np.array([0.0, 1.0, np.nan, 1.0]), "row 2 is nan"),
        (["cat", "dog", float("nan"), "cat"], "row 2 is nan"),
        (["cat", None, "dog", "cat"], "row 1 is None"),
        (["cat", "dog", "", "cat"], "row 2 is ''"),
        ([0, 0.5, 1, 1], r"row 1 is 0\.5"),
        ([0, 1, np.inf, 1], "row 2 is inf"),
        ([0, 1, [1], 1], r"row 2 is \[1\]"),
        ([0, 1, b"1", 1], "row 2 is b'1'"),
        ([0, 1, "1", 1], "row 2 is '1'; the others are numbers"),
        (np.ones((4, 2)), "row 0 is array"),
    ],
)
@pytest.mark.parametrize("class_mode", ["sparse", "categorical", "binary"])
def test_what_is_no_class_is_refused_and_its_rows_are_named(paths, labels, named, class_mode):
    with pytest.raises(ValueError, match=f"flow_from_paths: labels: {named}"):
        flow(paths, labels, class_mode)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ([0, 1, float("nan"), 2], "row 2 is nan"),
        ([0, 1, np.inf, 2], "row 2 is inf"),
        ([0, 1, 1e300, 2], "row 2 is 1e[+]300"),
        (["1", "2", "3", "4"], "row 0 is '1'; row 1 is '2'"),
        ([1, None, 3, 4], "row 1 is None"),
        ([[1, 2], [3, 4], [5, np.nan], [7, 8]], "row 2 is"),
        ([1, 2j, 3, 4], "row 1 is 2j"),
    ],
)
def test_what_is_no_target_is_refused_and_its_rows_are_named(paths, labels, named):
    with pytest.raises(ValueError, match=f"labels: {named}.*class_mode='raw' takes finite numbers"):
        flow(paths, labels, "raw")


def test_targets_of_different_shapes_are_refused(paths):
    with pytest.raises(ValueError, match="labels are not of one shape"):
        flow(paths, [[1], [1, 2], [1], [1]], "raw")


def test_a_class_may_be_named_once(paths):
    with pytest.raises(ValueError, match="every class may be named once"):
        flow(paths, [0, 1, 0, 1], classes=[0, 1, 1])
    with pytest.raises(ValueError, match="classes: row 1 is nan"):
        flow(paths, [0, 1, 0, 1], classes=[0, float("nan")])


def test_whole_numbers_of_any_type_are_classes(paths):
    for labels in ([0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0], np.array([0, 1, 0, 1], np.uint8)):
        iterator = flow(paths, labels)
        assert iterator.class_indices == {"0": 0, "1": 1}
        assert iterator[0][1].tolist() == [0, 1, 0, 1]
    assert flow(paths, np.array(["b", "a", "b", "a"], object)).class_indices == {"a": 0, "b": 1}
    _, targets = flow(paths, np.array([1, 2, 3, 4.5], object), "raw")[0]
    assert targets.tolist() == [1, 2, 3, 4.5]
