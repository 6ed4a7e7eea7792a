"""Keras 3 on its PyTorch backend, whose figures the tests compare with."""

import os
import warnings

import pytest

#: Keras 3.15 with NumPy 2 warns of itself whenever it hands out an array.
keras_test = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def import_keras():
    """Return keras, or skip the module where it or PyTorch is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch", reason="Keras's figures are computed on PyTorch")
        return pytest.importorskip("keras", reason="compares with Keras 3's own figures")
