"""A function of one's own as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .._core import differentiation
from .._core.memory import contiguous
from .._core.registry import custom_object
from .._core.validation import NUMBER_KINDS, wrong_type
from .arguments import Shape
from .base import Layer
from .options import LayerOption
from .symbolic import Tensor, checked_inputs


def _function(value: Any, argument: str, owner: str) -> Callable[..., Any]:
    """Return a function, one of `custom_objects` where its name is given, from a file too."""
    if isinstance(value, dict):  # as Keras writes it
        value = value.get("config") if value.get("class_name") == "function" else value
    if isinstance(value, str):
        found = custom_object(value)
        if found is None:
            raise ValueError(
                f"{owner}: {argument} is the function {value!r}, which is not known; give "
                f"custom_objects={{{value!r}: the_function}}"
            )
        value = found
    if not callable(value):
        remedy = "code in a file is never run" if isinstance(value, dict) else ""
        raise wrong_type(value, argument, owner, "a function, or its name", remedy)
    return value  # type: ignore[no-any-return]


def _optional_function(value: Any, argument: str, owner: str) -> Callable[..., Any] | None:
    return None if value is None else _function(value, argument, owner)


def _shape_or_function(value: Any, argument: str, owner: str) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return _optional_function(value, argument, owner)


def _arguments(value: Any, argument: str, owner: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise wrong_type(value, argument, owner, "a dict of the function's further arguments")
    return dict(value or {})


class Lambda(Layer):
    """`function(x)`, in NumPy, of a batch x, which it must not write to.

    `gradient(dy, x)` returns the input's gradient; it is needed only where a layer before this
    one is trained.  `output_shape` is that of a sample, or a function of the input's shape;
    unless given, zeros are sent through.  `arguments` are further ones of the function, which
    gets `training` too if it takes that.  Where the input is a list, so is what both get and the
    gradient returns.

    A model's file has the functions' names, never their code: `load_model(path, custom_objects=
    {"double": double})` finds them again.  A function without a name cannot be saved.

    >>> Lambda(lambda x: 2 * x)(np.ones((1, 2)))
    array([[2., 2.]], dtype=float32)
    """

    function, gradient = LayerOption(_function), LayerOption(_optional_function)
    arguments = LayerOption(_arguments)

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        *,
        arguments: dict[str, Any] | None = None,
        gradient: Callable[[np.ndarray, np.ndarray], Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.function, self.gradient, self.arguments = function, gradient, arguments
        self._given_output_shape = _shape_or_function(output_shape, "output_shape", self.owner)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        given = self._given_output_shape
        if given is None:
            try:
                shape: Shape = super().compute_output_shape(input_shape)
                return shape
            except ValueError as error:
                raise ValueError(f"{error}; here by the argument output_shape") from None
        sample = tuple(given(input_shape))[1:] if callable(given) else given
        return (None, *sample)

    def call(self, x: Any, training: bool = False) -> np.ndarray:
        extra = dict(self.arguments)
        if "training" in _parameters(self.function):
            extra["training"] = training
        differentiate = differentiation.differentiator
        if training and self.gradient is None and differentiate is not None:
            return self._traced(x, extra, differentiate)
        y = self._numbers(self.function(_read_only(x), **extra), "the function")
        if not y.flags.writeable:  # it is the input, seen in another way
            out = self.buffer("output", y.shape)
            np.copyto(out, y)
            y = out
        self._workspace.saved_for_backward = (x, y.shape) if training else None
        return y

    def _traced(
        self, x: Any, extra: dict[str, Any], differentiate: differentiation.Differentiator
    ) -> np.ndarray:
        """Return the function's value, and keep by what its gradient is found."""
        several = isinstance(x, (list, tuple))

        def function(*arrays: Any) -> Any:
            return self.function(list(arrays) if several else arrays[0], **extra)

        given, pullback = differentiate(function, list(x) if several else [x])
        y = self._numbers(given, "the function")
        self._workspace.saved_for_backward = (x, y.shape, pullback)
        return y if y.flags.writeable else y.copy()

    def backward(self, dy: np.ndarray) -> Any:
        x, shape, *traced = self._saved_for_backward()
        dy = self.checked_gradient(dy, shape)
        several = isinstance(x, (list, tuple))
        if not self.needs_input_gradient:
            return [None] * len(x) if several else None
        if traced:
            found = [contiguous(one, np.float32) for one in traced[0](dy)]
            return found if several else found[0]
        if self.gradient is None:
            raise ValueError(
                f"{self.owner}: layers before this one are trained, so it needs the gradient of "
                "its function: give gradient=..., a function of (dy, x) that returns that of x"
            )
        given = self.gradient(_read_only(dy), _read_only(x))
        inputs, given = (list(x), list(given)) if several else ([x], [given])
        if len(given) != len(inputs):
            raise ValueError(
                f"{self.owner}: the gradient gave {len(given)} arrays for {len(inputs)} inputs"
            )
        found = [self._numbers(one, "the gradient") for one in given]
        found = [one if one.flags.writeable else one.copy() for one in found]
        for one, array in zip(found, inputs, strict=True):
            if one.shape != array.shape:
                raise ValueError(
                    f"{self.owner}: the gradient has shape {one.shape}; it must be the input's, "
                    f"{array.shape}"
                )
        return found if several else found[0]

    def _is_list(self, x: Any) -> bool:
        return isinstance(x, (list, tuple)) and any(isinstance(one, np.ndarray) for one in x)

    def _symbolic_inputs(self, x: Any) -> tuple[list[Tensor], bool]:
        if not isinstance(x, (list, tuple)):
            return checked_inputs(self, x)
        return [tensor for one in x for tensor in checked_inputs(self, one)[0]], True

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": self._name(self.function)}
        if self.gradient is not None:
            config["gradient"] = self._name(self.gradient)
        given = self._given_output_shape
        if given is not None:
            config["output_shape"] = self._name(given) if callable(given) else given
        return {**config, "arguments": self.arguments}

    def _numbers(self, value: Any, what: str) -> np.ndarray:
        """Return what a user's function gave as other layers take it, or raise TypeError."""
        array = np.asarray(value)
        if array.dtype.kind not in NUMBER_KINDS or array.ndim == 0:
            raise TypeError(
                f"{self.owner}: {what} returned {value!r}; it must return an array of numbers, "
                "(batch, ...)"
            )
        return contiguous(array, np.float32)

    def _name(self, function: Callable[..., Any]) -> str:
        name = getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ValueError(
                f"{self.owner}: {name or function!r} has no name by which it could be saved and "
                "found again; define the function with def"
            )
        return str(name)


def _parameters(function: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some of NumPy's have none
        return ()


def _read_only(x: Any) -> Any:
    """Return a view that a function cannot write to, or a list of them."""
    if isinstance(x, (list, tuple)):
        return [_read_only(one) for one in x]
    view = x.view()
    view.flags.writeable = False
    return view
