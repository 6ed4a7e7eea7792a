"""Looking up metrics by name, where "acc" and "accuracy" are one."""

from __future__ import annotations

from typing import Any, NamedTuple

_TWINS = {"acc": "accuracy", "accuracy": "acc"}


def twin(name: Any) -> Any:
    """Return the other spelling of `name`, or None: "val_acc" for "val_accuracy"."""
    if not isinstance(name, str):
        return None
    prefix = "val_" if name.startswith("val_") else ""
    other = _TWINS.get(name[len(prefix) :])
    return None if other is None else prefix + other


class Logs(dict[str, Any]):
    """A dict of metrics by name in which "acc" and "accuracy" find each other.

    Only look-ups know both spellings; what is stored, listed and written is
    the name that was passed to `compile`.
    """

    def __missing__(self, name: Any) -> Any:
        other = twin(name)
        if other is not None and dict.__contains__(self, other):
            return dict.__getitem__(self, other)
        raise KeyError(name)

    def __contains__(self, name: Any) -> bool:
        return dict.__contains__(self, name) or (
            (other := twin(name)) is not None and dict.__contains__(self, other)
        )

    def get(self, name: Any, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def copy(self) -> Logs:
        return Logs(self)


class LogNames(NamedTuple):
    """What the logs of a run's epochs will hold, as far as it is known before the run.

    `always` are in every epoch's logs, `sometimes` only in those with a
    validation (`validation_freq`). With `more`, callbacks that are not
    fastconv's own may add names that nobody knows yet.
    """

    always: tuple[str, ...]
    sometimes: tuple[str, ...] = ()
    more: bool = False

    def holds(self, name: str) -> bool:
        """Whether some epoch's logs will have `name`."""
        return self.in_every_epoch(name) or name in Logs.fromkeys(self.sometimes)

    def in_every_epoch(self, name: str) -> bool:
        """Whether all epochs' logs will have `name`."""
        return name in Logs.fromkeys(self.always)

    def __str__(self) -> str:
        return ", ".join((*self.always, *self.sometimes)) or "none"
