"""fastconv within PyTorch: operators with gradients, and whole modules made faster on the CPU.

from fastconv.torch import accelerate

model = accelerate(model)  # the same module, with the same state_dict
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "fastconv.torch needs PyTorch, which is not installed: pip install 'fastconv[torch]'"
    ) from error

from .acceleration import accelerate, report, restore
from .functional import conv2d, conv2d_relu_pool, max_pool2d

__all__ = ["accelerate", "conv2d", "conv2d_relu_pool", "max_pool2d", "report", "restore"]
