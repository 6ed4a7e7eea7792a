"""What a layer's constructor and its `call` may be given."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from .._core.geometry import LARGEST_SAMPLE
from .._core.validation import is_integer, wrong_type, wrong_value

Shape = tuple[int | None, ...]
Axes = int | tuple[int, ...]
Images = tuple[int, int, int, int]


def checked_input_shape(shape: Sequence[int | None], owner: str) -> Shape:
    """Return the shape of one sample, an int or several, as a tuple."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not all(size is None or (is_integer(size) and size > 0) for size in sizes):
        condition = "the sizes of one sample without the batch, for example (100, 100, 3)"
        raise wrong_value(shape, "input_shape", owner, condition)
    if math.prod(size or 1 for size in sizes) > LARGEST_SAMPLE:
        condition = f"of at most {LARGEST_SAMPLE} numbers a sample"
        raise wrong_value(shape, "input_shape", owner, condition)
    return tuple(None if size is None else int(size) for size in sizes)


#: What an unknown height or width is while an output's shape is computed.
_STAND_IN = 1024


def check_image_axes(input_shape: Shape, owner: str) -> None:
    """Refuse a shape that is not one of images in any number."""
    if len(input_shape) != 4:
        raise ValueError(
            f"{owner}: the input has shape {tuple(input_shape)}; it must be images, "
            "(batch, height, width, channels)"
        )


def checked_images(input_shape: Shape, owner: str) -> Images:
    """Return a shape of images in any number, or raise ValueError.

    The channels must be known; some size stands for a height or width that is not, and what is
    computed of it goes through `output_images`.
    """
    check_image_axes(input_shape, owner)
    if input_shape[3] is None:
        raise ValueError(
            f"{owner}: the input has shape {tuple(input_shape)}; its number of channels must be "
            "known"
        )
    if None in input_shape[1:3]:
        height, width = (_STAND_IN if size is None else size for size in input_shape[1:3])
        return cast(Images, (input_shape[0], height, width, input_shape[3]))
    return cast(Images, input_shape)


def output_images(input_shape: Shape, rows: int, columns: int, channels: int | None) -> Shape:
    """Return the shape of images made of those of `input_shape`, unknown along the same axes."""
    height, width = input_shape[1:3]
    return (None, None if height is None else rows, None if width is None else columns, channels)


def is_shape_list(shape: Any) -> bool:
    """Whether `shape` is a list of shapes, of a layer with several inputs."""
    return len(shape) > 0 and isinstance(shape[0], (tuple, list))


def shape_list(shape: Any) -> list[Any]:
    """Return a list of shapes, also where there is one."""
    return list(shape) if is_shape_list(shape) else [shape]


def batch_shapes(shape: Any) -> Any:
    """Return a shape, or a list of them, as tuples whose batch is None."""
    if is_shape_list(shape):
        return [(None, *one[1:]) for one in shape]
    return (None, *shape[1:])


def checked_name(name: Any, argument: str, owner: str) -> str:
    """Return a layer's name, a string that can be part of a path."""
    if not isinstance(name, str) or not name or "/" in name:
        raise wrong_value(name, argument, owner, "a string that is not empty and has no '/'")
    return name


def check_dtype(dtype: Any, owner: str) -> None:
    """Refuse any dtype but float32."""
    try:
        good = dtype is None or np.dtype(dtype) == np.float32
    except (TypeError, ValueError):
        good = False
    if not good:
        raise wrong_value(dtype, "dtype", owner, "'float32', in which layers compute")


def check_activity_regularizer(value: Any, owner: str) -> None:
    """Refuse a penalty of a layer's output."""
    if value is not None:
        remedy = "for weights give kernel_regularizer and the like"
        raise wrong_value(value, "activity_regularizer", owner, "None", remedy)


def check_call_takes_training(call: Callable[..., Any], owner: str) -> None:
    """Refuse a user's `call` that does not take `training`."""
    parameters = inspect.signature(call).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if "training" not in parameters and not takes_any:
        raise TypeError(
            f"{owner}: call({', '.join(parameters)}) does not take 'training'; "
            "define it as call(self, x, training=False)"
        )


def lost_arguments(cls: type) -> list[str]:
    """Return the constructor's arguments that came with a class below its `get_config`'s.

    What `get_config` returns does not know them: they would be lost.
    """
    writer = next(parent for parent in cls.__mro__ if "get_config" in parent.__dict__)
    known = constructor_arguments(writer)
    return [name for name in constructor_arguments(cls) if name not in known]


def constructor_arguments(cls: type) -> list[str]:
    """Return the names of the arguments that `cls` and its parents take by name."""
    names: dict[str, None] = {}
    for parent in cls.__mro__:
        if "__init__" in parent.__dict__ and parent is not object:
            for argument in inspect.signature(parent.__dict__["__init__"]).parameters.values():
                if argument.name != "self" and argument.kind not in (
                    argument.VAR_KEYWORD,
                    argument.VAR_POSITIONAL,
                ):
                    names[argument.name] = None
    return list(names)


def checked_axis_numbers(axis: Any, argument: str, owner: str) -> Axes:
    """Return an axis's number, or those of several as a tuple."""
    if is_integer(axis):
        return int(axis)
    if isinstance(axis, (str, bytes)) or not isinstance(axis, (Sequence, np.ndarray)):
        raise wrong_type(axis, argument, owner, "the number of an axis, or several")
    if len(axis) == 0 or not all(map(is_integer, axis)):
        raise wrong_value(axis, argument, owner, "the number of an axis, or several")
    return tuple(map(int, axis))


def checked_axes(axis: Axes, shape: Shape, owner: str) -> tuple[int, ...]:
    """Return axes of an input of `shape`, counted from its front, in order."""
    numbers = axis if isinstance(axis, tuple) else (axis,)
    axes = sorted(number % len(shape) for number in numbers)
    outside = any(not -len(shape) <= number < len(shape) for number in numbers)
    if outside or len(set(axes)) < len(axes):
        condition = f"different axes of the input, which has shape {tuple(shape)}"
        raise wrong_value(axis, "axis", owner, condition)
    return tuple(axes)
