"""Threads, SIMD levels and the build, as a user's environment sets them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv._core import runtime
from fastconv.ops import optim

VARIABLES = ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS", "FASTCONV_SIMD")


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run `code` in a process whose threads and SIMD level are told by `environment` alone."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"FASTCONV_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"FASTCONV_NUM_THREADS": " 2 ", "OMP_NUM_THREADS": "7"}, 2),
    ],
    ids=str,
)
def test_threads_from_the_environment(environment, threads):
    done = python("import fastconv; print(fastconv.get_num_threads())", **environment)
    assert (done.stdout.strip(), done.stderr) == (str(threads), "")


def test_a_forced_level_is_the_only_one():
    done = python(
        "from fastconv._core import runtime; print(runtime.kernels.half_width)",
        FASTCONV_SIMD=runtime.kernels.cpu.supported_levels()[-1],
    )
    assert (done.stdout.strip(), done.stderr) == ("None", "")


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_nonsense_in_the_environment(value):
    done = python("import fastconv", FASTCONV_NUM_THREADS=value)
    assert done.returncode
    message = f"FASTCONV_NUM_THREADS='{value}': give a whole number of at least 1"
    assert message in done.stderr


def test_more_threads_than_openmp_survives():
    done = python("import fastconv", FASTCONV_NUM_THREADS="1000000")
    assert done.returncode == 1
    assert "FASTCONV_NUM_THREADS='1000000': give at most 1024" in done.stderr


@pytest.mark.parametrize("value", ["0", "-1", "two", "0,4", "1000000", "9" * 5000])
def test_nonsense_that_is_meant_for_every_program(value):
    """OpenMP, too, only warns of it, and no import should fail."""
    code = "import warnings; warnings.simplefilter({!r}); import fastconv\n" + (
        "print(fastconv.get_num_threads())"
    )
    done = python(code.format("always"), OMP_NUM_THREADS=value)
    assert (done.returncode, done.stdout) == (0, "1\n")
    said = f"RuntimeWarning: OMP_NUM_THREADS='{value.split(',')[0]}': give "
    assert said in done.stderr and "fastconv uses one thread" in done.stderr
    assert "RuntimeWarning" in python(code.format("error"), OMP_NUM_THREADS=value).stderr
    done = python(code.format("error"), OMP_NUM_THREADS=value, FASTCONV_NUM_THREADS="2")
    assert (done.returncode, done.stdout) == (0, "2\n")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_threads_are_no_more_than_the_cpus_allowed():
    done = python(
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "import fastconv; print(fastconv.get_num_threads())"
    )
    assert (done.stdout.strip(), done.stderr) == ("1", "")


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, float("inf")),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, float("inf")),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n"}, float("inf")),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        ({"sys/fs/cgroup/cpu.max": "nonsense\n"}, float("inf")),
    ],
    ids=str,
)
def test_the_containers_quota(files, cpus, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(runtime, "_CGROUP", str(tmp_path / "sys/fs/cgroup"))
    assert runtime._cgroup_cpus() == cpus
    assert 1 <= runtime._usable_cpus() <= max(1, cpus + 0.5)


def test_setting_threads(threads):
    threads(3)
    assert fastconv.get_num_threads() == 3
    for value, error in ((0, ValueError), (10**6, ValueError), (1.5, TypeError), ("2", TypeError)):
        with pytest.raises(error, match=r"set_num_threads: n is"):
            fastconv.set_num_threads(value)
    assert fastconv.get_num_threads() == 3


@pytest.mark.parametrize("level", runtime.kernels.cpu.supported_levels())
def test_simd_level_from_the_environment(level):
    done = python("import fastconv; fastconv.show_config()", FASTCONV_SIMD=level)
    if done.returncode:
        assert f"FASTCONV_SIMD='{level}' cannot be used here; this build and CPU" in done.stderr
        pytest.skip(f"this build has no {level} kernels")
    assert f"{level} (this CPU: " in done.stdout


def test_unknown_simd_level():
    done = python("import fastconv", FASTCONV_SIMD="mmx")
    assert done.returncode
    assert "FASTCONV_SIMD='mmx' cannot be used here; this build and CPU have: " in done.stderr


def test_show_config(capsys, threads):
    threads(4)
    fastconv.show_config()
    shown = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    shown = {name: value.strip() for name, value in shown.items()}
    assert shown["fastconv"] == fastconv.__version__
    assert shown["threads"] == "4"
    assert shown["SIMD"].startswith(runtime.kernels.simd_level + " ")
    assert shown["float64"] == runtime.kernels.float64.simd_level
    assert {"Python", "compiler", "OpenMP"} < set(shown)


def test_a_stale_build_is_noticed():
    done = python("import _fastconv; _fastconv.KERNEL_API = -1; import fastconv")
    assert done.returncode
    assert "of another version; run `pip install .` in the" in done.stderr


def test_a_missing_build_is_told():
    done = python("import sys; sys.modules['_fastconv'] = None; import fastconv")
    assert done.returncode
    assert "kernels are not installed; run `pip install .`" in done.stderr
    assert "another exception" not in done.stderr


def test_the_float_mode_is_put_back():
    """Kernels flush denormal numbers to 0 while they run, and only then."""
    tiny = np.full(20000, 1e-40, np.float32)
    value, velocity = np.zeros_like(tiny), np.ones_like(tiny)
    fastconv.ops.max_pool2d(np.ones((1, 4, 4, 1), np.float32))
    optim.sgd(value, tiny, velocity, 0.1, 0.9)
    assert (tiny * np.float32(0.5) > 0).all()
