"""Pictures that come with other libraries, written as files: a folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastconv.preprocessing.image import save_img


def small_pictures(name: str) -> tuple[np.ndarray, list[str]]:
    """Return pictures, (n, height, width) of 0 to 1, and the name of each one's class."""
    if name == "faces":
        from skimage.data import lfw_subset

        return lfw_subset(), ["face"] * 100 + ["other"] * 100
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images / 16, [f"digit {number}" for number in digits.target]


def write_folders(root: Path, name: str, count: int) -> Path:
    """Write `count` of the pictures, drawn from all classes, below `root`; return it."""
    pictures, classes = small_pictures(name)
    for number in np.random.default_rng(0).permutation(len(pictures))[:count]:
        folder = root / classes[number]
        folder.mkdir(parents=True, exist_ok=True)
        save_img(folder / f"{number}.png", pictures[number][..., None] * 255, scale=False)
    return root
