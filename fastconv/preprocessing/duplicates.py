"""Pictures that are the same, byte for byte or to the eye."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

SIDE = 72  # of the grey picture that a fingerprint is made from, in pixels
NEAR_BITS = 12
_NEAR_GREY = 7.0  # levels of 255, on average over the thumbnail
_NO_COLOR = 8.0  # levels that the channels of a grey picture may lie apart, as JPEG leaves them
_NEAR_COLOR = 30.0  # levels, in any part: stronger colours by a fifth are 25, JPEG at its worst 12
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BLOCK = 1024


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a picture: `bits` (128,) of +1 and -1, `thumbnail` (18, 18) and `colors`
    (9, 9, 2), how much red and blue differ from grey, float32.

    The bits are signs of differences: is each cell of an 8 x 8 grid darker than
    its right neighbour, than its lower one. Another size, another quality of
    JPEG, another brightness change few of them.
    """

    bits: np.ndarray
    thumbnail: np.ndarray
    colors: np.ndarray

    @property
    def is_grey(self) -> bool:
        return bool(np.abs(self.colors).max() < _NO_COLOR)


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures, by number, that are the same: `exact`, or only to the eye."""

    members: tuple[int, ...]
    exact: bool


def fingerprint(picture: np.ndarray) -> Fingerprint:
    """Return the fingerprint of a picture, RGB (SIDE, SIDE, 3) or grey (SIDE, SIDE), of 0-255."""
    picture = np.asarray(picture, np.float32)
    grey = picture if picture.ndim == 2 else picture @ _LUMA
    channels = (0, 2) if picture.ndim == 3 else ()
    colors = [_cells(picture[..., channel] - grey, 9, 9) for channel in channels]
    wide = _cells(grey, 8, 9)
    high = _cells(grey, 9, 8)
    signs = np.concatenate([(wide[:, 1:] > wide[:, :-1]).ravel(), (high[1:] > high[:-1]).ravel()])
    return Fingerprint(
        np.where(signs, 1, -1).astype(np.float32),
        _cells(grey, 18, 18),
        np.stack(colors, axis=-1) if colors else np.zeros((9, 9, 2), np.float32),
    )


def find_duplicates(
    digests: Sequence[bytes], fingerprints: Sequence[Fingerprint], near_bits: int = NEAR_BITS
) -> list[DuplicateGroup]:
    """Return the groups of at least two pictures that are the same.

    Args:
        digests: a hash of each file's bytes.
        fingerprints: one for each picture.
        near_bits: how many of the 128 bits may differ; below 0 looks for exact
            duplicates alone. Near ones must agree in their thumbnails as well,
            since flat pictures agree in their bits, and in their colours unless
            one of them is grey: a red apple is no green one.
    """
    first: dict[bytes, int] = {}
    pairs = [
        (first[digest], number)
        for number, digest in enumerate(digests)
        if first.setdefault(digest, number) != number
    ]
    if near_bits >= 0:
        # One picture of each identical group is enough: the others are in its group already.
        pairs += _near_pairs(sorted(first.values()), fingerprints, near_bits)
    return [
        DuplicateGroup(tuple(members), len({digests[m] for m in members}) == 1)
        for members in _connected(pairs)
    ]


def _cells(grey: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the means of the picture's cells, (rows, columns)."""
    return grey.reshape(rows, SIDE // rows, columns, SIDE // columns).mean(axis=(1, 3))


def _near_pairs(
    numbers: Sequence[int], fingerprints: Sequence[Fingerprint], near_bits: int
) -> Iterable[tuple[int, int]]:
    if not numbers:
        return
    bits = np.stack([fingerprints[number].bits for number in numbers])
    for start in range(0, len(numbers), _BLOCK):
        # The product of two vectors of n signs is n - 2 d where d of them differ.
        agreement = bits[start : start + _BLOCK] @ bits[start:].T
        rows, columns = np.nonzero(agreement >= bits.shape[1] - 2 * near_bits)
        for i, j in zip(rows[rows < columns], columns[rows < columns], strict=True):
            one, other = numbers[start + i], numbers[start + j]
            if _look_alike(fingerprints[one], fingerprints[other]):
                yield one, other


def _look_alike(one: Fingerprint, other: Fingerprint) -> bool:
    if np.abs(one.thumbnail - other.thumbnail).mean() > _NEAR_GREY:
        return False
    if one.is_grey or other.is_grey:
        return True
    return bool(np.abs(one.colors - other.colors).max() <= _NEAR_COLOR)


def _connected(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the sets of numbers that pairs connect, each sorted."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        while parent.setdefault(number, number) != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for number in sorted(parent):
        groups.setdefault(root(number), []).append(number)
    return list(groups.values())
