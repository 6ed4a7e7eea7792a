"""`tf.logging` of TensorFlow 1: levels that change nothing, as nothing is logged."""

from __future__ import annotations

from typing import Any

__all__ = ["DEBUG", "ERROR", "FATAL", "INFO", "WARN", "set_verbosity"]
DEBUG, INFO, WARN, ERROR, FATAL = 10, 20, 30, 40, 50


def set_verbosity(level: Any) -> None:
    """Do nothing: fastconv logs nothing."""
