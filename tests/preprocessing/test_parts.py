"""What a folder is made of: parts by name and shape, classes, and what could be either."""

from __future__ import annotations

import os

import pytest
from image_folders import write_folder, write_image

from fastconv.preprocessing.parts import find_data_set, training_faults, validation_share


def layout(root, *paths):
    """Write one image at each of the paths."""
    for number, path in enumerate(paths):
        write_image(root / path, number)
    return root


def parts_of(root):
    data = find_data_set(root)
    return {role: os.path.relpath(folder, root) for role, folder in data.parts.items()}


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training", "Training"])
@pytest.mark.parametrize("validation", ["validation", "Validation", "valid", "val", "Val"])
def test_parts_by_any_of_their_names(tmp_path, train, validation):
    layout(tmp_path, *(f"{part}/{kind}/x.jpg" for part in (train, validation) for kind in "ab"))
    assert parts_of(tmp_path) == {"train": train, "validation": validation}


@pytest.mark.parametrize("names", [("train", "bus"), ("train", "test", "cat"), ("val", "dog")])
def test_classes_that_are_called_like_parts(tmp_path, names):
    layout(tmp_path, *(f"{name}/x.jpg" for name in names))
    data = find_data_set(tmp_path)
    assert data.parts == {} and data.class_folders == {"": str(tmp_path)}
    assert data.doubt is None


def test_classes_called_like_parts_within_parts(tmp_path):
    layout(tmp_path, *(f"{p}/{k}/x.jpg" for p in ("train", "test") for k in ("train", "test")))
    assert parts_of(tmp_path) == {"train": "train", "test": "test"}
    assert parts_of(tmp_path / "train") == {}


def test_two_classes_that_could_be_parts_are_said(tmp_path):
    layout(tmp_path, "train/x.jpg", "test/y.jpg")
    data = find_data_set(tmp_path)
    assert data.parts == {} and "they are taken for classes" in data.doubt
    layout(tmp_path, "validation/z.jpg")
    with pytest.raises(ValueError, match=r"have no sub-folders.*put these into sub-folders"):
        find_data_set(tmp_path)


def test_training_and_testing_are_no_classes(tmp_path):
    layout(tmp_path, *(f"{p}/{k}/x.jpg" for p in ("Training", "Testing") for k in "ab"))
    assert parts_of(tmp_path) == {"train": "Training", "test": "Testing"}
    assert find_data_set(tmp_path).evaluation == str(tmp_path / "Testing")


def test_an_unlabelled_test_part_is_left_out(tmp_path):
    layout(tmp_path, "train/a/x.jpg", "train/b/x.jpg", "test/1.jpg", "test/2.jpg")
    assert parts_of(tmp_path) == {"train": "train"}
    assert find_data_set(tmp_path).left_out == ("test",)


def test_a_stray_image_does_not_make_a_part_a_class(tmp_path):
    layout(tmp_path, *(f"train/{kind}/{n}.jpg" for kind in "ab" for n in range(2)))
    layout(tmp_path, "train/contact sheet.jpg")
    assert parts_of(tmp_path) == {"train": "train"}


