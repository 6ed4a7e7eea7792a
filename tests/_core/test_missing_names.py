"""What is said of names of Keras that fastconv does not have, and where old names lead."""

from __future__ import annotations

import importlib

import pytest

import fastconv
from fastconv import backend, layers, utils
from fastconv._core.missing_names import missing_name


def test_an_import_says_why_a_name_is_missing_and_so_does_an_attribute():
    with pytest.raises(ImportError, match=r"import name 'GRU' from 'fastconv\.layers': fast"):
        from fastconv.layers import GRU  # noqa: F401
    with pytest.raises(AttributeError, match="no attribute 'GRU'; fastconv has layers for images"):
        layers.GRU  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'applications'; weights"):
        fastconv.applications  # noqa: B018


def test_a_name_of_nothing_is_missing_as_everywhere():
    with pytest.raises(AttributeError, match=r"'fastconv.layers' has no attribute 'Conv9D'$"):
        layers.Conv9D  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Conv9D'"):
        from fastconv.layers import Conv9D  # noqa: F401
    assert not hasattr(layers, "LSTM") and getattr(backend, "mean", None) is None
    assert str(missing_name("fastconv.ops", "_repr_html_")).endswith("'_repr_html_'")


@pytest.mark.parametrize(
    ("module", "name", "home"),
    [
        ("layers.core", "Dense", layers),
        ("layers.convolutional", "Conv2D", layers),
        ("layers.normalization", "BatchNormalization", layers),
        ("layers.advanced_activations", "LeakyReLU", layers),
        ("layers.merge", "concatenate", layers),
        ("layers.experimental.preprocessing", "Rescaling", layers),
        ("utils.np_utils", "to_categorical", utils),
        ("utils.vis_utils", "plot_model", utils),
    ],
)
def test_modules_of_older_keras_lead_to_what_they_had(module, name, home):
    assert getattr(importlib.import_module(f"fastconv.{module}"), name) is getattr(home, name)


def test_a_layer_whose_call_needs_a_missing_name_says_so():
    class Product(layers.Layer):
        def call(self, x):
            return fastconv.ops.matmul(x, x)

    with pytest.raises(AttributeError, match=r"'fastconv\.ops' has no attribute 'matmul'; func"):
        Product()(layers.Input((3,)))


def test_names_at_the_top_are_those_of_their_modules():
    assert fastconv.Input is layers.Input and fastconv.Layer is layers.Layer
    assert fastconv.Model is fastconv.models.Model
    assert fastconv.saving.load_model is fastconv.models.load_model
    for name in fastconv.__all__:
        assert getattr(fastconv, name) is not None
