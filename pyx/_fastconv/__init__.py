"""The compiled half of fastconv: kernels that know arrays only.

Every kernel module is compiled once per SIMD level into a folder named after
the level.  Importing this package chooses the best level that was built and
that the CPU runs; FASTCONV_SIMD names another one.  Its modules are loaded when
they are first asked for, as attributes of this package.  Those that take float64
are attributes of its attribute `float64`: one level has them, the lowest.
"""

import importlib
import os
import sys
from importlib.machinery import PathFinder
from types import SimpleNamespace
from typing import Any

from . import cpu
from . import replay as replay
from . import structs as structs

# Raised whenever a kernel's signature changes, so that a stale build is noticed.
KERNEL_API = 14
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
    "optimizers",
    "elementwise",
    "losses",
    "normalization",
    "augment",
)


# Where channels would leave half of a long vector idle and a short one takes half the time; nowhere
# if a level is forced.
_HALF_WIDTH = {"avx512": "avx2"}
_HALF_WIDTH_MODULES = ("conv", "conv_gradient")


def _usable_levels() -> list[str]:
    built = [
        level
        for level in cpu.LEVELS
        if PathFinder.find_spec("conv", [os.path.join(folder, level) for folder in __path__])
    ]
    return [level for level in cpu.supported_levels() if level in built]


def _choose_level() -> str:
    usable = _usable_levels()
    wanted = os.environ.get("FASTCONV_SIMD")
    if not wanted:
        return usable[-1]
    if wanted not in usable:
        raise ImportError(
            f"FASTCONV_SIMD={wanted!r} cannot be used here; this build and CPU have: "
            + ", ".join(usable)
        )
    return wanted


def _load_half_width() -> SimpleNamespace | None:
    level = _HALF_WIDTH.get(simd_level)
    if level not in _usable_levels() or os.environ.get("FASTCONV_SIMD"):
        return None
    if not cpu.halves_vectors():
        return None
    modules = {name: f"{__name__}.{level}.{name}" for name in _HALF_WIDTH_MODULES}
    return SimpleNamespace(
        **{name: importlib.import_module(module) for name, module in modules.items()}
    )


class _Level:
    """The modules of a level, each loaded when it is first asked for."""

    def __init__(self, name: str) -> None:
        self.simd_level = name

    def __getattr__(self, name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"the kernels have no module {name!r}")
        module = importlib.import_module(f"{__name__}.{self.simd_level}.{name}")
        setattr(self, name, module)
        return module


def _load_float64() -> Any:
    """Return what has the modules that take float64: this package, if its level does."""
    for kernels in (sys.modules[__name__], *map(_Level, _usable_levels())):
        if "d" in kernels.conv.LANES:
            return kernels
    raise ImportError(
        f"no SIMD level of this build takes float64 ({__path__[0]}); run `pip install .` in the "
        "project's folder again"
    )


simd_level = _choose_level()
_in_use = _Level(simd_level)


def __getattr__(name: str) -> Any:
    if name == "half_width":
        value: Any = _load_half_width()
    elif name == "float64":
        value = _load_float64()
    elif name in _MODULES:
        value = getattr(_in_use, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, "half_width", "float64"})
