"""Batches from lists of files, and folders as a data set in one line."""

from __future__ import annotations

import os

import numpy as np
import pytest
from image_folders import write_folder
from PIL import Image

from fastconv.preprocessing import image_dataset_from_directory
from fastconv.preprocessing.image import ImageDataGenerator, load_img

SIZE = (10, 12)


@pytest.fixture
def table(tmp_path):
    folder = write_folder(tmp_path / "set", {"cat": 4, "dog": 3, "owl": 3})
    paths = sorted(folder.rglob("*.jpg"))[::-1]
    return paths, [path.parent.name for path in paths]


def flow(paths, labels=None, generator=None, **options):
    options = {"target_size": SIZE, "shuffle": False, "seed": 2, **options}
    return (generator or ImageDataGenerator()).flow_from_paths(paths, labels, **options)


def test_it_agrees_with_the_directory(table, capsys):
    paths, labels = table
    iterator = flow(paths, labels)
    assert "Found 10 images belonging to 3 classes." in capsys.readouterr().out
    assert iterator.class_indices == {"cat": 0, "dog": 1, "owl": 2}
    x, y = iterator[0]
    folder = ImageDataGenerator().flow_from_directory(
        paths[0].parent.parent, SIZE, shuffle=False, seed=2
    )
    np.testing.assert_array_equal(x, folder[0][0][::-1])
    np.testing.assert_array_equal(y, folder[0][1][::-1])


def test_class_modes(table):
    paths, labels = table
    numbers = [{"cat": 0, "dog": 1, "owl": 2}[label] for label in labels]
    np.testing.assert_array_equal(flow(paths, labels, class_mode="sparse")[0][1], numbers)
    two = [label == "cat" for label in labels]
    x, y = flow(paths, two, class_mode="binary")[0]
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, two)
    np.testing.assert_array_equal(flow(paths, class_mode=None)[0], x)
    np.testing.assert_array_equal(flow(paths, class_mode="input")[0][1], x)
    values = np.arange(20.0).reshape(10, 2)
    _, y = flow(paths, values, class_mode="raw", shuffle=True)[0]
    assert y.dtype == np.float32 and sorted(y[:, 0]) == list(range(0, 20, 2))
    order = ["owl", "cat", "dog", "eel"]
    iterator = flow(paths, labels, classes=order)
    assert iterator.class_indices == {name: i for i, name in enumerate(order)}
    assert iterator[0][1].shape == (10, 4)


def test_relative_paths_and_arrays_of_names(table):
    paths, labels = table
    root = paths[0].parent.parent
    names = np.array([os.path.relpath(path, root) for path in paths])
    iterator = flow(names, np.array(labels), directory=root)
    np.testing.assert_array_equal(iterator[0][0], flow(paths, labels)[0][0])
    assert iterator.filenames == names.tolist()


def test_subsets_take_the_first_part_of_each_class(table):
    paths, labels = table
    generator = ImageDataGenerator(validation_split=0.4)
    parts = [flow(paths, labels, generator, subset=s) for s in ("validation", "training")]
    assert [part.n for part in parts] == [3, 7]
    assert [os.path.basename(p) for p in parts[0].filepaths] == [
        "owl.2.jpg",
        "dog.2.jpg",
        "cat.3.jpg",
    ]
    assert not set(parts[0].filepaths) & set(parts[1].filepaths)


def test_bad_files_and_their_labels_are_left_out_together(table):
    paths, labels = table
    paths[1].write_bytes(b"no")
    with pytest.warns(UserWarning, match="flow_from_paths: 1 file is not readable") as caught:
        iterator = flow(paths, labels, class_mode="sparse")
    assert caught[0].filename == __file__
    assert iterator.n == 9 and len(iterator.labels) == 9
    assert iterator[0][1].tolist() == [2.0] * 2 + [1.0] * 3 + [0.0] * 4


