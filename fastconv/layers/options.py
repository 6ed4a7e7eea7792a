"""The attributes of layers: which may be assigned when, and what else has to know."""

from __future__ import annotations

from typing import Any

from .. import activations, initializers
from .._core.options import Option, anything, owner_of
from . import revision


class LayerOption(Option):
    """An option of a layer: it takes effect at the next call."""

    def __set__(self, instance: Any, value: Any) -> None:
        super().__set__(instance, value)
        instance.__dict__["_shapes"] = None
        revision.changed()


class FixedOption(LayerOption):
    """An option that shapes the layer: `build` reads it, and from then on it stays."""

    def __set__(self, instance: Any, value: Any) -> None:
        if instance.__dict__.get("built"):
            raise AttributeError(
                f"{owner_of(instance)}: {self.name} cannot be set, since the layer is built; make "
                f"a new layer: {type(instance).__name__}.from_config("
                f"{{**layer.get_config(), {self.name!r}: {value!r}}})"
            )
        super().__set__(instance, value)


class Weight(Option):
    """A parameter that `build` sets; its numbers may be assigned, it stays the one trained."""

    def __init__(self) -> None:
        super().__init__(anything)

    def __set__(self, instance: Any, value: Any) -> None:
        known = any(value is parameter for parameter in instance.__dict__["_parameters"])
        if not (known or (value is None and not instance.built)):
            raise AttributeError(
                f"{owner_of(instance)}: {self.name} is a weight and stays where it is; set its "
                f"numbers by layer.{self.name}.value = ... or layer.set_weights([...])"
            )
        super().__set__(instance, value)


def activation_option(kind: type = activations.Activation) -> LayerOption:
    """Return the option of an activation: a name, a config, None, or an object of `kind`."""

    def check(value: Any, argument: str, owner: str) -> activations.Activation:
        found = activations.get(value, owner=owner)
        if not isinstance(found, kind):
            raise TypeError(
                f"{owner}: {argument} is {value!r}; it must be a {kind.__name__}, or use the "
                "layer Activation"
            )
        return found

    return LayerOption(check)


def _initializer(value: Any, argument: str, owner: str) -> initializers.Initializer:
    return initializers.get(value, owner=owner)


def initializer_option() -> FixedOption:
    """Return the option of an initializer, by name, config or itself."""
    return FixedOption(_initializer)
