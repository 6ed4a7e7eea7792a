"""TensorBoard's event files, written by the package `tensorboard` (an extra) without TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_BUCKETS = 30  # of a histogram, as TensorFlow's


class GraphNode(NamedTuple):
    """A node of the graph that TensorBoard draws."""

    name: str
    operation: str
    inputs: Sequence[str]
    shape: Sequence[int | None]


def check_package() -> None:
    """Raise ImportError, with what to install, unless event files can be written."""
    try:
        import tensorboard.summary  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "TensorBoard: the package 'tensorboard' cannot be imported "
            f"({error}); install it with: pip install 'fastconv[tensorboard]'"
        ) from error


class EventFile:
    """A new event file in `folder`, which is made if missing.

    `step` is a whole number on the time axis of what is added.
    """

    def __init__(self, folder: str) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(folder)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a number."""
        from tensorboard.plugins.scalar import metadata

        self._tensor(tag, np.float32(value), metadata.create_summary_metadata("", ""), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """Add how the finite ones of `values` are spread; of none at all there is nothing to add.

        The tensor has a row for each bucket: from, to, how many.
        """
        from tensorboard.plugins.histogram import metadata

        finite = values[np.isfinite(values)]
        if finite.size:
            counts, edges = np.histogram(finite.astype(np.float64), _BUCKETS)
            buckets = np.stack([edges[:-1], edges[1:], counts], axis=-1)
            self._tensor(tag, buckets, metadata.create_summary_metadata("", ""), step)

    def image(self, tag: str, png: bytes, shape: tuple[int, ...], step: int) -> None:
        """Add a picture of `shape` (height, width, ...): the bytes of a PNG file."""
        from tensorboard.plugins.image import metadata

        content = np.array([str(shape[1]).encode(), str(shape[0]).encode(), png], dtype=object)
        self._tensor(tag, content, metadata.create_summary_metadata("", ""), step)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Add a text."""
        from tensorboard.plugins.text import metadata

        content = np.array([markdown.encode()], dtype=object)
        self._tensor(tag, content, metadata.create_summary_metadata("", ""), step)

    def graph(self, nodes: Iterable[GraphNode]) -> None:
        """Add the graph that TensorBoard draws: nodes in any order, inputs by name."""
        from tensorboard.compat.proto import event_pb2, graph_pb2

        graph = graph_pb2.GraphDef()
        graph.versions.producer = 22
        for node in nodes:
            drawn = graph.node.add(name=node.name, op=node.operation, input=list(node.inputs))
            shape = drawn.attr["_output_shapes"].list.shape.add()
            for size in node.shape:
                shape.dim.add(size=-1 if size is None else size)
        event = event_pb2.Event(graph_def=graph.SerializeToString(), wall_time=time.time())
        self._writer.add_event(event)

    def hyperparameters(self, values: Mapping[str, bool | float | str], name: str) -> None:
        """Add what was chosen for this run, which TensorBoard shows in a table of runs.

        `name` tells runs of the same values apart.
        """
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        self._add(hparams_pb(dict(values), trial_id=name), 0)

    def flush(self) -> None:
        """Write what is waiting to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._writer.close()

    def _tensor(self, tag: str, values: Any, metadata: Any, step: int) -> None:
        from tensorboard.compat.proto import summary_pb2
        from tensorboard.util import tensor_util

        tensor = tensor_util.make_tensor_proto(values)
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        self._add(summary_pb2.Summary(value=[value]), step)

    def _add(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto import event_pb2

        self._writer.add_event(event_pb2.Event(summary=summary, step=step, wall_time=time.time()))
