"""Models to and from ONNX, the format that other libraries exchange networks in.

`export` writes what `load` of other libraries runs, `load` makes an ordinary model of a file of
theirs, and `backend` is an `onnx.backend.base.Backend`. The package `onnx` reads and writes:
`pip install 'fastconv[onnx]'`. It is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._core.missing_names import missing_name

if TYPE_CHECKING:
    from .exporting import export
    from .reading import load

__all__ = ["backend", "export", "load"]

_MODULES = {"export": "exporting", "load": "reading"}


def __getattr__(name: str) -> Any:
    if name == "backend":
        return importlib.import_module(f"{__name__}.backends").backend_class()
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise missing_name(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
