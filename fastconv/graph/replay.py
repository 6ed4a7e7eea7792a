"""A prediction that is run again as it was recorded: kernels one after the other, without Python.

Weights are packed when a pass is recorded, and results always have the same memory (see `memory`):
what is left to a pass is what its kernels compute.  They are recorded as they run; stages that are
more than kernels, such as an activation by NumPy, are called in between.  A network with a
user's code in it has no replays.

A replay is of the weights that it was recorded with.  It is in use only while nobody can have
written to them, and only after it gave, in memory that was filled with something else, the very
bits of the pass that was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import activations, layers
from .._core import runtime
from .._core.lending import Block
from ..layers import revision
from ..layers.parameter import Parameter
from ..layers.workspace import Frame, running
from ..ops.plans import Kept
from .fused_normalization import FusedConvNormalization, FusedNormalizationRelu, FusedResidual
from .fused_ops import FusedConvRelu, FusedConvReluPool, FusedReluMaxPool
from .stages import Stage

_replay = runtime.kernels.replay

#: Operations that are nothing but kernels in prediction, or the view of an array.
_KERNELS_ALONE = frozenset(
    {
        FusedConvNormalization,
        FusedConvRelu,
        FusedConvReluPool,
        FusedNormalizationRelu,
        FusedReluMaxPool,
        FusedResidual,
        layers.Add,
        layers.AveragePooling2D,
        layers.BatchNormalization,
        layers.Concatenate,
        layers.Dropout,
        layers.Flatten,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
        layers.InputLayer,
        layers.MaxPooling2D,
        layers.Reshape,
    }
)
#: The same where their activation is.
_ACTIVATED = frozenset(
    {
        layers.Activation,
        layers.Conv2D,
        layers.Conv2DTranspose,
        layers.Dense,
        layers.DepthwiseConv2D,
        layers.ReLU,
        layers.SeparableConv2D,
        layers.Softmax,
    }
)

Call = tuple[Any, "int | tuple[int, ...]", int, tuple[int, ...]]


def is_replayable(stage: Stage) -> bool:
    """Whether a stage is nothing but kernels, which can be recorded."""
    operation: Any = stage.operation
    if type(operation) in _KERNELS_ALONE:
        return True
    if type(operation) not in _ACTIVATED:
        return False
    activation = operation.activation
    known = (activations.Linear, activations.Sigmoid, activations.Softmax)
    return type(activation) in known or activations.limit_of(activation) > 0


class Replay:
    """What a pass over inputs of some shapes runs: programs of kernels, and calls between them."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._steps: list[Any] = []  # programs, and (call, frame, source, slot) between them
        self._results: list[Any] = []  # by tensor, the arrays that are there after every pass
        self._outputs: Sequence[int] = ()
        self._kept: list[Any] = []
        owners = list(parameters)
        memory = [one for parameter in owners for one in parameter.memory]
        self._weights = _replay.Watch(owners, memory)
        self._settings = runtime.get_num_threads(), runtime.get_fast_math()
        self._revision = revision.weights()
        self._is_right = False

    def record(
        self,
        stages: Sequence[Stage],
        frames: Sequence[Frame],
        calls: Sequence[Call],
        values: list[Any],
        outputs: Sequence[int],
        blocks: Sequence[Block],
    ) -> list[np.ndarray]:
        """Run the stages as they are, `values` holding the inputs; return the outputs.

        `blocks` are the memory of all results that is not the frames' own.
        """
        inputs = [(slot, value) for slot, value in enumerate(values) if value is not None]
        self._inputs, self._outputs = [slot for slot, _ in inputs], outputs
        given = [value for _, value in inputs]
        program = None
        with Kept() as kept:
            for stage, frame, (call, source, slot, _) in zip(stages, frames, calls, strict=True):
                read = [values[one] for one in ([source] if isinstance(source, int) else source)]
                x = read[0] if isinstance(source, int) else read
                running.frame = frame
                # A view of an input is made anew each time: the input is another array.
                views = type(stage.operation) in (layers.Flatten, layers.Reshape, layers.Dropout)
                if is_replayable(stage) and not (views and _shares(read, given)):
                    if program is None:
                        program = _replay.Program()
                        self._steps.append(program)
                    with program:
                        values[slot] = call(x, False)
                else:
                    program = None
                    self._steps.append((call, frame, source, slot))
                    values[slot] = call(x, False)
        self._kept += [kept.arrays, blocks, [dict(w._plans) for f in frames for w in f.values()]]
        self._results = values
        results = [values[slot] for slot in outputs]
        programs = [step for step in self._steps if isinstance(step, _replay.Program)]
        addresses = [value.ctypes.data for value in given]
        whole = [program.bind(addresses) for program in programs]
        if all(whole) and any(map(len, programs)) and not _shares(results, given):
            expected = [result.copy() for result in results]
            for block in blocks:
                block.view((block.nbytes,), np.dtype(np.uint8)).fill(0xFF)  # NaN
            for result in results:
                result.fill(np.nan)
            found = self.run(given)
            self._is_right = all(map(_same_bits, found, expected))
            if not self._is_right:
                for result, right in zip(results, expected, strict=True):
                    result[...] = right
        for slot in self._inputs:
            values[slot] = None
        return results

    @property
    def is_right(self) -> bool:
        """Whether it gave what the pass that was recorded gave."""
        return self._is_right

    @property
    def is_current(self) -> bool:
        """Whether weights and settings are those that it was recorded with."""
        return (
            self._revision == revision.weights()
            and self._settings == (runtime.get_num_threads(), runtime.get_fast_math())
            and self._weights.is_alone()
        )

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for other inputs, in memory that the next pass overwrites."""
        results = self._results
        addresses = [x.ctypes.data for x in inputs]
        for step in self._steps:
            if type(step) is _replay.Program:
                step.run(addresses)
                continue
            call, frame, source, slot = step
            for place, x in zip(self._inputs, inputs, strict=True):
                results[place] = x
            running.frame = frame
            many = not isinstance(source, int)
            result = call([results[one] for one in source] if many else results[source], False)
            if result.ctypes.data != results[slot].ctypes.data:
                np.copyto(results[slot], result)
        return [results[slot] for slot in self._outputs]


def _shares(arrays: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return any(np.may_share_memory(one, other) for one in arrays for other in others)


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return first.tobytes() == second.tobytes()
