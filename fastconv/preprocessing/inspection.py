"""A look at a data set before training: what is there, and what the user should see to."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.naming import shortened
from . import image_files
from .decoding import read_bytes
from .duplicates import NEAR_BITS, SIDE, DuplicateGroup, Fingerprint, find_duplicates, fingerprint
from .grey_levels import Remark
from .listing import (
    class_folders,
    image_names,
    in_threads,
    is_hidden_or_system,
    is_image_name,
    skipped_folders,
)
from .parts import (
    DataSet,
    class_differences,
    find_data_set,
    share_text,
    training_faults,
    validation_share,
)

_IMBALANCE = 3.0  # of the largest class to the smallest: the model may learn to guess
_some = functools.partial(shortened, most=5)


@dataclass(frozen=True)
class Picture:
    """One file: its part and class, and what was read, or why it was not (`fault`)."""

    path: str
    part: str
    class_name: str
    fault: str | None = None
    size: tuple[int, int] = (0, 0)  # width, height in pixels
    digest: bytes = b""
    fingerprint: Fingerprint | None = None
    remark: Remark | None = None  # of its grey levels


@dataclass(frozen=True)
class Finding:
    """Something to say; `act` where the user has to do something about it."""

    code: str
    act: bool
    text: str


@dataclass
class Part:
    """A folder with one sub-folder per class, `name` being "" for the data set itself.

    `ignored` counts files in classes that do not end like images, `strays` images beside the
    classes; `skipped` are folders that are hidden or a system's own.
    """

    name: str
    folder: str
    classes: list[str]
    pictures: list[Picture] = field(default_factory=list)
    ignored: int = 0
    strays: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def readable(self) -> list[Picture]:
        return [picture for picture in self.pictures if picture.fault is None]

    @property
    def unreadable(self) -> list[Picture]:
        return [picture for picture in self.pictures if picture.fault is not None]

    @property
    def counts(self) -> dict[str, int]:
        """Readable images of each class, in the order of the classes' numbers."""
        counts = dict.fromkeys(self.classes, 0)
        for picture in self.readable:
            counts[picture.class_name] += 1
        return counts


@dataclass
class Inspection:
    """What `inspect` found; `groups` are duplicates among `pictures`, the readable ones.

    `kept` says what training keeps for validation, where no part is there for it.
    """

    directory: str
    parts: list[Part]
    groups: list[DuplicateGroup]
    findings: list[Finding] = field(default_factory=list)
    kept: str | None = None

    @property
    def pictures(self) -> list[Picture]:
        return [picture for part in self.parts for picture in part.readable]

    @property
    def valid(self) -> bool:
        """Whether the user has nothing to do."""
        return not any(finding.act for finding in self.findings)


def inspect(
    directory: str | os.PathLike[str], near_bits: int = NEAR_BITS, progress: bool = False
) -> Inspection:
    """Read every image of a data set and return what is there.

    Args:
        directory: what `find_data_set` takes: a folder with one sub-folder per
            class, or one that holds such folders as parts.
        near_bits: see `find_duplicates`.
        progress: show a bar on a terminal.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        PermissionError: the folder cannot be listed.
        ValueError: it has no sub-folders, or could be meant in two ways.
    """
    directory = os.fspath(directory)
    data = find_data_set(directory)
    parts = [_list_part(*part) for part in data.class_folders.items()]
    listed = [picture for part in parts for picture in part.pictures]
    read = in_threads(_read, listed, "Reading" if progress else None)
    for part in parts:
        part.pictures = [picture for picture in read if picture.part == part.name]
    inspection = Inspection(directory, parts, [])
    pictures = inspection.pictures
    inspection.groups = find_duplicates(
        [picture.digest for picture in pictures],
        [picture.fingerprint for picture in pictures if picture.fingerprint is not None],
        near_bits,
    )
    inspection.findings = [
        *_layout_findings(data, parts),
        *_part_findings(inspection),
        *_duplicate_findings(inspection),
    ]
    _see_to_training(inspection, data)
    return inspection


