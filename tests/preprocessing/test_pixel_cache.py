"""Decoded once: in memory, in a file that several runs and processes share, within a limit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from image_folders import write_folder, write_image

from fastconv.preprocessing import image_files
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.preprocessing.pixel_cache import cache_key

SIZE = (16, 20)
IMAGE_BYTES = 16 * 20 * 3
AUGMENT = {"rotation_range": 40, "zoom_range": 0.2, "rescale": 1 / 255}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set", {"cat": 7, "dog": 6})


@pytest.fixture
def decoded(monkeypatch):
    """The paths that are decoded, in order."""
    paths = []
    real = image_files.load_img
    monkeypatch.setattr(
        image_files, "load_img", lambda path, *rest: paths.append(path) or real(path, *rest)
    )
    return paths


def flow(folder, **options):
    options = {"target_size": SIZE, "class_mode": "binary", "seed": 1, "batch_size": 5, **options}
    return ImageDataGenerator(**AUGMENT).flow_from_directory(folder, **options)


def epoch_of(iterator, epoch=0):
    iterator.set_epoch(epoch)
    return np.concatenate([iterator[step][0] for step in range(len(iterator))])


def test_a_look_decodes_one_batch_and_the_next_batch_all(folder, decoded):
    iterator = flow(folder)
    iterator[0]
    assert len(decoded) == 5
    iterator[1]
    assert sorted(decoded) == sorted(iterator.filepaths)
    for epoch in range(3):
        epoch_of(iterator, epoch)
    assert len(decoded) == 13


def test_over_the_limit_the_rest_is_decoded_again_with_the_same_pixels(folder, tmp_path, decoded):
    plain = [epoch_of(flow(folder), epoch) for epoch in range(2)]
    for kind in ("memory", "disk"):
        few = flow(
            folder, cache=kind, cache_limit_mb=4.5 * IMAGE_BYTES / 2**20, cache_dir=tmp_path / kind
        )
        few.decode()
        decoded.clear()
        for epoch in range(2):
            np.testing.assert_array_equal(epoch_of(few, epoch), plain[epoch])
        assert len(set(decoded)) == 9 and len(decoded) == 18


def test_the_file_serves_the_next_run(folder, tmp_path, decoded):
    first = flow(folder, cache="disk", cache_dir=tmp_path / "kept")
    expected = epoch_of(first)
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".pixels"]
    decoded.clear()
    second = flow(folder, cache="disk", cache_dir=tmp_path / "kept")
    np.testing.assert_array_equal(epoch_of(second), expected)
    assert decoded == []
    np.testing.assert_array_equal(epoch_of(flow(folder)), expected)


def test_the_folder_is_beside_the_downloaded_data_by_default(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "data"))
    flow(folder, cache="disk").decode()
    assert len(list((tmp_path / "data" / "pixels").iterdir())) == 1


def test_what_changes_a_pixel_changes_the_file(folder, tmp_path):
    paths = [str(path) for path in sorted((folder / "cat").iterdir())]
    options = {"shape": (1, 2, 3), "interpolation": "nearest"}
    keys = [cache_key(paths, options), cache_key(paths, {**options, "interpolation": "box"})]
    keys.append(cache_key(paths[:-1], options))
    status = os.stat(paths[0])
    os.utime(paths[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    keys.append(cache_key(paths, options))
    write_image(folder / "cat" / "cat.1.jpg", 99, (50, 50))
    keys.append(cache_key(paths, options))
    assert len(set(keys)) == 5
    assert cache_key(paths, options) == keys[-1]


def test_a_changed_photo_is_seen(folder, tmp_path):
    epoch_of(flow(folder, cache="disk", cache_dir=tmp_path / "kept"))
    write_image(folder / "cat" / "cat.1.jpg", 99)
    again = epoch_of(flow(folder, cache="disk", cache_dir=tmp_path / "kept"))
    np.testing.assert_array_equal(again, epoch_of(flow(folder)))


@pytest.mark.parametrize("damage", [b"", b"fastconv pixels 1\n", b"x" * 20_000])
def test_a_damaged_file_is_made_anew(folder, tmp_path, damage, decoded):
    expected = epoch_of(flow(folder, cache="disk", cache_dir=tmp_path / "kept"))
    (path,) = (tmp_path / "kept").iterdir()
    path.write_bytes(damage)
    decoded.clear()
    for _ in range(2):
        again = epoch_of(flow(folder, cache="disk", cache_dir=tmp_path / "kept"))
        np.testing.assert_array_equal(again, expected)
    assert len(decoded) == 13


def pixels_in(path):
    """Return where in the file the pixels of 13 images begin."""
    return path.stat().st_size - 13 * IMAGE_BYTES


@pytest.mark.parametrize("place", ["header", "table", "first", "last", "everywhere"])
def test_changed_bytes_of_the_file_are_not_used(folder, tmp_path, place):
    options = {"cache": "disk", "cache_dir": tmp_path / "kept"}
    expected = epoch_of(flow(folder, **options))
    (path,) = (tmp_path / "kept").iterdir()
    content = bytearray(path.read_bytes())
    start = pixels_in(path)
    places = {
        "header": (2, 20),
        "table": (66, start - 1),
        "first": (start, start + 1),
        "last": (len(content) - 2, len(content) - 1),
        "everywhere": range(start, len(content), 100),
    }[place]
    for at in places:
        content[at] ^= 0x11
    path.write_bytes(content)
    for _ in range(3):  # found out; the file made anew; that one used
        iterator = flow(folder, **options)
        for _ in range(2):
            np.testing.assert_array_equal(epoch_of(iterator), expected)
    assert path.exists()


SHORTENING = """
import sys
sys.path[:] = sys.argv[4:]
import numpy as np
from fastconv.preprocessing.image import ImageDataGenerator

