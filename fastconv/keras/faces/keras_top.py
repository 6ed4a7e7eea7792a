"""What stands at the top of `keras` beside fastconv's own names."""

from __future__ import annotations

from ..._version import __version__ as _fastconv

__all__ = ["__version__", "enable_interactive_logging", "version"]
#: Keras's, whose names and meanings these are, and whose they really are.
__version__ = f"3.12.0+fastconv.{_fastconv}"


def version() -> str:
    """Return what `keras.__version__` says."""
    return __version__


def enable_interactive_logging() -> None:
    """Do nothing: `fit` shows its progress anyway."""
