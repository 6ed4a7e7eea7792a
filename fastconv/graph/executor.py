"""A graph as it runs: its stages one after the other, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core.lending import Block
from .._core.memory import contiguous
from .._core.validation import NUMBER_KINDS
from ..layers import revision
from ..layers.parameter import Parameter
from ..layers.symbolic import is_foreign
from ..layers.workspace import Frame, running
from ..losses import Loss
from ..ops.plans import Pool, sharing
from .graph import Program
from .memory import Arena, Recording
from .parts import images_together
from .replay import Replay
from .stages import Stage, stages_of

#: The shapes of inputs, in training and without, whose memory is kept: batches may alternate.
PASSES_KEPT = 8

Run = Callable[[Any, bool], np.ndarray]

#: What runs a stage, the slots that it reads and gives, and those let go of after it.
_Call = tuple[Run, int | tuple[int, ...], int, tuple[int, ...]]

_OWED = ", the input's gradient: layers before this one are trained"


class _Pass:
    """What a pass over inputs of some shapes needs: a frame for each stage, and their memory."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.frames = [stage.new_frame() for stage in stages]
        self.sums = Frame()  # by tensor, of gradients that several stages give
        self.recorded = False
        self.blocks: list[Block] = []  # of the arena, which its results are in
        self.replay: Replay | None = None
        #: Whether a replay gives the same: a user's code need not, and is called once a pass.
        self.replays = not any(stage.is_open for stage in stages)
        self.weights: int | None = None  # as they were last
        self._lends_to = [
            frame for stage, frame in zip(stages, self.frames, strict=True) if not stage.is_open
        ]

    def record(self, recording: Recording | None) -> None:
        lender = None if recording is None else recording.lend
        for frame in (*self._lends_to, self.sums):
            frame.lend(lender)


