"""The executor of a model's graph as it is."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..layers import revision
from ..layers.symbolic import is_foreign
from .executor import Executor
from .graph import Graph, Program, program_of


class ExecutorCache:
    """The executor of a model's graph as it is, made anew only when that has changed."""

    def __init__(self) -> None:
        self._executor: Executor | None = None
        self._made_from: list[Any] = []
        self._seen_at: object = None  # the revision for which that was last compared

    def __reduce__(self) -> tuple[type[ExecutorCache], tuple[()]]:
        return ExecutorCache, ()  # a copy's layers are others

    def get(self, graph: Graph, fuse: bool, trainable: bool) -> Executor:
        """Return the executor of `graph`, with whose options it would be made now."""
        executor, now, made_from = self._executor, revision.current(), self._made_from
        seen = executor is not None and self._seen_at is now
        if executor is not None and seen and made_from[0] is graph and made_from[1] is fuse:
            return executor
        program = program_of(graph, trainable)
        made_from = [graph, fuse, trainable, *_all_read(program)]
        if executor is None or not _same(self._made_from, made_from):
            executor = Executor(program, fuse, trainable)
        self._executor, self._made_from, self._seen_at = executor, made_from, now
        return executor


def _all_read(program: Program) -> list[Any]:
    """Return all that an `Executor` reads of the layers when it is made."""
    parts: list[Any] = []
    for step in program.steps:
        layer: Any = step.layer
        parts += (layer, *layer.trainable_weights, step.trained)
        if not is_foreign(layer):  # what options say about memory: a Dropout of 0 returns its input
            parts += [value for name, value in vars(layer).items() if name[0] != "_"]
    return parts


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(map(operator.is_, first, second))
