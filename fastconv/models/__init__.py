"""Models: how to make, train, save and load them."""

from ..saving.npz import CheckpointError
from .loading import load_model
from .sequential import Sequential

__all__ = ["CheckpointError", "Sequential", "load_model"]
