"""The drawn data set: the same every time, whole, and not told apart by colour."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import datasets
from fastconv.datasets import stand_in
from fastconv.datasets.scenes import draw_scene
from fastconv.preprocessing.image import ImageDataGenerator


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(stand_in, "COUNTS", {"train": 6, "validation": 3})


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.jpg")}


def test_the_set_is_drawn_once_and_the_same_every_time(tmp_path, small):
    first = datasets.synthetic(tmp_path / "a")
    second = datasets.synthetic(str(tmp_path / "deeper" / "b"))
    assert first == tmp_path / "a"
    assert contents(first) == contents(second)
    assert len(set(contents(first).values())) == 18  # no picture is there twice
    changed = first / "train" / "cat" / "cat.0.jpg"
    before = changed.stat().st_mtime_ns
    assert datasets.synthetic(first) == first
    assert changed.stat().st_mtime_ns == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "deeper"]


def test_the_cache_is_its_place_without_a_path(tmp_path, small, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "cache"))
    assert datasets.synthetic() == tmp_path / "cache" / "synthetic"


def test_it_is_read_like_the_photos(tmp_path, small, capsys):
    folder = datasets.synthetic(tmp_path / "a")
    iterator = ImageDataGenerator().flow_from_directory(
        folder / "train", target_size=(100, 100), class_mode="binary", seed=0
    )
    assert capsys.readouterr().out == "Found 12 images belonging to 2 classes.\n"
    assert iterator.class_indices == {"cat": 0, "dog": 1}
    assert datasets.dog_vs_cat(folder) == folder


def test_an_empty_folder_is_filled_and_others_are_left_alone(tmp_path, small):
    (tmp_path / "empty").mkdir()
    assert len(contents(datasets.synthetic(tmp_path / "empty"))) == 18
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    (tmp_path / "file").touch()
    for name in ("mine", "file"):
        with pytest.raises(FileExistsError, match=f"{name}' is there already"):
            datasets.synthetic(tmp_path / name)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_stopped_drawing_leaves_nothing(tmp_path, small, monkeypatch):
    drawn = []

    def stop(kind, seed):
        drawn.append(seed)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return draw_scene(kind, seed)

    monkeypatch.setattr(stand_in, "draw_scene", stop)
    with pytest.raises(KeyboardInterrupt):
        datasets.synthetic(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_pictures_vary_and_colour_does_not_give_the_kind_away():
    numbers = range(150)
    pictures = {
        kind: [np.asarray(draw_scene(kind, 10_000 + n)) for n in numbers] for kind in ("cat", "dog")
    }
    sizes = {picture.shape for picture in pictures["cat"]}
    assert len(sizes) > 100
    assert all(80 <= side <= 150 for shape in sizes for side in shape[:2])
    colors = {kind: np.array([p.mean(axis=(0, 1)) for p in ps]) for kind, ps in pictures.items()}
    spread = np.concatenate(list(colors.values())).std(axis=0)
    gap = np.abs(colors["cat"].mean(axis=0) - colors["dog"].mean(axis=0))
    # Means of 150 pictures of one kind differ by 0.12 spreads by chance alone.
    assert np.all(gap < 0.4 * spread)


def test_the_real_counts():
    assert stand_in.COUNTS == {"train": 1000, "validation": 400}
