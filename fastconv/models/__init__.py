"""Models: how to make, train, save and load them."""

from ..layers import register_model
from ..saving.npz import CheckpointError
from .loading import load_model
from .model import Model
from .sequential import Sequential

for _kind in (Model, Sequential):
    register_model(_kind)

__all__ = ["CheckpointError", "Model", "Sequential", "load_model"]
