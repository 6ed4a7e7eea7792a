"""What stands at the top of `tensorflow` beside functions of arrays."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from ...utils import set_random_seed
from ..eager import EagerTensor
from .tensorflow_version import VERSION

__all__ = [
    *("ConfigProto", "GPUOptions", "InteractiveSession", "Session", "Tensor", "__version__"),
    *("device", "disable_eager_execution", "disable_v2_behavior", "enable_eager_execution"),
    *("enable_v2_behavior", "executing_eagerly", "function", "get_logger", "name_scope"),
    *("print", "reset_default_graph"),
    "set_random_seed",
]
__version__ = VERSION
Tensor = EagerTensor
print = print


def function(func: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Return the function as it is: there is nothing to trace."""
    return func if func is not None else lambda one: one


def executing_eagerly() -> bool:
    return True


@contextlib.contextmanager
def device(name: Any) -> Iterator[None]:
    """Compute where all is computed: on the CPU."""
    yield


@contextlib.contextmanager
def name_scope(name: Any) -> Iterator[str]:
    """Name nothing: layers have names of their own."""
    yield str(name)


def get_logger() -> logging.Logger:
    return logging.getLogger("tensorflow")


def reset_default_graph() -> None:
    """Name layers from the beginning again."""
    from ..._core.session import clear_session

    clear_session()


def enable_eager_execution(*arguments: Any, **options: Any) -> None:
    """Do nothing: all is computed at once."""


def disable_eager_execution() -> None:
    """Do nothing: Keras's layers and models are the same either way."""


enable_v2_behavior = disable_v2_behavior = disable_eager_execution


class _Settings:
    """Settings of TensorFlow 1 for graphics cards, which take anything and change nothing."""

    def __init__(self, **options: Any) -> None:
        self.__dict__.update(options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self.__dict__[name] = _Settings()
        return found


class ConfigProto(_Settings):
    """How a session uses graphics cards: of no effect."""


class GPUOptions(_Settings):
    """How graphics cards are used: of no effect."""


class Session:
    """What `keras.backend.set_session` was given; it runs nothing."""

    def __init__(self, target: str = "", graph: Any = None, config: Any = None) -> None:
        self.config = config

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: Any) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def run(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError("tf.Session.run: there are no graphs of TensorFlow 1")


InteractiveSession = Session
