"""The kernels' own threads, `pyx/_fastconv/team/`: races, other threads, busy CPUs, the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import ops

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "pyx" / "_fastconv"


@pytest.mark.parametrize("flags", ["", "-fsanitize=thread", "-DFASTCONV_NO_FUTEX"])
def test_regions_have_no_races(flags, tmp_path):
    """Callers at once, regions of two loops, a fork: with futexes and without."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("needs a C compiler")
    built, program = tmp_path / "stress.o", tmp_path / "stress"
    sanitized = "-fsanitize" in flags
    options = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", *flags.split()]
    folders = [f"-I{SOURCES / 'team'}", f"-I{SOURCES}"]
    source = str(ROOT / "tests" / "team_stress.c")
    for command in (
        [*options, "-fopenmp", *folders, "-c", source, "-o", str(built)],
        [*options, str(built), "-o", str(program)],
    ):
        done = subprocess.run([*compiler, *command], capture_output=True, text=True)
        if done.returncode and sanitized:
            pytest.skip("the compiler has no thread sanitizer")
        assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [program, *["no fork"] * sanitized], capture_output=True, text=True, timeout=120
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert (done.returncode, done.stderr) == (0, "")


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def compute() -> bytes:
    """Kernels of one loop and of several."""
    x, kernel = draw(6, 40, 40, 16), draw(3, 3, 16, 24)
    y = ops.conv2d(x, kernel)
    return b"".join(a.tobytes() for a in (y, *ops.conv2d_backward(y, x, kernel)))


@pytest.fixture
def wanted(threads) -> bytes:
    threads(1)
    return compute()


@pytest.mark.parametrize("count", [2, 3, 64])
def test_the_same_bits_beside_busy_processes(count, wanted, threads):
    """More threads than CPUs, and CPUs that are taken: some come late, in the middle, or never."""
    threads(count)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        assert all(compute() == wanted for _ in range(20))
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_several_threads_compute_at_once(wanted, threads):
    threads(3)
    found: list[bool] = []
    callers = [
        threading.Thread(target=lambda: found.extend(compute() == wanted for _ in range(10)))
        for _ in range(5)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [True] * 50


def test_threads_may_become_more_and_fewer_at_any_time(wanted, threads):
    for count in (2, 9, 1, 3, 200, 2, 9):
        threads(count)
        assert compute() == wanted


def python(code: str) -> subprocess.CompletedProcess:
    code = (
        "import numpy as np, fastconv\nfrom fastconv import ops\nfastconv.set_num_threads(3)\n"
        "x, kernel = np.ones((4, 64, 64, 8), np.float32), np.ones((3, 3, 8, 16), np.float32)\n"
    ) + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("code", "returncode", "err"),
    [
        ("ops.conv2d(x, kernel)", 0, ""),
        ("ops.conv2d(x, kernel); raise SystemExit(3)", 3, ""),
        ("import atexit; atexit.register(ops.conv2d, x, kernel)", 0, ""),
        (
            "import threading, time\ndef work():\n    while True: ops.conv2d(x, kernel)\n"
            "threading.Thread(target=work, daemon=True).start(); time.sleep(0.2)",
            0,
            "",
        ),
    ],
    ids=["at once", "with a code", "in atexit", "while a daemon computes"],
)
def test_a_process_ends(code, returncode, err):
    done = python(code)
    assert (done.returncode, done.stderr) == (returncode, err)


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs POSIX limits")
def test_fewer_threads_where_the_system_has_no_more():
    """As root there may be no such limit: then they are all there."""
    done = python(
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
        "try:\n    import os; os.setgid(65534); os.setuid(65534)\nexcept OSError: pass\n"
        "fastconv.set_num_threads(1); y = ops.conv2d(x, kernel)\n"
        "fastconv.set_num_threads(8); assert (ops.conv2d(x, kernel) == y).all()"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs CPU affinity")
def test_threads_keep_to_the_cpus_allowed():
    done = python(
        "import os; cpu = {min(os.sched_getaffinity(0))}; os.sched_setaffinity(0, cpu)\n"
        "ops.conv2d(x, kernel)\n"
        "tasks = [int(name) for name in os.listdir('/proc/self/task')]\n"
        "assert len(tasks) >= 3\n"
        "ours = [t for t in tasks if t != os.getpid() and os.sched_getaffinity(t) == cpu]\n"
        "assert len(ours) >= 2"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_no_openmp_is_loaded():
    """Another package's is neither used nor disturbed."""
    done = python(
        "ops.conv2d(x, kernel)\n"
        "print([line for line in open('/proc/self/maps') if 'omp' in line.rpartition('/')[2]])"
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_an_exception_is_the_callers(threads):
    threads(3)
    with pytest.raises(ValueError, match="conv2d"):
        ops.conv2d(draw(2, 8, 8, 3), draw(3, 3, 4, 5))
    assert fastconv.get_num_threads() == 3
