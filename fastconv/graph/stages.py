"""What an executor goes through: operations, the tensors they read, and what is asked of them.

Chains of steps, whose tensors only the next one reads, are fused where a kernel can do several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..activations import FunctionActivation
from ..layers import Add, Dense, Flatten, InputLayer, Lambda, MaxPooling2D
from ..layers.base import Layer
from ..layers.parameter import Parameter
from ..layers.symbolic import is_foreign
from ..layers.workspace import Frame
from . import fusion
from .fused_normalization import FusedResidual
from .fused_ops import FusedConvReluPool, FusedReluMaxPool
from .graph import Program, Step

#: Activations that a loss can take in, so that both are computed from logits.
_TAKEN_IN_BY_LOSSES = ("sigmoid", "softmax")


class Stage:
    """One operation at its place in the graph."""

    def __init__(
        self,
        steps: Sequence[Step],
        operation: fusion.Operation,
        inputs: tuple[int, ...] | None = None,
    ) -> None:
        first, last = steps[0], steps[-1]
        self.steps, self.operation = steps, operation
        self.inputs, self.output = first.inputs if inputs is None else inputs, last.output
        self.is_list = first.is_list or inputs is not None
        #: What the passes are told instead of whether they are of training, if anything.
        self.training = first.training
        #: The activation that a loss may take in, of an operation that gives an output.
        self.final_activation: str | None = None
        self.parameters: list[Parameter] = []
        #: Whether other stages have gradients of the same parameters, which add up.
        self.shares_parameters = False
        self.needs_input_gradient = True
        #: Which of the inputs' gradients are wanted.
        self.wanted: dict[int, bool] = {}
        #: Tensors that nobody reads after this stage.
        self.last_reads: tuple[int, ...] = ()
        self.plans: dict[Any, Any] = {}
        #: What is asked of layers in all passes through this place: (layer, attribute, value).
        self.flags: list[tuple[Layer, str, bool]] = []
        #: Whether code of a user's sees the arrays, which may keep or return them as it likes.
        self.is_open = any(map(_is_open, self.layers))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that the operation is, or stands for."""
        return fusion.members(self.operation)

    def new_frame(self) -> Frame:
        """Return workspaces for a pass through this place."""
        frame = Frame(self.plans)
        for layer, name, value in self.flags:
            setattr(frame[layer], name, value)
        return frame


