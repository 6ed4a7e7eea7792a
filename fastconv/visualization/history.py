"""A picture of a training run as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .figures import check_ending as check_plot
from .learning_curves import plot_learning_curves

__all__ = ["check_plot", "plot_history"]


def plot_history(history: Mapping[str, Sequence[float]], path: str | os.PathLike[str]) -> None:
    """Draw every metric of a `History.history` by epoch, training and validation together.

    Raises ValueError if the history is empty, or for an ending that is no picture's. A file that
    is there is replaced once the picture is on the disk.
    """
    if not any(not name.startswith("val_") for name in history):
        raise ValueError("plot_history: history is empty; it must hold an epoch at least")
    plot_learning_curves(history).save(path)