def _see_to_training(inspection: Inspection, data: DataSet) -> None:
    """Add what keeps `train` from training, or note what it keeps for validation."""
    counts = {part.name: part.counts for part in inspection.parts}
    known = {finding.text for finding in inspection.findings}
    faults = list(training_faults(counts))
    inspection.findings += [Finding(code, True, text) for code, text in faults if text not in known]
    if not faults and "validation" not in counts:
        share = validation_share(inspection.parts[0].counts)
        inspection.kept = share_text(data, share)


def _list_part(name: str, folder: str) -> Part:
    classes = class_folders(folder, None, "check")
    part = Part(name, folder, list(classes), skipped=skipped_folders(folder))
    for class_name, inside in classes.items():
        for path in image_names(folder, inside):
            part.pictures.append(Picture(os.path.join(folder, path), name, class_name))
        for place, subfolders, files in os.walk(os.path.join(folder, inside)):
            part.ignored += len(files)
            hidden = sorted(filter(is_hidden_or_system, subfolders))
            part.skipped += [os.path.relpath(os.path.join(place, n), folder) for n in hidden]
            subfolders[:] = [n for n in subfolders if n not in hidden]
    part.ignored -= sum(not os.path.isdir(picture.path) for picture in part.pictures)
    with os.scandir(folder) as entries:
        part.strays = sum(is_image_name(entry.name) and entry.is_file() for entry in entries)
    return part


def _read(picture: Picture) -> Picture:
    known = (picture.path, picture.part, picture.class_name)
    look = image_files.look_at(picture.path)
    if look.fault is not None:
        return Picture(*known, fault=look.fault)
    try:
        digest = hashlib.sha256(read_bytes(picture.path)).digest()
        # A draft has enough pixels for a fingerprint and is decoded twice as fast.
        small = image_files.load_img(picture.path, "rgb", (SIDE, SIDE), "box", draft=True)
    except OSError as error:
        return Picture(*known, fault=str(error.__cause__ or error.strerror or error))
    seen = fingerprint(np.asarray(small))
    return Picture(*known, size=look.size, digest=digest, fingerprint=seen, remark=look.remark)


def _part_findings(inspection: Inspection) -> Iterator[Finding]:
    for part in inspection.parts:
        place = f"{part.name}: " if part.name else ""
        if part.unreadable:
            count = len(part.unreadable)
            names = _some([f"{p.path} ({p.fault})" for p in part.unreadable])
            text = f"{place}{count} unreadable {_files(count)}, remove or replace: {names}"
            yield Finding("unreadable", True, text)
        counts = part.counts
        empty = [name for name, count in counts.items() if not count]
        if empty:
            yield Finding("empty", True, f"{place}no images of {', '.join(empty)}")
        if len(counts) == 1:
            only = next(iter(counts))
            text = f"{place}one class only, {only}: there is nothing to tell apart"
            yield Finding("one class", True, text)
        filled = [count for count in counts.values() if count]
        if len(filled) > 1 and max(filled) >= _IMBALANCE * min(filled):
            text = (
                f"{place}the largest class has {max(filled)} images, the smallest {min(filled)}: "
                "weigh them with fit(class_weight=...) or add images"
            )
            yield Finding("imbalance", True, text)
        if part.ignored:
            text = f"{place}{part.ignored} {_files(part.ignored)} not ending like images, ignored"
            yield Finding("ignored", False, text)
        yield from _remark_findings(part)
        yield from _name_findings(part)
    first = inspection.parts[0]
    for part in inspection.parts[1:]:
        for code, text in class_differences(part.name, part.counts, first.name, first.counts):
            yield Finding(code, True, text)


