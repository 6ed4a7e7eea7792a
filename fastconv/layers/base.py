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

from .._core.handing_out import handed_out
from .._core.json_values import Configured
from .._core.memory import contiguous
from .._core.naming import automatic_name
from .._core.options import Strict
from .._core.validation import channels_last, number_array
from .arguments import (
    Shape,
    batch_shapes,
    check_activity_regularizer,
    check_call_takes_training,
    check_dtype,
    checked_input_shape,
    checked_name,
    constructor_arguments,
    is_shape_list,
    lost_arguments,
)
from .options import LayerOption
from .parameter import Parameter
from .sublayers import TrainableOption, Weighted
from .symbolic import (
    Node,
    Tensor,
    checked_inputs,
    connect,
    is_foreign,
    is_symbolic,
    trace,
)
from .workspace import OfWorkspace, Plan, Workspace, Workspaces, running

Build = TypeVar("Build", bound=Callable[..., None])


class Layer(Weighted, Strict, Configured):
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
    trainable = TrainableOption()
    built: bool = False

    #: Whether `build` makes weights for one shape, and is put into `_built_once`.
    _is_built_once: bool = True

    #: Whether the layer merges: `build`, `call` and `compute_output_shape` get a list, and
    #: `backward` returns one.
    takes_list: bool = False

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
        self._given_shape = (
            None if input_shape is None else checked_input_shape(input_shape, self.owner)
        )
        self._input_shape: Shape | None = None
        self._shapes: tuple[Shape, Shape] | None = None
        self._parameters: list[Parameter] = []
        self._workspaces = Workspaces()
        self._nodes: list[Node] = []

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A user's `build` need not call its parent's: the bookkeeping is put around it.
        if "build" in cls.__dict__ and cls._is_built_once:
            cls.build = _built_once(cls.build)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"<{self.owner}>"

    @property
    def owner(self) -> str:
        """The layer as error messages name it, for example "Conv2D 'conv2d_1'"."""
        name = self.__dict__.get("name")
        return type(self).__name__ + (f" '{name}'" if name else "")

    def __getstate__(self) -> dict[str, Any]:
        # Locks stay behind, and so do buffers and plans, which come anew with the next call, and
        # the graphs that the layer is part of.
        left = ("_workspaces", "_nodes")
        return {key: value for key, value in self.__dict__.items() if key not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._workspaces, self._nodes = Workspaces(), []

    def __copy__(self) -> Layer:
        return copy.deepcopy(self)

    # What a subclass defines.

    def build(self, input_shape: Shape) -> None:
        """Create the parameters for inputs of `input_shape`, (None, ...); once."""
        self._input_shape = batch_shapes(input_shape)
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

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output's shape, (None, ...), for inputs of `input_shape`, or a list of them.

        Unless a subclass knows better, one sample of zeros is sent through.
        """
        if not self.built:
            self.build(input_shape)
        check_call_takes_training(self.call, self.owner)
        shapes = input_shape if is_shape_list(input_shape) else [input_shape]
        if any(size is None for shape in shapes for size in shape[1:]):
            raise ValueError(
                f"{self.owner}: the output shape cannot be told from the input shape "
                f"{tuple(input_shape)}; define compute_output_shape or give every size"
            )
        zeros = [np.zeros((1, *shape[1:]), np.float32) for shape in shapes]
        output = self._call(zeros if shapes is input_shape else zeros[0], training=False)
        if not isinstance(output, np.ndarray) or output.ndim == 0:
            raise TypeError(
                f"{self.owner}: call(x, training) returned {output!r}; it must be an array, "
                "(batch, ...)"
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
        states = {str(n): layer.get_state() for n, layer in enumerate(self._sublayers())}
        return {n: state for n, state in states.items() if state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        nested = {str(n): layer for n, layer in enumerate(self._sublayers())}
        if not state.keys() <= nested.keys():
            raise ValueError(f"{self.owner} has no state, but was given {sorted(state)}")
        for n, layer in nested.items():
            layer.set_state(state.get(n, {}))

    # What users and models call.

    def __call__(self, x: Any, training: Any = None) -> Any:
        """Return the output for `x`, (batch, ...), as a new array; build the layer if need be.

        `x` may be a list, where the layer merges.  Called on the symbolic tensors that `Input`
        and layers give, it returns one: the call becomes part of a graph.  There `training` is
        what the call is fixed to, in training and in prediction; None, as usual, leaves it open.
        """
        if is_symbolic(x):
            return connect(self, x, training)
        arrays = [self._array(one) for one in x] if self._is_list(x) else self._array(x)
        if not self.built:
            shapes = [one.shape for one in arrays] if isinstance(arrays, list) else arrays.shape
            self.build(batch_shapes(shapes))
        return handed_out(np.asarray(self._call(arrays, bool(training)), np.float32))

    def _is_list(self, x: Any) -> bool:
        """Whether `x` is a list of inputs rather than one written as a list."""
        if self.takes_list and not isinstance(x, (list, tuple)):
            raise TypeError(f"{self.owner}: the input is one array; it must be a list of them")
        given = isinstance(x, (list, tuple)) and any(isinstance(one, np.ndarray) for one in x)
        return self.takes_list or (given and is_foreign(self))

    def _array(self, x: Any) -> np.ndarray:
        array = number_array(x, "the input", self.owner)
        if array.ndim == 0:
            raise ValueError(
                f"{self.owner}: the input is one number; it must be an array (batch, ...)"
            )
        return contiguous(array, np.float32)

    def _call(self, x: Any, training: bool) -> Any:
        """Return `call`'s output as the caller's own, whatever other threads do."""
        # In training the thread's own workspace keeps what its `backward` will ask for; within
        # a model's pass it is that of the place in the graph.
        with self._workspaces.locked(share=running.frame is None and not training):
            output = self.call(x, training=training)
            return output.copy() if isinstance(output, np.ndarray) else output

    # Graphs

    @property
    def input(self) -> Any:
        """The tensor, or list of tensors, that the layer was first called on."""
        node = self._first_node("input")
        return list(node.inputs) if node.is_list else node.inputs[0]

    @property
    def output(self) -> Any:
        """The tensor, or list of tensors, that the layer's first call on tensors gave."""
        node = self._first_node("output")
        return list(node.outputs) if len(node.outputs) > 1 else node.outputs[0]

    def _first_node(self, what: str) -> Node:
        if not self._nodes:
            raise AttributeError(
                f"{self.owner}: there is no {what}: the layer has not been called on a tensor, nor "
                "is it in a model whose input's shape is known"
            )
        return self._nodes[0]

    def _symbolic_inputs(self, x: Any) -> tuple[list[Tensor], bool]:
        """Return the tensors that the layer is called on, and whether they are a list."""
        return checked_inputs(self, x)

    def _inner_graph(self, inputs: Sequence[Tensor]) -> Any:
        """Return (inputs, outputs) of the graph that the layer's `call` makes, if it makes one."""
        if not is_foreign(self) or type(self).backward is not Layer.backward:
            return None
        return trace(self, inputs)

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

    # What subclasses use.

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
        frame = running.frame
        return self._workspaces.own.workspace if frame is None else frame[self]

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
                f"{self.owner}: the output's gradient has shape {dy.shape}; it must be the "
                f"output's, {tuple(shape)}"
            )
        return contiguous(dy, np.float32)


def _built_once(build: Build) -> Build:
    """Wrap a subclass's `build`: shape as a tuple, `built` set, nothing left by a failure."""

    @functools.wraps(build)
    def wrapper(self: Layer, input_shape: Shape) -> None:
        input_shape = batch_shapes(input_shape)
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
