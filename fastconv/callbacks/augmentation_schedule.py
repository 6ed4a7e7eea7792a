"""Changing, as the training goes on, what is done to its images at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._core.validation import natural, wrong_value
from .base import Callback

if TYPE_CHECKING:  # what reads images takes a third of the time that the rest takes to import
    from ..preprocessing.transform import ImageTransform


class AugmentationSchedule(Callback):
    """Let an `ImageDataGenerator` change its images otherwise from some epochs on.

    Args:
        generator: `iterator.image_data_generator` of the training images.
        schedule: {epoch: options}, epochs counted from 0: the random changes from that epoch
            on, in place of the generator's own. Options that are not named are off then; {}
            leaves the images as they are.

    The last epochs of a training, with its smallest steps, on images as they will be met:

    >>> AugmentationSchedule(generator, {140: {"horizontal_flip": True}})  # doctest: +SKIP

    What holds in an epoch follows from its number alone, also in a run that is resumed. The
    generator has its own options back when the run has ended. Raises ValueError for options that
    are no random changes, and what the generator raises for their values.
    """

    def __init__(
        self, generator: ImageTransform, schedule: Mapping[int, Mapping[str, Any]]
    ) -> None:
        super().__init__()
        self.generator = generator
        self.schedule = {
            natural(epoch, "an epoch of schedule", self._owner): _checked(options, self._owner)
            for epoch, options in sorted(schedule.items())
        }
        self._own = _changes(generator)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        begun = [options for first, options in self.schedule.items() if first <= epoch]
        self._put(begun[-1] if begun else self._own)

    def _put(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if getattr(self.generator, name) != value:
                setattr(self.generator, name, value)

    def close(self) -> None:
        self._put(self._own)


def _changes(generator: ImageTransform) -> dict[str, Any]:
    from ..preprocessing.transform import RANDOM_CHANGES

    return {name: getattr(generator, name) for name in RANDOM_CHANGES}


def _checked(options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return all random changes of a generator that has these options and no other."""
    from ..preprocessing.transform import RANDOM_CHANGES, ImageTransform

    if unknown := [name for name in options if name not in RANDOM_CHANGES]:
        raise wrong_value(unknown[0], "an option", owner, f"one of {', '.join(RANDOM_CHANGES)}")
    return _changes(ImageTransform(**options))