def _is_open(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    function = isinstance(activation, FunctionActivation)
    foreign = is_foreign(layer) or function or (activation is not None and is_foreign(activation))
    return foreign or isinstance(layer, Lambda)


def stages_of(
    program: Program, fuse: bool, trainable: bool, needed: Iterable[int] = ()
) -> list[Stage]:
    """Return the stages of a program, in the order of its steps.

    `needed` are the inputs whose gradient is asked for.
    """
    readers = Counter(slot for step in program.steps for slot in step.inputs)
    readers.update(program.outputs)
    stages = []
    for chain in _chains(program, readers):
        heads = [step for step in chain if _final_activation(step, program, readers)]
        body = chain[: len(chain) - len(heads)]
        layers = [step.layer for step in body]
        shapes = [program.shapes[step.output] for step in body]
        at = 0
        for operation in fusion.fuse(layers, shapes) if fuse else layers:
            count = len(fusion.members(operation))
            stages.append(Stage(body[at : at + count], operation))
            at += count
        for step in heads:
            stage = Stage([step], step.layer)
            stage.final_activation = _final_activation(step, program, readers)
            stages.append(stage)
    if fuse:
        stages = _with_residuals(stages, program, readers)
    order = {step.output: place for place, step in enumerate(program.steps)}
    stages.sort(key=lambda stage: order[stage.output])
    _plan_gradients(stages, trainable, set(needed))
    _plan_overwriting(stages, program, readers)
    _plan_last_reads(stages, program)
    return stages


def _chains(program: Program, readers: Counter[int]) -> list[list[Step]]:
    """Return the steps as chains as long as they get."""
    ending_at: dict[int, list[Step]] = {}  # by the tensor that the chain gives so far
    chains: list[list[Step]] = []
    for step in program.steps:
        source = step.inputs[0] if len(step.inputs) == 1 and not step.is_list else -1
        chain = ending_at.pop(source, None) if readers[source] == 1 else None
        if chain is None or chain[-1].training != step.training:
            chain = []
            chains.append(chain)
        chain.append(step)
        ending_at[step.output] = chain
    return chains


def _with_residuals(stages: list[Stage], program: Program, readers: Counter[int]) -> list[Stage]:
    """Put an Add, and the ReLU behind it, into the normalization whose output it adds to."""
    by_output = {stage.output: stage for stage in stages}
    by_input = {slot: stage for stage in stages for slot in stage.inputs}
    calls = Counter(step.layer for step in program.steps)
    for stage in stages:
        if type(stage.operation) is not Add or len(stage.inputs) != 2:
            continue
        first, second = (program.shapes[slot] for slot in stage.inputs)
        found = [slot for slot in stage.inputs if readers[slot] == 1 and slot in by_output]
        found = [slot for slot in found if fusion.fuses_with_add(by_output[slot].operation)]
        found = [slot for slot in found if by_output[slot].training == stage.training]
        # Averages of a layer that is called again would move in another order.
        found = [slot for slot in found if all(calls[one] == 1 for one in by_output[slot].layers)]
        # Sizes that are not known yet may differ, and 1 is then repeated.
        if first != second or None in first[1:] or not found:
            continue
        normalized = by_output.pop(found[-1])
        other = stage.inputs[1 - stage.inputs.index(found[-1])]
        behind = by_input.get(stage.output) if readers[stage.output] == 1 else None
        if behind is not None and not (
            fusion.is_relu(behind.operation) and behind.training == stage.training
        ):
            behind = None
        steps = [*normalized.steps, *stage.steps, *(() if behind is None else behind.steps)]
        relu: Any = None if behind is None else behind.operation
        operation = FusedResidual(normalized.operation, stage.layers[0], relu)
        del by_output[stage.output]
        merged = Stage(steps, operation, (normalized.inputs[0], other))
        by_output[merged.output] = merged
    return list(by_output.values())


def _final_activation(step: Step, program: Program, readers: Counter[int]) -> str | None:
    """Return the activation of a step that gives an output and nothing else, if a loss takes it."""
    if step.output not in program.outputs or readers[step.output] > 1:
        return None
    layer: Any = step.layer
    name = getattr(getattr(layer, "activation", None), "name", None)
    return name if name in _TAKEN_IN_BY_LOSSES and hasattr(layer, "pre_activation") else None


def _plan_gradients(stages: list[Stage], trainable: bool, needed: set[int]) -> None:
    """Tell the layers which gradients are asked of them, in training.

    `needed` are tensors whose gradient somebody needs: before others something is trained.
    """
    silent = set[int]()  # tensors whose gradient does not count where they are 0
    seen = Counter[int]()
    for stage in stages:
        for step in stage.steps:
            layer = step.layer
            wanted = any(slot in needed for slot in step.inputs)
            counts = any(slot not in silent for slot in step.inputs)
            stage.flags.append((layer, "needs_input_gradient", wanted))
            stage.flags.append((layer, "needs_gradient_at_zeros", counts))
            if step.training is False:
                stage.flags.append((layer, "inference", True))
            own = layer.trainable_weights if trainable and step.trained else []
            stage.parameters += own
            if wanted or own:
                needed.add(step.output)
            if not fusion.passes_gradient_at_zeros(layer, counts):
                silent.add(step.output)
        stage.wanted = {slot: slot in needed for slot in stage.inputs}
        stage.needs_input_gradient = any(stage.wanted.values())
        seen.update(id(parameter) for parameter in set(stage.parameters))
    for stage in stages:
        stage.shares_parameters = any(seen[id(parameter)] > 1 for parameter in stage.parameters)


def _plan_overwriting(stages: list[Stage], program: Program, readers: Counter[int]) -> None:
    """Let stages write their input's gradient over the input where nobody reads that any more.

    They may where the operation before, whose output the input is, goes back without reading it,
    and nobody else reads it.
    """
    unread = set[int]()
    for stage in stages:
        (source, *more) = stage.inputs or (-1,)
        alone = not more and readers[source] == 1 and source in unread
        if alone and type(stage.operation) in (FusedConvReluPool, Dense):
            stage.flags.append((stage.layers[0], "may_overwrite_input", True))
        views = type(stage.operation) in (Flatten, InputLayer)  # whose output is the input
        gives_unread = (FusedConvReluPool, FusedReluMaxPool, MaxPooling2D)
        if alone if views else type(stage.operation) in gives_unread:
            unread.add(stage.output)
    unread.difference_update(program.outputs)


def _plan_last_reads(stages: list[Stage], program: Program) -> None:
    seen = {slot for stage in stages if stage.is_open for slot in stage.inputs}
    last: dict[int, Stage] = {}
    for stage in stages:
        last |= dict.fromkeys((*stage.inputs, stage.output), stage)
    for slot, stage in last.items():
        if slot not in program.outputs and slot not in seen:
            stage.last_reads += (slot,)
