"""The architectures that `fastconv.train` knows, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .._core.registry import unknown
from ..models import Model, Sequential
from .architecture import Architecture
from .chapter import model1, model2, model3, model4
from .parts import class_layer
from .pawnet import pawnet

#: All of them by name.
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {one.name: one for one in (model1, model2, model3, model4, pawnet)}
)


def get(name: str) -> Architecture:
    """Return the architecture of that name, or raise ValueError."""
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES, "architectures")
    return ARCHITECTURES[name]


def tell_apart(model: Model, classes: int) -> Model:
    """Return an architecture's compiled model for `classes` classes; its last layer is new.

    A `Sequential` is changed, another model is made anew of the same layers.
    """
    head = class_layer(classes, model.name)
    changed = model
    if isinstance(model, Sequential):
        model.pop()
        model.add(head)
    else:
        changed = Model(model.inputs, head(model.layers[-1].input), name=model.name)
    loss = get(model.name).recipe.loss_for(changed.output_shape[-1])
    changed.compile(optimizer=model.optimizer, loss=loss, metrics=model.metrics)
    return changed
