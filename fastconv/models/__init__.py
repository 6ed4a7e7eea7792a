"""Models: how to make, train, save and load them."""

from ..saving.npz import CheckpointError
from .loading import load_model
from .model import Model
from .sequential import Sequential

__all__ = ["CheckpointError", "Model", "Sequential", "load_model"]
