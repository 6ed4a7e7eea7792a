"""Models: how to make, train, copy, save and load them."""

from ..layers import register_model
from ..layers.input_layer import Input
from ..saving.npz import CheckpointError
from .cloning import clone_model
from .loading import load_model, model_from_json
from .model import Model
from .saved import save_model
from .sequential import Sequential

for _kind in (Model, Sequential):
    register_model(_kind)

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