def test_wrong_arguments_are_refused(table):
    paths, labels = table
    with pytest.raises(ValueError, match="there are 10 paths and 2 labels"):
        flow(paths, labels[:2])
    with pytest.raises(ValueError, match="class_mode='categorical' needs labels"):
        flow(paths)
    with pytest.raises(ValueError, match="labels 'dog' are not in classes"):
        flow(paths, labels, classes=["cat", "owl"])
    with pytest.raises(ValueError, match="class_mode='binary' is for two classes"):
        flow(paths, labels, class_mode="binary")
    with pytest.raises(ValueError, match="paths is empty"):
        flow([], [])
    with pytest.raises(ValueError, match="class_mode is 'other'"):
        flow(paths, labels, class_mode="other")


def test_draft_only_on_request(tmp_path):
    path = tmp_path / "large.jpg"
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (320, 480, 3), dtype=np.uint8)).save(path)
    plain, draft = (flow([path], class_mode=None, draft=draft)[0] for draft in (False, True))
    np.testing.assert_array_equal(plain[0], np.asarray(load_img(path, target_size=SIZE)))
    # Pillow averages 8 x 8 pixels, so the noise is far weaker.
    assert draft.std() < 0.5 * plain.std()
    assert load_img(path, draft=True).size == (480, 320)


def test_a_data_set_in_one_line(table):
    root = table[0][0].parent.parent
    data = image_dataset_from_directory(root, image_size=SIZE, batch_size=4, seed=0)
    assert data.class_names == ["cat", "dog", "owl"]
    epochs = [[labels for _, labels in data] for _ in range(2)]
    for labels in epochs:
        assert [len(batch) for batch in labels] == [4, 4, 2]
        assert sorted(np.concatenate(labels)) == [0] * 4 + [1] * 3 + [2] * 3
    assert not np.array_equal(*map(np.concatenate, epochs))
    images, labels = next(iter(data))
    assert images.dtype == np.float32 and images.shape == (4, *SIZE, 3) and images.max() > 1
    train, validation = image_dataset_from_directory(
        root, image_size=SIZE, validation_split=0.4, subset="both", label_mode="categorical"
    )
    assert (train.n, validation.n) == (7, 3) and validation[0][1].shape == (3, 3)
    assert next(iter(image_dataset_from_directory(root, labels=None))).shape == (10, 256, 256, 3)
    with pytest.raises(ValueError, match=r"directory: validation_split is 0\.2"):
        image_dataset_from_directory(root, validation_split=0.2)
    with pytest.raises(ValueError, match="label_mode is 'float'"):
        image_dataset_from_directory(root, label_mode="float")


def test_a_model_trains_on_it(table):
    import fastconv

    root = table[0][0].parent.parent
    data = image_dataset_from_directory(root, image_size=SIZE, batch_size=4)
    model = fastconv.Sequential(
        [
            fastconv.layers.Conv2D(4, 3, activation="relu", input_shape=(*SIZE, 3)),
            fastconv.layers.Flatten(),
            fastconv.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    history = model.fit(data, epochs=3, verbose=0, validation_data=data)
    assert len(history.history["loss"]) == 3


def test_a_table_of_columns_gives_the_same(table):
    paths, labels = table
    folder = paths[0].parent.parent
    columns = {"filename": [f"{p.parent.name}/{p.name}" for p in paths], "class": labels}
    options = {"target_size": SIZE, "shuffle": False, "seed": 2}
    iterator = ImageDataGenerator().flow_from_dataframe(columns, folder, **options)
    for ours, theirs in zip(iterator[0], flow(paths, labels)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    columns |= {"x": np.arange(10), "y": np.arange(10) / 2}
    targets = ImageDataGenerator().flow_from_dataframe(
        columns, str(folder), y_col=["x", "y"], class_mode="raw", **options
    )[0][1]
    np.testing.assert_array_equal(targets, np.stack([columns["x"], columns["y"]], axis=1))
    plain = ImageDataGenerator().flow_from_dataframe(
        columns, folder, y_col=None, class_mode=None, validate_filenames=False, **options
    )
    assert plain[0].shape == (10, *SIZE, 3)
    with pytest.raises(ValueError, match="a column is 'id'; it must be one of filename, class"):
        ImageDataGenerator().flow_from_dataframe(columns, folder, x_col="id")
    with pytest.raises(ValueError, match="a column is 'w'; it must be one of filename, class"):
        ImageDataGenerator().flow_from_dataframe(columns, folder, weight_col="w")