def _name_findings(part: Part) -> Iterator[Finding]:
    """Yield what the names of classes, and of folders that are none, give reason to say."""
    place = f"{part.name}: " if part.name else ""
    alike: dict[str, list[str]] = {}
    for name in part.classes:
        alike.setdefault(name.casefold(), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            text = f"{place}{' and '.join(names)} are classes of their own, by their case alone"
            yield Finding("case", True, text)
    if part.skipped:
        text = f"{place}hidden or a system's own, skipped: {_some(part.skipped)}"
        yield Finding("skipped", False, text)
    if part.strays:
        count = "1 image lies" if part.strays == 1 else f"{part.strays} images lie"
        yield Finding("strays", False, f"{place}{count} beside the classes, in none of them")


def _layout_findings(data: DataSet, parts: list[Part]) -> Iterator[Finding]:
    if data.doubt is not None:
        yield Finding("doubt", False, data.doubt)
    if data.left_out:
        text = f"belonging to no part, left out: {_some(data.left_out)}"
        yield Finding("left out", False, text)
    skipped = skipped_folders(data.folder)
    if skipped and parts[0].folder != data.folder:
        yield Finding("skipped", False, f"hidden or a system's own, skipped: {_some(skipped)}")


def _remark_findings(part: Part) -> Iterator[Finding]:
    """Yield what is to be said of the pictures' grey levels, once for all that it is true of."""
    paths: dict[Remark, list[str]] = {}
    for picture in part.readable:
        if picture.remark is not None:
            paths.setdefault(picture.remark, []).append(picture.path)
    place = f"{part.name}: " if part.name else ""
    for remark, named in paths.items():
        count = f"{len(named)} {_files(len(named))}"
        text = f"{place}{count} of {remark.text}: {_some(named)}"
        yield Finding("grey levels", remark.act, text)


def _duplicate_findings(inspection: Inspection) -> Iterator[Finding]:
    pictures = inspection.pictures
    kinds: dict[tuple[str, bool, bool], list[str]] = {}
    for group in inspection.groups:
        members = [pictures[number] for number in group.members]
        paths = " = ".join(picture.path for picture in members)
        if len({picture.part for picture in members}) > 1:
            code, act = "leak", True
        elif len({picture.class_name for picture in members}) > 1:
            code, act = "two classes", True
        else:
            code, act = "duplicates", False
        kinds.setdefault((code, group.exact, act), []).append(paths)
    says = {
        "leak": "in more than one part, so that validation is of pictures that were learnt",
        "two classes": "in more than one class, so that one label is wrong",
        "duplicates": "more than once in a class",
    }
    for (code, exact, act), groups in sorted(kinds.items()):
        what = "picture" if len(groups) == 1 else "pictures"
        sort = "identical" if exact else "nearly identical"
        yield Finding(code, act, f"{len(groups)} {what}, {sort}, {says[code]}: {_some(groups)}")


def _files(count: int) -> str:
    return "file" if count == 1 else "files"


def as_dict(inspection: Inspection) -> dict[str, Any]:
    """Return everything as JSON-able values."""
    pictures = inspection.pictures
    return {
        "directory": inspection.directory,
        "ok": inspection.valid,
        "kept_for_validation": inspection.kept,
        "findings": [vars(finding) for finding in inspection.findings],
        "parts": [
            {
                "name": part.name,
                "folder": part.folder,
                "classes": [
                    {"name": name, "number": number, "images": count}
                    for number, (name, count) in enumerate(part.counts.items())
                ],
                "images": len(part.readable),
                "ignored_files": part.ignored,
                "sizes": sizes_of(part),
                "unreadable": [{"path": p.path, "reason": p.fault} for p in part.unreadable],
            }
            for part in inspection.parts
        ],
        "duplicates": [
            {"exact": group.exact, "paths": [pictures[number].path for number in group.members]}
            for group in inspection.groups
        ],
    }


def sizes_of(part: Part) -> dict[str, dict[str, int]] | None:
    """Return {"width" and "height": {"smallest", "median", "largest"}} in pixels, if any."""
    if not part.readable:
        return None
    sizes = np.array([picture.size for picture in part.readable])
    return {
        side: {
            "smallest": int(values.min()),
            "median": int(np.median(values)),
            "largest": int(values.max()),
        }
        for side, values in zip(("width", "height"), sizes.T, strict=True)
    }
