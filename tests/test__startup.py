"""How commands end while the package is imported: one line and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMANDS = (
    "fastconv",
    "fastconv.cli",
    "fastconv.train",
    "fastconv.evaluate",
    "fastconv.predict",
    "fastconv.filter",
    "fastconv.check",
)
NONSENSE = [
    ("FASTCONV_NUM_THREADS", "abc", "give a whole number of at least 1"),
    ("FASTCONV_NUM_THREADS", "4000", "give at most 1024"),
    ("OMP_NUM_THREADS", "0", "give a whole number of at least 1"),
    ("OMP_NUM_THREADS", "two,1", "give a whole number of at least 1"),
    ("FASTCONV_SIMD", "x", "cannot be used here; this build and CPU have: "),
]
KEPT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS", "FASTCONV_SIMD")
}


@pytest.fixture
def console_script(tmp_path) -> Path:
    """What pip installs as `fastconv`."""
    path = tmp_path / "fastconv"
    path.write_text("import sys\nfrom fastconv.cli import main\nsys.exit(main())\n")
    return path


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**KEPT, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("variable", "value", "told"), NONSENSE)
def test_nonsense_in_the_environment_is_a_mistake(command, variable, value, told):
    done = run("-m", command, "--help", **{variable: value})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"python -m {command}: error: {variable}=") and told in line


@pytest.mark.parametrize(("variable", "value", "told"), NONSENSE)
def test_so_it_is_for_the_console_script(console_script, variable, value, told):
    done = run(console_script, "config", **{variable: value})
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith(f"fastconv: error: {variable}=")


@pytest.mark.parametrize("options", [["-W", "error", "-m", "fastconv.check"], ["-mfastconv.check"]])
def test_pythons_own_options_before_the_command(options):
    done = run(*options, "--help", FASTCONV_SIMD="x")
    assert done.returncode == 2
    assert done.stderr.startswith("python -m fastconv.check: error: FASTCONV_SIMD=")


def test_a_traceback_where_one_is_asked_for():
    done = run("-m", "fastconv.check", "--help", FASTCONV_SIMD="x", FASTCONV_TRACEBACK="1")
    assert done.returncode == 1 and "ImportError: FASTCONV_SIMD=" in done.stderr


@pytest.mark.parametrize("arguments", [["-c", "import fastconv"], ["-m", "other.module", "-m"]])
def test_other_programs_get_the_exception(arguments, tmp_path):
    package = tmp_path / "other"
    package.mkdir()
    (package / "__init__.py").write_text("import fastconv\n")
    (package / "module.py").write_text("")
    path = os.pathsep.join([str(tmp_path), KEPT.get("PYTHONPATH", "")])
    done = run(*arguments, FASTCONV_SIMD="x", PYTHONPATH=path)
    assert done.returncode == 1 and "ImportError: FASTCONV_SIMD=" in done.stderr


def interrupted_while_importing(module: str, arguments: list, folder: Path) -> tuple[int, str]:
    """Interrupt a command in the import of a `module` that takes its time; return how it ends."""
    begun = folder / "begun"
    (folder / f"{module}.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n"
    )
    path = os.pathsep.join([str(folder), KEPT.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env={**KEPT, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not begun.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=50), process.stderr.read()
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_while_numpy_is_imported(command, tmp_path):
    ended = interrupted_while_importing("numpy", ["-m", command, "--help"], tmp_path)
    assert ended == (130, f"python -m {command}: interrupted\n")


def test_ctrl_c_while_the_console_script_imports_numpy(console_script, tmp_path):
    folder = tmp_path / "modules"
    folder.mkdir()
    ended = interrupted_while_importing("numpy", [console_script, "config"], folder)
    assert ended == (130, "fastconv: interrupted\n")


def test_ctrl_c_is_pythons_own_in_other_programs(tmp_path):
    code, said = interrupted_while_importing("numpy", ["-c", "import fastconv"], tmp_path)
    assert code == -signal.SIGINT and "KeyboardInterrupt" in said


def test_an_ignored_ctrl_c_stays_ignored():
    """As in a shell's background jobs."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "sys.argv[0] = 'fastconv'; import fastconv\n"
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    assert run("-c", code).stdout == "True\n"