def epoch():
    return np.concatenate([flow[step][0] for step in range(len(flow))])

from pathlib import Path
options = {"batch_size": 5, "shuffle": False, "cache": "disk", "cache_dir": sys.argv[2]}
flow = ImageDataGenerator().flow_from_directory(sys.argv[1], (16, 20), **options)
if sys.argv[3] == "finished":
    flow.decode()
    flow = ImageDataGenerator().flow_from_directory(sys.argv[1], (16, 20), **options)
    before = epoch()
else:
    before = epoch()[:5]
    flow[0]
(path,) = Path(sys.argv[2]).iterdir()
with open(path, "r+b") as file:
    file.truncate(70)
assert np.array_equal(epoch()[:len(before)], before)
print("the same")
"""


@pytest.mark.parametrize("when", ["finished", "unfinished"])
def test_a_file_that_another_program_shortens_ends_nothing(folder, tmp_path, when):
    arguments = [str(folder), str(tmp_path / "kept"), when, *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", SHORTENING, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.endswith("the same\n"), done


def test_a_disk_that_is_full_later_names_the_file(folder, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    expected = epoch_of(flow(folder))
    iterator = flow(folder, cache="disk", cache_dir=tmp_path / "kept")
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.warns(UserWarning, match=r"kept/.*part' cannot be written \(No space") as caught:
        np.testing.assert_array_equal(epoch_of(iterator), expected)
    assert len(caught) == 1
    monkeypatch.undo()
    np.testing.assert_array_equal(epoch_of(iterator, 0), expected)
    del iterator
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_child_of_fork_leaves_its_parents_file(folder, tmp_path):
    iterator = flow(folder, cache="disk", cache_dir=tmp_path / "kept")
    iterator[0]
    (part,) = (tmp_path / "kept").iterdir()
    child = os.fork()
    if child == 0:
        iterator._cache._cleaning()
        os._exit(0)
    os.waitpid(child, 0)
    assert part.exists()


def test_an_unfinished_file_is_seen_by_nobody_and_goes(folder, tmp_path):
    kept = tmp_path / "kept"
    iterator = flow(folder, cache="disk", cache_dir=kept)
    iterator[0]
    assert [path.suffix for path in kept.iterdir()] == [".part"]
    del iterator
    assert list(kept.iterdir()) == []
    (kept / "old.part").touch()
    os.utime(kept / "old.part", (0, 0))
    (kept / "new.part").touch()
    epoch_of(flow(folder, cache="disk", cache_dir=kept))
    assert sorted(path.suffix for path in kept.iterdir()) == [".part", ".pixels"]


def test_files_used_longest_ago_go_when_all_pass_the_limit(folder, tmp_path):
    kept = tmp_path / "kept"
    # Room for the pixels of one and a half of these sets.
    options = {"cache": "disk", "cache_dir": kept, "cache_limit_mb": 20 * IMAGE_BYTES / 2**20}
    flow(folder, **options).decode()
    (first,) = kept.iterdir()
    os.utime(first, (1, 1))
    flow(folder, interpolation="box", **options).decode()
    (second,) = kept.iterdir()
    assert second != first


CODE = """
import sys, hashlib
from fastconv.preprocessing.image import ImageDataGenerator
flow = ImageDataGenerator(rotation_range=30).flow_from_directory(
    sys.argv[1], (16, 20), batch_size=5, seed=1, cache="disk", cache_dir=sys.argv[2])
