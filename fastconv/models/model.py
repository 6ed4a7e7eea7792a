"""Models: graphs of layers that are trained, copied, saved and called together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from .._core.locks import Group
from .._core.naming import automatic_name
from .._core.registry import class_name, custom_object_scope
from .._core.validation import integer, truth
from ..graph.executor import Executor
from ..graph.executor_cache import ExecutorCache
from ..graph.graph import Graph, connected
from ..layers.arguments import shape_list
from ..layers.base import Layer
from ..layers.input_layer import Input
from ..layers.symbolic import Tensor, is_symbolic, traced_call
from ..layers.workspace import LayersLock, Workspaces
from ..saving.model import Shape
from ..training.train_step import TrainStep
from ..training.trainer import Trainer
from .configuration import (
    check_rebuilding,
    deserialized_layers,
    numbered,
    remade,
    serialized_layers,
    sharing,
    structure,
    structured,
    takes,
    tensor_list,
)
from .saved import Saved
from .summary import print_summary


class Model(Trainer, Saved, Layer):
    """A graph of layers, from `inputs` to `outputs`: a tensor, or a list or dict of them.

    >>> from fastconv.layers import Add, Conv2D, Dense, GlobalAveragePooling2D, Input
    >>> x = Input((32, 32, 3))
    >>> y = Conv2D(8, 3, padding="same", activation="relu")(x)
    >>> z = Conv2D(8, 3, padding="same", activation="relu")(y)
    >>> outputs = Dense(10, activation="softmax")(GlobalAveragePooling2D()(Add()([y, z])))
    >>> model = Model(x, outputs)
    >>> model.count_params()
    898

    Layers may branch, merge, and be called several times, with one set of weights.  A model is a
    layer, too.  `Model(m.input, m.get_layer("conv2d").output)` gives feature maps.  What several
    inputs or outputs get comes in lists, or in dicts by their names; results are as `outputs` is.

    A subclass may make its layers in its constructor and define `call(x)` of tensors instead;
    that is followed once, when the model is built, and becomes its graph.

    Threads may use one model, or models that share layers, at once: each step, of
    training or of prediction, has all the layers for itself, and all of the kernels'
    threads; the others wait for their turn, none for long.  `copy.deepcopy`,
    `copy.copy`, `pickle` and joblib give a model with weights, optimizer and state of
    its own, which goes on as the original would; pickle what no other thread trains.
    """

    _graph: Graph | None = None
    _is_built_once = False
    # How several inputs and outputs are given and returned: as a list or by names.
    _input_names: list[str] | None = None
    _output_names: list[str] | None = None

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **options: Any
    ) -> None:
        Trainer.__init__(self)
        Layer.__init__(
            self, name=automatic_name(type(self).__name__) if name is None else name, **options
        )
        self.class_names: list[str] | None = None
        #: Facts worth keeping with the model, saved in its checkpoints: JSON values.
        self.metadata: dict[str, Any] = {}
        self._fuse = True
        self._executors = ExecutorCache()
        self._train_step = TrainStep(self)
        self._group = Group()
        self._lock = LayersLock(self._group)
        if (inputs is None) != (outputs is None):
            missing = "outputs" if outputs is None else "inputs"
            raise ValueError(f"{self.owner}: {missing} is None; it must be a tensor, or a list")
        if inputs is not None:
            self._put_graph(inputs, outputs)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # a model may be given attributes, as in Keras

    def _put_graph(self, inputs: Any, outputs: Any) -> None:
        self._input_names = list(inputs) if isinstance(inputs, Mapping) else None
        self._output_names = list(outputs) if isinstance(outputs, Mapping) else None
        graph = Graph(tensor_list(inputs), tensor_list(outputs), self.owner).with_inputs()
        names: dict[str, Layer] = {}
        for layer in graph.layers:
            if names.setdefault(layer.name, layer) is not layer:
                raise ValueError(
                    f"{self.owner}: two layers have the name {layer.name!r}; names must differ, "
                    "give name=..."
                )
        self._graph = graph

    def __repr__(self) -> str:
        return f"<{self.owner}, {len(self.layers)} layers>"

    # The graph

    @property
    def graph(self) -> Graph:
        """The nodes between inputs and outputs; raises AttributeError before `build`."""
        if self._graph is None:
            raise AttributeError(f"{self.owner}: the input's shape is unknown before build()")
        return self._graph

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order, those of inputs among them."""
        return list(self.graph.layers) if self.built else super()._sublayers()

    def _sublayers(self) -> list[Layer]:
        return self.layers

    @property
    def built(self) -> bool:  # type: ignore[override]
        """Whether the graph is known, and all layers have their weights."""
        return self._graph is not None

    @property
    def inputs(self) -> list[Tensor]:
        """The tensors of the inputs."""
        return list(self.graph.inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The tensors of the outputs."""
        return list(self.graph.outputs)

    @property
    def input(self) -> Any:
        """The tensor of the input, or the list of them."""
        return self.inputs if len(self.inputs) > 1 else self.inputs[0]

    @property
    def output(self) -> Any:
        """The tensor of the output, or the list of them."""
        return self.outputs if len(self.outputs) > 1 else self.outputs[0]

    @property
    def input_names(self) -> list[str]:
        """The names by which a dict gives inputs."""
        return self._input_names or [tensor.name for tensor in self.graph.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names by which losses, metrics and logs tell outputs apart."""
        return numbered(self._output_names or [tensor.name for tensor in self.graph.outputs])

    @property
    def input_shape(self) -> Any:
        """The shape of a batch, (None, ...), or the list of them."""
        shapes = [tensor.shape for tensor in self.graph.inputs]
        return shapes if len(shapes) > 1 else shapes[0]

    @property
    def output_shape(self) -> Any:
        """The shape of the output for a batch, (None, ...), or the list of them."""
        shapes = [tensor.shape for tensor in self.graph.outputs]
        return shapes if len(shapes) > 1 else shapes[0]

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of `input_shape`, batch first: (None, height, width, ...)."""
        if self.built:
            self._check_built_for(input_shape)
            return
        if input_shape is None:
            raise ValueError(
                f"{self.owner}: input_shape is None; it must be given: build((None, ...))"
            )
        shapes = shape_list(input_shape)
        inputs = [Input(tuple(shape)[1:]) for shape in shapes]
        with self._group.held():
            outputs = traced_call(self, inputs)
        if outputs is None:
            raise TypeError(
                f"{self.owner}: call() computes with arrays; in a model it must call layers on "
                "tensors, for example self.dense(x); put NumPy into a Layer with call and backward"
            )
        self._put_graph(structured(inputs, None), structured(outputs, None))

    def _check_built_for(self, input_shape: Any) -> None:
        if input_shape is None:
            return
        given = [tuple(shape)[1:] for shape in shape_list(input_shape)]
        if given != [tensor.shape[1:] for tensor in self.graph.inputs]:
            raise ValueError(
                f"{self.owner}: already built for inputs of shape {self.input_shape}; "
                f"make a new model for {input_shape}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = [(None, *tuple(shape)[1:]) for shape in shape_list(input_shape)]
        if not self.built:
            self.build(input_shape)
        if shapes == [tensor.shape for tensor in self.graph.inputs]:
            return self.output_shape
        outputs = [tensor.shape for tensor in self._graph_for(shapes)[1]]
        return outputs if len(outputs) > 1 else outputs[0]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of that name or at that place."""
        if (name is None) == (index is None):
            raise ValueError(f"{self.owner}: name is {name!r}, index is {index!r}; give just one")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= integer(index, "index", self.owner) < len(layers):
                raise ValueError(
                    f"{self.owner}: index is {index!r}; it must be that of one of the "
                    f"{len(layers)} layers"
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in layers)
        raise ValueError(f"{self.owner}: name is {name!r}; it must be one of {names}")

    def summary(self, print_fn: Callable[[str], Any] | None = None, **options: Any) -> None:
        """Print the table of layers, output shapes and numbers of parameters, line by line.

        Args:
            print_fn: what is called with each line instead of `print`.
            line_length: the table's width in characters, 65 by default.
            positions: the ends of the columns, as shares of the width or
                in characters; (0.45, 0.85, 1.0) by default.
            expand_nested: whether layers of models within are listed, too.
            show_trainable: whether a column tells which layers are trained.
            layer_range: names, or patterns, of the first and the last layer listed.
        """
        print_summary(self, print_fn, **options)

    # As a layer of other graphs

    def _symbolic_inputs(self, x: Any) -> tuple[list[Tensor], bool]:
        tensors = self._by_input(x, "the input")
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self.owner}: the input has {type(tensor).__name__} among tensors; they must "
                    "be tensors, as Input(shape) and layers give them"
                )
        return tensors, len(tensors) > 1

    def _by_input(self, x: Any, what: str) -> list[Any]:
        """Return what is given for each input, from a list or by names."""
        if isinstance(x, Mapping):
            names = self.input_names
            if set(x) != set(names):
                raise ValueError(
                    f"{self.owner}: {what} has {', '.join(map(repr, x))}; it must have "
                    f"{', '.join(map(repr, names))}"
                )
            return [x[name] for name in names]
        given = list(x) if isinstance(x, (list, tuple)) else [x]
        if self.built and len(given) != len(self.graph.inputs):
            raise ValueError(
                f"{self.owner}: {what} is {len(given)} arrays or tensors; the model has "
                f"{len(self.graph.inputs)} inputs"
            )
        return given

    def _inner_graph(self, inputs: Sequence[Tensor]) -> Any:
        return self._graph_for([tensor.shape for tensor in inputs])

    def _graph_for(self, shapes: list[Shape]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return (inputs, outputs) of this model's layers, called on inputs of other shapes."""
        graph = self.graph
        if shapes == [tensor.shape for tensor in graph.inputs]:
            return graph.inputs, graph.outputs
        wiring = graph.wiring()
        own = [Input(shape[1:]) for shape in shapes]
        try:
            return connected(graph.layers, wiring, own)
        except (ValueError, TypeError) as error:
            error.args = (f"{self.owner}: {error}",)
            raise

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        # Locks come anew; a run goes on from its state.
        left = {"_run": None, "_fit_state": self.fit_state}
        state = Layer.__getstate__(self) | left
        return {key: value for key, value in state.items() if key not in ("_group", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._group, self._workspaces, self._nodes = Group(), Workspaces(), []
        self._lock = LayersLock(self._group)
        self._train_step.follow(self)
        if self.optimizer is not None:
            self.optimizer.follow(self)
        if self.history is not None:
            self.history.set_model(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        copied = memo[id(self)] = type(self).__new__(type(self))
        with self.layers_lock:  # the weights of whole steps
            copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    # Running

    @property
    def layers_lock(self) -> LayersLock:
        """What a thread holds while it goes through the layers, or half a step would be seen."""
        graph = self._graph or (self.graph if self.built else None)
        return self._lock.of(self.layers if graph is None else graph.all_layers)

    def _holding_weights(self) -> AbstractContextManager[None]:
        return self.layers_lock

    def _executor(self) -> Executor:
        return self._executors.get(self.graph, self._fuse, self.trainable)

    def __call__(self, x: Any, training: Any = None) -> Any:
        """Return the output for one batch; with `training`, layers act as in training.

        Called on tensors, the model becomes part of another graph.
        """
        if is_symbolic(x):
            return Layer.__call__(self, x, training)
        return self._train_step.call_alone(x, bool(training))

    # Configuration and files

    @property
    def saved_as(self) -> str:
        """The name by which files tell the model's class."""
        built_in = next(kind for kind in type(self).__mro__ if kind.__module__ in _OURS)
        return class_name(self, built_in if type(self).__name__ == built_in.__name__ else None)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the architecture, without weights: JSON values.

        A subclass whose constructor takes arguments of its own, or that makes its layers itself,
        defines `get_config` and, where these are not its arguments, `from_config`.
        """
        kind, graph = type(self), self.graph
        frozen = {} if self.trainable else {"trainable": False}
        if kind is not Model and not takes(kind, None, None):  # which makes its layers itself
            check_rebuilding(self, Model, "")
            return {"name": self.name, **frozen}
        check_rebuilding(self, Model, "inputs, outputs")
        with sharing():
            layers = serialized_layers(self, graph.layers)
        wiring = graph.wiring()
        return {"name": self.name, **frozen, "layers": layers, **wiring, **structure(self)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, type] | None = None
    ) -> Any:
        """Make the model that `get_config` told of, with new weights.

        `custom_objects` gives classes of your own by name.
        """
        options = dict(config)
        if "layers" not in options:  # of a subclass that makes its layers itself
            return remade(cls, options)
        entries = options.pop("layers")
        wiring = {key: options.pop(key) for key in ("inputs", "calls", "outputs")}
        names = [options.pop(key, None) for key in ("input_names", "output_names")]
        trainable = options.pop("trainable", True)
        with custom_object_scope(custom_objects), sharing():
            inputs, outputs = connected(deserialized_layers(entries), wiring)
        model = cls(structured(inputs, names[0]), structured(outputs, names[1]), **options)
        # The layers have been told what they are.
        model.__dict__["trainable"] = truth(trainable, "trainable", model.owner)
        return model

    def count_params(self) -> int:
        """Return how many numbers the weights hold."""
        if not self.built:
            raise ValueError(
                f"{self.owner}: the weights are unknown before build(); give the first layer an "
                "input_shape"
            )
        return super().count_params()


_OURS = (__name__, __name__.replace("model", "sequential"))
