"""What a data set's folder is made of: parts to train and to validate with, or classes alone.

`train` and `check` go by these rules alike, so that one says what the other needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .listing import (
    class_folders,
    holds_images,
    image_names,
    is_image_name,
    normalized,
    visible_folders,
)

SHARE = 0.2  # of each class, for validation, where no part is there for it
_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names}
_WRAPPINGS = 3  # folders around a data set that are looked through


@dataclass(frozen=True)
class DataSet:
    """A data set's folder.

    Attributes:
        folder: what holds the parts, or the classes where there are none.
        parts: folders of classes by role, "train", "validation" and "test" as
            far as they are there; {} where `folder` holds classes itself.
        left_out: sub-folders with images that belong to no part.
        doubt: what may have been meant instead, if anything.
    """

    folder: str
    parts: Mapping[str, str]
    left_out: Sequence[str] = ()
    doubt: str | None = None

    @property
    def class_folders(self) -> Mapping[str, str]:
        """The folders that hold classes, by role; of classes alone the role is ""."""
        return self.parts or {"": self.folder}

    @property
    def evaluation(self) -> str:
        """The folder of classes to measure a model on: no pictures that it learnt, if possible."""
        order = ("validation", "test", "train")
        return next((self.parts[role] for role in order if role in self.parts), self.folder)

    @property
    def is_shared(self) -> bool:
        """Whether pictures to learn from and to measure on can only be of the same folder."""
        return not {"validation", "test"} & self.parts.keys()


def find_data_set(directory: str | os.PathLike[str]) -> DataSet:
    """Return what `directory`, or the one data set in it, is made of.

    A part is told by name and shape: it is called train, training; validation,
    valid, val; test or testing, in any case, and its images lie in sub-folders,
    one per class. A folder of such a name with images of its own is a class
    like any other, of trains perhaps.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        PermissionError: it cannot be listed.
        ValueError: it has no sub-folders, or could be meant in two ways.
    """
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        if os.path.lexists(directory):
            raise NotADirectoryError(f"{directory!r} is no folder")
        raise FileNotFoundError(f"there is no folder {directory!r}")
    found = _found_in(directory, _WRAPPINGS)
    if not visible_folders(found.folder):
        raise ValueError(
            f"{directory!r} has no sub-folders; one per class is expected, or train/ and "
            "validation/ with one per class"
        )
    return found


def _found_in(directory: str, wrappings: int) -> DataSet:
    folders = visible_folders(directory)
    named = [name for name in folders if _role(name) is not None]
    if named:
        return _parts_in(directory, named, [name for name in folders if name not in named])
    if wrappings and (inner := _wrapped(directory, folders)) is not None:
        data = _found_in(os.path.join(directory, inner), wrappings - 1)
        beside = [n for n in folders if n != inner and holds_images(directory, n)]
        return replace(data, left_out=(*data.left_out, *beside))
    return DataSet(directory, {})


def _wrapped(directory: str, folders: Sequence[str]) -> str | None:
    """Return the sub-folder that looks like one around the data set, rather than like a class."""
    sets = [name for name in folders if _has_parts(os.path.join(directory, name))]
    if len(sets) > 1:  # logs have parts of these names, too
        sets = [name for name in sets if holds_images(directory, name)]
    if len(sets) > 1:
        raise ValueError(f"{directory!r} holds several data sets, {_list(sets)}; name one of them")
    if not sets and len(folders) == 1 and _is_collection(os.path.join(directory, folders[0])):
        return folders[0]
    return sets[0] if sets else None


def _has_parts(folder: str) -> bool:
    try:
        return {"train", "validation"} <= {_role(name) for name in visible_folders(folder)}
    except PermissionError:
        return False


def _role(name: str) -> str | None:
    return _ROLES.get(normalized(name).casefold())


def _is_collection(folder: str) -> bool:
    """Whether a folder's images lie in its sub-folders, most of them if not all."""
    own = _own_images(folder)
    if not own:
        return holds_images(folder, "")
    return sum(1 for _ in image_names(folder, "")) > 2 * own


def _own_images(folder: str) -> int:
    """Return how many images lie in `folder` itself."""
    with os.scandir(folder) as entries:
        return sum(is_image_name(entry.name) and entry.is_file() for entry in entries)


