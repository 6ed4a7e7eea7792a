"""The compiled half of fastconv: kernels that know arrays only.

Every kernel module is compiled once per SIMD level into a folder named after
the level.  Importing this package chooses the best level that was built and
that the CPU runs; FASTCONV_SIMD names another one.
"""

import importlib
import os
from importlib.machinery import PathFinder

from . import cpu

# Raised whenever a kernel's signature changes, so that a stale build is noticed.
KERNEL_API = 6
_MODULES = (
    "conv",
    "conv_gradient",
    "winograd",
    "winograd_gradient",
    "winograd_narrow",
    "depthwise",
    "pool",
    "fused",
    "sparse",
    "dense",
    "dense_narrow",
    "optim",
    "augment",
)


def _choose_level() -> str:
    built = [
        level
        for level in cpu.LEVELS
        if PathFinder.find_spec("conv", [os.path.join(folder, level) for folder in __path__])
    ]
    usable = [level for level in cpu.supported_levels() if level in built]
    wanted = os.environ.get("FASTCONV_SIMD")
    if not wanted:
        return usable[-1]
    if wanted not in usable:
        raise ImportError(
            f"FASTCONV_SIMD={wanted!r} cannot be used here; this build and CPU have: "
            + ", ".join(usable)
        )
    return wanted


simd_level = _choose_level()
for _name in _MODULES:
    globals()[_name] = importlib.import_module(f"{__name__}.{simd_level}.{_name}")
