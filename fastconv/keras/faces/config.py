"""Settings of `keras.config` that change nothing here."""

from __future__ import annotations

from typing import Any

__all__ = [
    "disable_traceback_filtering",
    "enable_traceback_filtering",
    "enable_unsafe_deserialization",
]


def disable_traceback_filtering() -> None:
    """Do nothing: tracebacks are whole."""


def enable_traceback_filtering() -> None:
    """Do nothing: tracebacks are whole."""


def enable_unsafe_deserialization() -> Any:
    """Refuse: code in a file is never run."""
    raise ValueError("enable_unsafe_deserialization: code in a file is never run by fastconv")
