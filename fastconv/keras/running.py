"""Runs a script, a module or a line of code as `python` itself would, with Keras served."""

from __future__ import annotations

import importlib.machinery
import io
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any

from . import install
from .missing import ERRORS, is_own

USAGE = "usage: python -m fastconv.keras [-m module | -c code | script.py | -] [arguments]"
_USAGE_ERROR, _FAILURE = 2, 1


def main(argv: Sequence[str]) -> int:
    """Run what `argv` names, with the arguments behind it; return the exit code.

    SystemExit and KeyboardInterrupt are left to Python, which knows their exit codes.
    """
    if not argv:
        print(USAGE, file=sys.stderr)
        return _USAGE_ERROR
    first, rest = argv[0], list(argv[1:])
    if first in ("-h", "--help"):
        print(f"{USAGE}\n\nRuns a script of Keras as it stands, on fastconv.")
        return 0
    if first in ("-m", "-c") and not rest:
        print(f"Argument expected for the {first} option\n{USAGE}", file=sys.stderr)
        return _USAGE_ERROR
    if first.startswith("-") and first not in ("-m", "-c", "-"):
        print(f"Unknown option: {first}\n{USAGE}", file=sys.stderr)
        return _USAGE_ERROR
    install()
    if first == "-m":
        return _guarded(lambda: _run_module(rest))
    if first == "-c":
        return _guarded(lambda: _run_code(rest[0], "<string>", ["-c", *rest[1:]], ""))
    if first == "-":
        return _guarded(lambda: _run_code(sys.stdin.read(), "<stdin>", ["-", *rest], ""))
    return _guarded(lambda: _run_script(first, rest))


def _run_module(argv: list[str]) -> None:
    _put_first("" if not sys.path or sys.path[0] != os.getcwd() else os.getcwd())
    sys.argv = argv
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def _run_script(path: str, rest: list[str]) -> None:
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _put_first(path)
        sys.argv = [path, *rest]
        runpy.run_path(path, run_name="__main__")
        return
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        print(
            f"{sys.executable}: can't open file {os.path.abspath(path)!r}: "
            f"[Errno {error.errno}] {error.strerror}",
            file=sys.stderr,
        )
        raise SystemExit(_USAGE_ERROR) from None
    folder = os.path.dirname(os.path.realpath(path))
    _run_code(source, os.path.abspath(path), [path, *rest], folder)


def _put_first(folder: str) -> None:
    """Put what `python script.py` has first in sys.path in place of what `python -m` has."""
    if getattr(sys.flags, "safe_path", False):
        return
    sys.path[:1] = [folder]


def _run_code(source: str | bytes, name: str, argv: list[str], folder: str) -> None:
    sys.argv = argv
    _put_first(folder)
    code: CodeType = compile(source, name, "exec", dont_inherit=True)
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    if not name.startswith("<"):
        module.__file__ = name
        module.__loader__ = importlib.machinery.SourceFileLoader("__main__", name)
    # Pickles, and processes that are started anew, look for classes there.
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def _guarded(run: Callable[[], None]) -> int:
    """Run, and show what is raised as Python does: with the frames of the script alone."""
    try:
        run()
    except ERRORS as error:
        if os.environ.get("FASTCONV_TRACEBACK"):
            raise
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return _FAILURE
    except Exception as error:
        shown = error.with_traceback(_from_script(error.__traceback__))
        sys.excepthook(type(shown), shown, shown.__traceback__)
        return _FAILURE
    return 0


def _from_script(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the script's first frame on, None where nothing of it ran."""
    while trace is not None and (is_own(trace.tb_frame) or _is_runpy(trace)):
        trace = trace.tb_next
    return trace


def _is_runpy(trace: TracebackType) -> bool:
    spelled: Any = trace.tb_frame.f_globals.get("__name__")
    return spelled == "runpy"
