"""Keras 3 on its PyTorch backend, whose figures the tests compare with."""

import os
import warnings

import pytest

#: Keras 3.15 with NumPy 2 warns of itself whenever it hands out an array.
keras_test = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def import_keras():
    """Return keras, freshly seeded, or skip where it or PyTorch is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch", reason="Keras's figures are computed on PyTorch")
        keras = pytest.importorskip("keras", reason="compares with Keras 3's own figures")
    # Adam divides by the gradient's size: once in many draws of the first weights, one gradient
    # is so near zero that its rounding decides the step.
    keras.utils.set_random_seed(0)
    return keras
