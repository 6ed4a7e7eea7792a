"""What the system tells of the caches is read, and what it does not tell is assumed."""

from __future__ import annotations

import pytest

from fastconv.ops.plans import caches


def told(folder, *entries):
    for number, fields in enumerate(entries):
        index = folder / f"index{number}"
        index.mkdir()
        for name, value in zip(("level", "type", "size"), fields, strict=True):
            (index / name).write_text(f"{value}\n")
    return folder


def test_the_data_cache_of_a_level_is_read(tmp_path):
    entries = (1, "Instruction", "64K"), (1, "Data", "48K"), (2, "Unified", "1M")
    folder = told(tmp_path, *entries)
    assert caches.data_cache(1, 32 << 10, 64 << 10, folder) == 48 << 10
    assert caches.data_cache(2, 1 << 20, 2 << 20, folder) == 1 << 20


@pytest.mark.parametrize("size", ["", "K", "large", "12X"])
def test_what_cannot_be_read_is_assumed(size, tmp_path):
    assert caches.data_cache(2, 512, 1024, told(tmp_path, (2, "Data", size))) == 512
    assert caches.data_cache(2, 512, 1024, tmp_path / "missing") == 512


@pytest.mark.parametrize(("size", "found"), [("16M", 2 << 20), ("1K", 1 << 19)])
def test_a_strange_size_is_bounded(size, found, tmp_path):
    folder = told(tmp_path, (2, "Unified", size))
    assert caches.data_cache(2, 1 << 20, 2 << 20, folder) == found
