"""fastconv as a backend of ONNX: what runs a graph in the layout that the file has."""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .file import UnsupportedError
from .folding import FOLDS
from .package import onnx_package
from .reading import HANDLERS, Built, build
from .writing import TO_CHANNELS_FIRST, TO_CHANNELS_LAST

# Operators whose inputs are tensors alike; of others it is the first, and the rest are constants.
_MERGES = frozenset({"Add", "Concat", "Max", "Mean", "Min", "Mul", "Sub", "Sum"})


class Prepared:
    """A graph that is ready to run; made by `Backend.prepare`.

    What fastconv must know beforehand, such as a convolution's kernel, may be an input: a model is
    made for its values, and kept while these come again.
    """

    def __init__(self, proto: Any) -> None:
        self._proto = proto
        given = {one.name for one in proto.graph.initializer}
        self._inputs = [one.name for one in proto.graph.input if one.name not in given]
        self._outputs = [one.name for one in proto.graph.output]
        self._bound = _constants_needed(proto)
        self._key: bytes | None = None
        self._built: Built | None = None

    def run(self, inputs: Any, **options: Any) -> Any:
        """Return the outputs, in a named tuple, for arrays in the inputs' order or by name."""
        named = self._named(inputs)
        constants = {name: array for name, array in named.items() if name in self._bound}
        built = self._model(constants)
        x = []
        for name in built.inputs:
            array = np.asarray(named[name])
            if array.dtype != np.float32:
                raise UnsupportedError(f"the input {name!r} is of {array.dtype}, not of float32")
            images = array.ndim == 4 and not built.channels_last
            x.append(array.transpose(TO_CHANNELS_LAST) if images else array)
        x = [np.ascontiguousarray(array) for array in x]
        y = built.model.predict_on_batch(x if len(x) > 1 else x[0])
        arrays = [np.asarray(array) for array in (y if isinstance(y, list) else [y])]
        if not built.channels_last:
            arrays = [
                np.ascontiguousarray(array.transpose(TO_CHANNELS_FIRST))
                if array.ndim == 4
                else array
                for array in arrays
            ]
        base = importlib.import_module("onnx.backend.base")
        return base.namedtupledict("Outputs", self._outputs)(*arrays)

    def _named(self, inputs: Any) -> dict[str, Any]:
        if isinstance(inputs, Mapping):
            given = dict(inputs)
        else:
            several = inputs if isinstance(inputs, Sequence) else [inputs]
            if len(several) != len(self._inputs):
                raise ValueError(
                    f"backend: inputs are {len(several)} arrays; the graph has {self._inputs}"
                )
            given = dict(zip(self._inputs, several, strict=True))
        if set(given) != set(self._inputs):
            raise ValueError(f"backend: inputs are {list(given)}; the graph has {self._inputs}")
        return given

    def _model(self, constants: dict[str, Any]) -> Built:
        """Return the model for constants, the last one where they are the same."""
        arrays = {name: np.asarray(array) for name, array in constants.items()}
        digest = hashlib.blake2b()
        for array in arrays.values():
            digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
        if self._built is None or self._key != digest.digest():
            self._built, self._key = build(self._proto, arrays), digest.digest()
        return self._built


def _constants_needed(proto: Any) -> set[str]:
    """Return the inputs that are no tensors of a batch: weights, shapes, what is broadcast."""
    onnx = onnx_package()
    ranks = {}
    needed = set()
    for one in proto.graph.input:
        kind = one.type.tensor_type
        ranks[one.name] = len(kind.shape.dim)
        if kind.elem_type != onnx.TensorProto.FLOAT:
            needed.add(one.name)
    for node in proto.graph.node:
        merges = node.op_type in _MERGES
        most = max((ranks.get(name, 0) for name in node.input), default=0)
        for place, name in enumerate(node.input):
            if name in ranks and place and (not merges or ranks[name] < most):
                needed.add(name)
    return needed


@functools.cache
def backend_class() -> Any:
    """Return fastconv's `onnx.backend.base.Backend`."""
    onnx_package()
    base = importlib.import_module("onnx.backend.base")

    class Backend(base.Backend):  # type: ignore[name-defined]
        """Runs graphs of what `fastconv.onnx.load` reads, on the CPU.

        Arrays are as the graph has them, (batch, channels, height, width) as a rule. What is not
        offered is refused by a NotImplementedError that names it: by `prepare`, and by `run` for
        what depends on the values that come in.
        """

        @classmethod
        def is_compatible(cls, model: Any, device: str = "CPU", **options: Any) -> bool:
            """Return whether all operators of a model are known, on that device."""
            return cls.supports_device(device) and not _unknown(model)

        @classmethod
        def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> Prepared:
            """Return what runs an `onnx.ModelProto`."""
            super().prepare(model, device, **options)  # checks it
            return cls._prepared(model, device)

        @classmethod
        def _prepared(cls, model: Any, device: str) -> Prepared:
            if not cls.supports_device(device):
                raise UnsupportedError(f"backend: device is {device!r}; it must be 'CPU'")
            unknown = _unknown(model)
            if unknown:
                raise UnsupportedError(f"backend: no layer is {', '.join(unknown)}")
            return Prepared(model)

        @classmethod
        def run_node(
            cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kw: Any
        ) -> Any:
            """Return the outputs of one node for arrays in its inputs' order."""
            super().run_node(node, inputs, device, outputs_info, **kw)
            return cls._prepared(_model_of(node, inputs, **kw), device).run(inputs)

        @classmethod
        def supports_device(cls, device: str) -> bool:
            """Return whether a device is the CPU."""
            return str(device).upper().split(":")[0] == "CPU"

    return Backend


def _unknown(proto: Any) -> list[str]:
    known = {*HANDLERS, *FOLDS}
    kinds = {
        one.op_type if one.domain in ("", "ai.onnx") else f"{one.domain}.{one.op_type}"
        for one in proto.graph.node
    }
    return sorted(kinds - known)


def _model_of(node: Any, inputs: Any, opset_version: int | None = None, **options: Any) -> Any:
    helper = onnx_package().helper
    arrays = [np.asarray(one) for one in inputs]
    names = [name for name in node.input if name]
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in zip(names, arrays, strict=True)
    ]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in node.output if name]
    graph = helper.make_graph([node], "node", infos, outputs)
    opset = opset_version or onnx_package().defs.onnx_opset_version()
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
