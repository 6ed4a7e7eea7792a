"""Sequential, the model: layers one after the other, and how to train, save and load them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .. import layers as layer_classes
from .._core.naming import automatic_name
from .._core.registry import custom_object_scope
from .._core.validation import truth
from ..graph.graph import Graph
from ..layers.base import Layer
from ..layers.input_layer import InputLayer
from ..layers.symbolic import Node, Tensor
from ..saving.model import Shape
from .configuration import check_rebuilding, deserialized_layers, serialized_layers, sharing
from .model import Model

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

    def __init__(
        self, layers: Iterable[Any] | None = None, name: str | None = None, **options: Any
    ) -> None:
        self._layers: list[Layer] = []
        super().__init__(name=automatic_name("Sequential") if name is None else name, **options)
        self._input_layer: InputLayer | None = None
        self._shape: Shape | None = None
        self._tensors: list[Tensor] = []  # the input's, and what each layer gives
        names: set[str] = set()
        for layer in layers or ():
            self._put(layer, names)
            if layer is not self._input_layer:
                names.add(layer.name)

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
        if isinstance(layer, Tensor) and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
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
            shape = self._shape if self._layers else self._shape or self._shape_of(layer)
            if shape is not None and len(self._tensors) == len(self._layers) + bool(self._layers):
                tensors = self._tensors or [self._input_tensor(shape)]
                self._tensors = [*tensors, layer(tensors[-1])]
            self._shape = shape
            self._layers.append(layer)
            self._graph = None

    def _add_input(self, layer: InputLayer) -> None:
        if self._layers or self._input_layer is not None:
            raise ValueError(f"{self.owner}: {layer.owner} must be the first layer")
        self._input_layer = layer
        self._shape = layer.output_shape

    def _shape_of(self, layer: Layer) -> Shape | None:
        """Return the shape that a first layer tells for its input."""
        if isinstance(layer, Model):
            return layer.input_shape if layer.built else None
        return layer.input_shape

    def pop(self) -> Layer:
        """Take the last layer off and return it."""
        with self._group.held():
            if not self._layers:
                raise ValueError(f"{self.owner}: there is no layer to take off")
            layer = self._layers.pop()
            self._tensors = self._tensors[: len(self._layers) + 1] if self._layers else []
            if not self._layers and self._input_layer is None:
                self._shape = None
            self._graph = None
            return layer

    def build(self, input_shape: Any = None) -> None:
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
            tensors = [self._input_tensor(shape)]
            for layer in self._layers:
                tensors.append(layer(tensors[-1]))
            self._shape, self._tensors = shape, tensors
            self._graph = None

    def _input_tensor(self, shape: Shape) -> Tensor:
        layer = self._input_layer or InputLayer(shape[1:], name=f"{self.name}_input")
        return Node(layer, [], [shape]).outputs[0]

    @property
    def built(self) -> bool:  # type: ignore[override]
        """Whether there are layers and all are built."""
        if self._graph is not None:  # asked before every batch
            return True
        return len(self._tensors) > 1 and len(self._tensors) == len(self._layers) + 1

    @property
    def graph(self) -> Graph:
        """The chain of the layers, made when it is first asked for after a change."""
        if self._graph is not None:
            return self._graph
        if self.built:
            self._graph = Graph(self._tensors[:1], self._tensors[-1:], self.owner)
        return super().graph

    @property
    def input_shape(self) -> Shape:
        """The shape of a batch, (None, ...)."""
        if self._shape is None:
            raise AttributeError(f"{self.owner}: the input's shape is unknown before build()")
        return self._shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the output for a batch, (None, ...)."""
        if not self.built:
            raise AttributeError(f"{self.owner}: the output's shape is unknown before build()")
        return self._tensors[-1].shape

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        left = ("_tensors", "_graph")  # which are as deep as the network
        return {key: value for key, value in super().__getstate__().items() if key not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(_tensors=[], _graph=None)
        super().__setstate__(state)
        if self._layers and self._shape is not None and all(one.built for one in self._layers):
            self._tensors = [self._input_tensor(self._shape)]
            for layer in self._layers:
                self._tensors.append(layer(self._tensors[-1]))
            self._graph = None

    # Configuration and files

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the architecture, without weights: JSON values.

        A subclass whose constructor does not take (layers, name), or takes
        more, defines `get_config` and `from_config`. Layers that were given
        one name since they were added are told apart, with a warning.
        """
        check_rebuilding(self, Sequential, "layers")
        stack = [] if self._input_layer is None else [layer_classes.serialize(self._input_layer)]
        with sharing():
            layers = [*stack, *serialized_layers(self, self._layers)]
        return {
            "name": self.name,
            **({} if self.trainable else {"trainable": False}),
            "layers": layers,
            "build_input_shape": None if self._shape is None else list(self._shape),
        }

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
        with custom_object_scope(custom_objects), sharing():
            made = deserialized_layers(entries)
        model = cls(made, **options)
        if shape is not None and made and not model.built:
            model.build(tuple(shape))
        # The layers have been told what they are.
        model.__dict__["trainable"] = truth(trainable, "trainable", model.owner)
        return model
