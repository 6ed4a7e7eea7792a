"""What an activation is, and how NumPy computes one without leaving the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, SupportsIndex

import numpy as np

from .._core.handing_out import handed_out
from .._core.json_values import Configured

#: The numbers of a block: what is computed between input and output stays in the L2 cache.
_BLOCK = 1 << 15


class Activation(Configured):
    """Base class of activations, one's own too.

    `backward` works from the output alone, so that `forward` may overwrite its
    input and no second array is kept.  A class whose gradient needs the input says
    `needs_input = True` and is handed it as a fourth argument: `backward(dy, y, out, z)`.
    Layers share the activations of a name: their numbers stay.
    """

    name = "activation"
    #: Whether `backward` takes what `forward` was given, which layers then keep.
    needs_input: ClassVar[bool] = False
    _numbers: tuple[str, ...] = ()
    #: Those that all users of a name share, by name.
    _shared: ClassVar[dict[str, Activation]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        # The numbers of fastconv's are set by their constructors, once.
        settable = name in self._numbers and name not in self.__dict__
        if type(self).__module__.startswith("fastconv.") and not settable:
            raise AttributeError(
                f"{type(self).__name__}: {name} cannot be set, since layers share their "
                "activations; make another one and assign it to a layer's activation"
            )
        object.__setattr__(self, name, value)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Copy to the one of that name, which layers know by sight."""
        if self._shared.get(self.name) is self:
            return shared, (self.name,)
        return super().__reduce_ex__(protocol)

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Return the activation of `z`, written to `out` (which may be `z`).

        Both float32 of one shape, `out` C-contiguous; calling the activation takes any numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the gradient of the input for that of the output, written to `out`.

        `y` is what `forward` returned, `z` what it was given, only with `needs_input`;
        `out` is none of them, nor `dy`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def __call__(self, x: Any, *arguments: Any, **named: Any) -> Any:
        """Return the activation of `x` as a new float32 array, or as a tensor if `x` is one.

        Further arguments are those of the class, as in `relu(x, max_value=6)`.
        """
        if arguments or named:
            return type(self)(*arguments, **named)(x)
        if hasattr(x, "activated"):  # a tensor of a graph, which knows layers
            return x.activated(self)
        z = np.array(x, np.float32, order="C")
        return handed_out(self.forward(z, z))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def share(activation: Activation) -> Activation:
    """Let copies of `activation` be itself."""
    Activation._shared[activation.name] = activation
    return activation


def shared(name: str) -> Activation:
    """Return the activation that all users of a name share."""
    return Activation._shared[name]


class Elementwise(Activation):
    """Computed by NumPy a block at a time, by `_value(z, out)` and `_slope(y, z, out)`.

    `_value` writes the function of `z`, which may be `out`; `_slope` its derivative, from the
    output or, where `needs_input`, from the input.
    """

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        for block in _blocks(z, out):
            self._value(*block)
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        for dy_block, known, out_block in _blocks(dy, y if z is None else z, out):
            self._slope(known, out_block)
            np.multiply(out_block, dy_block, out=out_block)
        return out

    def _value(self, z: np.ndarray, out: np.ndarray) -> None:
        raise NotImplementedError

    def _slope(self, known: np.ndarray, out: np.ndarray) -> None:
        raise NotImplementedError


def _blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield parts of arrays of one size, the last of which is written to."""
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield tuple(array[start : start + _BLOCK] for array in flat)


class FunctionActivation(Activation):
    """A function of one's own: `function(z)` returns (y, gradient), and `gradient(dy)` dz.

    Nothing is kept between the two passes: the backward pass calls the function again.
    """

    name = "function"
    needs_input = True
    _numbers = ("function",)

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        self.function = function

    def forward(self, z: np.ndarray, out: np.ndarray) -> np.ndarray:
        y, _ = self._results(z)
        out[...] = self._checked(y, z, "y")
        return out

    def backward(
        self, dy: np.ndarray, y: np.ndarray, out: np.ndarray, z: np.ndarray | None = None
    ) -> np.ndarray:
        assert z is not None  # `needs_input` asks for it
        _, gradient = self._results(z)
        out[...] = self._checked(gradient(dy), z, "gradient(dy)")
        return out

    def get_config(self) -> dict[str, Any]:
        return {"function": getattr(self.function, "__name__", type(self.function).__name__)}

    def _results(self, z: np.ndarray) -> tuple[Any, Callable[[np.ndarray], Any]]:
        results = self.function(z.copy())  # it may do with its argument what it likes
        if not (isinstance(results, tuple) and len(results) == 2 and callable(results[1])):
            raise TypeError(
                f"activation {self._spelling}: it returned {_kind(results)}; a function of your "
                "own must return (y, gradient), where gradient(dy) returns the input's gradient; "
                "or derive a class from fastconv.activations.Activation"
            )
        return results

    def _checked(self, array: Any, z: np.ndarray, what: str) -> np.ndarray:
        found = np.asarray(array)
        if found.shape != z.shape:
            raise ValueError(
                f"activation {self._spelling}: {what} has shape {found.shape}; it must have the "
                f"input's, {z.shape}"
            )
        return found

    @property
    def _spelling(self) -> str:
        return str(self.get_config()["function"])


def _kind(results: Any) -> str:
    if isinstance(results, tuple):
        return f"a tuple of {len(results)}"
    return f"a {type(results).__name__}"
