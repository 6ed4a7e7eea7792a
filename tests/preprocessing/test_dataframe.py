"""`flow_from_dataframe`: tables of pandas, as Keras takes them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from image_folders import write_folder

from fastconv import Model, layers
from fastconv.preprocessing.image import ImageDataGenerator

pandas = pytest.importorskip("pandas", reason="makes the tables")
SIZE = (8, 8)


@pytest.fixture
def table(tmp_path):
    paths = sorted(write_folder(tmp_path, {"cat": 4, "dog": 6}).rglob("*.*"))
    return pandas.DataFrame(
        {
            "filename": [path.relative_to(tmp_path).as_posix() for path in paths],
            "class": [path.parent.name for path in paths],
            "age": np.arange(10) / 2,
            "width": np.arange(10),
            "weight": np.linspace(0.5, 1.5, 10),
        },
        index=range(100, 110),  # as after a filter: labels are no places
    )


def flow(table, tmp_path, generator=None, **options):
    options = {"target_size": SIZE, "shuffle": False, **options}
    return (generator or ImageDataGenerator()).flow_from_dataframe(table, tmp_path, **options)


def test_a_folder_and_its_table_give_the_same(table, tmp_path, capsys):
    iterator = flow(table, tmp_path)
    assert capsys.readouterr().out == (
        "Found 10 validated image filenames belonging to 2 classes.\n"
    )
    folder = ImageDataGenerator().flow_from_directory(tmp_path, target_size=SIZE, shuffle=False)
    for ours, theirs in zip(iterator[0], folder[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert iterator.class_indices == folder.class_indices
    assert list(iterator.classes) == list(folder.classes)
    assert iterator.filenames == list(table["filename"])


def test_absolute_paths_need_no_directory(table, tmp_path):
    table["filename"] = [str(tmp_path / name) for name in table["filename"]]
    whole = flow(table, None)
    assert whole.samples == 10


def test_weights_and_several_targets(table, tmp_path, capsys):
    x, y, weights = flow(
        table, tmp_path, y_col="age", class_mode="raw", weight_col="weight", batch_size=4
    )[1]
    assert x.shape == (4, *SIZE, 3) and y.dtype == weights.dtype == np.float32
    np.testing.assert_allclose(y, [2, 2.5, 3, 3.5])
    np.testing.assert_allclose(weights, table["weight"].iloc[4:8], rtol=1e-6)
    assert capsys.readouterr().out == "Found 10 validated image filenames.\n"
    several = flow(table, tmp_path, y_col=["age", "width"], class_mode="multi_output")
    ages, widths = several[0][1]
    np.testing.assert_array_equal(ages, table["age"])
    np.testing.assert_array_equal(widths, table["width"])
    raw = flow(table, tmp_path, y_col=["age", "width"], class_mode="raw")[0][1]
    np.testing.assert_array_equal(raw, table[["age", "width"]])
    again = copy.deepcopy(several)
    np.testing.assert_array_equal(again[0][1][1], widths)


def test_two_outputs_are_trained(table, tmp_path):
    photo = layers.Input((*SIZE, 3))
    hidden = layers.Flatten()(photo)
    model = Model(photo, [layers.Dense(1, name="age")(hidden), layers.Dense(1, name="w")(hidden)])
    model.compile("sgd", ["mse", "mse"])
    generator = ImageDataGenerator(rescale=1 / 255)
    options = {"y_col": ["age", "width"], "class_mode": "multi_output", "weight_col": "weight"}
    history = model.fit(flow(table, tmp_path, generator, **options), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_lists_of_labels_are_rows_of_ones(table, tmp_path, capsys):
    table["class"] = [["cat", "small"], ["cat"], "cat", ["dog"]] + [["dog", "small"]] * 6
    iterator = flow(table, tmp_path)
    assert iterator.class_indices == {"cat": 0, "dog": 1, "small": 2}
    expected = [[1, 0, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(iterator[0][1][:4], expected)
    assert "belonging to 3 classes" in capsys.readouterr().out
    chosen = flow(table, tmp_path, classes=["small", "cat"])
    np.testing.assert_array_equal(chosen[0][1][:3], [[1, 1], [0, 1], [0, 1]])
    assert chosen.samples == 9


def test_rows_of_other_classes_are_left_out_with_their_weights(table, tmp_path):
    chosen = flow(table, tmp_path, classes=["dog"], class_mode="sparse", weight_col="weight")
    assert chosen.class_indices == {"dog": 0} and chosen.samples == 6
    np.testing.assert_allclose(chosen[0][2], table["weight"].iloc[4:], rtol=1e-6)


def test_subsets(table, tmp_path):
    generator = ImageDataGenerator(validation_split=0.5)
    parts = [flow(table, tmp_path, generator, subset=s) for s in ("training", "validation")]
    assert [part.samples for part in parts] == [5, 5]
    assert sorted(parts[0].filenames + parts[1].filenames) == sorted(table["filename"])


def test_files_that_are_missing(table, tmp_path, capsys):
    table.loc[100, "filename"] = "cat/none.png"
    with pytest.warns(UserWarning, match=r"1 file is not readable as images, skipped: .*none"):
        assert flow(table, tmp_path).samples == 9
    capsys.readouterr()
    late = flow(table, tmp_path, validate_filenames=False)
    assert capsys.readouterr().out == (
        "Found 10 non-validated image filenames belonging to 2 classes.\n"
    )
    with pytest.warns(UserWarning, match="none"):
        assert len(late[0][0]) == 9


@pytest.mark.parametrize(
    ("column", "value", "options", "error", "text"),
    [
        ("filename", 3, {}, TypeError, "All values in column x_col=filename must be strings: row"),
        ("filename", None, {}, TypeError, "x_col=filename must be strings: row 0 is None"),
        ("class", None, {}, ValueError, "row 0 is None"),
        ("weight", "x", {"weight_col": "weight"}, TypeError, "weight_col=weight must be numeric"),
        ("weight", np.nan, {"weight_col": "weight"}, ValueError, "no finite number in row 0"),
        ("age", np.nan, {"y_col": "age", "class_mode": "raw"}, ValueError, "row 0 is"),
        ("age", 1, {"y_col": "age", "class_mode": "multi_output"}, TypeError, "must be a list. R"),
        ("age", 1, {"y_col": ["age", "class"]}, ValueError, "must be one column; several are for"),
        ("age", 1, {"y_col": None}, ValueError, "y_col is None; it must be a column"),
        ("age", 1, {"y_col": "ages"}, ValueError, "a column is 'ages'; it must be one of filename"),
        ("age", 1, {"class_mode": None, "weight_col": "weight"}, ValueError, "no targets to weigh"),
        ("age", 1, {"classes": ["cow"]}, ValueError, r"no row has a label among classes, \['cow'"),
        ("age", 1, {"classes": ["cat"], "class_mode": "raw", "y_col": "age"}, ValueError, "has no"),
        ("age", 1, {"class_mode": "both"}, ValueError, "class_mode is 'both'"),
        ("age", 1, {"validate_filenames": "no"}, TypeError, "validate_filenames is 'no'"),
        ("age", 1, {"sort": True}, TypeError, "unexpected keyword argument 'sort'"),
    ],
)
def test_what_is_refused(table, tmp_path, column, value, options, error, text):
    table = table.astype({column: object})
    table.loc[100, column] = value
    with pytest.raises(error, match=text):
        flow(table, tmp_path, **options)


def test_other_things_than_tables_are_refused(tmp_path, table):
    with pytest.raises(TypeError, match=r"dataframe is 'a\.csv'; it must be a pandas\.DataFrame"):
        flow("a.csv", tmp_path)
    columns = {"filename": list(table["filename"]), "class": ["cat"]}
    with pytest.raises(ValueError, match="column 'class' has 1 rows; it must have 10"):
        flow(columns, tmp_path)
    mixed = ImageDataGenerator(mixup=0.2)
    with pytest.raises(ValueError, match="cannot mix targets of several outputs"):
        flow(table, tmp_path, mixed, y_col=["age"], class_mode="multi_output")[0]
