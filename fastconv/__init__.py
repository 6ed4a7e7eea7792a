"""fastconv: small convolutional networks on the CPU, under a Keras-like API.

Submodules are loaded when first used, so that `import fastconv` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core.startup import errors_in_one_line
from ._version import __version__

with errors_in_one_line():
    from ._core.runtime import (
        get_fast_math,
        get_num_threads,
        set_fast_math,
        set_num_threads,
        show_config,
    )

_SUBMODULES = frozenset(
    {
        "activations",
        "architectures",
        "callbacks",
        "constraints",
        "datasets",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "optimizers",
        "preprocessing",
        "regularizers",
        "utils",
    }
)
__all__ = [
    "Sequential",
    "__version__",
    "get_fast_math",
    "get_num_threads",
    "set_fast_math",
    "set_num_threads",
    "show_config",
    *sorted(_SUBMODULES),
]

if TYPE_CHECKING:
    from .models import Sequential


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "Sequential":
        return importlib.import_module(f"{__name__}.models").Sequential
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
