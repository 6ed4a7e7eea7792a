"""NumPy archives: whole or not at all, and read without trust."""

from __future__ import annotations

import os
import threading
import zipfile

import numpy as np
import pytest

from fastconv.saving import npz as archive
from fastconv.saving.npz import CheckpointError

ARRAYS = {
    "format": np.array("text"),
    "weights/a/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "number": np.array(3),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 3)),
}


def test_numpy_reads_what_is_written_and_it_comes_back(tmp_path):
    path = tmp_path / "a.npz"
    archive.write(path, ARRAYS)
    back = archive.read(path)
    assert list(back) == list(ARRAYS)
    with np.load(path, allow_pickle=False) as loaded:
        for name, array in ARRAYS.items():
            for other in (loaded[name], back[name]):
                assert other.dtype == array.dtype and np.array_equal(other, array)
    assert os.listdir(tmp_path) == ["a.npz"]


def test_equal_contents_make_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        archive.write(tmp_path / name, ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    archive.write(path, ARRAYS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="pickle"):
        archive.write(path, {"fine": np.zeros(3), "bad": np.array([object()])})

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        archive.write(path, ARRAYS)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.npz"]


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "a.npz"
    archive.write(path, {"x": np.zeros(50_000)})
    done = threading.Event()
    wrong = []

    def read():
        while not done.is_set():
            values = np.unique(archive.read(path)["x"])
            if len(values) != 1:
                wrong.append(values)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        archive.write(path, {"x": np.full(50_000, float(number))})
    done.set()
    reader.join()
    assert not wrong


def test_links_and_permissions_are_kept(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "real" / "a.npz")
    archive.write(link, ARRAYS)
    assert link.is_symlink() and (tmp_path / "real" / "a.npz").exists()
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "real" / "a.npz").stat().st_mode & 0o777 == 0o666 & ~umask


def test_every_damage_is_noticed(tmp_path):
    path = tmp_path / "a.npz"
    archive.write(path, ARRAYS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"a\.npz: the file is (damaged|empty|not)"):
            archive.read(path)
    start = whole.index(ARRAYS["weights/a/kernel"].tobytes())
    for position in (start, start + 20, whole.index(b"NUMPY")):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            archive.read(path)


def test_foreign_files(tmp_path):
    path = tmp_path / "a.npz"
    path.write_text("hello")
    with pytest.raises(CheckpointError, match="no NumPy archive"):
        archive.read(path)
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="damaged"):
        archive.read(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        archive.read(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        archive.read(tmp_path)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([print], dtype=object))
    with pytest.raises(CheckpointError, match="never unpickled"):
        archive.read(path)


def test_a_member_that_announces_more_than_it_has(tmp_path):
    path = tmp_path / "a.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    data = b"\x93NUMPY\x01\x00" + (len(header)).to_bytes(2, "little") + header + b"\0" * 8
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("x.npy", data)
    with pytest.raises(CheckpointError, match="damaged"):
        archive.read(path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*none'; make it"):
        archive.write(tmp_path / "none" / "a.npz", ARRAYS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.npz")
    with pytest.raises(OSError, match=r"not a regular file: .*m\.npz"):
        archive.read(tmp_path / "m.npz")
