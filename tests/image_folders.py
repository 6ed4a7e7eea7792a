"""Folders of small real image files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, seed: int, size: tuple[int, int] = (30, 24)) -> Path:
    """Write a smooth picture of `size` (width, height), another one for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def write_folder(root: Path, counts: dict[str, int], first_seed: int = 0) -> Path:
    """Write so many JPEGs of each class; return `root`."""
    seed = first_seed
    for name, count in counts.items():
        for i in range(count):
            write_image(root / name / f"{name}.{i}.jpg", seed)
            seed += 1
    return root
