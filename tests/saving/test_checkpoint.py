"""Checkpoints: what is written, what comes back, and what is refused."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import layers, optimizers
from fastconv.models import Sequential, load_model
from fastconv.saving import npz as archive
from fastconv.saving.checkpoint_file import CheckpointFile
from fastconv.saving.npz import CheckpointError


def _trained(**arguments):
    model = convnet(**arguments)
    x, y = photos()
    model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0)
    model.class_names = ["cat", "dog"]
    return model


def test_the_documented_format(tmp_path):
    model = _trained()
    path = tmp_path / "m.npz"
    model.save(path)
    with np.load(path, allow_pickle=False) as file:
        assert str(file["format"]) == "fastconv/1" and file["format"].shape == ()
        config, state = json.loads(str(file["config"])), json.loads(str(file["state"]))
        names = [f"weights/{layer.name}/{p.name}" for layer in model.layers for p in layer.weights]
        assert [name for name in file.files if name.startswith("weights/")] == names
        for name, parameter in zip(names, model.weights, strict=True):
            assert file[name].dtype == np.float32
            assert np.array_equal(file[name], parameter.value)
        assert file["optimizer/iterations"] == 4
        assert "optimizer/0/momentum" in file.files
    assert config["class_names"] == ["cat", "dog"]
    assert config["compile"]["loss"]["class_name"] == "BinaryCrossentropy"
    assert state["epoch"] == 2 and state["step"] == 4
    assert len(state["history"]["val_loss"]) == 2
    assert set(state["random"]) == {"seed", "count"}


def test_a_loaded_model_is_the_saved_one(tmp_path):
    model = _trained(metrics=["acc", fastconv.metrics.get("auc")])
    model.metadata["note"] = "from a test"
    path = tmp_path / "m.npz"
    model.save(path)
    drawn = fastconv._core.random.get_state()
    again = load_model(path)
    assert fastconv._core.random.get_state() == drawn
    x, y = photos(10, seed=4)
    assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert (again.class_names, again.metadata) == (model.class_names, model.metadata)
    assert again.epochs_done == 2 and again.metrics_names == ["loss", "acc", "auc"]
    for _ in range(3):
        assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert same_weights(again, model)


def test_schedules_and_uncompiled_models_come_back(tmp_path):
    rate = optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    model = _trained(optimizer=optimizers.SGD(rate))
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz")
    assert again.optimizer.learning_rate == model.optimizer.learning_rate == pytest.approx(0.025)
    assert load_model(tmp_path / "m.npz", compile=False).compiled is False
    plain = Sequential([layers.Dense(1, input_shape=(2,))])
    plain.save(tmp_path / "p.npz")
    assert same_weights(load_model(tmp_path / "p.npz"), plain)


def test_weights_alone(tmp_path):
    first, second = _trained(), convnet()
    first.save_weights(tmp_path / "w.npz")
    first.save(tmp_path / "m.npz")
    for name in ("w.npz", "m.npz"):
        second.set_weights([weight * 0 for weight in second.get_weights()])
        second.load_weights(tmp_path / name)
        assert same_weights(first, second)
    assert "state" not in archive.read(tmp_path / "w.npz")
    assert same_weights(load_model(tmp_path / "w.npz"), first)


def test_names_that_cannot_be_written(tmp_path):
    model = convnet()
    with pytest.raises(ValueError, match=r"must end in '\.npz'.*give 'model\.npz'"):
        model.save("model.pickle")
    with pytest.raises(ValueError, match="not built"):
        Sequential([layers.Dense(1)]).save(tmp_path / "m.npz")
    model.save(tmp_path / "m.npz")
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.npz", overwrite=False)


def _changed(path, **changes):
    arrays = archive.read(path)
    arrays.update({name.replace("__", "/"): np.asarray(value) for name, value in changes.items()})
    archive.write(path, {name: array for name, array in arrays.items() if array.shape != (0,)})


GONE = np.zeros(0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "fastconv/2"}, "format fastconv/2, this fastconv .* update fastconv"),
        ({"format": "keras/3"}, "not a fastconv checkpoint"),
        ({"format": GONE}, "not a fastconv checkpoint"),
        ({"config": "{"}, "its part 'config' cannot be read"),
        ({"config": "[]"}, "its part 'config' cannot be read"),
        ({"config": '{"config": {"layers": [{"class_name": "Warp"}]}}'}, "cannot be rebuilt"),
        ({"config": GONE}, "its part 'config'"),
        ({"state": "nonsense"}, "its part 'state'"),
        ({"weights__extra__kernel": np.zeros(3)}, "'weights/extra/kernel' is too many"),
        ({"optimizer__0__momentum": np.zeros(3)}, "does not fit"),
        ({"optimizer__iterations": np.array(-1)}, "does not fit"),
    ],
)
def test_files_that_are_no_good_are_refused(tmp_path, changes, text):
    path = tmp_path / "m.npz"
    _trained().save(path)
    _changed(path, **changes)
    with pytest.raises(CheckpointError, match=text) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("bad", ["shape", "name", "count", "dtype", "damage", "optimizer", "class"])
def test_a_refused_file_leaves_the_model_as_it_was(tmp_path, bad):
    path = tmp_path / "m.npz"
    other = _trained()
    other.save(path)
    arrays = archive.read(path)
    last = [name for name in arrays if name.startswith("weights/")][-1]
    if bad == "shape":
        arrays[last] = np.zeros((2,), np.float32)
    elif bad == "name":
        arrays = {k.replace("bias", "offset"): v for k, v in arrays.items()}
    elif bad == "count":
        del arrays[last]
    elif bad == "dtype":
        arrays[last] = np.zeros((1,), np.int64)
    elif bad == "optimizer":
        arrays["optimizer/0/velocity"] = np.zeros(2, np.float32)
    archive.write(path, arrays)
    if bad == "damage":
        path.write_bytes(path.read_bytes()[:-30])
    model = _trained(optimizer="sgd") if bad == "class" else _trained()
    before = _everything(model)
    x, y = photos()
    with pytest.raises(CheckpointError):
        model.fit(x, y, epochs=5, resume_from=path, verbose=0)
    if bad not in ("optimizer", "class"):
        with pytest.raises(CheckpointError):
            model.load_weights(path)
    assert _everything(model) == before


def _everything(model):
    return (
        [weight.tobytes() for weight in model.get_weights()],
        [layer.get_state() for layer in model.layers],
        {k: np.asarray(v).tobytes() for k, v in model.optimizer.get_state().items()},
        fastconv._core.random.get_state(),
    )


def test_a_file_of_another_model_is_refused(tmp_path):
    _trained().save(tmp_path / "m.npz")
    other = convnet(size=14)
    with pytest.raises(CheckpointError, match=r"where Dense 'dense.*' has kernel of shape"):
        other.load_weights(tmp_path / "m.npz")


# What save writes, load reads


def _optimizer_members(path):
    return [name for name in archive.read(path) if name.startswith("optimizer/")]


def _stays_or_is_left_out(model, path):
    """Save a model whose layers changed since it was trained; load it and train on."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.save(path)
    assert bool(said) == (not _optimizer_members(path))
    again = load_model(path)
    assert same_weights(model, again)
    x, y = photos(10)
    assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [p.trainable for p in again.weights] == [p.trainable for p in model.weights]
    again.train_on_batch(x, y)


