"""Where callbacks print: a terminal, a notebook, a file, or nothing at all."""

from __future__ import annotations

import sys
from typing import Any, TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; where there is no output, or a closed one, print nothing.

    Training does not depend on it: `stream`, by default `sys.stdout`, may be
    closed, None, or any object with `write`.
    """
    stream = sys.stdout if stream is None else stream
    if stream is None or getattr(stream, "closed", False):
        return
    try:
        stream.write(f"{text}\n")
    except UnicodeEncodeError:
        stream.write(f"{text}\n".encode("ascii", "backslashreplace").decode())
    # Who reads through a pipe must see the line now, not with the next 8 KB.
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


def is_terminal(stream: Any) -> bool:
    """Whether `stream` is an open terminal; what does not say is none."""
    if getattr(stream, "closed", False):
        return False
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def in_notebook() -> bool:
    """Whether the code runs in a notebook's kernel, whose output is no terminal but moves."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})
