"""An ONNX graph that grows: its nodes, its constants, and in which order axes lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers.arguments import Shape
from .package import onnx_package

#: Where ONNX's image axes (batch, channels, rows, columns) are among fastconv's, and back.
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass
class Value:
    """A tensor of fastconv's shape, by its name in either order of axes or in both.

    `last` has fastconv's order, `first` that of ONNX's operators on images.
    """

    shape: Shape
    last: str = ""
    first: str = ""

    @property
    def is_first(self) -> bool:
        """Whether the tensor is there with its channels first, and not as well in our order."""
        return not self.last

    @property
    def any(self) -> str:
        """The name in the order in which the tensor is there already."""
        return self.last or self.first

    def like(self, name: str, shape: Shape | None = None) -> Value:
        """Return what was computed of `any`, number by number unless a `shape` is given."""
        order = "first" if self.is_first else "last"
        return Value(self.shape if shape is None else shape, **{order: name})


class Writer:
    """The nodes and constants of a graph, whose names are made from those of layers."""

    def __init__(self) -> None:
        self.onnx = onnx_package()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.scope = ""
        self.layer: Any = None
        self.taken: set[str] = set()
        self._constant_names: dict[bytes, str] = {}

    def name(self, wanted: str) -> str:
        """Return `wanted`, with a number behind it if that is taken."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        output = self.name(f"{self.scope}/{operator}")
        made = self.onnx.helper.make_node(
            operator, list(inputs), [output], name=output, **attributes
        )
        self.nodes.append(made)
        return output

    def constant(self, array: Any, what: str = "constant", dtype: Any = np.float32) -> str:
        """Return the name of an array in the file, where a layer's equal ones are kept once."""
        array = np.array(array, dtype, order="C")
        head = f"{id(self.layer)} {array.dtype.str} {array.shape}".encode()
        key = hashlib.blake2b(head + array.tobytes()).digest()
        if key not in self._constant_names:
            name = self._constant_names[key] = self.name(f"{self.scope}/{what}")
            self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return self._constant_names[key]

    def integers(self, values: Sequence[int], what: str = "shape") -> str:
        """Return the name of whole numbers in the file."""
        return self.constant(values, what, np.int64)

    def last(self, value: Value) -> str:
        """Return the name of a tensor in fastconv's order, which a node may have to make."""
        if not value.last:
            value.last = self.node("Transpose", [value.first], perm=TO_CHANNELS_LAST)
        return value.last

    def first(self, value: Value) -> str:
        """Return the name of images with their channels first."""
        if not value.first:
            value.first = self.node("Transpose", [value.last], perm=TO_CHANNELS_FIRST)
        return value.first

    def reshaped(self, value: Value, sizes: Sequence[int | None], name: str = "") -> str:
        """Return the name of a tensor in fastconv's order, of other sizes behind the batch."""
        unknown = [size for size in sizes if size is None]
        if len(unknown) > 1:
            raise ValueError(
                f"{self.scope}: of its output's sizes {tuple(sizes)} several are not known; give "
                "Input every size to export the model"
            )
        shape = self.integers([0, *(-1 if size is None else size for size in sizes)])
        return self.node("Reshape", [name or self.last(value), shape])

    def affine(self, value: Value, scale: Any, offset: Any) -> Value:
        """Return value * scale + offset of numbers or arrays that broadcast to fastconv's order."""
        name = value.any
        for operator, numbers, neutral in (("Mul", scale, 1), ("Add", offset, 0)):
            array = np.asarray(numbers, np.float32)
            if np.all(array == neutral) and (operator == "Add" or array.ndim == 0):
                continue
            if value.is_first:
                array = array.reshape((1,) * (4 - array.ndim) + array.shape)
                array = array.transpose(TO_CHANNELS_FIRST)
            what = "scale" if operator == "Mul" else "offset"
            name = self.node(operator, [name, self.constant(array, what)])
        return value.like(name)

    def axis(self, value: Value, axis: int) -> int:
        """Return where one of fastconv's axes, counted from the front, is in `value.any`."""
        return TO_CHANNELS_FIRST.index(axis) if value.is_first else axis

    def elementwise(self, value: Value, write: Callable[[str], str]) -> Value:
        """Return what `write` makes of the tensor, number by number, in whichever order it is."""
        return value.like(write(value.any))
