"""Several neighbouring layers as one operation, which has a layer's `call` and `backward`.

The user's layers stay as they are: a fused op reads their parameters and options, and writes
their gradients.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..activations import limit_of
from ..layers import Conv2D, MaxPooling2D
from ..layers.base import Layer
from ..layers.workspace import Workspace, running
from ..ops.plans import ConvPoolPlan, Pool2DPlan


class FusedOp:
    """Base of what stands for `layers`, the first of which reads the input."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers
        self._own = Workspace()

    @property
    def _workspace(self) -> Workspace:
        frame = running.frame
        return self._own if frame is None else frame[self]

    def call(self, x: Any, training: bool = False) -> np.ndarray:
        """Return the last layer's output, in a buffer of one of the layers."""
        raise NotImplementedError

    def backward(self, dy: np.ndarray) -> Any:
        """Write the layers' gradients and return the input's, if anyone needs it."""
        raise NotImplementedError

    def _saved_for_backward(self) -> Any:
        saved = self._workspace.saved_for_backward
        if saved is None:
            owner = self.layers[0].owner
            raise RuntimeError(f"{owner}: backward(dy) needs call(x, training=True) before it")
        return saved


class FusedConvRelu(FusedOp):
    """Conv2D and the ReLU or ReLU6 layer behind it: the kernel clips sums in registers."""

    def __init__(self, convolution: Conv2D, relu: Any) -> None:
        super().__init__(convolution, relu)
        self._convolution, self._relu = convolution, relu
        self._limit = limit_of(relu.activation)

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y = self._convolution.clipped(x, training, self._limit)
        self._workspace.saved_for_backward = y if training else None
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        relu, y = self._relu, self._saved_for_backward()
        dy = relu.checked_gradient(dy, y.shape)
        dz = relu.activation.backward(dy, y, relu.buffer("dz", dy.shape))
        return self._convolution.pre_activation_backward(dz)


class _FusedPooling(FusedOp):
    """Conv2D, its ReLU, of its own or the layer behind it, and a max pooling."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        self._convolution: Any = layers[0]
        self._pooling: Any = layers[-1]

    @staticmethod
    def _pool_buffers(
        workspace: Workspace, shape: tuple[int, ...], training: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return where the output goes and, in training, where each maximum's place does."""
        out = workspace.buffer("output", shape, np.float32)
        return out, workspace.buffer("argmax", shape, np.uint8) if training else None


class FusedConvReluPool(_FusedPooling):
    """Conv2D with ReLU and the 2x2 max pooling behind it, in one kernel."""

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        convolution, workspace = self._convolution, self._workspace  # once: looked up by thread
        plan = workspace.plan((x.shape,), lambda: self._make_plan(x.shape))
        out, argmax = self._pool_buffers(workspace, plan.output_shape, training)
        bias = convolution.bias
        plan.forward(
            x, convolution.kernel.contents, None if bias is None else bias.contents, out, argmax
        )
        workspace.saved_for_backward = (plan, x, argmax) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        convolution = self._convolution
        plan, x, argmax = self._saved_for_backward()
        dy = self._pooling.checked_gradient(dy, plan.output_shape)
        # It may be x itself: the plan reads x for the kernel's gradient first.
        dx: np.ndarray | None = convolution.input_gradient_buffer(x)
        plan.backward(
            dy,
            argmax,
            x,
            convolution.kernel.contents,
            dx,
            convolution.kernel.gradient,
            None if convolution.bias is None else convolution.bias.gradient,
        )
        return dx

    def _make_plan(self, input_shape: Any) -> ConvPoolPlan:
        convolution = self._convolution
        return ConvPoolPlan(
            input_shape,
            convolution.kernel.shape,
            strides=convolution.strides,
            padding=convolution.padding,
            owner=convolution.owner,
        )


class FusedReluMaxPool(_FusedPooling):
    """Conv2D with ReLU and any max pooling behind it: two kernels, and no pass for the ReLU.

    What the ReLU stops has a maximum of 0, and the pooling passes no gradient to it.
    """

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y = self._convolution.clipped(x, training, math.inf)
        workspace = self._workspace
        plan = workspace.plan((y.shape,), lambda: self._make_plan(y.shape))
        out, argmax = self._pool_buffers(workspace, plan.output_shape, training)
        plan.forward(y, out, argmax)
        workspace.saved_for_backward = (plan, y.shape, argmax) if training else None
        return out

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        plan, shape, argmax = self._saved_for_backward()
        dy = self._pooling.checked_gradient(dy, plan.output_shape)
        dz = self._pooling.buffer("dx", shape)
        plan.backward(dy, None, dz, argmax)
        dx: np.ndarray | None = self._convolution.pre_activation_backward(dz)
        return dx

    def _make_plan(self, shape: Any) -> Pool2DPlan:
        pooling: MaxPooling2D = self._pooling
        return Pool2DPlan(
            "max",
            shape,
            pool_size=pooling.pool_size,
            strides=pooling.strides,
            padding=pooling.padding,
            dilation_rate=pooling.dilation_rate,
            ceil_mode=pooling.ceil_mode,
            relu_input=True,
            owner=pooling.owner,
        )
