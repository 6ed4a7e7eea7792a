"""Threads and the build: the one place that decides how many threads kernels use."""

from __future__ import annotations

import math
import os
import sys
import warnings
from typing import TYPE_CHECKING

from .._version import __version__
from .startup import is_command
from .validation import positive_integer

if TYPE_CHECKING:
    import numpy as np
    from _fastconv import DirectKernels as DirectKernels
    from _fastconv import Kernels
    from _fastconv.dense import Dense as Dense

KERNEL_API = 14
"""The kernels' calling convention that this source was written for."""

# More than any machine has; the threads' state in pyx/_fastconv/team/team.h has room for them.
MOST_THREADS = 1024


def _environment_threads() -> int | None:
    """Return the threads that the environment asks for, None where it does not.

    FASTCONV_NUM_THREADS is meant for us: nonsense in it is an error.  OMP_NUM_THREADS is every
    program's: for nonsense in it no import fails, and one thread is used.
    """
    for variable in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        # OMP_NUM_THREADS may be a list, one number a nesting level; the first is ours.
        text = os.environ.get(variable, "").split(",")[0].strip()
        if not text:
            continue
        if not text.isdecimal() or not text.strip("0"):
            message = f"{variable}={text!r}: give a whole number of at least 1"
        elif len(text) > 9 or int(text) > MOST_THREADS:
            message = f"{variable}={text!r}: give at most {MOST_THREADS}"
        else:
            return int(text)
        if variable == "FASTCONV_NUM_THREADS" or is_command():
            raise ImportError(message)
        warnings.warn(f"{message}; fastconv uses one thread", RuntimeWarning, stacklevel=2)
        return 1
    return None


_wanted_threads = _environment_threads()
try:
    import _fastconv
except ModuleNotFoundError as error:
    if error.name != "_fastconv":
        raise
    raise ImportError(
        "fastconv's compiled kernels are not installed; run `pip install .` in the project's folder"
    ) from None
if _fastconv.KERNEL_API != KERNEL_API:
    raise ImportError(
        f"fastconv's compiled kernels ({_fastconv.__file__}) are of another version; run "
        "`pip install .` in the project's folder again"
    )
kernels = _fastconv


def kernels_of(dtype: np.dtype) -> Kernels:
    """Return the kernels that take arrays of a dtype.

    float64, which only checks of gradients need, has those of one SIMD level: the lowest.
    """
    return kernels.float64 if dtype.char == "d" else kernels


_CGROUP = "/sys/fs/cgroup"


def _cgroup_cpus() -> float:
    """Return the CPUs that the container's quota allows, infinity where there is none."""
    try:
        quota, period = _words("cpu.max")
        if quota != "max":
            return int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        [quota] = _words("cpu/cpu.cfs_quota_us")
        if int(quota) > 0:
            [period] = _words("cpu/cpu.cfs_period_us")
            return int(quota) / int(period)
    except (OSError, ValueError):
        pass
    return math.inf


def _words(name: str) -> list[str]:
    # Without pathlib, which would be a third of `import fastconv`.
    with open(os.path.join(_CGROUP, name), encoding="ascii") as file:
        return file.read().split()


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _cgroup_cpus())))


def _default_threads() -> int:
    if not kernels.cpu.openmp_version():
        return 1
    return _wanted_threads or _usable_cpus()


_num_threads = _default_threads()


def get_num_threads() -> int:
    """Return how many threads the kernels use.

    By default the CPUs that this process may really use, by its affinity and its
    container's quota; FASTCONV_NUM_THREADS, then OMP_NUM_THREADS, override that.  Where the
    latter is no number of threads there is a warning, and one.  A child of fork has as
    many as its parent.
    """
    return _num_threads


def set_num_threads(n: int) -> None:
    """Let the kernels use `n` threads from now on.  Results do not depend on it.

    They are at most so many: a kernel does without those that other programs keep from a CPU, and
    without those that the system does not let the process have.

    Raises TypeError or ValueError if `n` is not a whole number from 1 to 1024.
    """
    global _num_threads
    n = positive_integer(n, "n", "set_num_threads")
    if n > MOST_THREADS:
        raise ValueError(f"set_num_threads: n is {n}; it must be at most {MOST_THREADS}")
    _num_threads = n


# Two threads share out work of fewer steps than this in no less time than one does it: to
# start and end a parallel region takes some microseconds.
LEAST_SHARED_WORK = 32_768


def threads_for(work: int) -> int:
    """Return how many threads to use for `work` values or multiply-adds: one if they are few."""
    return 1 if work < LEAST_SHARED_WORK else _num_threads


_fast_math = True


def get_fast_math() -> bool:
    """Return whether fast algorithms may be used, True unless `set_fast_math` said otherwise."""
    return _fast_math


def set_fast_math(enabled: bool) -> None:
    """Allow or forbid algorithms that trade a little accuracy for speed.

    Winograd's convolution rounds to about 2e-6 of the largest output where the direct one
    rounds to 1e-6.  With False every convolution and its gradients are summed directly.  It
    holds for what is called from now on.
    """
    global _fast_math
    _fast_math = bool(enabled)


def show_config() -> None:
    """Print the version, the compiler, the SIMD levels in use, OpenMP and the threads."""
    version = kernels.cpu.openmp_version()
    rows = {
        "fastconv": __version__,
        "Python": sys.version.split()[0],
        "compiler": kernels.cpu.compiler(),
        "SIMD": f"{kernels.simd_level} (this CPU: {', '.join(kernels.cpu.supported_levels())})",
        "float64": kernels.float64.simd_level,
        "OpenMP": f"{version // 100}-{version % 100:02d}" if version else "none (serial build)",
        "threads": get_num_threads(),
        "fast math": "on" if get_fast_math() else "off",
    }
    for name, value in rows.items():
        print(f"{name + ':':<11}{value}")
