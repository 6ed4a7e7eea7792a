"""What the examples take from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fastconv import utils


def arguments(
    description: str, images: int, epochs: int, sets: Sequence[str] = ()
) -> argparse.Namespace:
    """Return what the command line says, with all random numbers seeded.

    `sets` are the choices of --set, where there is a choice; the first is the default.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", metavar="DIR|ZIP", help="photos, in train/ and validation/")
    parser.add_argument("--images", type=int, default=images, help="to learn from (%(default)s)")
    parser.add_argument("--epochs", type=int, default=epochs, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    if sets:
        parser.add_argument("--set", choices=sets, default=sets[0], help="(%(default)s)")
    chosen = parser.parse_args()
    utils.set_random_seed(chosen.seed)
    return chosen


def count_and_seed(chosen: argparse.Namespace, part: str) -> tuple[int, int]:
    """Return how many pictures a part has, and a seed that no other part has."""
    if part == "train":
        return chosen.images, 2 * chosen.seed
    return max(8, chosen.images // 4), 2 * chosen.seed + 1
