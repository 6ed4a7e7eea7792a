"""A region as one operation of PyTorch's, with its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from . import arrays
from .regions import Region
from .runner import Mode, Runner, weights_of

MODES_KEPT = 8
IDLE_KEPT = 2


class RegionRunners:
    """The runners of a region: one for each mode and each pass that is under way."""

    def __init__(self, region: Region, modules: Mapping[str, nn.Module]) -> None:
        self.region, self._modules = region, modules
        self._names = weights_of(region, modules)
        self._idle: dict[Mode, list[Runner]] = {}
        self._refused: set[Mode] = set()

    def weights(self) -> list[torch.Tensor]:
        """Return the weights as they are now."""
        return [getattr(self._modules[target], name) for target, name in self._names]

    def take(self, mode: Mode) -> Runner | None:
        """Return a runner that nobody else has; None where the layers do not fit the shapes."""
        if mode in self._refused:
            return None
        try:
            return self._idle.get(mode, []).pop()
        except IndexError:
            pass
        try:
            return Runner(self.region, self._modules, mode)
        except ValueError:
            self._refused.add(mode)
            return None

    def give_back(self, runner: Runner) -> None:
        """Take a runner back, for the next pass of its mode."""
        idle = self._idle.pop(runner.mode, [])
        if len(idle) < IDLE_KEPT:
            idle.append(runner)
        self._idle[runner.mode] = idle  # the modes used last are at the end
        while len(self._idle) > MODES_KEPT:
            del self._idle[next(iter(self._idle))]

    def run(self, inputs: Sequence[Any]) -> tuple[torch.Tensor, ...] | None:
        """Return the region's outputs; None where PyTorch has to compute them."""
        if not all(arrays.is_plain(one, torch.float32) and one.ndim == 4 for one in inputs):
            return None
        weights = self.weights()
        if not all(arrays.is_plain(one, torch.float32) for one in weights):
            return None
        images = len(inputs[0])
        if images == 0 or any(len(one) != images for one in inputs):
            return None
        learning = torch.is_grad_enabled()
        mode = Mode(
            tuple([tuple(one.shape[1:]) for one in inputs]),
            tuple([learning and one.requires_grad for one in inputs]),
            tuple([learning and one.requires_grad for one in weights]),
            tuple([tuple(one.shape) for one in weights]),
        )
        runner = self.take(mode)
        if runner is None:
            return None
        if runner.refuses(images) or not runner.pays(images):
            self.give_back(runner)
            return None
        run = _Pass(self, runner, len(inputs), _gives_channels_last(inputs, weights))
        if not mode.learns:
            return run.forward([*inputs, *weights])
        outputs: tuple[torch.Tensor, ...] = _Operation.apply(run, *inputs, *weights)
        return outputs


def _gives_channels_last(inputs: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]) -> bool:
    kernels = [one for one in weights if one.ndim == 4]
    return any(map(arrays.is_channels_last, (*inputs, *kernels)))


class _Pass:
    """A runner's way forward and back; the runner is free again when both are over."""

    def __init__(
        self, runners: RegionRunners, runner: Runner, inputs: int, channels_last: bool
    ) -> None:
        self._runners, self._mode, self._inputs = runners, runner.mode, inputs
        self._runner: Runner | None = runner
        self._channels_last = channels_last

    def __del__(self) -> None:
        self._free()

    def _free(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            self._runners.give_back(runner)

    def forward(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the outputs as tensors of their own memory."""
        assert self._runner is not None, "a pass goes forward once"
        outputs = self._forward(self._runner, tensors, moves=True)
        results = tuple([arrays.copy_of(one, self._channels_last) for one in outputs])
        if not self._mode.learns:
            self._free()
        return results

    def _forward(
        self, runner: Runner, tensors: Sequence[torch.Tensor], moves: bool
    ) -> list[np.ndarray]:
        images = [arrays.images_of(one) for one in tensors[: self._inputs]]
        return runner.forward(images, tensors[self._inputs :], moves)

    def backward(
        self, tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor | None]
    ) -> list[torch.Tensor | None]:
        """Return the gradients of inputs and weights, None where they are not wanted."""
        runner, self._runner = self._runner, None
        if runner is None:  # once more, as retain_graph=True allows
            runner = self._runners.take(self._mode)
            assert runner is not None, "it was made for the first pass"
            self._forward(runner, tensors, moves=False)
        images = [None if one is None else arrays.images_of(one) for one in gradients]
        found: list[torch.Tensor | None] = []
        for tensor, wanted, dx in zip(
            tensors, self._mode.inputs_wanted, runner.backward(images), strict=False
        ):
            if not wanted or dx is None:
                found.append(None)
            else:
                found.append(arrays.copy_of(dx, arrays.is_channels_last(tensor)))
        for parameter, wanted in zip(runner.weights, self._mode.weights_wanted, strict=True):
            given = wanted and parameter.reached
            found.append(arrays.weight_of(parameter.gradient) if given else None)
        self._runners.give_back(runner)
        return found


class _Operation(torch.autograd.Function):
    """What autograd knows of a pass: what it reads, and how to go back."""

    @staticmethod
    def forward(ctx: Any, run: _Pass, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return run.forward(tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[Any, ...]:
        return None, *ctx.run.backward(ctx.saved_tensors, gradients)
