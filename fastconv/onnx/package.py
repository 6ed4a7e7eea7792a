"""The `onnx` package, an extra that is imported when first used."""

from __future__ import annotations

import importlib
from typing import Any


def onnx_package() -> Any:
    """Return the module `onnx`; raise ImportError with the line that installs it."""
    try:
        onnx = importlib.import_module("onnx")
        for part in ("checker", "defs", "helper", "numpy_helper"):
            importlib.import_module(f"onnx.{part}")
    except ImportError as error:
        raise ImportError(
            f"onnx cannot be imported ({error}); install it with: pip install 'fastconv[onnx]'"
        ) from error
    return onnx