digest = hashlib.sha256()
for epoch in range(2):
    flow.set_epoch(epoch)
    for step in range(len(flow)):
        digest.update(flow[step][0].tobytes())
print(digest.hexdigest())
"""


def test_processes_at_once_do_not_disturb_each_other(folder, tmp_path):
    command = [sys.executable, "-c", CODE, str(folder), str(tmp_path / "kept")]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    assert not any(errors for _, errors in outputs), outputs
    assert len({output for output, _ in outputs}) == 1
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".pixels"]


def test_a_folder_that_cannot_be_written_costs_only_a_warning(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    iterator = flow(folder, cache="disk", cache_dir=tmp_path / "file" / "kept")
    with pytest.warns(UserWarning, match="cannot be written .* kept in memory"):
        found = epoch_of(iterator)
    np.testing.assert_array_equal(found, epoch_of(flow(folder)))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_disk_costs_only_a_warning(folder, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    iterator = flow(folder, cache="disk", cache_dir=tmp_path / "kept")
    with pytest.warns(UserWarning, match="No space left on device"):
        epoch_of(iterator)
    del iterator
    assert list((tmp_path / "kept").iterdir()) == []


def test_broken_images_are_not_in_the_file(folder, tmp_path):
    options = {"cache": "disk", "cache_dir": tmp_path / "kept"}
    iterator = flow(folder, shuffle=False, **options)
    status = os.stat(folder / "cat" / "cat.2.jpg")
    good = (folder / "cat" / "cat.2.jpg").read_bytes()
    bad = folder / "cat" / "cat.2.jpg"
    bad.write_bytes(good[:-400] + bytes(398) + good[-2:])
    os.utime(bad, ns=(status.st_atime_ns, status.st_mtime_ns))
    with warnings.catch_warnings():
        # A damaged stream may decode after all, to other pixels.
        warnings.simplefilter("ignore")
        first = epoch_of(iterator)
        np.testing.assert_array_equal(epoch_of(iterator), first)


def test_a_bar_on_a_terminal_when_it_takes_long(folder, monkeypatch):
    import tqdm.auto

    shown = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, items, title, total, **rest):
            shown.append((title, total))
            super().__init__(items, title, total, **rest)

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    flow(folder).decode()
    flow(folder, progress=False).decode()
    assert shown == [("Decoding", 13)]


def test_a_bar_in_a_notebook_though_that_is_no_terminal(folder, monkeypatch):
    import tqdm.auto

    disabled = []

    class NotebookBar:
        def __init__(self, items, title, total, disable, **rest):
            disabled.append(disable)
            self.items = items

        def __iter__(self):
            return iter(self.items)

    NotebookBar.__module__ = "tqdm.notebook"
    monkeypatch.setattr(tqdm.auto, "tqdm", type("tqdm", (NotebookBar,), {}))
    flow(folder).decode()
    assert disabled == [False]


def test_ctrl_c_while_decoding_ends_soon(folder, monkeypatch):
    seen = []

    def interrupted(path, *rest):
        seen.append(path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        time.sleep(0.01)
        return real(path, *rest)

    real = image_files.load_img
    monkeypatch.setattr(image_files, "load_img", interrupted)
    iterator = flow(folder)
    with pytest.raises(KeyboardInterrupt):
        iterator.decode()
    assert len(seen) < 13
    iterator.decode()
    assert iterator._cache.missing() == []