class Executor:
    """The layers of a graph arranged to run: neighbours that one kernel can do are one operation.

    With `fuse=False` every layer is an operation of its own; the results are the same.
    With `trainable=False` nothing is trained, whatever the layers say.  `input_gradients` are the
    places of the inputs whose gradients `backward` returns.  It owns the memory that passes use;
    one thread at a time goes through it.  `forward` for a step is followed by `backward`.
    """

    def __init__(
        self,
        program: Program,
        fuse: bool = True,
        trainable: bool = True,
        input_gradients: Sequence[int] = (),
    ) -> None:
        self.program = program
        wanted = [program.inputs[place] for place in input_gradients]
        self.stages = stages_of(program, fuse, trainable, wanted)
        found = (p for stage in self.stages for p in stage.parameters)
        trained = {id(parameter): parameter for parameter in found}
        everything = [p for layer in program.layers for p in layer.weights]
        order = dict.fromkeys(map(id, everything))
        #: What is trained, in the order of the layers.
        self.trainable: list[Parameter] = [trained[key] for key in order if key in trained]
        by_output = {stage.output: stage for stage in self.stages}
        self._heads = [by_output.get(slot) for slot in program.outputs]
        self._calls = [_call_of(stage) for stage in self.stages]
        self._arena, self._pool = Arena(), Pool()
        #: Tensors that a user's code sees, which may keep or return them in one pass or another.
        self._open = [slot for stage in self.stages if stage.is_open for slot in stage.inputs]
        self._together = images_together(self.stages, program)
        self._whole = Frame()  # outputs of batches that go through in parts
        self._unreached: list[Parameter] = []  # by the loss of the last step
        self._passes: dict[tuple[Any, ...], _Pass] = {}  # those used last at the end
        self._running: tuple[_Pass, Recording | None, tuple[bool, ...]] | None = None

    @property
    def operations(self) -> list[Any]:
        """What runs, in its order: layers and fused ops."""
        return [stage.operation for stage in self.stages]

    @property
    def final_activations(self) -> list[str | None]:
        """For each output its last activation's name, if a loss may take it in."""
        return [None if head is None else head.final_activation for head in self._heads]

    def fused_losses(self, losses: Sequence[Loss | None]) -> tuple[bool, ...]:
        """Return for each output whether its loss takes the final activation in."""
        return tuple(
            name is not None and loss is not None and name == loss.activation
            for name, loss in zip(self.final_activations, losses, strict=True)
        )

    # Forward

    def forward(
        self,
        inputs: Sequence[np.ndarray],
        training: bool = False,
        logits: Sequence[bool] = (),
        step: bool = False,
    ) -> list[np.ndarray]:
        """Return the outputs for a batch, in memory that the next pass overwrites.

        `logits` says which outputs' final activation is left out, and `step` that `backward`
        follows.
        """
        left_out = tuple(logits) if True in logits else ()
        if not (step or training) and 0 < self._together < len(inputs[0]):
            return self._in_parts(inputs, logits)
        shapes = inputs[0].shape if len(inputs) == 1 else tuple([x.shape for x in inputs])
        key = (step, training, left_out, shapes)
        if self._running is not None:  # a step waits for its `backward`: leave its memory alone
            self._arena = Arena()
            self._passes.clear()
        current = self._passes.get(key) or self._new_pass(key)
        if current.recorded and not (step or training):
            replayed = self._replayed(current, inputs, left_out)
            if replayed is not None:
                return replayed
        recording = None if current.recorded else Recording(self._arena)
        if recording is not None:
            current.record(recording)
        program = self.program
        values: list[Any] = [None] * len(program.shapes)
        for slot, x in zip(program.inputs, inputs, strict=True):
            values[slot] = x
        before = running.frame
        try:
            if recording is None:
                self._run(current.frames, values, training, left_out)
            else:
                with sharing(self._pool):
                    self._run(current.frames, values, training, left_out)
                recording.pin([values[slot] for slot in self._open])
        finally:
            running.frame = before
        slots = program.outputs
        outputs = [values[slots[0]]] if len(slots) == 1 else [values[slot] for slot in slots]
        if step:
            self._running = current, recording, left_out
        elif recording is not None:
            self._end_recording(current, recording)
        return outputs

    def _replayed(
        self, current: _Pass, inputs: Sequence[np.ndarray], left_out: tuple[bool, ...]
    ) -> list[np.ndarray] | None:
        """Return the outputs as a replay gives them; None where the stages must run by themselves.

        The second pass with the same weights is recorded.
        """
        if not current.replays or not all(map(_is_plain, inputs)):
            return None
        replay, before = current.replay, running.frame
        try:
            if replay is not None and replay.is_current:
                return replay.run(inputs)
            current.replay, seen = None, current.weights
            current.weights = revision.weights()
            if seen != current.weights:
                return None
            replay = Replay(p for layer in self.program.layers for p in layer.weights)
            if not replay.is_current:
                return None
            values: list[Any] = [None] * len(self.program.shapes)
            for slot, x in zip(self.program.inputs, inputs, strict=True):
                values[slot] = x
            calls = self._calls if not left_out else self._with_logits(left_out)
            outputs = replay.record(
                self.stages, current.frames, calls, values, self.program.outputs, current.blocks
            )
        finally:
            running.frame = before
        current.replays = replay.is_right
        current.replay = replay if replay.is_right else None
        return outputs

    def _in_parts(self, inputs: Sequence[np.ndarray], logits: Sequence[bool]) -> list[np.ndarray]:
        """Return the outputs for a batch that goes through in parts of nearly the same size."""
        images = len(inputs[0])
        size = -(-images // -(-images // self._together))
        outputs: list[np.ndarray] = []
        for start in range(0, images, size):
            part = slice(start, start + size)
            results = self.forward([x[part] for x in inputs], False, logits)
            if not outputs:
                shapes = [(images, *result.shape[1:]) for result in results]
                outputs = [
                    self._whole[number].buffer("output", shape, result.dtype)
                    for number, (shape, result) in enumerate(zip(shapes, results, strict=True))
                ]
            for output, result in zip(outputs, results, strict=True):
                output[part] = result
        return outputs

    def _new_pass(self, key: tuple[Any, ...]) -> _Pass:
        while len(self._passes) >= PASSES_KEPT:
            del self._passes[next(iter(self._passes))]
            self._arena.keep(block for one in self._passes.values() for block in one.blocks)
        made = self._passes[key] = _Pass(self.stages)
        return made

    def _end_recording(self, current: _Pass, recording: Recording) -> None:
        current.record(None)
        current.blocks = recording.finish()
        current.recorded = True

    def _run(
        self, frames: list[Frame], values: list[Any], training: bool, left_out: tuple[bool, ...]
    ) -> None:
        """Fill in `values`, by tensor; each is let go of after its last reader."""
        calls = self._calls if not left_out else self._with_logits(left_out)
        here = running  # which is looked up once
        for frame, (call, source, output, last_reads) in zip(frames, calls, strict=True):
            here.frame = frame
            if isinstance(source, int):
                values[output] = call(values[source], training)
            else:
                values[output] = call([values[slot] for slot in source], training)
            for slot in last_reads:
                values[slot] = None

    def _with_logits(self, left_out: tuple[bool, ...]) -> list[_Call]:
        """Return the calls without the activations of those outputs."""
        calls = list(self._calls)
        for head, leaves in zip(self._heads, left_out, strict=True):
            if leaves:
                assert head is not None, "a loss takes in what a stage gives"
                place = self.stages.index(head)
                last: Any = head.operation
                calls[place] = (last.pre_activation, *calls[place][1:])
        return calls

    def activate(self, logits: np.ndarray, output: int = 0) -> np.ndarray:
        """Return the model's output for `logits` that `forward` gave, as a new array."""
        head = self._heads[output]
        assert head is not None, "logits come from a stage"
        out = np.empty_like(logits)
        last: Any = head.operation
        last.activation.forward(logits, out)
        return out

    def abandon(self) -> None:
        """Do without the `backward` of the last step, which has failed."""
        self._running = None

    # Backward

    def backward(self, gradients: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
        """Fill every trained parameter's gradient from those of the outputs of the last `forward`.

        Return the inputs', None but for those asked for, in memory that passes overwrite.  Those
        given are of the logits where these were asked for; None where an output plays no part.
        Those that several stages give are added up in the order of the stages from the last one.
        """
        assert self._running is not None, "a step's forward comes first"
        current, recording, left_out = self._running
        self._running = None
        sums: list[Any] = [None] * len(self.program.shapes)
        self._sums = current.sums
        for slot, gradient in zip(self.program.outputs, gradients, strict=True):
            if gradient is not None:
                self._add(sums, slot, gradient)
        while self._unreached:  # of a step that went no further
            self._unreached.pop().reached = True
        done: set[int] = set()  # parameters that have a gradient already
        before = running.frame
        try:
            with sharing(self._pool):
                self._run_back(current.frames, sums, left_out, done, recording)
        finally:
            running.frame = before
        for parameter in self.trainable if len(done) < len(self.trainable) else ():
            if id(parameter) not in done:  # no loss depends on it
                parameter.gradient.fill(0)
                parameter.reached = False
                self._unreached.append(parameter)
        if recording is not None:
            self._end_recording(current, recording)
        return [sums[slot] for slot in self.program.inputs]

    def _run_back(
        self,
        frames: list[Frame],
        sums: list[Any],
        left_out: tuple[bool, ...],
        done: set[int],
        recording: Recording | None,
    ) -> None:
        """Go through the stages from the last one, with the gradients of tensors in `sums`."""
        for stage, frame in zip(reversed(self.stages), reversed(frames), strict=True):
            dy, sums[stage.output] = sums[stage.output], None
            if dy is None or not (stage.needs_input_gradient or stage.parameters):
                continue
            running.frame = frame
            operation: Any = stage.operation
            backward = operation.backward
            if left_out and stage in self._heads and left_out[self._heads.index(stage)]:
                backward = operation.pre_activation_backward
            if recording is not None and stage.is_open:
                recording.pin(dy)
            self._through(stage, backward, dy, sums, done)
            if recording is not None:
                frame.forget()

    def _through(
        self, stage: Stage, backward: Callable[[Any], Any], dy: Any, sums: list[Any], done: set[int]
    ) -> None:
        """Go back through one stage; add what it gives to the gradients of its inputs."""
        kept = []
        if stage.shares_parameters:
            kept = [(p, p.gradient.copy()) for p in stage.parameters if id(p) in done]
        done.update(map(id, stage.parameters))
        dx = backward(dy)
        for parameter, earlier in kept:
            parameter.gradient += earlier
        if not stage.needs_input_gradient:
            return
        parts = dx if stage.is_list else [dx]
        foreign = is_foreign(stage.operation)
        if stage.is_list and (not isinstance(dx, (list, tuple)) or len(dx) != len(stage.inputs)):
            raise TypeError(
                f"{stage.layers[0].owner}: backward(dy) returned {type(dx).__name__}; it must be a "
                f"list of {len(stage.inputs)} gradients, one for each input"
            )
        for slot, part in zip(stage.inputs, parts, strict=True):
            if not stage.wanted[slot]:
                continue
            if foreign:
                part = _plain_array(part, stage.operation, "backward(dy)")
            self._add(sums, slot, part)

    def _add(self, sums: list[Any], slot: int, gradient: np.ndarray) -> None:
        """Add to a tensor's gradient; the first is taken as it is, since others may read it."""
        if sums[slot] is None:
            sums[slot] = gradient
            return
        # Memory of this tensor's own: what is added may be another's sum, handed on as it is.
        out = self._sums[slot].buffer("sum", gradient.shape, np.float32)
        sums[slot] = np.add(sums[slot], gradient, out=out)


def _is_plain(x: np.ndarray) -> bool:
    """Whether kernels read an array as it is."""
    return x.dtype == np.float32 and x.flags.c_contiguous and x.flags.aligned


def _call_of(stage: Stage) -> _Call:
    """Return what runs a stage, what it reads and gives, and what is let go of after it."""
    operation: Any = stage.operation
    run: Run = operation.call
    if stage.training is True:
        run = _always(operation.call, True)
    if is_foreign(operation):
        if stage.training is False:
            run = _always(operation.call, False)
        run = _checked(run, operation)
    source = stage.inputs if stage.is_list else stage.inputs[0]
    return run, source, stage.output, stage.last_reads


def _always(call: Run, training: bool) -> Run:
    return lambda x, _: call(x, training)


def _checked(call: Run, operation: Any) -> Run:
    """Return the call of a user's layer, which may return any array."""
    return lambda x, training: _plain_array(call(x, training), operation, "call(x, training)")


def _plain_array(array: Any, layer: Any, method: str) -> np.ndarray:
    """Return what a user's layer returned as the other layers take it, or raise TypeError."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in NUMBER_KINDS:
        found = str(array) if array is None or np.isscalar(array) else type(array).__name__
        found = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else found
        owed = "" if method.startswith("call") else _OWED
        raise TypeError(
            f"{layer.owner}: {method} returned {found}; it must return an array of numbers, "
            f"(batch, ...){owed}"
        )
    return contiguous(array, np.float32)
