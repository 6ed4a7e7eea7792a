"""Saved batches: one file for each image that was given, whoever else writes there."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading

import numpy as np
import pytest
from image_folders import write_folder

from fastconv.preprocessing.image import ImageDataGenerator, save_img

X = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


def saved(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_iterator_of_one_image_writes_every_one_it_gives(tmp_path):
    """The usual way to look at an augmentation: an iterator for each photo, one folder."""
    generator = ImageDataGenerator(rotation_range=40)
    for image in X[:5]:
        batches = generator.flow(image[np.newaxis], batch_size=1, save_to_dir=tmp_path)
        for _ in range(20):
            next(batches)
    assert len(saved(tmp_path)) == 100


def test_training_and_validation_share_a_folder(tmp_path):
    root = write_folder(tmp_path / "set", {"a": 4, "b": 4})
    generator = ImageDataGenerator(validation_split=0.5)
    for subset in ("training", "validation"):
        iterator = generator.flow_from_directory(
            root, (8, 8), subset=subset, save_to_dir=tmp_path / "seen"
        )
        for step in (0, 0):  # a look at a batch, and the batch
            iterator.batch(0, step)
    assert len(saved(tmp_path / "seen")) == 8


def test_what_is_there_is_never_replaced(tmp_path):
    (tmp_path / "_0_0.png").write_bytes(b"mine")
    ImageDataGenerator().flow(X, shuffle=False, batch_size=20, save_to_dir=tmp_path)[0]
    assert (tmp_path / "_0_0.png").read_bytes() == b"mine" and len(saved(tmp_path)) == 21
    assert "_0_0_1.png" in saved(tmp_path)


def test_threads_and_iterators_at_once(tmp_path):
    iterators = [
        ImageDataGenerator().flow(X, batch_size=5, seed=i, save_to_dir=tmp_path) for i in range(4)
    ]
    workers = [
        threading.Thread(target=lambda it=it, step=step: it.batch(0, step))
        for it in iterators
        for step in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(saved(tmp_path)) == 80


@pytest.mark.parametrize("save_format", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "PNG"])
def test_every_ending_that_is_read_can_be_written(tmp_path, save_format):
    ImageDataGenerator().flow(X, save_to_dir=tmp_path / "a", save_format=save_format)[0]
    assert len(saved(tmp_path / "a")) == 20
    save_img(tmp_path / f"x.{save_format}", X[0])
    assert (tmp_path / f"x.{save_format}").stat().st_size


FULL = """
import resource, signal, sys
sys.path[:] = sys.argv[3:]
import numpy as np
from fastconv.preprocessing.image import ImageDataGenerator, save_img
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
x = np.random.default_rng(0).integers(0, 256, (1, 200, 200, 3), dtype=np.uint8)
batches = ImageDataGenerator().flow(x, save_to_dir=sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for write in (lambda: batches[0], lambda: save_img(sys.argv[2], x[0])):
    try:
        write()
    except OSError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit of files' sizes")
def test_a_full_disk_names_the_file_and_leaves_no_half(tmp_path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "seen"), str(tmp_path / "x.png")]
    command += sys.path
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done
    assert str(tmp_path / "seen" / "_0_0.png") in lines[0] and str(tmp_path / "x.png") in lines[1]
    assert saved(tmp_path / "seen") == []


@pytest.mark.parametrize("prefix", ["../cat", "a/b", "/cat"])
def test_a_prefix_leads_into_no_other_folder(tmp_path, prefix):
    x = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match=r"save_prefix is .*save_to_dir"):
        ImageDataGenerator().flow(x, save_to_dir=tmp_path / "seen", save_prefix=prefix)
    assert not list(tmp_path.iterdir())