@pytest.mark.parametrize("change", ["freeze", "freeze a weight", "pop", "add", "pop and add"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_layers_that_changed_since_the_training(tmp_path, change, optimizer):
    model = _trained(optimizer=optimizer)
    if change == "freeze":
        model.layers[0].trainable = False
    elif change == "freeze a weight":
        model.layers[0].kernel.trainable = False
    elif change.startswith("pop"):
        model.pop()
    if change.endswith("add"):
        model.add(layers.Dense(1, activation="sigmoid"))
    if change == "pop":
        model.add(layers.Flatten())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(tmp_path / "m.npz")
        assert same_weights(load_model(tmp_path / "m.npz"), model)
        return
    _stays_or_is_left_out(model, tmp_path / "m.npz")


def test_a_layer_that_is_trained_again(tmp_path):
    model = _trained()
    model.layers[0].trainable = False
    model.compile("adam", "binary_crossentropy")
    x, y = photos()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = True
    _stays_or_is_left_out(model, tmp_path / "m.npz")


def test_a_state_that_does_not_fit_is_left_out_with_a_word(tmp_path):
    model = _trained()
    state = model.optimizer.get_state()
    state["0/momentum"] = np.zeros(3, np.float32)
    model.optimizer.get_state = lambda: state
    with pytest.warns(UserWarning, match="no longer fits .* is left out of '.*m.npz'") as caught:
        model.save(tmp_path / "m.npz")
    assert caught[0].filename == __file__
    again = load_model(tmp_path / "m.npz")
    assert same_weights(model, again) and again.epochs_done == 0
    x, y = photos()
    with pytest.raises(CheckpointError, match="no state of a training run"):
        again.fit(x, y, resume_from=tmp_path / "m.npz", verbose=0)


def test_layers_of_one_name(tmp_path):
    model = Sequential([layers.Dense(3, input_shape=(2,)), layers.Dense(3), layers.Dense(1)])
    for layer in model.layers:
        layer.name = "dense"
    with pytest.warns(UserWarning, match="Dense 'dense' is saved as 'dense_[23]'"):
        model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz")
    assert same_weights(model, again)
    assert [layer.name for layer in again.layers] == ["dense", "dense_2", "dense_3"]


@pytest.mark.parametrize(
    "name", ["a\0b", "층 'x'\n", "x" * 70_000, "weights", "..", "\\", "\ud800"]
)
def test_names_of_layers_that_no_file_could_have(tmp_path, name):
    model = Sequential([layers.Dense(2, input_shape=(2,), name=name), layers.Dense(1)])
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz")
    assert same_weights(model, again) and again.layers[0].name == name


@pytest.mark.parametrize(
    "note",
    [
        {"array": "x"},
        {"array": "format"},
        {"number": "NaN"},
        {"object": {"array": "x"}},
        {"x": float("nan"), "y": [float("inf"), -float("inf")]},
    ],
)
def test_metadata_comes_back_as_it_was(tmp_path, note):
    model = convnet()
    model.metadata["note"] = note
    model.save(tmp_path / "m.npz")
    assert repr(load_model(tmp_path / "m.npz").metadata["note"]) == repr(note)


def test_nan_in_the_history_is_json_that_every_reader_takes(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    model = convnet()
    x, y = photos()
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    model.fit(x, y, verbose=0)
    assert np.isnan(model.history.history["loss"]).all()
    model.save(tmp_path / "m.npz")
    for name in ("config", "state"):
        json.loads(str(archive.read(tmp_path / "m.npz")[name]), parse_constant=refuse)
    again = convnet()
    history = again.fit(x, y, epochs=2, resume_from=tmp_path / "m.npz", verbose=0).history
    assert np.isnan(history["loss"]).all() and len(history["loss"]) == 2


def test_a_file_of_the_first_version_is_read(tmp_path):
    """Files from before there was a list of members."""
    model = _trained()
    model.save(tmp_path / "m.npz")
    arrays = archive.read(tmp_path / "m.npz")
    config = json.loads(str(arrays["config"]))
    for name in ("members", "frozen", "input_shape"):
        del config[name]
    arrays["config"] = np.array(json.dumps(config))
    archive.write(tmp_path / "m.npz", arrays)
    again = load_model(tmp_path / "m.npz")
    assert same_weights(again, model) and again.epochs_done == 2
    x, y = photos()
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    for lost in ("optimizer/iterations", "state"):
        fewer = {name: array for name, array in arrays.items() if not name.startswith(lost)}
        archive.write(tmp_path / "m.npz", fewer)
        with pytest.raises(CheckpointError, match="is missing"):
            load_model(tmp_path / "m.npz")


def test_a_loss_without_an_optimizer_is_no_compiled_model(tmp_path):
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.loss = "mse"
    model.save(tmp_path / "m.npz")
    arrays = archive.read(tmp_path / "m.npz")
    state = json.loads(str(arrays["state"]))
    assert (state["epoch"], state["step"], state["run"]) == (0, 0, None)
    assert json.loads(str(arrays["config"]))["compile"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iterations", -1), ("iterations", 1.5), ("iterations", 1 << 60),
        ("learning_rate", np.nan), ("learning_rate", True),
    ],
)  # fmt: skip
def test_numbers_of_an_optimizer_that_no_training_writes_are_refused(tmp_path, name, value):
    path = tmp_path / "m.npz"
    _trained().save(path)
    arrays = archive.read(path)
    assert f"optimizer/{name}" in arrays
    archive.write(path, arrays | {f"optimizer/{name}": np.array(value)})
    with pytest.raises(CheckpointError, match=f"{name} is .*; it must be a whole number"):
        load_model(path)


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    path = tmp_path / "m.npz"
    _trained(optimizer="adam").save(path)
    model = convnet(optimizer="sgd")
    with pytest.raises(CheckpointError, match="its optimizer is Adam, the model's is SGD"):
        CheckpointFile(path).put_optimizer(model)
    assert model.optimizer.iterations == 0
