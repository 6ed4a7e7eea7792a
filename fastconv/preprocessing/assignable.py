"""What of an iterator may be assigned, and how it is copied."""

from __future__ import annotations

import copy
import threading
from operator import is_
from typing import Any

from .._core.options import Option
from .._core.validation import natural, positive_integer, truth


class _BatchSize(Option[int]):
    """The images in a batch; it can change where an epoch begins."""

    def __set__(self, instance: Any, value: Any) -> None:
        if instance.__dict__.get("_step"):
            raise ValueError(
                f"{type(instance).__name__}: batch_size cannot be set in the middle of an epoch; "
                "call reset() first"
            )
        super().__set__(instance, value)


class Assignable:
    """Base of iterators: settings that may change, and copies that go on by themselves."""

    batch_size = _BatchSize(positive_integer)
    shuffle = Option(truth)
    seed = Option(natural)

    _position_lock: threading.Lock
    _made_by: tuple[Any, ...] = ()
    _constructed = False

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        own = name[0] == "_" or name == "image_data_generator"
        setting = own or isinstance(getattr(cls, name, None), (Option, property))
        # What an iterator tells of its images would be accepted, and do nothing.
        if not setting and self._constructed and cls.__module__.startswith("fastconv."):
            raise AttributeError(
                f"{cls.__name__}: {name} cannot be set; batch_size, shuffle, seed and the "
                "image_data_generator can: for anything else make a new iterator"
            )
        object.__setattr__(self, name, value)

    def _settings_changed(self) -> bool:
        """Whether batches would be made otherwise than when this was asked for last."""
        own = (self.batch_size, bool(self.shuffle), self.seed)
        settings = (*own, *vars(getattr(self, "image_data_generator", Assignable())).values())
        before, self._made_by = self._made_by, settings
        return len(settings) != len(before) or not all(map(is_, settings, before))

    def __getstate__(self) -> dict[str, Any]:
        with self._position_lock:
            return self.__dict__ | {"_position_lock": None, "_made_by": ()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._position_lock = threading.Lock()

    def __copy__(self) -> Any:
        return copy.deepcopy(self)  # with a position of its own