def _parts_in(directory: str, named: list[str], others: list[str]) -> DataSet:
    """Return the data set of a folder that has sub-folders named like parts."""
    paths = {name: os.path.join(directory, name) for name in named}
    collections = [name for name in named if _is_collection(paths[name])]
    others = [name for name in others if holds_images(directory, name)]
    own = [name for name in named if name not in collections and holds_images(directory, name)]
    if not collections and not own and not others:
        collections = named  # empty: they can be nothing else
    if not collections:
        return DataSet(directory, {}, doubt=_doubt_of_classes(directory, own, others))
    if others and (len(collections) == 1 or "train" not in map(_role, collections)):
        raise ValueError(
            f"{directory!r} could be meant in two ways: {_list(collections)} as part of a data "
            f"set, its images being in sub-folders, or as a class beside {_list(others)}; name "
            "the folder that holds the classes, or rename"
        )
    parts: dict[str, str] = {}
    for name in collections:
        if (other := parts.setdefault(_role(name) or "", paths[name])) != paths[name]:
            raise ValueError(
                f"{directory!r} has both {os.path.basename(other)!r} and {name!r}; rename one of "
                "them"
            )
    ordered = {role: parts[role] for role in _NAMES if role in parts}
    return DataSet(directory, ordered, tuple(sorted(others + own)))


def _doubt_of_classes(directory: str, own: Sequence[str], others: Sequence[str]) -> str | None:
    """Say what speaks against taking folders that are named like parts for classes."""
    if others or len(own) < 2:
        return None
    roles = {_role(name) for name in own}
    text = (
        f"{_list(own)} in {directory!r} have no sub-folders, one per class, but images themselves"
    )
    if "validation" in roles:
        raise ValueError(f"{text}; put these into sub-folders")
    return f"{text}: they are taken for classes, not for parts of a data set"


def _list(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names[:3])) + (" ..." if len(names) > 3 else "")


def listed_images(folder: str) -> dict[str, int]:
    """Return how many files of each class are listed as images, in the order of the classes."""
    return {
        name: sum(1 for _ in image_names(folder, inside))
        for name, inside in class_folders(folder, None, "data set").items()
    }


def validation_share(counts: Mapping[str, int]) -> float:
    """Return the share of each class to keep for validation: more than SHARE where a class is so
    small that this would be less than one image.
    """
    smallest = min(counts.values())
    return SHARE if int(smallest * SHARE) else 1 / max(2, smallest)


def share_text(data: DataSet, share: float) -> str:
    """Say which images are kept for validation where no part is there for it."""
    text = kept_text(share)
    return f"{text}; test is left for evaluation" if "test" in data.parts else text


def kept_text(share: float) -> str:
    """Say which share of each class is kept for validation."""
    return f"{share:.0%} of each class kept for validation, the first by name"


def training_faults(counts: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[str, str]]:
    """Yield why nothing can be trained on a data set: (code, text) for each reason.

    `counts` are the images of each class by role, or by "" for classes alone.
    """
    role = "" if "" in counts else "train"
    if role not in counts:
        yield "no train", f"there is no train/, only {' and '.join(counts)}"
        return
    train, place = counts[role], f"{role}: " if role else ""
    empty = [name for name, count in train.items() if not count]
    if empty:
        yield "empty", f"{place}no images of {', '.join(empty)}"
    if not train:
        yield "no classes", f"{place}there are no sub-folders, one per class"
    if len(train) == 1:
        yield (
            "one class",
            f"{place}one class only, {next(iter(train))}: there is nothing to tell apart",
        )
    validation = counts.get("validation")
    if validation is not None:
        yield from class_differences("validation", validation, "train", train)
        if not any(validation.values()):
            yield "empty", f"validation: no images of {', '.join(validation) or 'any class'}"
    elif single := [name for name, count in train.items() if count == 1]:
        yield (
            "too few",
            (
                f"{place}one image only of {', '.join(single)}: none would be left for validation, "
                "for which a share of each class is kept"
            ),
        )


def class_differences(
    name: str, classes: Mapping[str, int], first_name: str, first: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """Yield that two parts have not the same classes, if so."""
    if list(classes) != list(first):
        yield (
            "classes differ",
            (
                f"{name} has the classes {', '.join(classes) or 'none'}, {first_name} has "
                f"{', '.join(first) or 'none'}: numbers of classes would not agree"
            ),
        )
