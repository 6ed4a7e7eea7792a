"""The attributes of layers: which may be assigned when, and what else has to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import activations, constraints, initializers, regularizers
from .._core.options import Option, owner_of
from .._core.validation import anything, wrong_type
from ..activations import Activation
from . import revision
from .parameter import Parameter, constraint_of, regularizer_of

T = TypeVar("T")


class LayerOption(Option[T]):
    """An option of a layer: it takes effect at the next call."""

    def __set__(self, instance: Any, value: Any) -> None:
        super().__set__(instance, value)
        instance.__dict__["_shapes"] = None
        revision.changed()


class FixedOption(LayerOption[T]):
    """An option that shapes the layer: `build` reads it, and from then on it stays."""

    def __set__(self, instance: Any, value: Any) -> None:
        if instance.__dict__.get("built"):
            raise AttributeError(
                f"{owner_of(instance)}: {self.name} cannot be set, since the layer is built; make "
                f"a new layer: {type(instance).__name__}.from_config("
                f"{{**layer.get_config(), {self.name!r}: {value!r}}})"
            )
        super().__set__(instance, value)


class Weight(Option[Parameter]):
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


def activation_option(kind: type = Activation) -> LayerOption[Activation]:
    """Return the option of an activation: a name, a config, None, or an object of `kind`."""

    def check(value: Any, argument: str, owner: str) -> Activation:
        found = activations.get(value, owner=owner)
        if not isinstance(found, kind):
            remedy = "for others use the layer Activation"
            raise wrong_type(value, argument, owner, f"a {kind.__name__}", remedy)
        return found

    return LayerOption(check)


def _initializer(value: Any, argument: str, owner: str) -> initializers.Initializer:
    return initializers.get(value, owner=owner)


def initializer_option() -> FixedOption[initializers.Initializer]:
    """Return the option of an initializer, by name, config or itself."""
    return FixedOption(_initializer)


def regularizer_option() -> FixedOption[regularizers.Regularizer | None]:
    """Return the option of a weight's regularizer: None, a name, a config, a function, or one."""
    return FixedOption(regularizer_of)


def constraint_option() -> FixedOption[constraints.Constraint | None]:
    """Return the option of a weight's constraint: None, a name, a config, a function, or one."""
    return FixedOption(constraint_of)


_OF_WEIGHTS: dict[str, Callable[[Any], Any]] = {
    "initializer": initializers.serialize,
    "regularizer": regularizers.serialize,
    "constraint": constraints.serialize,
}


def weights_config(layer: Any, *weights: str) -> dict[str, Any]:
    """Return the configuration of how weights start, what they cost and what bounds them.

    `weights_config(layer, "kernel")` has "kernel_initializer", "kernel_regularizer" and
    "kernel_constraint", those of them that the layer has.
    """
    return {
        f"{weight}_{kind}": serialize(getattr(layer, f"{weight}_{kind}"))
        for kind, serialize in _OF_WEIGHTS.items()
        for weight in weights
        if hasattr(type(layer), f"{weight}_{kind}")
    }
