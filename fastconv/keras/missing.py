"""What a script gets for a name of Keras or TensorFlow that fastconv does not have."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from .._core.missing_names import MissingName, reason_for
from . import names

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_SKIPPED = ("<frozen importlib", "<frozen runpy")


class NotServed(MissingName):
    """A name that fastconv does not have: one line, with the place that needs it."""


class NotServedImport(ImportError):
    """A name that fastconv does not have and that an `import` asks for."""


class NoModule(ModuleNotFoundError):
    """A module of Keras or TensorFlow that neither has, or that fastconv does not know."""


ERRORS = (NotServed, NotServedImport, NoModule)


def is_own(frame: FrameType) -> bool:
    """Whether a frame is fastconv's, or the import system's."""
    name = frame.f_code.co_filename
    return name.startswith((_PACKAGE, *_SKIPPED)) or name.endswith(f"importlib{os.sep}__init__.py")


def user_frame() -> FrameType | None:
    """Return the innermost frame that is not fastconv's: the script's, or a module of its."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_own(frame):
        frame = frame.f_back
    return frame


def place() -> str:
    """Return "file:line: " of what is running, "cell, line: " in a notebook; "" of no file."""
    frame = user_frame()
    if frame is None:
        return ""
    name = frame.f_code.co_filename
    if name.startswith("<ipython-input") or f"{os.sep}ipykernel_" in name:
        return f"cell, line {frame.f_lineno}: "
    return f"{os.path.relpath(name) if _is_near(name) else name}:{frame.f_lineno}: "


def _is_near(name: str) -> bool:
    return os.path.isabs(name) and name.startswith(os.getcwd() + os.sep)


def reason(tree: str, path: str, sources: Iterable[str], name: str) -> str:
    """Return why `tree.path` does not have `name`, "" where nobody says."""
    whole = ".".join(filter(None, (tree, path, name)))
    if whole in names.REASONS:
        return names.REASONS[whole]
    parts = whole.split(".")
    for count in range(len(parts) - 1, 0, -1):
        general = names.REASONS.get(".".join(parts[:count]) + ".*")
        if general and not name.startswith("_"):
            return general
    return next(filter(None, (reason_for(source, name) for source in sources)), "")


def text(module: str, name: str, why: str, known: Iterable[str] = ()) -> str:
    """Return the line that tells of a missing name, with the place in the script in front."""
    line = f"{place()}fastconv has no {module}.{name}"
    if why:
        return f"{line}: {why}"
    near = difflib.get_close_matches(name, list(known), 1, 0.7)
    return f"{line}; the nearest is {module}.{near[0]}" if near else line


class Missing:
    """What `from keras.layers import LSTM` gives: nothing, until it is used.

    Scripts import more than they use. Whatever is done with it is an error that names it, but
    for asking whether something is one: nothing is.
    """

    def __init__(self, module: str, name: str, why: str) -> None:
        self.__dict__.update(_module=module, __name__=name, _why=why)

    def _refuse(self, *arguments: Any, **options: Any) -> NoReturn:
        name = self.__dict__["__name__"]
        raise NotServed(text(self._module, name, self._why), name=name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._refuse()

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self._module}.{self.__dict__['__name__']}, which fastconv does not have>"

    __call__ = __getitem__ = __iter__ = __len__ = __bool__ = __enter__ = __exit__ = _refuse
    __mro_entries__ = __setattr__ = __add__ = __mul__ = __sub__ = __index__ = __float__ = _refuse
