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

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from .. import initializers
from .._core.json_values import Configured
from .._core.memory import contiguous
from .._core.naming import automatic_name
from .._core.options import Strict
from .._core.validation import channels_last, number_array, truth
from .arguments import (
    Shape,
    check_activity_regularizer,
    check_call_takes_training,
    check_dtype,
    checked_input_shape,
    checked_name,
    constructor_arguments,
    lost_arguments,
)
from .options import LayerOption
from .parameter import Parameter
from .workspace import OfWorkspace, Plan, Workspace, Workspaces, running

Build = TypeVar("Build", bound=Callable[..., None])


class Layer(Strict, Configured):
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

    Threads: what `layer(x)` and models return is right from any number of threads at once,
    and so are `call` and `backward` by hand, except that the gradients of the parameters
    are the layer's: backward passes at once overwrite each other's.  Attributes in
    which a layer of your own keeps something for `backward` are safe in a model.

    Attributes: `name`, `trainable` and what a class says may be assigned at any time and
    count from the next call on; what shapes the layer only until it is built.  A copy,
    by `copy` or `pickle`, has weights of its own.

    Arguments: `name` (made from the class's name unless given), `input_shape`
    without the batch (first layer of a model), `trainable`.  `dtype` may be
    "float32" and `data_format` "channels_last"; nothing else is supported.
    Raises TypeError for an unknown argument, naming the known ones.
    """

    name = LayerOption(checked_name)
    trainable = LayerOption(truth)
    built: bool = False

    #: Whether `backward` has to return the input's gradient.  During its backward pass
    #: a model sets False on a layer that has nothing to train before it.
    needs_input_gradient = OfWorkspace()

    #: Whether that gradient counts where the input is 0.  During its backward pass a model
    #: sets False where the layers before stop it there; a layer may then leave it 0.
    needs_gradient_at_zeros = OfWorkspace()

    #: Whether `backward` may write that gradient over the input, which halves the memory
    #: touched.  During its backward pass a model sets True where nobody reads the input
    #: any more.
    may_overwrite_input = OfWorkspace()

    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        trainable: bool = True,
        dtype: Any = None,
        data_format: str | None = None,
        activity_regularizer: None = None,
        **unknown: Any,
    ) -> None:
        kind = type(self).__name__
        if unknown:
            raise TypeError(
                f"{kind}: unknown argument {', '.join(map(repr, unknown))}; "
                f"accepted are {', '.join(constructor_arguments(type(self)))}"
            )
        self.name = automatic_name(kind) if name is None else name
        channels_last(data_format, self.owner)
        check_dtype(dtype, self.owner)
        check_activity_regularizer(activity_regularizer, self.owner)
        self.trainable = trainable
        self.built = False
        self._given_shape = (
            None if input_shape is None else checked_input_shape(input_shape, self.owner)
        )
        self._input_shape: Shape | None = None
        self._shapes: tuple[Shape, Shape] | None = None
        self._parameters: list[Parameter] = []
        self._workspaces = Workspaces()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A user's `build` need not call its parent's: the bookkeeping is put around it.
        if "build" in cls.__dict__:
            cls.build = _built_once(cls.build)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"<{self.owner}>"

    @property
    def owner(self) -> str:
        """The layer as error messages name it, for example "Conv2D 'conv2d_1'"."""
        name = self.__dict__.get("name")
        return type(self).__name__ + (f" '{name}'" if name else "")

    @property
    def label(self) -> str:
        """The same as `owner`, which it was called before."""
        return self.owner

    def __getstate__(self) -> dict[str, Any]:
        # Locks stay behind, and so do buffers and plans, which come anew with the next call.
        return {key: value for key, value in self.__dict__.items() if key != "_workspaces"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._workspaces = Workspaces()

    def __copy__(self) -> Layer:
        return copy.deepcopy(self)

    # What a subclass defines.

    def build(self, input_shape: Shape) -> None:
        """Create the parameters for inputs of `input_shape`, (None, ...); once."""
        self._input_shape = (None, *input_shape[1:])
        self.built = True

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the layer's output; keep what `backward` needs if `training`."""
        raise NotImplementedError(f"{self.owner} does not define call(x, training)")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return the gradient of the input for `dy`, that of the output.

        Overwrites `gradient` of each parameter.  May return None where
        `needs_input_gradient` is False.
        """
        raise NotImplementedError(
            f"{self.owner} does not define backward(dy), so it cannot be trained"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output's shape, (None, ...), for inputs of `input_shape`.

        Unless a subclass knows better, one sample of zeros is sent through.
        """
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(sizes) != len(input_shape) - 1:
            raise ValueError(
                f"{self.owner}: the output shape cannot be told from the input shape "
                f"{tuple(input_shape)}; define compute_output_shape or give every size"
            )
        if not self.built:
            self.build(input_shape)
        check_call_takes_training(self.call, self.owner)
        output = self._call(np.zeros((1, *sizes), np.float32), training=False)
        if not isinstance(output, np.ndarray) or output.ndim == 0:
            raise TypeError(
                f"{self.owner}: call(x, training) returned {output!r}; return an array (batch, ...)"
            )
        return (None, *output.shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; they fit JSON."""
        if lost := lost_arguments(type(self)):
            raise NotImplementedError(
                f"{self.owner}: the constructor takes {', '.join(lost)}, so the class "
                "must define get_config() to be saved"
            )
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self._given_shape is not None:
            config["input_shape"] = list(self._given_shape)
        return config

    def get_state(self) -> dict[str, Any]:
        """Return what the layer remembers besides its weights; it fits JSON."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        if state:
            raise ValueError(f"{self.owner} has no state, but was given {sorted(state)}")

    # What users and models call.

    def __call__(self, x: Any, training: bool = False) -> np.ndarray:
        """Return the output for `x`, (batch, ...), as a new array; build the layer if need be."""
        array = number_array(x, "the input", self.owner)
        if array.ndim == 0:
            raise ValueError(f"{self.owner}: the input is one number; give an array (batch, ...)")
        if not self.built:
            self.build((None, *array.shape[1:]))
        return np.asarray(self._call(contiguous(array, np.float32), training), np.float32)

    def _call(self, x: np.ndarray, training: bool) -> Any:
        """Return `call`'s output as the caller's own, whatever other threads do."""
        # In training the thread's own workspace keeps what its `backward` will ask for.
        with self._workspaces.locked(share=not training):
            output = self.call(x, training=training)
            return output.copy() if isinstance(output, np.ndarray) else output

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
        with self._workspaces.locked():
            return [parameter.value.copy() for parameter in self._parameters]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy `weights` into the parameters; on an error none is changed."""
        arrays = [np.asarray(weight) for weight in weights]
        if len(arrays) != len(self._parameters):
            raise ValueError(
                f"{self.owner}: {len(arrays)} arrays were given for {len(self._parameters)} "
                "weights" + ("" if self.built else "; the layer is not built yet")
            )
        for parameter, array in zip(self._parameters, arrays, strict=True):
            parameter.check(array, owner=self.owner)
        with self._workspaces.locked():
            for parameter, array in zip(self._parameters, arrays, strict=True):
                parameter.assign(array)

    # What subclasses use.

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        name: str | None = None,
        *,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Parameter:
        """Create a parameter of `shape` in `build` and return it.

        Its `value` is read in `call`; its `gradient` is written in `backward`, without
        that of the regularizer's penalty, which training adds.
        """
        taken = {parameter.name for parameter in self._parameters}
        if name is None:
            free = (f"variable_{n}" if n else "variable" for n in range(len(taken) + 1))
            name = next(candidate for candidate in free if candidate not in taken)
        if name in taken or "/" in name:
            raise ValueError(
                f"{self.owner}: a weight cannot be named {name!r}; give a name without '/' "
                "that no other weight of the layer has"
            )
        chosen = initializers.get(initializer, owner=self.owner)
        value = initializers.initial_value(chosen, name, tuple(shape))
        parameter = Parameter(
            name, value, trainable=trainable, regularizer=regularizer, constraint=constraint
        )
        self._parameters.append(parameter)
        return parameter

    def buffer(self, key: str, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """Return uninitialised memory of the layer's own, the same for the same `key`.

        It grows to the largest shape asked for, so that batches of different
        sizes share it and training allocates nothing after its first steps.
        """
        return self._workspace.buffer(key, shape, dtype)

    def input_gradient_buffer(self, x: np.ndarray) -> np.ndarray | None:
        """Return where `backward` writes the gradient of its input `x`, None if nobody needs it."""
        if not self.needs_input_gradient:
            return None
        return x if self.may_overwrite_input else self.buffer("dx", x.shape)

    def plan(self, key: tuple[Any, ...], make: Callable[[], Plan]) -> Plan:
        """Return the plan made before for `key` and the runtime's settings, or a new one."""
        return self._workspace.plan(key, make)

    @property
    def _workspace(self) -> Workspace:
        workspaces = self._workspaces
        shares = running.group is workspaces.group
        return workspaces.shared if shares else workspaces.own.workspace

    def _saved_for_backward(self) -> Any:
        """Return what `call` saved for `backward`."""
        saved = self._workspace.saved_for_backward
        if saved is None:
            raise RuntimeError(f"{self.owner}: backward(dy) needs call(x, training=True) before it")
        return saved

    def checked_gradient(self, dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return `dy` as the kernels need it, after checking it against the output's `shape`."""
        if dy.shape != tuple(shape):
            raise ValueError(
                f"{self.owner}: the output's gradient has shape {dy.shape}; the output has "
                f"{tuple(shape)}"
            )
        return contiguous(dy, np.float32)


def _built_once(build: Build) -> Build:
    """Wrap a subclass's `build`: shape as a tuple, `built` set, nothing left by a failure."""

    @functools.wraps(build)
    def wrapper(self: Layer, input_shape: Shape) -> None:
        input_shape = (None, *input_shape[1:])
        with self._workspaces.locked():
            if self.built:
                if input_shape == self._input_shape:
                    return
                raise ValueError(
                    f"{self.owner}: already built for inputs of shape {self._input_shape}; "
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

    return cast(Build, wrapper)
