"""The logs for TensorBoard, read back by TensorBoard's own reader and by TensorBoard itself."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from browser import opened_browser
from PIL import Image
from small_models import convnet, photos

from fastconv.callbacks import TensorBoard
from fastconv.layers import Add, Conv2D, Dense, Flatten, Input
from fastconv.models import Model

event_accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator",
    reason="reads TensorBoard's files with TensorBoard's reader",
)
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources"),
]


def events(folder):
    read = event_accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    read.Reload()
    return read


def scalars(folder):
    read = events(folder)
    return {
        tag: [(event.step, float(event.tensor_proto.float_val[0])) for event in read.Tensors(tag)]
        for tag in read.Tags()["tensors"]
        if read.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def fitted(folder, epochs=2, model=None, validation=True, **options):
    x, y = photos(8)
    model = model or convnet()
    board = TensorBoard(folder, **options)
    history = model.fit(
        x,
        y,
        batch_size=4,
        epochs=epochs,
        validation_data=(x, y) if validation else None,
        callbacks=[board],
        verbose=0,
    )
    return model, history.history


def test_it_tells_how_fast_training_was(tmp_path):
    fitted(tmp_path, write_steps_per_second=True)
    rates = scalars(tmp_path / "train")["epoch_steps_per_second"]
    assert [step for step, _ in rates] == [0, 1] and all(rate > 0 for _, rate in rates)


def test_the_scalars_are_those_of_the_history(tmp_path):
    _, logs = fitted(tmp_path / "log", update_freq=1)
    assert sorted(os.listdir(tmp_path / "log")) == ["train", "validation"]
    train, validation = scalars(tmp_path / "log/train"), scalars(tmp_path / "log/validation")
    assert set(train) == {
        "epoch_loss", "epoch_accuracy", "epoch_learning_rate", "batch_loss", "batch_accuracy",
    }  # fmt: skip
    assert set(validation) == {
        "epoch_loss",
        "epoch_accuracy",
        "evaluation_loss_vs_iterations",
        "evaluation_accuracy_vs_iterations",
    }
    assert [step for step, _ in train["epoch_loss"]] == [0, 1]
    assert [value for _, value in train["epoch_loss"]] == pytest.approx(logs["loss"])
    assert [value for _, value in validation["epoch_loss"]] == pytest.approx(logs["val_loss"])
    after = validation["evaluation_loss_vs_iterations"]
    assert [step for step, _ in after] == [2, 4]
    assert [value for _, value in after] == pytest.approx(logs["val_loss"])
    assert [step for step, _ in train["batch_loss"]] == [1, 2, 3, 4]
    assert train["epoch_learning_rate"][0][1] == pytest.approx(0.001)


def test_histograms_hold_every_weight_once(tmp_path):
    model, _ = fitted(tmp_path, epochs=3, histogram_freq=2)
    read = events(tmp_path / "train")
    weights = {
        f"{layer.name}/{weight.name}/histogram": weight.contents
        for layer in model.layers
        for weight in layer.weights
    }
    found = {tag for tag in read.Tags()["tensors"] if tag.endswith("/histogram")}
    assert found == set(weights)
    for tag, values in weights.items():
        told = read.Tensors(tag)
        assert [event.step for event in told] == [0, 2]
        buckets = np.frombuffer(told[-1].tensor_proto.tensor_content).reshape(-1, 3)
        assert buckets[:, 2].sum() == values.size
        if values.size > 1:  # a single value lies amidst buckets that are one wide
            assert buckets[0, 0] == pytest.approx(values.min())
            assert buckets[-1, 1] == pytest.approx(values.max())


def test_pictures_show_kernels_maps_and_answers(tmp_path):
    model, _ = fitted(tmp_path, write_images=True)
    read = events(tmp_path / "train")
    found = {tag for tag in read.Tags()["tensors"] if tag.endswith("/image")}
    first = next(layer for layer in model.layers if layer.weights)
    assert {f"{first.name}/kernel/image", "predictions/image"} <= found
    assert any(tag.endswith("/maps/image") for tag in found)
    for tag in found:
        width, height, png = read.Tensors(tag)[-1].tensor_proto.string_val
        picture = Image.open(io.BytesIO(png))
        picture.load()
        assert picture.size == (int(width), int(height))
        assert len(np.unique(np.asarray(picture.convert("L")))) > 2  # not one grey area


def test_pictures_need_no_validation_data(tmp_path):
    fitted(tmp_path, epochs=1, validation=False, write_images=True)
    assert "predictions/image" in events(tmp_path / "train").Tags()["tensors"]


def test_weights_that_are_not_numbers_do_not_end_the_run(tmp_path):
    model = convnet()
    weights = model.get_weights()
    weights[0][...] = np.nan
    model.set_weights(weights)
    fitted(tmp_path, epochs=1, model=model, histogram_freq=1, write_images=True)
    assert "predictions/image" in events(tmp_path / "train").Tags()["tensors"]


def test_the_graph_has_a_node_for_every_call(tmp_path):
    inputs = Input((8, 8, 3))
    shared = Conv2D(3, 3, padding="same", name="shared")
    x = Add(name="sum")([shared(inputs), shared(shared(inputs))])
    model = Model(inputs, Dense(1, activation="sigmoid")(Flatten()(x)))
    model.compile("sgd", "binary_crossentropy")
    x, y = np.ones((4, 8, 8, 3), np.float32), np.ones((4, 1), np.float32)
    model.fit(x, y, callbacks=TensorBoard(tmp_path), verbose=0)
    graph = events(tmp_path / "train").Graph()
    nodes = {node.name: node for node in graph.node}
    assert {"shared", "shared_call_2", "sum"} <= set(nodes)
    assert len(nodes["sum"].input) == 2 and set(nodes["sum"].input) <= set(nodes)
    fitted(tmp_path / "without", write_graph=False)
    assert not events(tmp_path / "without/train").Tags()["graph"]


def test_keras_arguments_are_taken_or_refused(tmp_path):
    board = TensorBoard(
        tmp_path, histogram_freq=0, write_graph=True, write_images=False, update_freq="epoch"
    )
    assert repr(board) == f"TensorBoard(log_dir={str(tmp_path)!r})"
    assert TensorBoard(tmp_path, 0, False).write_graph is False
    with pytest.warns(UserWarning, match="TensorBoard: profile_batch is 1 and has no effect"):
        TensorBoard(tmp_path, profile_batch=1)
    for argument in ("embeddings_freq", "embeddings_metadata"):
        with pytest.raises(ValueError, match=f"TensorBoard: {argument} is 1; it must be left out"):
            TensorBoard(tmp_path, **{argument: 1})
    with pytest.raises(ValueError, match="histogram_freq is -1"):
        TensorBoard(tmp_path, histogram_freq=-1)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(ImportError, match=r"pip install 'fastconv\[tensorboard\]'"):
        TensorBoard("log")


@pytest.fixture
def board_address(tmp_path):
    """A real TensorBoard over the logs of a short run."""
    fitted(tmp_path / "run", histogram_freq=1, write_images=True)
    with open(tmp_path / "said", "w") as said:
        command = [sys.executable, "-m", "tensorboard.main", "--port", "0", "--load_fast=false"]
        server = subprocess.Popen([*command, "--logdir", str(tmp_path)], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 120  # a loaded machine imports slowly
        while "http://" not in (text := Path(tmp_path / "said").read_text()):
            assert server.poll() is None and time.monotonic() < deadline, text
            time.sleep(0.2)
        address = text[text.index("http://") :].split()[0]
        for run in ("run/train", "run/validation"):  # until its logs are read
            while run not in urllib.request.urlopen(f"{address}data/runs").read().decode():
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait()


def test_a_real_tensorboard_shows_curves_and_images_in_a_real_browser(board_address):
    with opened_browser() as browser:
        wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait(browser, 120)
        browser.get(f"{board_address}#timeseries")
        box = wait.until(
            lambda page: page.find_elements(
                "css selector", "metrics-tag-filter input, input[placeholder^='Filter tags']"
            )
        )[0]

        def shown(tag, found):
            """Wait until what the filter finds is drawn: cards are when they come into sight."""
            box.clear()
            box.send_keys(tag)
            wait.until(found)

        def curves(page):
            return page.find_elements("css selector", "scalar-card svg path")

        def pictures(page):
            images = page.find_elements("css selector", "image-card img")
            return any(image.get_property("naturalWidth") > 0 for image in images)

        shown("epoch_loss", curves)
        shown("kernel/image", pictures)
