"""A model that is made of an ONNX file, operation by operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import initializers
from .._core.geometry import LARGEST_SAMPLE
from ..layers import Input
from ..layers.symbolic import Tensor
from ..models.model import Model
from .file import OnnxFile, Operation, UnsupportedError
from .folding import BATCH, FOLDS, Unknown, folded, shape_array
from .values import Value, by_channels, channels_back, count, in_order, plain

#: What an operator becomes: (builder, operation) to a value, or to a constant.
Handler = Callable[["Builder", Operation], Any]

# What stands for a tensor that could not be made.
_REFUSED = object()

# Attributes that change nothing here: of outputs that are not read, and of old opsets.
_WITHOUT_EFFECT = frozenset({"consumed_inputs", "seed", "storage_order"})

# A number of a layer's configuration is an object, in a list, and text in a file.
_BYTES_OF_OPTION = 64


class Builder:
    """The tensors of an ONNX graph as those of layers, and what of it cannot be."""

    def __init__(self, file: OnnxFile, handlers: dict[str, Handler], channels_last: bool) -> None:
        self.file, self.opset = file, file.opset
        self.handlers, self.channels_last = handlers, channels_last
        self.values: dict[str, Any] = dict(file.constants)
        self.refusals: list[str] = []
        self.done: set[int] = set()
        self._operation: Operation | None = None
        self._names: set[str] = set()
        self._shared: dict[Any, Any] = {}
        self._unknown: dict[Any, Unknown] = {}
        self.fixed_batch: int | None = None

    def model(self) -> Model:
        """Return the model; raise UnsupportedError for all that it cannot have at once."""
        inputs = self._inputs()
        self._check_kinds()
        for operation in self.file.operations:
            if id(operation) not in self.done:
                self._operation = operation
                self._run(operation)
        outputs = [self._output(name) for name in self.file.outputs]
        if self.refusals:
            raise UnsupportedError("; ".join(dict.fromkeys(self.refusals)))
        made = Model(
            inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0]
        )
        made.name = self.word(self.file.name) or made.name
        return made

    def _inputs(self) -> list[Tensor]:
        if not self.file.inputs:
            raise UnsupportedError("it has no input")
        tensors = []
        batches = set()
        for name, shape in self.file.inputs.items():
            if len(shape) < 2:
                raise UnsupportedError(
                    f"its input {name!r} has shape {shape}; (batch, ...) is needed"
                )
            batches.add(shape[0])
            images = len(shape) == 4 and not self.channels_last
            order = channels_back(4) if images else plain(len(shape))
            sizes = [shape[order.index(axis)] for axis in range(1, len(shape))]
            tensors.append(self._checked(Input(sizes, name=self._unique(self.word(name)))))
            self.values[name] = Value(tensors[-1], order)
        if len(batches) > 1:
            raise UnsupportedError(
                "its inputs have several first sizes, where batches should be: "
                f"{list(self.file.inputs.values())}"
            )
        self.fixed_batch = batches.pop()
        return tensors

    def _check_kinds(self) -> None:
        kinds = {one.kind for one in self.file.operations} - {*self.handlers, *FOLDS}
        self.refusals += [f"the operator {kind}" for kind in sorted(kinds)]

    def _run(self, operation: Operation) -> None:
        given = [self.values[name] for name in operation.inputs if name]
        made: Any = _REFUSED
        if not any(one is _REFUSED for one in given):
            try:
                made = self._made(operation, given)
            except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                self.refusals.append(f"{operation.owner}: {reason}")
        self.values.update(dict.fromkeys(filter(None, operation.outputs), _REFUSED))
        self.values[operation.outputs[0]] = made

    def _made(self, operation: Operation, given: Sequence[Any]) -> Any:
        for name in filter(None, operation.outputs[1:]):
            if self.file.readers.get(name) or name in self.file.outputs:
                raise ValueError(f"its output {name!r} is read, and only the first is there")
        constant = not any(isinstance(one, Value) for one in given)
        if constant and operation.kind in FOLDS:
            every = [self.values[name] if name else None for name in operation.inputs]
            return folded(operation, every, self.file.budget, self.opset)
        handler = self.handlers.get(operation.kind)
        if handler is None:
            if operation.kind in FOLDS:
                raise ValueError("it is known of constants alone")
            return _REFUSED  # and named already
        if constant:
            raise ValueError("it is of constants alone")
        result = handler(self, operation)
        unseen = set(operation.attributes) - operation.attributes.seen - _WITHOUT_EFFECT
        if unseen:
            raise ValueError(f"its {', '.join(sorted(unseen))} would be without effect")
        return result

    def _output(self, name: str) -> Any:
        value = self.values.get(name)
        if value is None:
            raise ValueError(f"its output {name!r} is given by nothing")
        if not isinstance(value, Value):
            if value is not _REFUSED:
                self.refusals.append(f"the output {name!r}, which is a constant")
            return None
        images = value.rank == 4 and not self.channels_last
        order = channels_back(4) if images else plain(value.rank)
        return in_order(value, order, self.rearrange).tensor

    # For operators: what goes in

    def value(self, operation: Operation, place: int = 0) -> Value:
        """Return an input that must be computed; raise ValueError for a constant."""
        value = self.values[operation.inputs[place]]
        if not isinstance(value, Value):
            raise ValueError(f"its input {place} is a constant")
        return value

    def numbered(self, operation: Operation, place: int = 0) -> Value:
        """Return an input whose numbers are in ONNX's order, but for the order of its axes."""
        return by_channels(self.value(operation, place), self.rearrange)

    def images(self, operation: Operation, place: int = 0) -> Value:
        """Return an input that must be images, its channels last; raise ValueError for another."""
        value = self.value(operation, place)
        if value.rank != 4:
            raise ValueError(f"its input has {value.rank} axes; images, with 4, are needed")
        return in_order(value, channels_back(4), self.rearrange)

    def constant(self, operation: Operation, place: int, what: str) -> np.ndarray | None:
        """Return an input that must be a constant, None where it is left out."""
        if place >= len(operation.inputs) or not operation.inputs[place]:
            return None
        value = self.values[operation.inputs[place]]
        if isinstance(value, Value):
            raise ValueError(f"its {what} is computed; it must be a constant")
        array: np.ndarray = value
        return array

    def weight(self, operation: Operation, place: int, what: str) -> np.ndarray:
        """Return a constant that must be there."""
        array = self.constant(operation, place, what)
        if array is None:
            raise ValueError(f"it has no {what}")
        return array

    def sizes(self, value: Value) -> np.ndarray:
        """Return a tensor's shape, with `Unknown` for what is not known."""
        known: list[Any] = [BATCH]
        for axis, size in zip(value.order[1:], value.shape[1:], strict=True):
            key = (value.tensor, axis)
            known.append(
                self._unknown.setdefault(key, Unknown("an image's size")) if size is None else size
            )
        return shape_array(known)

    # For operators: what comes out

    def call(self, kind: Any, x: Tensor | list[Tensor], **options: Any) -> Tensor:
        """Return what a new layer gives for a tensor or for a list of them."""
        return self._checked(kind(name=self._unique(self._base()), **options)(x))

    def rearrange(self, kind: Any, x: Tensor, **options: Any) -> Tensor:
        """Return what a layer gives that is there for the order of numbers alone."""
        name = self._unique(f"{self._base()}_{kind.__name__.lower()}")
        return self._checked(kind(name=name, **options)(x))

    def weighted(
        self, kind: Any, x: Tensor, arrays: Iterable[np.ndarray | None], key: Any, **options: Any
    ) -> Tensor:
        """Return what a layer with weights gives; of two with one `key` and the same weights in
        the file there is one layer.

        `arrays` are the weights in the layer's order, where None is one that it has not.
        """
        operation = self._operation
        assert operation is not None  # only operators come here
        key = (operation.kind, operation.inputs[1:], repr(options), key, x.shape)
        layer = self._shared.get(key)
        if layer is not None:
            return self._checked(layer(x))
        weights = [array for array in arrays if array is not None]
        self.file.budget.take(sum(4 * array.size for array in weights))
        layer = kind(name=self._unique(self._base()), **options)
        with initializers.weights_from(_Given(list(weights))):
            made = self._checked(layer(x))
        # Those of a new network may be equal without being meant as one: all ones, all zeros.
        if any(array.size > 1 and np.ptp(array) for array in weights):
            self._shared[key] = layer
        return made

    def options(self, array: np.ndarray) -> Any:
        """Return a constant as a layer's option, as lists of numbers."""
        self.file.budget.take(_BYTES_OF_OPTION * array.size)
        return np.asarray(array, np.float32).tolist()

    def _checked(self, tensor: Tensor) -> Tensor:
        if count(tensor.shape) > LARGEST_SAMPLE:
            raise ValueError(
                f"a sample would have shape {tensor.shape[1:]}; at most {LARGEST_SAMPLE} numbers "
                "are computed"
            )
        return tensor

    # Names

    def _base(self) -> str:
        operation = self._operation
        if operation is None:
            return "x"
        output = operation.outputs[0]
        named = output if output in self.file.outputs else operation.name
        return self.word(named) or self.word(output) or operation.kind.lower()

    def word(self, name: str) -> str:
        """Return a name as layers have it."""
        return re.sub(r"\W+", "_", name[:200]).strip("_")

    def _unique(self, wanted: str) -> str:
        name, number = wanted or "x", 1
        while name in self._names:
            number += 1
            name = f"{wanted or 'x'}_{number}"
        self._names.add(name)
        return name


class _Given:
    """Hands arrays to a layer that is built, in its order, if they have the right shapes."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self._left = arrays

    def __call__(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        array = self._left.pop(0)
        if array.shape != tuple(shape):
            raise ValueError(f"its {name} has shape {array.shape}; it must be {tuple(shape)}")
        return np.array(array, np.float32)
