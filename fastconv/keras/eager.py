"""Arrays with the methods of TensorFlow's tensors: what scripts get of layers and data sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import handing_out


class EagerTensor(np.ndarray):
    """A NumPy array that has `numpy()`, and whose single numbers have it as well."""

    def numpy(self) -> Any:
        """Return the same as NumPy's own: an array, or a number."""
        plain = np.asarray(self)
        return plain if plain.ndim else plain[()]

    def get_shape(self) -> tuple[int, ...]:
        return self.shape

    def __getitem__(self, index: Any) -> Any:
        return as_tensor(super().__getitem__(index))

    def __format__(self, spec: str) -> str:
        return format(self[()].item(), spec) if spec and not self.ndim else str(self)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


def as_tensor(value: Any) -> Any:
    """Return numbers and arrays as tensors, also within tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        return value if isinstance(value, EagerTensor) else value.view(EagerTensor)
    if isinstance(value, dict):
        return {key: as_tensor(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(as_tensor, value))
    if isinstance(value, (np.generic, bool, int, float)):
        return np.asarray(value).view(EagerTensor)
    return value


def install() -> None:
    """Let layers and models give tensors."""
    handing_out.use(EagerTensor)


def uninstall() -> None:
    """Let them give NumPy's arrays."""
    handing_out.use(np.ndarray)
