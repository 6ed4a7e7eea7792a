"""fastconv's own files, NumPy archives: models out of them."""

from __future__ import annotations

from typing import Any

from ..saving.checkpoint import check_saving, load_weights, save_model, save_weights
from ..saving.checkpoint_file import CheckpointFile
from .rebuilding import model_of

__all__ = ["check_saving", "load_model", "load_weights", "save_model", "save_weights"]


def load_model(path: str, compile: bool) -> Any:
    """Return the model that a file holds, compiled as it was, optimizer state included."""
    return model_of(CheckpointFile(path), compile)
