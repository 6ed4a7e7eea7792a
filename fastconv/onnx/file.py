"""An ONNX file that is read: all of it is checked before anything is made of it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.files import open_regular
from ..saving.extent import LARGEST_EXTENT
from ..saving.npz import CheckpointError
from .package import onnx_package
from .wire import check_count

_LARGEST_FILE = 2**31 - 1
OLDEST_OPSET = 6

# Memory that a file may ask for: always, and for each of its bytes.
_ALWAYS_ALLOWED, _LARGEST_RATIO = 64 << 20, 16

# The numbers of ONNX's types of tensors that NumPy has, by their names.
_TYPES = ("FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BOOL", "FLOAT16",
          "DOUBLE", "UINT32", "UINT64")  # fmt: skip


class UnsupportedError(CheckpointError, NotImplementedError):
    """A file that is in order and asks for what fastconv has not: the message names all of it."""


class Attributes(dict[str, Any]):
    """What a node is told, and what of it was looked at: what nobody looks at would be ignored."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the default where there is none."""
        self.seen.add(name)
        return super().get(name, default)


@dataclass(frozen=True)
class Operation:
    """A node of a graph; an input or output that is left out is ""."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes

    @property
    def owner(self) -> str:
        """What errors call it."""
        return f"{self.kind} {self.name or self.outputs[0]!r}"


class Budget:
    """How many bytes may still be taken for what a file asks for."""

    def __init__(self, file_size: int) -> None:
        self._allowed = self._left = _ALWAYS_ALLOWED + _LARGEST_RATIO * file_size

    def take(self, size: int) -> None:
        """Raise ValueError where that many more bytes are too many."""
        self._left -= size
        if self._left < 0:
            raise ValueError(
                f"its weights and constants would take more than {self._allowed:,} bytes"
            )


@dataclass
class OnnxFile:
    """A model as plain values: what comes in, what goes out, and operations in their order."""

    name: str
    opset: int
    producer: str
    facts: dict[str, str]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: list[str]
    constants: dict[str, np.ndarray]
    operations: list[Operation]
    budget: Budget
    readers: dict[str, list[Operation]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for operation in self.operations:
            for name in set(operation.inputs):
                self.readers.setdefault(name, []).append(operation)

    def is_read_once(self, name: str) -> bool:
        """Whether one operation reads a tensor, and nobody else."""
        return len(self.readers.get(name, ())) == 1 and name not in self.outputs


def read_bytes(path: str) -> bytes:
    """Return a file's content; raises OSError, or ValueError for one that is too large."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"ONNX file {path!r} does not exist")
    if os.path.isdir(path):
        raise IsADirectoryError(f"ONNX file {path!r} is a folder; give a file")
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _LARGEST_FILE:
            raise CheckpointError(f"{path}: the file has {size:,} bytes; ONNX files are below 2 GB")
        return file.read()


def parsed(content: bytes) -> Any:
    """Return the `onnx.ModelProto` of a file's content; raise ValueError if it is none."""
    onnx = onnx_package()
    check_count(content)
    try:
        proto = onnx.ModelProto.FromString(content)
    except Exception as error:  # of Protocol Buffers, in one of its packages
        raise ValueError(f"it is no ONNX model ({error})") from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise ValueError("it is no ONNX model: it has no graph, or one without outputs")
    return proto


def opened(proto: Any, bound: Mapping[str, np.ndarray] | None = None) -> OnnxFile:
    """Return what a proto holds, its inputs in `bound` as constants.

    Raises ValueError for what is damaged, and UnsupportedError for what is not read.
    """
    graph, size = proto.graph, proto.ByteSize()
    budget = Budget(size)
    opset = _opset(proto)
    if len(graph.node) > LARGEST_EXTENT:
        raise ValueError(f"it has more than {LARGEST_EXTENT:,} nodes, which no file may have")
    if graph.sparse_initializer or proto.functions:
        raise UnsupportedError("it has sparse weights or functions of its own, which are not read")
    constants = {one.name: array_of(one, budget) for one in graph.initializer}
    if len(constants) != len(graph.initializer):
        raise ValueError("two of its initializers have one name")
    constants |= bound or {}
    operations = [_operation(node, budget, opset) for node in graph.node]
    inputs = {one.name: _shape(one) for one in graph.input if one.name not in constants}
    _check_order(operations, [*inputs, *constants])
    return OnnxFile(
        graph.name,
        opset,
        proto.producer_name,
        {one.key: one.value for one in proto.metadata_props},
        inputs,
        [one.name for one in graph.output],
        constants,
        operations,
        budget,
    )


