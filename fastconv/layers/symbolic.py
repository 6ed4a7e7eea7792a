"""Layers called on what is not there yet: symbolic tensors, and the nodes between them.

`Input(shape)` gives a tensor, and a layer called on tensors gives another one.  Each call is a
node.  A model is made of the nodes between its inputs and its outputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import initializers
from .._core import random
from .._core.missing_names import MissingName
from .._core.validation import truth
from .arguments import Shape, batch_shapes

#: What `+`, `-`, `*` of two tensors are, and one with a number: layers, which their modules put
#: here, since they are made of what is in this one.
operators: dict[str, Callable[..., Any]] = {}


class Tensor:
    """What a layer will give for a batch: its `shape`, (None, ...), and the node it comes from.

    It holds no numbers: these come when the model of it is called.  `+`, `-` and `*` of two
    tensors are the layers Add, Subtract and Multiply, with a number they are a Rescaling.
    """

    __slots__ = ("__weakref__", "index", "node", "shape")
    __array_ufunc__ = None  # NumPy leaves `array * tensor` to the tensor, which refuses it
    dtype = "float32"

    def __init__(self, shape: Shape, node: Node, index: int = 0) -> None:
        self.shape, self.node, self.index = shape, node, index

    def __repr__(self) -> str:
        return f"<Tensor of shape {self.shape} from {self.node.layer.owner}>"

    @property
    def name(self) -> str:
        """The name of the layer that gives it."""
        return str(self.node.layer.name)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            f"{self!r} has no numbers yet; make a Model of it and call that on an array, or use "
            "layers instead of NumPy's functions (Lambda for a function of your own)"
        )

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no numbers yet; the graph cannot depend on them")

    def __len__(self) -> int:
        raise TypeError(f"{self!r} has no length: the batch's size is not known")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{self!r} cannot be gone through; use layers such as Cropping2D")

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(
            f"{self!r} cannot be indexed; use layers such as Cropping2D and Reshape, or a Lambda "
            "of NumPy with its gradient"
        )

    def __add__(self, other: Any) -> Any:
        return _combined("Add", self, other, 1.0, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return _combined("Subtract", self, other, 1.0, other, offset_sign=-1.0)

    def __rsub__(self, other: Any) -> Any:
        return _combined("Subtract", other, self, -1.0, other)

    def __mul__(self, other: Any) -> Any:
        return _combined("Multiply", self, other, other, 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        return _combined("", self, other, 1.0 / other, 0.0)

    def __neg__(self) -> Any:
        return _combined("", self, 0.0, -1.0, 0.0)

    def activated(self, activation: Any) -> Any:
        """Return what the layer Activation gives: `activations.relu(tensor)` comes here."""
        from .. import layers  # whose modules this one is part of

        return layers.Activation(activation)(self)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _combined(
    merging: str, first: Any, second: Any, scale: Any, offset: Any, offset_sign: float = 1.0
) -> Any:
    """Return `first` merged with `second`, or rescaled where one of them is a number."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return operators[merging]()([first, second])
    tensor, number = (first, second) if isinstance(first, Tensor) else (second, first)
    if not _is_number(number):
        return NotImplemented
    return operators["Rescaling"](float(scale), offset_sign * float(offset))(tensor)


class Node:
    """One call of a layer on tensors.

    `training` is what the call was told: None leaves it to the pass.  `inner` is the graph that
    the layer is made of, `(inputs, outputs)`, where it has one: that of a model, or of a layer
    whose `call` calls others.
    """

    __slots__ = ("__weakref__", "inner", "inputs", "is_list", "layer", "outputs", "training")

    def __init__(
        self,
        layer: Any,
        inputs: Sequence[Tensor],
        shapes: Sequence[Shape],
        *,
        is_list: bool = False,
        training: bool | None = None,
        inner: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None,
        counts: bool = True,
    ) -> None:
        self.layer, self.inputs = layer, tuple(inputs)
        self.is_list, self.training, self.inner = is_list, training, inner
        self.outputs = tuple(Tensor(shape, self, index) for index, shape in enumerate(shapes))
        if counts:
            layer._nodes.append(self)


class TracingError(TypeError):
    """Part of a `call` cannot be told before there are numbers."""


class TracedTraining:
    """What a `call` that is traced gets for `training`: passed on, it is left to the pass."""

    def __bool__(self) -> bool:
        raise TracingError(
            "training is not known while the graph is made; leave what differs to layers such as "
            "Dropout, or define backward() and compute in NumPy"
        )


def is_symbolic(x: Any) -> bool:
    """Whether `x` is a tensor, or a list or dict with one."""
    if isinstance(x, Tensor):
        return True
    if isinstance(x, Mapping):
        return any(isinstance(one, Tensor) for one in x.values())
    return isinstance(x, (list, tuple)) and any(isinstance(one, Tensor) for one in x)


