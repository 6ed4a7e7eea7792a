"""The options of image files are the same wherever they are taken, and wrong ones are refused."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
from image_folders import write_folder

from fastconv.preprocessing.file_options import FileOptions
from fastconv.preprocessing.image import (
    DirectoryIterator,
    ImageDataGenerator,
    PathsIterator,
    image_dataset_from_directory,
)


def test_flow_from_directory_lists_them_all_with_their_defaults():
    parameters = inspect.signature(ImageDataGenerator.flow_from_directory).parameters
    for field in fields(FileOptions):
        assert parameters[field.name].default == field.default, field.name


@pytest.mark.parametrize("iterator", [DirectoryIterator, PathsIterator])
def test_what_an_iterator_names_itself_has_the_same_defaults(iterator):
    parameters = inspect.signature(iterator).parameters
    for field in fields(FileOptions):
        if field.name in parameters:
            assert parameters[field.name].default == field.default, field.name


def test_an_unknown_option_is_refused_by_the_function_that_was_called(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 2})
    generator = ImageDataGenerator()
    with pytest.raises(TypeError, match="flow_from_paths: got an unexpected keyword argument 'si"):
        generator.flow_from_paths(["a.png"], size=3)
    with pytest.raises(TypeError, match="image_dataset_from_directory: got an unexpected"):
        image_dataset_from_directory(folder, caching=None)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        generator.flow_from_directory(folder, caching=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color_mode": "grey"}, "color_mode is 'grey'"),
        ({"interpolation": "linear"}, "interpolation is 'linear'"),
        ({"on_error": "warn"}, "on_error is 'warn'"),
        ({"cache": "file"}, "cache is 'file'"),
        ({"target_size": (0, 5)}, r"target_size is \(0, 5\)"),
    ],
)
def test_wrong_values_are_refused_before_a_folder_is_made(tmp_path, options, message):
    with pytest.raises(ValueError, match=f"flow_from_paths: {message}"):
        ImageDataGenerator().flow_from_paths(
            ["a.png"], class_mode=None, save_to_dir=tmp_path / "saved", **options
        )
    assert not (tmp_path / "saved").exists()


def test_how_the_pixels_were_made_cannot_be_set_afterwards(tmp_path):
    folder = write_folder(tmp_path / "set", {"a": 2, "b": 2})
    iterator = ImageDataGenerator().flow_from_directory(folder, target_size=(4, 5))
    assert (iterator.target_size, iterator.interpolation) == ((4, 5), "nearest")
    with pytest.raises(AttributeError, match="interpolation cannot be set"):
        iterator.interpolation = "bilinear"
    iterator.on_error = "raise"
    with pytest.raises(ValueError, match="on_error is 'warn'"):
        iterator.on_error = "warn"
