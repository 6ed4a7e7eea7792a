"""What `keras.utils` has beside fastconv's names."""

from __future__ import annotations

from typing import Any

from ..cache import get_file
from .preprocessing import image_dataset_from_directory

__all__ = [
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_file",
    "image_dataset_from_directory",
]


def disable_interactive_logging() -> Any:
    """Refuse: `verbose=` says what is shown."""
    raise ValueError("disable_interactive_logging: give fit, evaluate and predict verbose=0")


def enable_interactive_logging() -> None:
    """Do nothing: progress is shown anyway."""
