"""The filter command: the chapter's lines, and files that cannot be read or written."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from fastconv.cli import filter


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_filter_finds_the_chapters_lines(here, capsys):
    pixels = np.zeros((6, 8), np.uint8)
    pixels[:, 4:] = 100
    Image.fromarray(pixels).save("in.png")
    assert filter.main(["in.png", "--kernel", "vertical", "-o", "out.png"]) == 0
    with Image.open("out.png") as image:
        out = np.asarray(image)
    assert out.shape == (6, 8) and (out[:, 3] == 200).all() and out.sum() == 6 * 200
    assert filter.main(["in.png", "--kernel", "horizontal", "-o", "out.png"]) == 0
    with Image.open("out.png") as image:
        assert not np.asarray(image).any()
    assert filter.main(["in.png", "--kernel", "0 0 0; 0 1 0; 0 0 0", "-o", "out.png"]) == 0
    with Image.open("out.png") as image:
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("name", filter.KERNELS)
def test_every_filter_keeps_the_pictures_shape(name):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    out = filter.apply_kernel(picture, filter.parse_kernel(name))
    assert out.shape == picture.shape and out.dtype == np.uint8
    flat = np.full((9, 7, 3), 80, np.uint8)
    total = filter.parse_kernel(name).sum()
    assert np.array_equal(
        filter.apply_kernel(flat, filter.parse_kernel(name)), np.full_like(flat, round(80 * total))
    )


def test_a_picture_that_cannot_be_written_leaves_the_file_as_it_was(here, capsys, monkeypatch):
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save("in.png")
    (here / "out.png").write_bytes(b"before")

    def fails(self, *arguments, **options):
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", fails)
    assert filter.main(["in.png", "--kernel", "blur", "-o", "out.png"]) == 2
    assert "encoder error" in capsys.readouterr().err
    assert (here / "out.png").read_bytes() == b"before"


def test_a_full_disk_leaves_the_picture_that_was_there(here, capsys, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    Image.fromarray(np.eye(6, dtype=np.uint8)).save("in.png")
    (here / "out.png").write_bytes(b"as it was")
    monkeypatch.setattr(os, "fsync", full)
    assert filter.main(["in.png", "--kernel", "blur", "-o", "out.png"]) == 1
    assert "filter: failed: No space left on device: " in capsys.readouterr().err
    assert (here / "out.png").read_bytes() == b"as it was"
    assert sorted(os.listdir(here)) == ["in.png", "out.png"]
