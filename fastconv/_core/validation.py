"""Argument checks and their wording, one family for the whole package.

A check takes `(value, argument, owner)` and returns the value as it is kept, or raises
TypeError for a value of another kind and ValueError for one out of range.  The messages have
one shape:

    {owner}: {argument} is {value!r}; it must be {condition}; {remedy, where there is one}

Nothing here allocates or computes; callers run these checks before any kernel and before
anything is changed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .memory import contiguous

T = TypeVar("T")
Check = Callable[[Any, str, str], T]
"""Takes a value, the argument's name and its owner's; returns what is kept, or raises."""

_FLOAT32 = np.dtype(np.float32)
FLOAT_DTYPES = (_FLOAT32, np.dtype(np.float64))
NUMBER_KINDS = "fiub"
"""The `dtype.kind` of real numbers and of truth values."""


def wrong_type(
    value: Any, argument: str, owner: str, condition: str, remedy: str = ""
) -> TypeError:
    """Return the error of a value of another kind than the wanted one."""
    return TypeError(_refusal(value, argument, owner, condition, remedy))


def wrong_value(
    value: Any, argument: str, owner: str, condition: str, remedy: str = ""
) -> ValueError:
    """Return the error of a value of the right kind that is not among the accepted ones."""
    return ValueError(_refusal(value, argument, owner, condition, remedy))


def _refusal(value: Any, argument: str, owner: str, condition: str, remedy: str) -> str:
    text = f"{owner}: {argument} is {value!r}; it must be {condition}"
    return f"{text}; {remedy}" if remedy else text


# What may be anything, left out, or one of a few


def anything(value: Any, argument: str, owner: str) -> Any:
    """Return `value`: what it may be shows where it is used."""
    return value


def optional(check: Check[T]) -> Check[T | None]:
    """Return the check of None or what `check` takes."""

    def checked(value: Any, argument: str, owner: str) -> T | None:
        return None if value is None else check(value, argument, owner)

    return checked


def one_of(*choices: str) -> Check[str]:
    """Return the check of one of these words."""

    def checked(value: Any, argument: str, owner: str) -> str:
        if not (isinstance(value, str) and value in choices):
            raise wrong_value(value, argument, owner, " or ".join(map(repr, choices)))
        return value

    return checked


def truth(value: Any, argument: str, owner: str) -> bool:
    """Return `value`, True or False (or 0, 1 or NumPy's), as a bool."""
    if isinstance(value, (bool, int, np.bool_)) and value in (False, True):
        return bool(value)
    raise wrong_type(value, argument, owner, "True or False")


def channels_last(data_format: str | None, owner: str) -> None:
    """Refuse any image layout but NHWC."""
    if data_format not in (None, "channels_last"):
        raise wrong_value(
            data_format,
            "data_format",
            owner,
            "'channels_last', (batch, height, width, channels)",
            "move the channel axis with numpy.moveaxis(x, 1, -1)",
        )


# Whole numbers


def is_integer(value: Any) -> bool:
    """Whether `value` is a whole number by its type; truth values are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def integer(value: Any, argument: str, owner: str) -> int:
    """Return `value`, of any sign, as an int."""
    if not is_integer(value):
        raise wrong_type(value, argument, owner, "a whole number")
    return int(value)


def natural(value: Any, argument: str, owner: str) -> int:
    """Return `value` as an int of at least 0."""
    if integer(value, argument, owner) < 0:
        raise wrong_value(value, argument, owner, "at least 0")
    return int(value)


def positive_integer(value: Any, argument: str, owner: str) -> int:
    """Return `value` as an int of at least 1."""
    if integer(value, argument, owner) < 1:
        raise wrong_value(value, argument, owner, "at least 1")
    return int(value)


def positive_pair(value: Any, argument: str, owner: str) -> tuple[int, int]:
    """Return `value`, an int or a pair of ints, as a pair of ints of at least 1."""
    return _pair(value, argument, owner, 1)


def natural_pair(value: Any, argument: str, owner: str) -> tuple[int, int]:
    """Return `value`, an int or a pair of ints, as a pair of ints of at least 0."""
    return _pair(value, argument, owner, 0)


def _pair(value: Any, argument: str, owner: str, least: int) -> tuple[int, int]:
    pair = (value, value) if is_integer(value) else value
    try:
        first, second = (operator.index(v) for v in pair)
    except (TypeError, ValueError):
        condition = "a whole number or a pair of whole numbers"
        raise wrong_type(value, argument, owner, condition) from None
    if first < least or second < least:
        raise wrong_value(value, argument, owner, f"at least {least} along both axes")
    return first, second


# Real numbers


def real(value: Any, argument: str, owner: str) -> float:
    """Return `value`, any real number but no truth value, as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise wrong_type(value, argument, owner, "a number")
    return float(value)


def finite(value: Any, argument: str, owner: str) -> float:
    """Return `value`, Python's or NumPy's, as a finite Python number; an int stays one."""
    if not np.isfinite(real(value, argument, owner)):
        raise wrong_value(value, argument, owner, "a finite number")
    number: float = value.item() if isinstance(value, np.generic) else value
    return number


def _float(condition: str, accepts: Callable[[float], bool]) -> Check[float]:
    """Return the check of a real number, kept as a float, that `accepts` accepts."""

    def checked(value: Any, argument: str, owner: str) -> float:
        number = real(value, argument, owner)
        if not accepts(number):
            raise wrong_value(value, argument, owner, condition)
        return number

    return checked


at_least_zero = _float("at least 0", lambda number: number >= 0)
above_zero = _float("above 0", lambda number: number > 0)
fraction = _float("from 0 to 1", lambda number: 0 <= number <= 1)
fraction_below_one = _float("at least 0 and below 1", lambda number: 0 <= number < 1)


# Arrays


def float_array(value: Any, argument: str, owner: str, ndim: int | None = None) -> np.ndarray:
    """Return `value` as a C-contiguous, aligned float32 or float64 array of `ndim` dimensions.

    Such arrays are passed through, also as other libraries have them on the CPU, others are
    copied; any other dtype is a TypeError, since a silent conversion would hide a mistake and
    cost memory.
    """
    # As nearly all are: in half the time of what follows.
    if type(value) is np.ndarray and value.dtype is _FLOAT32 and ndim in (None, value.ndim):
        return value if value.flags.carray else contiguous(value)
    if not isinstance(value, np.ndarray):
        if not is_array(value):
            raise TypeError(
                f"{owner}: {argument} is a {type(value).__name__}; it must be a NumPy array of "
                "float32 or float64, or another library's"
            )
        remedy = f"numpy.asarray({argument}, 'float32')"
        if is_tensor(value):
            remedy = f"{argument}.float()"
        if "bfloat16" in str(getattr(value, "dtype", "")):  # which any_array would widen
            raise _no_kernel_dtype("bfloat16", argument, owner, remedy)
        value = any_array(value, argument, owner)
    else:
        remedy = f"{argument}.astype('float32')"
    if value.dtype not in FLOAT_DTYPES:
        raise _no_kernel_dtype(value.dtype, argument, owner, remedy)
    if ndim is not None and value.ndim != ndim:
        raise ValueError(
            f"{owner}: {argument} has shape {value.shape}; it must have {ndim} dimensions"
            + (" (batch, height, width, channels)" if ndim == 4 and argument != "kernel" else "")
        )
    # A big-endian float32 compares unequal to np.float32, so only layout is left to mend.
    return contiguous(value)


def _no_kernel_dtype(dtype: Any, argument: str, owner: str, remedy: str) -> TypeError:
    return TypeError(
        f"{owner}: {argument} has dtype {dtype}; it must be float32 or float64; use {remedy}"
    )


def is_array(value: Any) -> bool:
    """Whether `value` is one array by itself: by `__array__`, DLPack or Python's buffers."""
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        return True
    try:
        memoryview(value).release()
    except (TypeError, ValueError, BufferError):
        return False
    return not isinstance(value, (bytes, bytearray))


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of PyTorch, which need not be here."""
    return hasattr(value, "requires_grad") and hasattr(value, "device")


def output_array(
    value: Any,
    shape: tuple[int, ...],
    dtype: np.dtype,
    argument: str,
    owner: str,
    *inputs: np.ndarray | None,
) -> np.ndarray:
    """Return `value`, an array that a result of `shape` and `dtype` is written to as it is.

    None of the `inputs`, which are read while it is written, may be in the same memory.
    """
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{owner}: {argument} is a {type(value).__name__}; it must be a NumPy array"
        )
    if value.dtype != dtype:
        raise TypeError(f"{owner}: {argument} has dtype {value.dtype}; it must be {dtype}")
    expect_shape(value, shape, argument, owner)
    if not value.flags.carray:
        raise ValueError(
            f"{owner}: {argument} must be C-contiguous, aligned and writeable, as "
            f"numpy.empty({tuple(shape)}, {dtype.name!r}) is"
        )
    if any(array is not None and np.may_share_memory(value, array) for array in inputs):
        raise ValueError(f"{owner}: {argument} must have memory of its own, apart from the inputs")
    return value


def any_array(value: Any, argument: str, owner: str) -> np.ndarray:
    """Return `value`, anything with `__array__` or DLPack, as an array of any shape and dtype.

    It is a view of the same memory where that is the CPU's. bfloat16, which NumPy does not have,
    becomes float32, which holds all of its values; columns of pandas may be of several kinds of
    numbers, and lack some, which are NaN then.
    """
    if type(value) is np.ndarray:  # what is asked below takes a microsecond
        return value
    if hasattr(value, "nnz") and hasattr(value, "toarray"):
        raise TypeError(
            f"{owner}: {argument} is a {type(value).__name__}, a sparse matrix; it must be a dense "
            f"array; give {argument}.toarray()"
        )
    if np.ma.is_masked(value):
        raise ValueError(
            f"{owner}: {argument} is a masked array, whose mask would be lost; it must be "
            f"a plain array; give {argument}.filled(...)"
        )
    if is_tensor(value):
        _refuse_tensor(value, argument, owner)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":
            value = value.float()
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":  # as an extension of NumPy has it
            array = array.astype(np.float32)
        return _of_columns(value, array) if array.dtype == object else array
    except (TypeError, RuntimeError, BufferError) as error:
        raise TypeError(
            f"{owner}: {argument} is a {type(value).__name__} that NumPy cannot read ({error})"
        ) from None
    except ValueError:
        raise ValueError(
            f"{owner}: {argument} is a {type(value).__name__} whose rows differ in shape; it must "
            "be of numbers, one shape for all rows"
        ) from None


def _refuse_tensor(tensor: Any, argument: str, owner: str) -> None:
    """Refuse a tensor that is none of the CPU's numbers alone, and say what makes it one."""
    if tensor.requires_grad:
        remedy = f"{argument}.detach()"
        wrong = "requires a gradient, which does not go through fastconv"
    elif tensor.device.type == "meta":
        wrong, remedy = "is on the device 'meta', which keeps no values", "one of the CPU"
    elif tensor.device.type != "cpu":
        wrong, remedy = f"is on the device '{tensor.device}'", f"{argument}.cpu()"
    elif str(tensor.layout) not in ("torch.strided", "torch._mkldnn"):
        wrong, remedy = f"is sparse ({tensor.layout})", f"{argument}.to_dense()"
    else:
        return
    raise TypeError(f"{owner}: {argument} is a {type(tensor).__name__} that {wrong}; give {remedy}")


def _of_columns(value: Any, array: np.ndarray) -> np.ndarray:
    """Return pandas's columns of different kinds of numbers as float64, others as they are."""
    if hasattr(value, "to_numpy"):
        try:
            numbers: np.ndarray = value.to_numpy(dtype=np.float64, na_value=np.nan)
            return array if _text_columns(value) else numbers
        except (TypeError, ValueError):
            pass
    return array


def _text_columns(value: Any) -> list[Any]:
    """Return which columns of a table are of no numbers; a text "1" would be read as one."""
    kinds = value.dtypes.items() if hasattr(value, "columns") else [(value.name, value.dtype)]
    return [name for name, kind in kinds if getattr(kind, "kind", "O") not in NUMBER_KINDS]


def number_array(value: Any, argument: str, owner: str) -> np.ndarray:
    """Return `value` as an array of real numbers, of any shape."""
    array = any_array(value, argument, owner)
    if array.dtype.kind not in NUMBER_KINDS:
        if hasattr(value, "to_numpy") and (columns := _text_columns(value)):
            raise TypeError(
                f"{owner}: {argument} has columns that are of no numbers, "
                f"{', '.join(map(repr, columns[:5]))}; leave them out or give their codes"
            )
        raise TypeError(
            f"{owner}: {argument} has dtype {array.dtype}; it must be of numbers, one shape for "
            "all rows"
        )
    return array


def same_dtype(owner: str, **arrays: np.ndarray | None) -> np.dtype:
    """Return the one dtype of the given arrays; None is passed over."""
    dtypes = {array.dtype for array in arrays.values() if array is not None}
    if len(dtypes) > 1:
        found = {name: array.dtype for name, array in arrays.items() if array is not None}
        listed = ", ".join(f"{name} {dtype}" for name, dtype in found.items())
        raise TypeError(f"{owner}: the arrays differ in dtype ({listed}); convert them to one")
    return dtypes.pop()


def expect_shape(array: np.ndarray, shape: tuple[int, ...], argument: str, owner: str) -> None:
    """Refuse `array` unless it has exactly `shape`."""
    if array.shape != tuple(shape):
        raise ValueError(f"{owner}: {argument} has shape {array.shape}; it must be {tuple(shape)}")