@pytest.mark.parametrize(
    "paths",
    [
        ("train/steam/1.jpg", "train/diesel/1.jpg", "bus/1.jpg", "car/1.jpg"),
        ("cat/1.jpg", "dog/1.jpg", "val/cat/1.jpg", "val/dog/1.jpg"),
        ("cat/1.jpg", "val/cat/1.jpg", "test/cat/1.jpg"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(tmp_path, paths):
    with pytest.raises(ValueError, match="could be meant in two ways"):
        find_data_set(layout(tmp_path, *paths))


def test_two_folders_for_one_part_are_refused(tmp_path):
    layout(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "validation/a/1.jpg")
    with pytest.raises(ValueError, match="has both 'val' and 'validation'; rename"):
        find_data_set(tmp_path)


@pytest.mark.parametrize("inner", ["photos", "photos/deeper"])
def test_folders_around_a_data_set_are_looked_through(tmp_path, inner):
    layout(tmp_path, f"{inner}/a/1.jpg", f"{inner}/b/1.jpg", "__MACOSX/x/1.jpg", ".git/1.jpg")
    assert find_data_set(tmp_path).folder == str(tmp_path / inner)


def test_a_data_set_beside_other_folders(tmp_path):
    layout(tmp_path, "set/train/a/1.jpg", "set/validation/a/1.jpg")
    (tmp_path / "notes").mkdir()
    assert find_data_set(tmp_path).folder == str(tmp_path / "set")


def test_folders_with_images_beside_a_data_set_are_left_out_and_told(tmp_path):
    layout(tmp_path, "set/train/a/1.jpg", "set/val/a/1.jpg", "extra/1.jpg")
    data = find_data_set(tmp_path)
    assert data.folder == str(tmp_path / "set") and data.left_out == ("extra",)
    layout(tmp_path, "other/train/a/1.jpg", "other/val/a/1.jpg")
    with pytest.raises(ValueError, match="several data sets, 'other' and 'set'; name one"):
        find_data_set(tmp_path)


def test_logs_with_parts_of_these_names_are_no_data_set(tmp_path):
    layout(tmp_path, "set/train/a/1.jpg", "set/validation/a/1.jpg")
    for part in ("train", "validation"):
        (tmp_path / "logs" / part).mkdir(parents=True)
        (tmp_path / "logs" / part / "events.out.tfevents.1").touch()
    assert find_data_set(tmp_path).folder == str(tmp_path / "set")


def test_one_class_is_not_looked_through(tmp_path):
    assert find_data_set(layout(tmp_path, "all/1.jpg")).folder == str(tmp_path)


def test_parts_without_images_are_parts(tmp_path):
    for name in ("train", "validation"):
        (tmp_path / name).mkdir()
    assert parts_of(tmp_path) == {"train": "train", "validation": "validation"}


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        find_data_set(tmp_path / "none")
    with pytest.raises(ValueError, match="has no sub-folders"):
        find_data_set(layout(tmp_path / "flat", "1.jpg"))
    with pytest.raises(NotADirectoryError, match="is no folder"):
        find_data_set(tmp_path / "flat" / "1.jpg")


def faults(**counts):
    return {code: text for code, text in training_faults(counts)}


def test_what_keeps_from_training():
    valid = {"a": 5, "b": 5}
    assert not faults(train=valid, validation={"a": 1, "b": 0})
    assert not list(training_faults({"": {"a": 2, "b": 2, "c": 9}}))
    assert set(faults(validation=valid, test=valid)) == {"no train"}
    assert set(faults(train={"a": 5})) == {"one class"}
    assert set(faults(train={"a": 5, "b": 0})) == {"empty"}
    assert set(faults(train={"a": 5, "b": 1})) == {"too few"}
    assert set(faults(train=valid, validation={"a": 0, "b": 0})) == {"empty"}
    text = faults(train=valid, validation={"a": 5, "B": 5})["classes differ"]
    assert "validation has the classes a, B, train has a, b" in text
    assert "no classes" in faults(train={})


@pytest.mark.parametrize(("smallest", "kept"), [(2, 1), (3, 1), (4, 1), (5, 1), (9, 1), (10, 2)])
def test_each_class_has_an_image_to_validate_with(smallest, kept):
    share = validation_share({"a": smallest, "b": 100})
    assert int(smallest * share) == kept and share <= 0.5


def test_classes_are_counted_by_their_composed_names(tmp_path):
    import unicodedata

    from fastconv.preprocessing.parts import listed_images

    apart = unicodedata.normalize("NFD", "강아지")
    write_folder(tmp_path, {apart: 2, "고양이": 3})
    assert list(listed_images(str(tmp_path)).items()) == [("강아지", 2), ("고양이", 3)]