def _opset(proto: Any) -> int:
    versions = {one.domain: one.version for one in proto.opset_import}
    own = versions.get("", versions.get("ai.onnx", 0))
    newest = onnx_package().defs.onnx_opset_version()
    if not OLDEST_OPSET <= own <= newest:
        raise UnsupportedError(
            f"it is of opset {own}; opsets {OLDEST_OPSET} to {newest} are read, the newest that the"
            " installed package onnx knows"
        )
    return int(own)


def _shape(info: Any) -> tuple[int | None, ...]:
    """Return the sizes of an input, None for those that are not fixed."""
    kind = info.type.tensor_type
    if not info.type.HasField("tensor_type") or kind.elem_type != onnx_package().TensorProto.FLOAT:
        raise UnsupportedError(f"its input {info.name!r} is no tensor of float32")
    if not kind.HasField("shape"):
        raise UnsupportedError(f"its input {info.name!r} has no shape")
    sizes = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    if any(size is not None and size < 0 for size in sizes):
        raise ValueError(f"its input {info.name!r} has shape {sizes}")
    if 0 in sizes[1:]:
        raise UnsupportedError(f"its input {info.name!r} has shape {sizes}, without any numbers")
    return sizes


def _operation(node: Any, budget: Budget, opset: int) -> Operation:
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    if not node.output or not node.output[0]:
        raise ValueError(f"its node {node.name!r}, a {kind}, gives nothing")
    _check_inputs(kind, node.name, len(node.input), opset)
    attributes = Attributes({one.name: _attribute(one, budget) for one in node.attribute})
    return Operation(kind, node.name, tuple(node.input), tuple(node.output), attributes)


def _check_inputs(kind: str, name: str, count: int, opset: int) -> None:
    """Raise ValueError for an operator of ONNX that has more or fewer inputs than it takes."""
    defs = onnx_package().defs
    try:
        schema = defs.get_schema(kind, opset)
    except defs.SchemaError:  # an operator of others, or of another opset
        return
    if not schema.min_input <= count <= schema.max_input:
        raise ValueError(
            f"its node {name!r}, a {kind}, has {count} inputs; that takes {schema.min_input} to "
            f"{schema.max_input}"
        )


def _attribute(attribute: Any, budget: Budget) -> Any:
    """Return an attribute's value; None for one that is a graph, or of another kind."""
    kinds = onnx_package().AttributeProto
    if attribute.type == kinds.TENSOR:
        return array_of(attribute.t, budget)
    if attribute.type == kinds.STRING:
        return attribute.s.decode("utf-8", "replace")
    plain = {kinds.FLOAT: "f", kinds.INT: "i"}.get(attribute.type)
    if plain:
        return getattr(attribute, plain)
    several = {kinds.FLOATS: "floats", kinds.INTS: "ints"}.get(attribute.type)
    return list(getattr(attribute, several)) if several else None


def array_of(tensor: Any, budget: Budget) -> np.ndarray:
    """Return a tensor's numbers, once it is known that they are all there."""
    onnx = onnx_package()
    name, proto = tensor.name, onnx.TensorProto
    if tensor.external_data or tensor.data_location == proto.EXTERNAL:
        raise UnsupportedError(
            f"the numbers of {name!r} are in another file, which is not read; write the model with "
            "all of them within: onnx.save(onnx.load(path), new_path)"
        )
    known = {getattr(proto, kind): kind for kind in _TYPES}
    if tensor.data_type not in known:
        raise UnsupportedError(f"{name!r} is of a type that is not read ({tensor.data_type})")
    shape = tuple(tensor.dims)
    count = math.prod(shape)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if min(shape, default=0) < 0 or count * dtype.itemsize > _LARGEST_FILE:
        raise ValueError(f"{name!r} has shape {shape}")
    stored = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    raw = tensor.HasField("raw_data")
    there = len(tensor.raw_data) if raw else len(getattr(tensor, stored))
    if there != (count * dtype.itemsize if raw else count):
        raise ValueError(f"{name!r} does not hold the {shape} numbers that it announces")
    budget.take(count * dtype.itemsize)
    array: np.ndarray = onnx.numpy_helper.to_array(tensor)
    return array


def _check_order(operations: Iterable[Operation], known: Iterable[str]) -> None:
    """Raise ValueError where an operation reads what is not there yet, or gives what there is."""
    names = {"", *known}
    for operation in operations:
        for name in operation.inputs:
            if name not in names:
                raise ValueError(
                    f"{operation.owner} reads {name!r}, which nothing before it gives: the graph "
                    "is damaged, or goes round in a circle"
                )
        for name in filter(None, operation.outputs):
            if name in names:
                raise ValueError(f"{operation.owner} gives {name!r}, which is there already")
            names.add(name)
