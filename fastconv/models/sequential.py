"""Sequential, the model: layers one after the other, and how to train, save and load them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from .. import layers as layer_classes
from .._core.json_values import free_name
from .._core.naming import automatic_name
from .._core.registry import class_name, custom_object_scope
from .._core.validation import truth
from ..layers.arguments import lost_arguments
from ..layers.base import Layer
from ..layers.input_layer import InputLayer
from ..saving.model import Shape
from .model import Model
from .summary import summary_lines

__all__ = ["Sequential"]


class Sequential(Model):
    """A stack of layers: the output of each is the input of the next.

    Where the first layer tells its `input_shape` (or is an `Input`), every
    layer is built as it is added; else at `build` or with the first data.

    >>> from fastconv.layers import Dense
    >>> model = Sequential([Dense(2, activation="relu", input_shape=(3,)), Dense(1)])
    >>> model.count_params()
    11

    Threads may use one model, or models that share layers, at once: each step, of
    training or of prediction, has all the layers for itself.  `copy.deepcopy`,
    `copy.copy`, `pickle` and joblib give a model with weights, optimizer and state of
    its own, which goes on as the original would; pickle what no other thread trains.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(automatic_name("Sequential") if name is None else name)
        self._layers: list[Layer] = []
        self._input_layer: InputLayer | None = None
        self._shape: Shape | None = None
        self._output_shape: Shape | None = None
        names: set[str] = set()
        for layer in layers or ():
            self._put(layer, names)
            if layer is not self._input_layer:
                names.add(layer.name)

    def __repr__(self) -> str:
        return f"<{self.owner}, {len(self._layers)} layers>"

    # Layers

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order, without the `Input`."""
        return list(self._layers)

    def add(self, layer: Layer) -> None:
        """Put a layer on top of the stack; it is built if the input's shape is known.

        Raises TypeError for what is no layer, ValueError if the layer does not
        fit on the ones before it or has the name of one; the model is then
        left as it was.
        """
        self._put(layer, {other.name for other in self._layers})

    def _put(self, layer: Layer, names: Collection[str]) -> None:
        """Put a layer on top of those that have `names`."""
        if not isinstance(layer, Layer):
            hint = "; give an instance: add parentheses" if isinstance(layer, type) else ""
            raise TypeError(f"{self.owner}: layer is {layer!r}; it must be a fastconv layer{hint}")
        if not hasattr(layer, "_workspaces"):
            raise TypeError(
                f"{self.owner}: {type(layer).__name__}.__init__ does not call super().__init__(); "
                "call it first"
            )
        if isinstance(layer, InputLayer):
            self._add_input(layer)
            return
        if layer.name in names:
            if any(other is layer for other in self._layers):
                raise ValueError(
                    f"{self.owner}: {layer.owner} cannot be added; it is in the model already, and "
                    "a Sequential goes through a layer once; add another, copy.deepcopy(layer) "
                    "with a name of its own, if it need not share the weights"
                )
            raise ValueError(
                f"{self.owner}: {layer.owner} cannot be added; another layer has that name: "
                "names must differ, give name=..."
            )
        with self._group.held():  # passes hold it, too
            shape = self._shape if self._layers else self._shape or layer.input_shape
            incoming = self._output_shape if self._layers else shape
            if shape is not None and incoming is not None:
                layer.build(incoming)
                self._output_shape = layer.output_shape
            self._shape = shape
            self._layers.append(layer)

    def _add_input(self, layer: InputLayer) -> None:
        if self._layers or self._input_layer is not None:
            raise ValueError(f"{self.owner}: {layer.owner} must be the first layer")
        self._input_layer = layer
        self._shape = layer.output_shape

    def pop(self) -> Layer:
        """Take the last layer off and return it."""
        with self._group.held():
            if not self._layers:
                raise ValueError(f"{self.owner}: there is no layer to take off")
            layer = self._layers.pop()
            if self._layers:
                self._output_shape = self._layers[-1].output_shape
            elif self._input_layer is None:
                self._shape = None
            return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of that name or at that place."""
        if (name is None) == (index is None):
            raise ValueError(f"{self.owner}: get_layer needs either a name or an index")
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(
                    f"{self.owner}: index is {index!r}; it must be that of one of the "
                    f"{len(self._layers)} layers"
                )
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self._layers)
        raise ValueError(f"{self.owner}: name is {name!r}; it must be one of {names}")

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Build all layers for inputs of `input_shape`, batch first: (None, height, width, ...)."""
        given = None if input_shape is None else (None, *tuple(input_shape)[1:])
        shape = self._shape if given is None else given
        if self.built:
            if given is not None and self._shape is not None and given[1:] != self._shape[1:]:
                raise ValueError(
                    f"{self.owner}: already built for inputs of shape {self._shape}; "
                    f"make a new model for {given}"
                )
            return
        if shape is None:
            raise ValueError(
                f"{self.owner}: the input's shape is unknown; give build((None, ...)) or "
                "input_shape= in the first layer"
            )
        with self._group.held():
            incoming: Any = shape
            for layer in self._layers:
                layer.build(incoming)
                incoming = layer.output_shape
            self._shape, self._output_shape = shape, incoming

    @property
    def built(self) -> bool:
        """Whether there are layers and all are built."""
        for layer in self._layers:  # asked before every batch: all() takes three times as long
            if not layer.built:
                return False
        return bool(self._layers)

    @property
    def input_shape(self) -> Shape:
        """The shape of a batch, (None, ...)."""
        if self._shape is None:
            raise AttributeError(f"{self.owner}: the input's shape is unknown before build()")
        return self._shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the output for a batch, (None, ...)."""
        if not self.built or self._output_shape is None:
            raise AttributeError(f"{self.owner}: the output's shape is unknown before build()")
        return self._output_shape

    def summary(
        self,
        print_fn: Callable[[str], Any] | None = None,
        *,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        expand_nested: bool = False,
    ) -> None:
        """Print the table of layers, output shapes and numbers of parameters, line by line.

        Args:
            print_fn: what is called with each line instead of `print`.
            line_length: the table's width in characters, 65 by default.
            positions: the ends of the three columns, as shares of the width or
                in characters; (0.45, 0.85, 1.0) by default.
            expand_nested: accepted as Keras's, and without effect.
        """
        owner = f"{self.owner}: summary"
        if print_fn is not None and not callable(print_fn):
            raise TypeError(
                f"{owner}: print_fn is {print_fn!r}; it must be a function; a width is given as "
                "line_length="
            )
        for line in summary_lines(
            self._layers, line_length, positions, owner, trainable=self.trainable
        ):
            (print_fn or print)(line)

    # Configuration and files

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the architecture, without weights: JSON values.

        A subclass whose constructor does not take (layers, name), or takes
        more, defines `get_config` and `from_config`. Layers that were given
        one name since they were added are told apart, with a warning.
        """
        self._check_rebuilding()
        stack = [] if self._input_layer is None else [layer_classes.serialize(self._input_layer)]
        names: dict[str, None] = {}
        for layer in self._layers:
            saved = layer_classes.serialize(layer)
            name = free_name(str(layer.name).replace("/", "_") or "layer", names)
            names[name] = None
            if name != layer.name:
                saved["config"]["name"] = name
                warnings.warn(
                    f"{self.owner}: {layer.owner} is saved as {name!r}, since names must differ "
                    "and have no '/'; set layer.name",
                    stacklevel=2,
                )
            stack.append(saved)
        return {
            "name": self.name,
            **({} if self.trainable else {"trainable": False}),
            "layers": stack,
            "build_input_shape": None if self._shape is None else list(self._shape),
        }

    def _check_rebuilding(self) -> None:
        """Raise if `from_config` could not make this class again from what `get_config` tells."""
        kind = type(self)
        lost = lost_arguments(kind)
        if lost:
            raise NotImplementedError(
                f"{self.owner}: the constructor takes {', '.join(lost)}, so the class must define "
                "get_config() and from_config() to be saved"
            )
        if inspect.getattr_static(kind, "from_config") is not vars(Sequential)["from_config"]:
            return
        try:
            inspect.signature(kind).bind([], name=self.name)
        except TypeError:
            raise NotImplementedError(
                f"{self.owner}: the constructor does not take (layers, name=...), so the class "
                "must define from_config(config, custom_objects=None) to be saved"
            ) from None

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, type] | None = None
    ) -> Sequential:
        """Make the model that `get_config` told of, with new weights.

        `custom_objects` gives classes of your own by name.
        """
        options = dict(config)
        entries, shape = options.pop("layers"), options.pop("build_input_shape", None)
        trainable = options.pop("trainable", True)
        with custom_object_scope(custom_objects):
            made = [layer_classes.deserialize(entry) for entry in entries]
        model = cls(made, **options)
        if shape is not None and made and not model.built:
            model.build(tuple(shape))
        # The layers have been told what they are.
        model._trainable = truth(trainable, "trainable", model.owner)
        return model

    @property
    def saved_as(self) -> str:
        """The name by which files tell the model's class."""
        return class_name(self, Sequential if type(self).__name__ == "Sequential" else None)
