"""What a killed process leaves is removed by the next one; what a live one has is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from zips import make_zip

from fastconv._core import files
from fastconv.datasets import scratch
from fastconv.datasets.folders import filled_at_once
from fastconv.datasets.scratch import claimed_file, remove_abandoned, scratch_folder

pytestmark = pytest.mark.skipif(files.fcntl is None, reason="a system without locks of files")


def start(code, *arguments):
    """Run Python code in a process of its own; it is ready when it has printed a line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    process.stdout.close()


HALF_UNPACKED = """
import pathlib, sys, time
from fastconv.datasets import archives
from fastconv.datasets.folders import filled_at_once
write = archives._write
def slow(archive, member, target, *more):
    write(archive, member, target, *more)
    print("one file is there", flush=True)
    time.sleep(600)
archives._write = slow
with filled_at_once(pathlib.Path(sys.argv[2])) as folder:
    archives.unpack(sys.argv[1], folder)
"""


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_killed_unpacking_is_removed_by_the_next_one_and_a_live_one_is_not(tmp_path):
    names = [f"{part}/{kind}/x.jpg" for part in ("train", "validation") for kind in "ab"]
    path = make_zip(tmp_path / "x.zip", dict.fromkeys(names, b"1" * 1000))
    place = tmp_path / "cache"
    killed = start(HALF_UNPACKED, path, place / "one")
    live = start(HALF_UNPACKED, path, place / "two")
    try:
        assert len(hidden(place)) == 2 and len(list(place.rglob("x.jpg"))) == 2
        kill(killed)
        with filled_at_once(place / "three") as folder:
            (folder / "train").mkdir()
        (left,) = hidden(place)
        assert left.name.startswith(".two-") and len(list(left.rglob("x.jpg"))) == 1
    finally:
        kill(live)
    with filled_at_once(place / "four") as folder:
        (folder / "train").mkdir()
    assert sorted(path.name for path in place.iterdir()) == ["four", "three"]


HALF_DECODED = """
import sys, time
from fastconv.preprocessing.image import ImageDataGenerator
data = ImageDataGenerator().flow_from_directory(
    sys.argv[1], target_size=(64, 64), class_mode="sparse", cache="disk", cache_dir=sys.argv[2]
)
data[0]
print("begun", flush=True)
time.sleep(600)
"""


def test_a_killed_decoding_is_removed_by_the_next_one_and_a_live_one_is_not(tmp_path, capsys):
    from image_folders import write_folder

    from fastconv.preprocessing.image import ImageDataGenerator

    kept = tmp_path / "kept"
    sets = [write_folder(tmp_path / name, {"a": 3, "b": 3}) for name in ("one", "two", "three")]

    def parts():
        return sorted(path.name for path in kept.glob("*.part"))

    def wait_for(count):
        deadline = time.monotonic() + 60
        while len(parts()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(parts()) == count

    killed = start(HALF_DECODED, sets[0], kept)
    wait_for(1)
    live = start(HALF_DECODED, sets[1], kept)
    try:
        wait_for(2)
        kill(killed)
        data = ImageDataGenerator().flow_from_directory(
            sets[2], target_size=(64, 64), class_mode="sparse", cache="disk", cache_dir=kept
        )
        data.decode()
        assert len(parts()) == 1 and len(list(kept.glob("*.pixels"))) == 1
    finally:
        kill(live)


def test_only_our_own_are_removed(tmp_path):
    for name in (".letters-abcdefgh", "train", ".fastconv", "x.fastconv-part"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept.txt").touch()
    (tmp_path / ".link.fastconv-part").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / ".pipe.fastconv-part")
    with scratch_folder(tmp_path, "new") as folder:
        assert folder.is_dir()
    assert not folder.exists()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted(
        [".letters-abcdefgh", "train", ".fastconv", "x.fastconv-part", "elsewhere",
         ".link.fastconv-part"]
    )  # fmt: skip
    assert (tmp_path / "elsewhere" / "kept.txt").exists()


def test_a_folder_that_is_removed_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    lock, tries = scratch.lock, []

    def late(handle):
        tries.append(handle)
        if len(tries) == 1:
            remove_all(tmp_path)
        return lock(handle)

    def remove_all(folder):
        for path in folder.iterdir():
            path.rmdir() if path.is_dir() else path.unlink()

    monkeypatch.setattr(scratch, "lock", late)
    with scratch_folder(tmp_path, "new") as folder:
        assert folder.is_dir() and len(tries) == 2
    tries.clear()
    handle, path = claimed_file(tmp_path, "x.", ".part")
    assert os.path.exists(path) and len(tries) == 2
    os.close(handle)


def test_without_locks_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    for name, age in (("old", 100_000), ("new", 10)):
        (tmp_path / f"{name}.part").write_text("pixels")
        os.utime(tmp_path / f"{name}.part", (time.time() - age,) * 2)
    remove_abandoned(tmp_path, "*.part")
    assert [path.name for path in tmp_path.iterdir()] == ["new.part"]


def test_a_long_name_leaves_room_for_the_rest(tmp_path):
    with filled_at_once(Path(tmp_path, "사" * 80)) as folder:
        (folder / "x").touch()
    assert (tmp_path / ("사" * 80) / "x").exists()
