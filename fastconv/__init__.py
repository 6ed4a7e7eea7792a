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
        "backend",
        "callbacks",
        "config",
        "constraints",
        "datasets",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "onnx",
        "ops",
        "optimizers",
        "preprocessing",
        "regularizers",
        "saving",
        "utils",
        "visualization",
    }
)
#: Names that Keras has at its top as well, and the modules they are of.
_NAMES = {
    "Initializer": "initializers",
    "Input": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
}
__all__ = [
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
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
    from .initializers import Initializer
    from .layers import Input, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Model, Sequential
    from .optimizers import Optimizer
    from .regularizers import Regularizer


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise importlib.import_module(f"{__name__}._core.missing_names").missing_name(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
