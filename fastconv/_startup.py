"""How a command ends while the package is still being imported, before it has parsed a word.

Nothing here imports NumPy: that takes a good part of a second, in which Ctrl-C may come.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MISTAKE, INTERRUPTED = 2, 130
_PACKAGE = __name__.partition(".")[0]


def command_name() -> str | None:
    """Return how this process was started if it is one of fastconv's commands, else None."""
    name = sys.argv[0] if getattr(sys, "argv", None) else ""
    if name == "-m":  # what Python says until it has found the module
        module = sys.orig_argv[len(sys.orig_argv) - len(sys.argv)].removeprefix("-m")
        return f"python -m {module}" if module.partition(".")[0] == _PACKAGE else None
    name = os.path.basename(name)
    return _PACKAGE if name in (_PACKAGE, f"{_PACKAGE}.exe") else None


_command = command_name()


def is_command() -> bool:
    """Return whether this process is one of fastconv's commands, and no program of its own."""
    return _command is not None


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End a command by an ImportError of the block, or by Ctrl-C from here on, in one line.

    Ctrl-C is Python's own again after `take_interrupts`.  Elsewhere, and with
    FASTCONV_TRACEBACK set in the environment, errors are raised as they are.
    """
    if _command is None or os.environ.get("FASTCONV_TRACEBACK"):
        yield
        return
    if _takes_interrupts(signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    except ImportError as error:
        print(f"{_command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(MISTAKE)


def take_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: there is somebody now who catches it."""
    if _takes_interrupts(_interrupted):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _takes_interrupts(handler: object) -> bool:
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGINT) is handler


def _interrupted(number: int, frame: FrameType | None) -> None:
    # An exception could be lost, or turned into another one, within an import.
    os.write(2, f"{_command}: interrupted\n".encode())
    os._exit(INTERRUPTED)
