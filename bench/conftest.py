"""Benches run with `pytest --benchmark-only` alone; plain `pytest` does not even read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BATCH = 32
IMAGE_SIZE = 100


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the benches out unless they were asked for, or named one by one."""
    asked = config.getoption("benchmark_only", default=False)
    return True if collection_path.name.startswith("bench_") and not asked else None


@pytest.fixture(autouse=True)
def family(request: pytest.FixtureRequest, benchmark: Any) -> None:
    """Give each file a table of its own."""
    benchmark.group = request.path.stem.removeprefix("bench_").replace("_", " ")


@pytest.fixture(scope="session")
def photos() -> tuple[np.ndarray, np.ndarray]:
    """Return a batch (32, 100, 100, 3) with its labels: photos if there are any, else random.

    Photos come from the folder or zip that FASTCONV_DOG_VS_CAT names.
    """
    path = os.environ.get("FASTCONV_DOG_VS_CAT")
    if not path:
        random = np.random.default_rng(0)
        x = random.random((BATCH, IMAGE_SIZE, IMAGE_SIZE, 3), np.float32)
        return x, random.integers(0, 2, BATCH).astype(np.float32)
    from fastconv.datasets import dog_vs_cat
    from fastconv.preprocessing.image import ImageDataGenerator

    stream = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        os.path.join(dog_vs_cat(path), "train"),
        target_size=(IMAGE_SIZE, IMAGE_SIZE),
        batch_size=BATCH,
        class_mode="binary",
        seed=0,
    )
    x, y = stream[0]
    return x, y


@pytest.fixture
def normal() -> Any:
    """Return `normal(shape)`: standard normal float32 numbers, the same in every run."""
    random = np.random.default_rng(0)
    return lambda shape: random.standard_normal(shape, np.float32)
