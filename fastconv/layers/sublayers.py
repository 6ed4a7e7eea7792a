"""What belongs to a layer: its weights, and layers among its attributes with theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from .. import initializers
from .._core.validation import truth
from .options import LayerOption
from .parameter import Parameter
from .workspace import Workspaces


def _layers_in(value: Any) -> Iterator[Any]:
    if hasattr(value, "_workspaces"):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _layers_in(one)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _layers_in(one)


def leaves(layer: Any) -> Iterator[Any]:
    """Yield a layer and all within it."""
    yield layer
    for inner in layer._sublayers():
        yield from leaves(inner)


class TrainableOption(LayerOption[bool]):
    """Whether a layer is trained; setting it sets that of the layers within, as in Keras."""

    def __init__(self) -> None:
        super().__init__(truth)

    def __set__(self, instance: Any, value: Any) -> None:
        super().__set__(instance, value)
        for layer in instance._sublayers():
            layer.trainable = value


_NO_SUBLAYERS = ("_nodes", "_workspaces", "_parameters")


class Weighted:
    """What has weights: parameters of its own, and those of the layers within.

    Whoever takes part has `owner`, `built`, `trainable`, `_parameters` and `_workspaces`.
    """

    built: bool
    trainable: Any
    _parameters: list[Parameter]
    _workspaces: Workspaces

    @property
    def owner(self) -> str:
        """How errors name it."""
        raise NotImplementedError

    def _sublayers(self) -> list[Any]:
        """Return the layers that are attributes, or in lists and dicts there, once each."""
        if type(self).__module__.startswith("fastconv."):
            return []  # ours have none, and are asked often
        found: dict[int, Any] = {}
        for name, value in vars(self).items():
            if name not in _NO_SUBLAYERS:
                found |= {id(one): one for one in _layers_in(value)}
        return list(found.values())

    def _weight_paths(self) -> list[tuple[str, Parameter]]:
        """Return (path, parameter) of all weights; a path has the names of the layers between."""
        pairs = [(parameter.name, parameter) for parameter in self._parameters]
        for inner in self._sublayers():
            pairs += [(f"{inner.name}/{path}", p) for path, p in inner._weight_paths()]
        return list({id(parameter): (path, parameter) for path, parameter in pairs}.values())

    def _holding_weights(self) -> AbstractContextManager[None]:
        """Return what keeps other threads from the weights meanwhile."""
        return self._workspaces.locked()

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter in order of creation, then those of layers among the attributes."""
        return [parameter for _, parameter in self._weight_paths()]

    @property
    def weights(self) -> list[Parameter]:
        """Every parameter; the same as `parameters`."""
        return self.parameters

    @property
    def variables(self) -> list[Parameter]:
        """Every parameter; the same as `parameters`."""
        return self.parameters

    @property
    def trainable_variables(self) -> list[Parameter]:
        """What an optimizer changes; the same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Parameter]:
        """What an optimizer leaves alone; the same as `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def trainable_weights(self) -> list[Parameter]:
        """What an optimizer changes: nothing if the layer's `trainable` is False."""
        if not self.trainable:
            return []
        own = [p for p in self._parameters if p.trainable]
        inner = (p for layer in self._sublayers() for p in layer.trainable_weights)
        return list(dict.fromkeys([*own, *inner]))

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """What an optimizer leaves alone."""
        trained = set(map(id, self.trainable_weights))
        return [p for p in self.parameters if id(p) not in trained]

    def count_params(self) -> int:
        """Return how many numbers the parameters hold."""
        return sum(parameter.size for parameter in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the parameters' values."""
        with self._holding_weights():
            return [parameter.contents.copy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy `weights` into the parameters; on an error none is changed."""
        arrays = [np.asarray(weight) for weight in weights]
        parameters = self.weights
        if len(arrays) != len(parameters):
            raise ValueError(
                f"{self.owner}: weights has {len(arrays)} arrays; it must have {len(parameters)}"
                + ("" if self.built else "; it is not built yet")
            )
        for parameter, array in zip(parameters, arrays, strict=True):
            parameter.check(array, owner=self.owner)
        with self._holding_weights():
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.assign(array)

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        name: str | None = None,
        *,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Parameter:
        """Create a parameter of `shape` in `build` and return it.

        Its `value` is read in `call`; its `gradient` is written in `backward`, without
        that of the regularizer's penalty, which training adds.
        """
        taken = {parameter.name for parameter in self._parameters}
        if name is None:
            free = (f"variable_{n}" if n else "variable" for n in range(len(taken) + 1))
            name = next(candidate for candidate in free if candidate not in taken)
        if name in taken or "/" in name:
            raise ValueError(
                f"{self.owner}: a weight cannot be named {name!r}; give a name without '/' "
                "that no other weight of the layer has"
            )
        chosen = initializers.get(initializer, owner=self.owner)
        value = initializers.initial_value(chosen, name, tuple(shape))
        parameter = Parameter(
            name, value, trainable=trainable, regularizer=regularizer, constraint=constraint
        )
        self._parameters.append(parameter)
        return parameter
