"""Models with the architecture of others, and weights of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph.graph import connected
from ..layers.base import Layer
from ..layers.input_layer import InputLayer
from ..layers.symbolic import Tensor
from .configuration import structured, takes
from .model import Model
from .sequential import Sequential


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model of new layers, with new weights, connected as those of `model` are.

    Args:
        model: a `Sequential`, or a `Model` made of its inputs and outputs.
        input_tensors: tensors on which the new layers are called, one or a list;
            new inputs of the same shapes by default.
        clone_function: makes a layer's clone of the layer; by default, from its
            configuration. It is not asked for inputs.
        recursive: whether it is asked for the layers of models within as well,
            instead of for these models.

    Raises TypeError for what is no model, and ValueError for a subclass that makes
    its layers itself, as Keras does.
    """
    if not isinstance(model, Model):
        raise TypeError(f"clone_model: model is {model!r}; it must be a Model")

    made_of: dict[Layer, Layer] = {}  # a layer of several models within stays one

    def clone(layer: Layer) -> Layer:
        if layer not in made_of:
            made_of[layer] = cloned(layer)
        return made_of[layer]

    def cloned(layer: Layer) -> Layer:
        if isinstance(layer, Model) and (recursive or clone_function is None):
            return _clone(layer, clone, None)
        if clone_function is None or isinstance(layer, InputLayer):
            return type(layer).from_config(layer.get_config())
        made = clone_function(layer)
        if not isinstance(made, Layer):
            raise TypeError(
                f"clone_model: clone_function returned {made!r} for {layer.owner}; it must return "
                "a layer"
            )
        return made

    given: list[Tensor] | None = None
    if input_tensors is not None:
        given = list(input_tensors) if isinstance(input_tensors, (list, tuple)) else [input_tensors]
    return _clone(model, clone, given)


def _clone(model: Model, clone: Callable[[Layer], Layer], given: Sequence[Tensor] | None) -> Model:
    options: dict[str, Any] = {"name": model.name, "trainable": model.trainable}
    if isinstance(model, Sequential) and (given is None or not model.built):
        first = () if model._input_layer is None else (model._input_layer,)
        made = Sequential([clone(layer) for layer in (*first, *model.layers)], **options)
        if model.built and not made.built:
            made.build(model.input_shape)
        return made
    if type(model) not in (Model, Sequential) and not takes(type(model), None, None):
        raise ValueError(
            f"clone_model: {model.owner} makes its layers itself; call its class for another one"
        )
    layers = [clone(layer) for layer in model.graph.layers]
    try:
        inputs, outputs = connected(layers, model.graph.wiring(), given)
    except (ValueError, TypeError) as error:
        error.args = (f"clone_model: {model.owner}: {error}",)
        raise
    return Model(
        structured(inputs, model._input_names),
        structured(outputs, model._output_names),
        **options,
    )
