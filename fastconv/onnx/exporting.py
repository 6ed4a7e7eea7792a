"""Models as ONNX files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from .._core.files import replacing
from .._version import __version__
from ..graph.graph import Step, program_of
from .layer_nodes import is_random, missing, written
from .writing import Value, Writer

#: Known to all that read ONNX: of 2022.
OPSET, IR_VERSION = 17, 8
PRODUCER = "fastconv"
#: The entries of a file's metadata: JSON.
CLASS_NAMES, METADATA = "class_names", "metadata"

_LARGEST_FILE = 2**31 - 1


def export(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a built model to `path` as it predicts, as an ONNX file.

    Inputs and outputs have the model's names and shapes, images (batch, height, width, channels)
    as it was trained, in batches of any size; class names are in the file's metadata, as JSON.
    A file that is there is replaced once the new one is on the disk.

    Raises NotImplementedError where layers have no form in ONNX, such as Lambda and classes of
    your own, naming all of them; ValueError for a model that is not built, or one larger than
    the 2 GB of an ONNX file; ImportError without the package onnx.
    """
    content = model_proto(model).SerializeToString()
    with replacing(path) as file:
        file.write(content)


def model_proto(model: Any) -> Any:
    """Return a built model as an `onnx.ModelProto`; raises what `export` does."""
    writer = Writer()
    if not model.built:
        raise ValueError(
            f"{model.owner}: cannot export a model that is not built; call build() or fit() first"
        )
    size = 4 * model.count_params()
    if size > _LARGEST_FILE:
        raise ValueError(
            f"{model.owner}: its weights take {size:,} bytes; an ONNX file may have "
            f"{_LARGEST_FILE:,}"
        )
    with model.layers_lock:  # the weights of whole steps
        graph = _graph(writer, model)
    helper = writer.onnx.helper
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
        producer_version=__version__,
    )
    facts = {CLASS_NAMES: model.class_names, METADATA: model.metadata}
    kept = {name: _text(value) for name, value in facts.items() if value}
    helper.set_model_props(proto, kept)
    return proto


def _text(value: Any) -> str:
    return json.dumps(value if isinstance(value, dict) else list(value), ensure_ascii=False)


def _graph(writer: Writer, model: Any) -> Any:
    program = program_of(model.graph)
    _refuse(model, program.steps)
    values: dict[int, Value] = {}
    for slot, name in zip(program.inputs, model.input_names, strict=True):
        values[slot] = Value(program.shapes[slot], writer.name(name))
    for step in program.steps:
        writer.scope, writer.layer = step.layer.name, step.layer
        given = [values[slot] for slot in step.inputs]
        values[step.output] = written(writer, step.layer, given, program.shapes[step.output])
    inputs = [values[slot] for slot in program.inputs]
    outputs = [values[slot] for slot in program.outputs]
    names = _named(writer, inputs, outputs, model.output_names)
    return writer.onnx.helper.make_graph(
        writer.nodes,
        model.name,
        [_value_info(writer, value.last, value.shape) for value in inputs],
        [
            _value_info(writer, name, value.shape)
            for name, value in zip(names, outputs, strict=True)
        ],
        writer.constants,
    )


def _refuse(model: Any, steps: Sequence[Step]) -> None:
    """Raise for all steps at once that have no form in ONNX."""
    found = [missing(step.layer) for step in steps]
    for step in steps:
        if step.training and (is_random(step.layer) or hasattr(step.layer, "moving_mean")):
            found.append(f"{step.layer.owner}, which is called with training=True")
    names = list(dict.fromkeys(filter(None, found)))
    if names:
        raise NotImplementedError(
            f"{model.owner}: cannot be exported to ONNX, which has no form of {'; '.join(names)}"
        )


def _named(
    writer: Writer, inputs: Sequence[Value], outputs: Sequence[Value], wanted: Sequence[str]
) -> list[str]:
    """Return the outputs' names in the graph: those of the model, where no input has them."""
    writer.scope = "outputs"
    names = []
    for value, name in zip(outputs, wanted, strict=True):
        last = writer.last(value)
        # Of its own node, though what gives it may be an input, or an output already.
        output = writer.name(name)
        writer.nodes.append(writer.onnx.helper.make_node("Identity", [last], [output], name=output))
        names.append(output)
    return names


def _value_info(writer: Writer, name: str, shape: Any) -> Any:
    sizes = ["batch", *(f"{name}_{axis}" if size is None else size
                        for axis, size in enumerate(shape[1:], start=1))]  # fmt: skip
    return writer.onnx.helper.make_tensor_value_info(name, writer.onnx.TensorProto.FLOAT, sizes)
