"""The chapter's experiments as they are printed, and the figures to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

EPOCHS = 30
#: To learn from and to measure on.
PHOTOS: Mapping[str, int] = MappingProxyType({"train": 2000, "validation": 800})


@dataclass(frozen=True)
class Experiment:
    """One of the chapter's trainings.

    `printed` is the best validation accuracy in the chapter's output, `printed_epoch` its epoch,
    counted from 1; `pytorch` the mean of the same recipe in PyTorch, over `pytorch_seeds` runs.
    """

    name: str
    architecture: str
    augmented: bool
    printed: float | None
    printed_epoch: int | None
    pytorch: float | None = None
    pytorch_seeds: int = 0


#: In the order of the chapter.  Its text augments model3's photos, while its listing passes the
#: iterator without augmentation, and its figures are of that: both are run.
CHAPTER: Mapping[str, Experiment] = MappingProxyType(
    {
        one.name: one
        for one in (
            Experiment("model1", "model1", False, 0.6837, 2, 0.697, 3),
            Experiment("model2", "model2", False, 0.6813, 3, 0.721, 3),
            Experiment("model3", "model3", True, None, None),
            Experiment("model3-as-listed", "model3", False, 0.6913, 5),
            Experiment("model4", "model4", False, 0.7262, 26, 0.755, 1),
        )
    }
)
