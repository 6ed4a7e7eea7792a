"""Classes of one's own in checkpoints: of models, layers, optimizers, losses, metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_models import convnet, same_weights

import fastconv
from fastconv import layers, optimizers
from fastconv.models import Sequential, load_model
from fastconv.saving import npz as archive
from fastconv.saving.npz import CheckpointError


def test_a_custom_loss_needs_its_class(tmp_path):
    class Halved(fastconv.losses.MeanSquaredError):
        def losses_and_gradient(self, targets, predictions, logits):
            losses, gradient = super().losses_and_gradient(targets, predictions, logits)
            return losses / 2, gradient / 2

    model = convnet(loss=Halved())
    model.save(tmp_path / "m.npz")
    with pytest.raises(CheckpointError, match="custom_objects"):
        load_model(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz", custom_objects={"Halved": Halved})
    assert type(again.loss) is Halved


class Doubling(Sequential):
    """A model that trains in its own way."""

    def train_step(self, batch):
        super().train_step(batch)
        return super().train_step(batch)


def test_a_model_class_of_ones_own_comes_back(tmp_path):
    model = Doubling([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.npz")
    with pytest.raises(CheckpointError, match=r"custom_objects=\{'Doubling': the class\}"):
        load_model(tmp_path / "m.npz")
    with pytest.raises(CheckpointError, match="no subclass of Model"):
        load_model(tmp_path / "m.npz", custom_objects={"Doubling": dict})
    again = load_model(tmp_path / "m.npz", custom_objects={"Doubling": Doubling})
    assert type(again) is Doubling
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert again.optimizer.iterations == model.optimizer.iterations == 4
    # A file's weights fit whatever has such layers.
    other = Sequential([layers.Dense(1, input_shape=(3,))])
    other.load_weights(tmp_path / "m.npz")


def test_a_model_class_with_arguments_says_how_it_is_made_again(tmp_path):
    class Wide(Sequential):
        def __init__(self, width=2):
            super().__init__([layers.Dense(width, input_shape=(3,))])
            self.width = width

    class Narrow(Wide):
        def __init__(self):
            super().__init__(1)

    class Whole(Wide):
        def get_config(self):
            return {"width": self.width}

        @classmethod
        def from_config(cls, config, custom_objects=None):
            return cls(**config)

    with pytest.raises(NotImplementedError, match="takes width, so the class must define get_conf"):
        Wide().save(tmp_path / "m.npz")
    with pytest.raises(NotImplementedError, match="must define"):
        Narrow().save(tmp_path / "m.npz")
    model = Wide()
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(NotImplementedError, match="must define"):
        # Before an epoch is trained, and not at its end.
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0,
                  callbacks=[fastconv.callbacks.ModelCheckpoint(tmp_path / "m.npz")])  # fmt: skip
    assert all(map(np.array_equal, before, model.get_weights()))
    model = Whole(5)
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz", custom_objects={"Whole": Whole})
    assert type(again) is Whole and again.width == 5 and same_weights(again, model)


def test_every_kind_of_class_is_found_by_its_name(tmp_path):
    """Also where the name is that of a built-in one."""

    class Dense(layers.Dense):
        pass

    class Adam(optimizers.Adam):
        pass

    class MeanSquaredError(fastconv.losses.MeanSquaredError):
        pass

    class AUC(fastconv.metrics.AUC):
        pass

    class Zeros(fastconv.initializers.Zeros):
        pass

    class Halved(optimizers.schedules.ExponentialDecay):
        pass

    class Tanh(fastconv.activations.Tanh):
        name = "mine"

    model = Sequential([Dense(1, activation=Tanh(), kernel_initializer=Zeros(), input_shape=(2,))])
    model.compile(Adam(Halved(0.1, 2, 0.5)), MeanSquaredError(), metrics=[AUC()])
    model.fit(np.ones((2, 2)), np.ones(2), verbose=0)
    model.save(tmp_path / "m.npz")
    with pytest.raises(CheckpointError, match="custom_objects"):
        load_model(tmp_path / "m.npz")
    own = (Dense, Adam, MeanSquaredError, AUC, Zeros, Halved, Tanh)
    again = load_model(tmp_path / "m.npz", custom_objects={cls.__name__: cls for cls in own})
    layer = again.layers[0]
    found = [layer, again.optimizer, again.loss, again.metrics[0], layer.kernel_initializer,
             again.optimizer._learning_rate, layer.activation]  # fmt: skip
    assert [type(one) for one in found] == list(own)


@pytest.mark.parametrize("name", ["x\n$(touch y)", "a;b", "`id`", "a\0", "  ", "a,b", "é" * 101])
def test_metrics_have_words_for_names(tmp_path, name):
    with pytest.raises(ValueError, match="not made of words"):
        fastconv.metrics.BinaryAccuracy(name=name)
    model = convnet(metrics=[fastconv.metrics.BinaryAccuracy(name="plain")])
    unnamed = fastconv.metrics.BinaryAccuracy()
    unnamed.name = name
    with pytest.raises(ValueError, match="not made of words"):
        model.compile("sgd", "mse", metrics=[unnamed])
    model.save(tmp_path / "m.npz")
    arrays = archive.read(tmp_path / "m.npz")
    config = json.loads(str(arrays["config"]))
    config["compile"]["metrics"][0]["config"]["name"] = name
    arrays["config"] = np.array(json.dumps(config))
    archive.write(tmp_path / "m.npz", arrays)
    with pytest.raises(CheckpointError, match="not made of words"):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize("name", ["acc", "top-5", "f1@0.5", "val f1", "정확도", "head/loss", "a.b"])
def test_names_made_of_words_are_taken(name):
    assert fastconv.metrics.BinaryAccuracy(name=name).name == name
