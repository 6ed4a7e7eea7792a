"""Which folders are classes, which files images: normal forms, systems' folders, flat ones."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from image_folders import write_folder, write_image

from fastconv.preprocessing import image_dataset_from_directory
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.preprocessing.listing import class_folders, skipped_folders, visible_folders

SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "#recycle")


def apart(name):
    return unicodedata.normalize("NFD", name)


def flow(folder, **options):
    options = {"target_size": (8, 8), "class_mode": "sparse", "seed": 1, **options}
    return ImageDataGenerator().flow_from_directory(folder, **options)


def test_folders_of_a_systems_own_are_no_classes(tmp_path):
    write_folder(tmp_path, {"cat": 2, "dog": 2})
    for name in (*SYSTEM, "lost+found", ".ipynb_checkpoints"):
        (tmp_path / name).mkdir()
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "cat" / ".DS_Store").touch()
    assert visible_folders(str(tmp_path)) == ["cat", "dog"]
    assert ".ipynb_checkpoints" in skipped_folders(str(tmp_path))
    assert flow(tmp_path).class_indices == {"cat": 0, "dog": 1}  # and nothing to warn of


@pytest.mark.parametrize("name", SYSTEM)
def test_what_is_skipped_though_it_has_images_is_said(tmp_path, name):
    write_folder(tmp_path, {"cat": 2, "dog": 2})
    write_image(tmp_path / "cat" / name / "1.jpg" / "preview.jpg", 9)
    write_image(tmp_path / name / "deleted.jpg", 9)
    with pytest.warns(UserWarning, match="skipped: a system keeps its own") as caught:
        data = flow(tmp_path)
    assert data.n == 4 and len(caught) == 1 and caught[0].filename == __file__
    assert repr(name) in str(caught[0].message)
    assert flow(tmp_path, classes=["dog", name]).n == 3  # who names it means it


def test_names_are_compared_composed(tmp_path):
    names = ("강아지", "고양이")
    write_folder(tmp_path / "a", {apart(name): 2 for name in names})
    write_folder(tmp_path / "b", dict.fromkeys(names, 2), 50)
    first, second = flow(tmp_path / "a", shuffle=False), flow(tmp_path / "b", shuffle=False)
    assert first.class_indices == second.class_indices == {"강아지": 0, "고양이": 1}
    assert first[0][0].shape == (4, 8, 8, 3)
    chosen = flow(tmp_path / "b", classes=[apart(name) for name in reversed(names)])
    assert chosen.class_indices == {"고양이": 0, "강아지": 1}
    assert flow(tmp_path / "a", classes=list(names)).n == 4
    with pytest.raises(ValueError, match="named once"):
        flow(tmp_path / "a", classes=["고양이", apart("고양이")])


def test_two_forms_of_one_name_are_refused(tmp_path):
    write_folder(tmp_path, {"고양이": 1})
    (tmp_path / apart("고양이")).mkdir()
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("a file system that composes names itself")
    with pytest.raises(ValueError, match="has two folders '고양이'"):
        class_folders(str(tmp_path), None, "owner")


def test_labels_in_a_table_are_compared_composed(tmp_path):
    paths = [write_image(tmp_path / f"{n}.jpg", n) for n in range(4)]
    data = ImageDataGenerator().flow_from_paths(
        paths, ["고양이", apart("고양이"), "개", apart("개")], class_mode="sparse", shuffle=False
    )
    assert data.class_indices == {"개": 0, "고양이": 1}
    np.testing.assert_array_equal(data.labels, [1, 1, 0, 0])


def test_a_flat_folder_gives_images_without_labels(tmp_path, capsys):
    for number in range(5):
        write_image(tmp_path / f"{number}.jpg", number)
    data = image_dataset_from_directory(tmp_path, labels=None, image_size=(8, 8), shuffle=False)
    assert capsys.readouterr().out == "Found 5 images.\n"
    assert next(iter(data)).shape == (5, 8, 8, 3) and data.class_names == []
    assert data.filenames == [f"{number}.jpg" for number in range(5)]
    assert flow(tmp_path, class_mode=None)[0].shape == (5, 8, 8, 3)
    with pytest.raises(ValueError, match="has no images"):
        flow(tmp_path)


def test_without_labels_all_images_below_are_taken(tmp_path):
    write_image(tmp_path / "0.jpg", 0)
    write_folder(tmp_path / "deeper", {"a": 2, "b": 1})
    train, validation = image_dataset_from_directory(
        tmp_path, labels=None, image_size=(8, 8), validation_split=0.25, subset="both"
    )
    assert (train.n, validation.n) == (3, 1)
    with pytest.raises(ValueError, match=r"class_names is .* and labels is None"):
        image_dataset_from_directory(tmp_path, labels=None, class_names=["a"])
