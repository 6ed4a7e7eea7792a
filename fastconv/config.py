"""Keras's settings: fastconv has float32 and channels last alone, so there is nothing to set."""

from __future__ import annotations

from typing import Any

from ._core.missing_names import missing_names
from ._core.validation import channels_last, wrong_value
from .layers.arguments import check_dtype

__all__ = [
    "backend",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]
__getattr__ = missing_names(__name__)

_EPSILON = 1e-7


def backend() -> str:
    """Return "fastconv"."""
    return "fastconv"


def floatx() -> str:
    """Return the type of all weights and outputs, "float32"."""
    return "float32"


def image_data_format() -> str:
    """Return the order of an image's axes, "channels_last"."""
    return "channels_last"


def epsilon() -> float:
    """Return the small number that losses keep from 0 and 1, 1e-7."""
    return _EPSILON


def set_floatx(value: Any) -> None:
    """Accept "float32"; raise for every other type."""
    check_dtype(value, "set_floatx")


def set_image_data_format(data_format: Any) -> None:
    """Accept "channels_last"; raise for every other order."""
    channels_last(data_format, "set_image_data_format")


def set_epsilon(value: Any) -> None:
    """Accept 1e-7; raise for every other number."""
    if value != _EPSILON:
        raise wrong_value(value, "value", "set_epsilon", f"{_EPSILON}, which losses are made for")
