"""Models: how to make, train, copy, save and load them."""

from .. import layers
from ..layers.input_layer import Input
from ..saving.npz import CheckpointError
from .cloning import clone_model
from .loading import load_model, model_from_json
from .model import Model
from .saved import save_model
from .sequential import Sequential

__all__ = [
    "CheckpointError",
    "Input",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]

layers.add_classes(Model, Sequential)  # which are layers of other models
