"""Runs scripts of Keras as they stand: `keras` and `tensorflow.keras` are served by fastconv.

    python -m fastconv.keras script.py [arguments]
    python -m fastconv.keras -m module [arguments]
    python -m fastconv.keras -c "code" [arguments]

and in a notebook, before Keras is imported, `%load_ext fastconv.keras`. What fastconv does not
have is named in one line, with the line of the script.  `install()` does the same in a program.
"""

from __future__ import annotations

from typing import Any

from . import differentiation, eager
from .finder import install as _serve
from .finder import uninstall as _serve_no_more
from .missing import ERRORS

__all__ = ["install", "load_ipython_extension", "uninstall", "unload_ipython_extension"]


def install() -> None:
    """Serve `keras` and `tensorflow` to what is imported from now on.

    Raises RuntimeError where one of them was imported before.
    """
    _serve()
    eager.install()
    differentiation.install()


def uninstall() -> None:
    """Serve them no more: the next `import keras` finds what is installed."""
    _serve_no_more()
    eager.uninstall()
    differentiation.uninstall()


def load_ipython_extension(shell: Any) -> None:
    """Let the cells of a notebook that follow find `keras` and `tensorflow` here."""
    install()
    shell.set_custom_exc(ERRORS, _show_line)


def unload_ipython_extension(shell: Any) -> None:
    """Let the cells that follow find what is installed."""
    uninstall()
    shell.set_custom_exc((), None)


def _show_line(
    shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: Any = None
) -> None:
    """Show what fastconv does not have as one line, without a traceback."""
    from IPython.core.error import UsageError

    shell.show_usage_error(UsageError(str(error)))
