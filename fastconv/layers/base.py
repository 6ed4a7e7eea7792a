"""What a layer is: parameters, buffers, shapes, and the calls a model makes.

A layer in plain NumPy needs no more than this:

    class Scale(Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")

        def call(self, x, training=False):
            self.x = x
            return x * self.factor.value

        def backward(self, dy):
            self.factor.gradient = (dy * self.x).reshape(-1, dy.shape[-1]).sum(axis=0)
            return dy * self.factor.value
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import initializers
from .._memory import aligned_empty, contiguous
from .._validation import channels_last, number_array
from ..runtime import get_fast_math, get_num_threads
from ..utils import automatic_name
from .arguments import (
    Shape,
    check_call_takes_training,
    check_dtype,
    checked_input_shape,
    constructor_arguments,
)
from .parameter import Parameter

Plan = TypeVar("Plan")

# Two batch sizes (the full one and the last of an epoch), in training and in validation.
PLANS_KEPT = 4


class Layer:
    """A step of a model: an array of a batch in, an array of a batch out.

    A subclass defines `call` and, to be trained, `backward`; one with weights
    defines `build`, and one whose constructor takes arguments of its own
    defines `get_config`.  Arrays are C-contiguous float32 with the batch first.

    The order of calls is: `build(input_shape)` once; then for each batch
    `call(x, training)` and, after a call in training, `backward(dy)`.  `x` and
    `dy` belong to others and must not be written to; what `call` and `backward`
    return may be the layer's own memory (`buffer`), overwritten at the next
    call.  Calling the layer itself, `layer(x)`, builds it if need be and
    returns an array of the caller's own.

    Arguments: `name` (made from the class's name unless given), `input_shape`
    without the batch (first layer of a model), `trainable`.  `dtype` may be
    "float32" and `data_format` "channels_last"; nothing else is supported.
    Raises TypeError for an unknown argument, naming the known ones.
    """

    #: Whether `backward` has to return the input's gradient; a model sets False, while
    #: it goes back, on a layer that has nothing to train before it.
    needs_input_gradient: bool = True

    #: Whether that gradient counts where the input is 0; a model sets False, while it goes
    #: back, where the layers before stop it there, and a layer may then leave it 0.
    needs_gradient_at_zeros: bool = True

    #: Whether `backward` may write that gradient over the input; a model sets True while
    #: it goes back and nobody reads the input any more: half the memory is touched.
    may_overwrite_input: bool = False

    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        trainable: bool = True,
        dtype: Any = None,
        data_format: str | None = None,
        **unknown: Any,
    ) -> None:
        kind = type(self).__name__
        if unknown:
            raise TypeError(
                f"{kind}: unknown argument {', '.join(map(repr, unknown))}; "
                f"accepted are {', '.join(constructor_arguments(type(self)))}"
            )
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(
                f"{kind}: name is {name!r}; give a string that is not empty and has no '/'"
            )
        self.name = automatic_name(kind) if name is None else name
        channels_last(data_format, self.label)
        check_dtype(dtype, self.label)
        self.trainable = bool(trainable)
        self.built = False
        self._given_shape = (
            None if input_shape is None else checked_input_shape(input_shape, self.label)
        )
        self._input_shape: Shape | None = None
        self._shapes: tuple[Shape, Shape] | None = None
        self._parameters: list[Parameter] = []
        self._buffers: dict[tuple[str, np.dtype], np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}  # of the buffers, as they were asked for last
        self._plans: dict[tuple, Any] = {}
        self._kept: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A user's `build` need not call its parent's: the bookkeeping is put around it.
        if "build" in cls.__dict__:
            cls.build = _built_once(cls.build)

    def __repr__(self) -> str:
        return f"<{self.label}>"

    @property
    def label(self) -> str:
        """The layer as error messages name it, for example "Conv2D 'conv2d_1'"."""
        return f"{type(self).__name__} '{self.name}'"

    # What a subclass defines.

    def build(self, input_shape: Shape) -> None:
        """Create the parameters for inputs of `input_shape`, (None, ...); once."""
        self._input_shape = (None, *input_shape[1:])
        self.built = True

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the layer's output; keep what `backward` needs if `training`."""
        raise NotImplementedError(f"{self.label} does not define call(x, training)")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Turn the gradient of the output into that of the input.

        Overwrites `gradient` of each parameter.  May return None where
        `needs_input_gradient` is False.
        """
        raise NotImplementedError(
            f"{self.label} does not define backward(dy), so it cannot be trained"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output's shape, (None, ...), for inputs of `input_shape`.

        Unless a subclass knows better, one sample of zeros is sent through.
        """
        if None in input_shape[1:]:
            raise ValueError(
                f"{self.label}: the output shape cannot be told from the input shape "
                f"{tuple(input_shape)}; define compute_output_shape or give every size"
            )
        if not self.built:
            self.build(input_shape)
        check_call_takes_training(self.call, self.label)
        sample = np.zeros((1, *input_shape[1:]), np.float32)
        output = self.call(sample, training=False)
        if not isinstance(output, np.ndarray) or output.ndim == 0:
            raise TypeError(
                f"{self.label}: call(x, training) returned {output!r}; return an array (batch, ...)"
            )
        return (None, *output.shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        # Arguments that came with a class below the one whose get_config this is would be lost.
        writer = next(cls for cls in type(self).__mro__ if "get_config" in cls.__dict__)
        known = constructor_arguments(writer)
        lost = [name for name in constructor_arguments(type(self)) if name not in known]
        if lost:
            raise NotImplementedError(
                f"{self.label}: the constructor takes {', '.join(lost)}, so the class "
                "must define get_config() to be saved"
            )
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self._given_shape is not None:
            config["input_shape"] = list(self._given_shape)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what `get_config` returned."""
        return cls(**config)

    def get_state(self) -> dict[str, Any]:
        """Return what the layer remembers besides its weights; it fits JSON."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        if state:
            raise ValueError(f"{self.label} has no state, but was given {sorted(state)}")

    # What users and models call.

    def __call__(self, x: Any, training: bool = False) -> np.ndarray:
        """Return the output for `x`, (batch, ...), as a new array; build the layer if need be."""
        array = number_array(x, "the input", self.label)
        if array.ndim == 0:
            raise ValueError(f"{self.label}: the input is one number; give an array (batch, ...)")
        array = contiguous(array, np.float32)
        if not self.built:
            self.build((None, *array.shape[1:]))
        return np.array(self.call(array, training=training), np.float32)

    @property
    def input_shape(self) -> Shape | None:
        """(None, ...): the shape built for or given to the constructor; None if neither."""
        if self._input_shape is None and self._given_shape is not None:
            return (None, *self._given_shape)
        return self._input_shape

    @property
    def output_shape(self) -> Shape | None:
        """(None, ...): the output's shape; None where the input's is not known yet."""
        shape = self.input_shape
        if shape is None:
            return None
        if self._shapes is None or self._shapes[0] != shape:
            self._shapes = (shape, self.compute_output_shape(shape))
        return self._shapes[1]

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter, in order of creation."""
        return list(self._parameters)

    @property
    def weights(self) -> list[Parameter]:
        """Every parameter; the same as `parameters`."""
        return list(self._parameters)

    @property
    def trainable_weights(self) -> list[Parameter]:
        """What an optimizer changes: nothing if the layer's `trainable` is False."""
        return [p for p in self._parameters if p.trainable and self.trainable]

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """What an optimizer leaves alone."""
        return [p for p in self._parameters if not (p.trainable and self.trainable)]

    def count_params(self) -> int:
        """Return how many numbers the parameters hold."""
        return sum(parameter.size for parameter in self._parameters)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the parameters' values."""
        return [parameter.value.copy() for parameter in self._parameters]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy `weights` into the parameters; on an error none is changed."""
        arrays = [np.asarray(weight) for weight in weights]
        if len(arrays) != len(self._parameters):
            raise ValueError(
                f"{self.label}: {len(arrays)} arrays were given for {len(self._parameters)} "
                "weights" + ("" if self.built else "; the layer is not built yet")
            )
        for parameter, array in zip(self._parameters, arrays, strict=True):
            parameter.check(array, owner=self.label)
        for parameter, array in zip(self._parameters, arrays, strict=True):
            parameter.assign(array)

    # What subclasses use.

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        name: str | None = None,
    ) -> Parameter:
        """Create a parameter of `shape` in `build` and return it.

        Its `value` is read in `call`; its `gradient` is written in `backward`.
        """
        taken = {parameter.name for parameter in self._parameters}
        if name is None:
            free = (f"variable_{n}" if n else "variable" for n in range(len(taken) + 1))
            name = next(candidate for candidate in free if candidate not in taken)
        if name in taken or "/" in name:
            raise ValueError(
                f"{self.label}: a weight cannot be named {name!r}; give a name without '/' "
                "that no other weight of the layer has"
            )
        chosen = initializers.get(initializer, owner=self.label)
        parameter = Parameter(name, chosen(tuple(shape)), trainable=trainable)
        self._parameters.append(parameter)
        return parameter

    def buffer(self, key: str, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """Return uninitialised memory of the layer's own, the same for the same `key`.

        It grows to the largest shape asked for, so that batches of different
        sizes share it and training allocates nothing after its first steps.
        """
        shape = tuple(shape)
        held = self._views.get(key)
        if held is not None and held.shape == shape and held.dtype == dtype:
            return held
        dtype = np.dtype(dtype)
        size = math.prod(shape)
        memory = self._buffers.get((key, dtype))
        if memory is None or memory.size < size:
            memory = self._buffers[key, dtype] = aligned_empty((size,), dtype)
        view = self._views[key] = memory[:size].reshape(shape)
        return view

    def input_gradient_buffer(self, x: np.ndarray) -> np.ndarray | None:
        """Return where `backward` writes the gradient of its input `x`, None if nobody needs it."""
        if not self.needs_input_gradient:
            return None
        return x if self.may_overwrite_input else self.buffer("dx", x.shape)

    def plan(self, key: tuple, make: Callable[[], Plan]) -> Plan:
        """Return the plan made before for `key` and the runtime's settings, or a new one."""
        key = (*key, get_num_threads(), get_fast_math())
        if key not in self._plans:
            plan = make()
            while len(self._plans) >= PLANS_KEPT:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = plan
        return self._plans[key]

    def _recall(self) -> Any:
        """Return what `call` kept for `backward`."""
        if self._kept is None:
            raise RuntimeError(f"{self.label}: backward(dy) needs call(x, training=True) before it")
        return self._kept

    def checked_gradient(self, dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return `dy` as the kernels need it, after checking it against the output's `shape`."""
        if dy.shape != tuple(shape):
            raise ValueError(
                f"{self.label}: the output's gradient has shape {dy.shape}; the output has "
                f"{tuple(shape)}"
            )
        return contiguous(dy, np.float32)

    def _check_images(self, input_shape: Shape) -> None:
        """Refuse an input shape that is not of images of a known size."""
        if len(input_shape) != 4:
            raise ValueError(
                f"{self.label}: the input has shape {tuple(input_shape)}; four axes are needed, "
                "(batch, height, width, channels)"
            )
        if None in input_shape[1:]:
            raise ValueError(
                f"{self.label}: the input has shape {tuple(input_shape)}; every size but the "
                "batch must be known"
            )


def _built_once(build: Callable[[Any, Shape], None]) -> Callable[[Any, Shape], None]:
    """Wrap a subclass's `build`: shape as a tuple, `built` set, nothing left by a failure."""

    @functools.wraps(build)
    def wrapper(self: Layer, input_shape: Shape) -> None:
        input_shape = (None, *input_shape[1:])
        if self.built:
            if input_shape == self._input_shape:
                return
            raise ValueError(
                f"{self.label}: already built for inputs of shape {self._input_shape}; "
                f"make a new layer for {input_shape}"
            )
        before = len(self._parameters)
        try:
            build(self, input_shape)
        except BaseException:
            del self._parameters[before:]
            self.built = False
            raise
        Layer.build(self, input_shape)

    return wrapper