def connect(layer: Any, x: Any, training: Any = None) -> Any:
    """Call `layer` on tensors: build it if need be, make the node, return what it gives.

    One tensor, or a list where a model has several outputs.  Raises TypeError for what is no
    tensor and ValueError for shapes that the layer does not take; the layer then has no node.
    """
    inputs, is_list = layer._symbolic_inputs(x)
    shapes = [tensor.shape for tensor in inputs]
    given: Any = shapes if is_list else shapes[0]
    if isinstance(training, TracedTraining):
        training = None
    if training is not None:
        training = truth(training, "training", layer.owner)
    try:
        if not layer.built:
            layer.build(given)
        elif layer._parameters and batch_shapes(given) != layer._input_shape:
            _check_other_shape(layer, given)
        inner = layer._inner_graph(inputs)
        if inner is not None:
            out = [tensor.shape for tensor in inner[1]]
        else:
            out = [layer.compute_output_shape(given)]
    except (ValueError, TypeError) as error:
        _say_where(error, inputs)
        raise
    node = Node(layer, inputs, out, is_list=is_list, training=training, inner=inner)
    several = inner is not None and len(inner[1]) > 1
    return list(node.outputs) if several else node.outputs[0]


def is_foreign(layer: Any) -> bool:
    """Whether a layer's class, or a fused op's, is a user's."""
    return type(layer).__module__.partition(".")[0] != __package__.partition(".")[0]


def checked_inputs(layer: Any, x: Any) -> tuple[list[Tensor], bool]:
    """Return the tensors that a layer is called on, and whether they are a list to it."""
    is_list = isinstance(x, (list, tuple))
    tensors = list(x) if is_list else [x]
    if layer.takes_list and (not is_list or not tensors):
        raise TypeError(f"{layer.owner}: the input is {x!r}; it must be a list of tensors")
    for one in tensors:
        if not isinstance(one, Tensor):
            raise TypeError(
                f"{layer.owner}: the input has {type(one).__name__} among tensors; they must be "
                "tensors, as Input(shape) and layers give them"
            )
    if is_list and not layer.takes_list and not is_foreign(layer):
        if len(tensors) > 1:
            raise ValueError(
                f"{layer.owner}: the input is a list of {len(tensors)} tensors; it must be one; "
                "merge them with Concatenate or Add"
            )
        is_list = False
    return tensors, is_list


def _check_other_shape(layer: Any, given: Any) -> None:
    """Raise unless a layer, built for another shape, has the weights that `given` needs."""
    own = {parameter.name: parameter for parameter in layer._parameters}
    if layer._sublayers():
        return  # whose weights may have the same names

    def as_mine(name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return what a twin's weight starts with, without drawing or reading one."""
        mine = own.get(name)
        if mine is not None and mine.shape != tuple(shape):
            raise _OtherWeights(name, shape)
        return np.zeros(shape, np.float32) if mine is None else mine.value

    drawn = random.get_state()
    try:
        with initializers.weights_from(as_mine):
            type(layer).from_config(layer.get_config()).build(given)
    except _OtherWeights as error:
        name, shape = error.args
        raise ValueError(
            f"{layer.owner}: the input has shape {given}; the layer is built for "
            f"{layer._input_shape}: its {name} is {own[name].shape}, and {shape} would be needed; "
            "make another layer"
        ) from None
    except Exception:
        if not is_foreign(layer):
            raise
        # A class of the user's, of which no other can be made; its `call` will tell.
    finally:
        random.set_state(drawn)


class _OtherWeights(Exception):
    """A weight's name, and the shape that it has not."""


_WHERE = " (the inputs are "


def _say_where(error: Exception, inputs: Sequence[Tensor]) -> None:
    """Add what meets at the layer to an error of its shapes."""
    where = ", ".join(f"{one.node.layer.owner} {one.shape}" for one in inputs)
    told = not error.args or not isinstance(error.args[0], str) or _WHERE in error.args[0]
    if len(inputs) > 1 and not told:  # by a layer of a model within
        error.args = (f"{error.args[0]}{_WHERE}{where})", *error.args[1:])


def trace(layer: Any, inputs: Sequence[Tensor]) -> tuple[Sequence[Tensor], list[Tensor]] | None:
    """Return (inputs, outputs) of the graph that `layer.call` makes of tensors, None of NumPy.

    The graph has inputs of its own, so that it can be put where the layer is called again.
    """
    own = [Node(layer, (), [tensor.shape], counts=False).outputs[0] for tensor in inputs]
    outputs = traced_call(layer, own)
    return None if outputs is None else (own, outputs)


def traced_call(layer: Any, own: Sequence[Tensor]) -> list[Tensor] | None:
    """Return what `layer.call` gives for tensors as a list, None where it computes with arrays."""
    parameters = inspect.signature(layer.call).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    options = {"training": TracedTraining()} if "training" in parameters or takes_any else {}
    try:
        result = layer.call(own if len(own) > 1 else own[0], **options)
    except TracingError as error:
        raise TypeError(f"{layer.owner}: {error}") from None
    except MissingName:
        raise
    except (TypeError, AttributeError):
        return None  # it computes with arrays; what else is wrong shows when it gets some
    outputs = list(result.values()) if isinstance(result, Mapping) else result
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not outputs or not all(isinstance(one, Tensor) for one in outputs):
        return None
    return outputs
