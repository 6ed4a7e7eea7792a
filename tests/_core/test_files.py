"""Files that are replaced as a whole: kills, concurrent writers, modes, full disks, long names."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fastconv._core import files
from fastconv.saving import npz as archive

ARRAYS = {"x": np.arange(5.0)}

# Writes the same large array again and again, until it is killed.
_ENDLESS = """
import sys
import numpy as np
from fastconv.saving import npz as archive
arrays = {"x": np.zeros(3_000_000)}
while True:
    archive.write(sys.argv[1], arrays)
"""


def _temporary(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


def _kill_while_writing(path: Path) -> None:
    """Start a writer of `path` and kill it, as kill -9 does, while its file is half there."""
    writer = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)])
    try:
        deadline = time.monotonic() + 60
        while not _temporary(path.parent) and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()


def test_what_killed_writers_leave_goes_with_the_next_save(tmp_path):
    path = tmp_path / "m.npz"
    for _ in range(20):
        _kill_while_writing(path)
        if _temporary(tmp_path):
            break
    assert _temporary(tmp_path), "no writer was caught in the act"
    archive.write(path, ARRAYS)
    assert os.listdir(tmp_path) == ["m.npz"]


def test_a_file_that_nobody_holds_goes_and_no_other(tmp_path):
    kept = [".m.npz.tmp", ".m.npz.0123456789ab.tmp.txt", ".n.npz.0123456789ab.tmp", "m.npz.tmp"]
    for name in [".m.npz.0123456789ab.tmp", *kept]:
        (tmp_path / name).write_bytes(b"half")
    archive.write(tmp_path / "m.npz", ARRAYS)
    assert sorted(os.listdir(tmp_path)) == sorted(["m.npz", *kept])


def test_writers_of_one_file_do_not_remove_each_others(tmp_path):
    path, errors = tmp_path / "m.npz", []

    def write(number):
        try:
            for _ in range(60):
                archive.write(path, {"x": np.full(20_000, float(number))})
        except BaseException as error:
            errors.append(error)

    code = _ENDLESS.replace("while True", "for _ in range(30)")
    others = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait() for other in others] == [0, 0] and not errors
    assert len(np.unique(archive.read(path)["x"])) == 1 and os.listdir(tmp_path) == ["m.npz"]


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o644, 0o444])
def test_the_mode_of_a_file_is_kept(tmp_path, mode):
    path = tmp_path / "m.npz"
    archive.write(path, ARRAYS)
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o7777 == 0o666 & ~umask
    path.chmod(mode)
    archive.write(path, ARRAYS)
    assert path.stat().st_mode & 0o7777 == mode
    link = tmp_path / "link.npz"
    link.symlink_to(path)
    archive.write(link, ARRAYS)
    assert link.is_symlink() and path.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_of_a_file_is_kept(tmp_path):
    path = tmp_path / "m.npz"
    archive.write(path, ARRAYS)
    os.chown(path, 1234, 4321)
    archive.write(path, ARRAYS)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@pytest.mark.parametrize("letter", ["m", "모"])
def test_names_as_long_as_a_folder_allows(tmp_path, letter):
    size = len(letter.encode())
    name = letter * (251 // size) + "x" * (251 % size) + ".npz"
    assert len(name.encode()) == 255
    archive.write(tmp_path / name, ARRAYS)
    assert os.listdir(tmp_path) == [name]
    assert np.array_equal(archive.read(tmp_path / name)["x"], ARRAYS["x"])
    with pytest.raises(OSError, match="too long") as caught:
        archive.write(tmp_path / f"x{name}", ARRAYS)
    assert f"x{name}" in str(caught.value) and os.listdir(tmp_path) == [name]


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    """A limit of this process's file sizes ends a write as a full disk does: with an OSError."""
    path = tmp_path / "m.npz"
    archive.write(path, ARRAYS)
    code = """
import resource, signal, sys
import numpy as np
from fastconv.saving import npz as archive
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    archive.write(sys.argv[1], {"x": np.zeros(100_000), "y": np.zeros(3)})
except OSError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"[Errno 27] File too large: {str(path)!r}\n"
    assert np.array_equal(archive.read(path)["x"], ARRAYS["x"]) and os.listdir(tmp_path) == [
        path.name
    ]


def test_errors_name_the_file_and_not_the_one_beside_it(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*m\.npz'$"):
        archive.write(tmp_path / "m.npz", ARRAYS)
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        archive.write(tmp_path, ARRAYS)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    """Renamed over, a device would be lost to all programs."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "m.npz").symlink_to("pipe")
    with pytest.raises(OSError, match="it is a device or a pipe"):
        archive.write(tmp_path / "m.npz", ARRAYS)
    assert (tmp_path / "pipe").is_fifo()


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_the_renaming_is_put_on_the_disk_too(tmp_path, monkeypatch):
    synced, sync, before = [], os.fsync, _open_files()

    def note(handle):
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    archive.write(tmp_path / "m.npz", ARRAYS)
    assert synced == [False, True] and _open_files() == before


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    opens = os.open

    def refuse(path, flags, *more, **options):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return opens(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", refuse)
    archive.write(tmp_path / "m.npz", ARRAYS)
    assert np.array_equal(archive.read(tmp_path / "m.npz")["x"], ARRAYS["x"])


def test_errors_that_are_not_the_systems_stay_as_they_are(tmp_path):
    with pytest.raises(OSError) as caught, files.replacing(tmp_path / "m.npz"):
        raise OSError("text alone")
    assert str(caught.value) == "text alone" and os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot be written: there is no folder '.*away'"):
        archive.write(tmp_path / "away" / "m.npz", ARRAYS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with files.open_regular(tmp_path / "a") as file:
        assert file.read() == b"abc"
    os.mkfifo(tmp_path / "pipe")
    before = _open_files()
    with pytest.raises(OSError, match=r"not a regular file: '.*pipe'") as caught:
        files.open_regular(tmp_path / "pipe")
    assert caught.value.errno == errno.EINVAL and _open_files() == before


def test_a_files_name_is_added_to_errors_without_one():
    for error, name in (
        (OSError(28, "full"), "m.npz"),
        (OSError(28, "full", "other"), "other"),
        (OSError("text alone"), None),
    ):
        with pytest.raises(OSError) as caught, files.named_in_errors("m.npz"):
            raise error
        assert caught.value is error and error.filename == name


@pytest.mark.skipif(files.fcntl is None, reason="a system without locks of files")
def test_a_lock_is_of_one_opening_of_a_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"")
    with open(path) as first, open(path) as second:
        assert files.lock(first.fileno()) is True and files.lock(second.fileno()) is False
        assert files.is_at(first.fileno(), path) is True
        (tmp_path / "link").symlink_to(path)
        assert files.is_at(first.fileno(), tmp_path / "link") is False
        path.unlink()
        assert files.is_at(first.fileno(), path) is False
        monkeypatch.setattr(files, "fcntl", None)
        assert files.lock(second.fileno()) is None
