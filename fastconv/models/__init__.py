"""Models: how to make, train, save and load them."""

from ..layers import registry
from ..saving.npz import CheckpointError
from .loading import load_model
from .model import Model
from .sequential import Sequential

__all__ = ["CheckpointError", "Model", "Sequential", "load_model"]

# They are layers where they stand within other models, and are found in files as layers are.
registry.add(Model)
registry.add(Sequential)
