"""Where data sets are kept, and what is said where that is not possible."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from zips import make_zip

from fastconv import datasets
from fastconv.cli import check
from fastconv.datasets import folders, stand_in
from fastconv.datasets.folders import filled_at_once, place_of


@pytest.fixture
def homeless(tmp_path, monkeypatch):
    """A home folder in which nothing can be made, and an empty folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    for name in ("FASTCONV_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", os.devnull)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_without_a_home_data_sets_go_to_temporary_files_and_that_is_said_once(homeless, capsys):
    place = place_of("synthetic")
    assert place == homeless / f"fastconv-{os.geteuid()}" / "synthetic"
    assert place.parent.stat().st_mode & 0o777 == 0o700
    said = capsys.readouterr().err
    assert "/dev/null/.cache/fastconv" in said and str(place.parent) in said
    assert "FASTCONV_DATA names another folder" in said and said.count("\n") == 1
    assert place_of("other") == place.with_name("other") and capsys.readouterr().err == ""


def test_the_drawn_set_is_drawn_there(homeless, monkeypatch):
    monkeypatch.setattr(stand_in, "COUNTS", {"train": 2, "validation": 1})
    folder = datasets.synthetic()
    assert folder.is_relative_to(homeless) and len(list(folder.rglob("*.jpg"))) == 6
    assert datasets.synthetic() == folder


def test_a_folder_that_is_another_ones_is_not_used(homeless):
    taken = homeless / f"fastconv-{os.geteuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    assert place_of("synthetic").parent not in (taken, homeless)
    assert not list(taken.iterdir())


def test_a_folder_that_was_named_and_cannot_be_written_is_a_mistake(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for chosen in (str(tmp_path / "file" / "deeper"), "~nobody-of-this-name/data"):
        monkeypatch.setenv("FASTCONV_DATA", chosen)
        with pytest.raises(ValueError, match=r"FASTCONV_DATA is .* folder that can be written"):
            place_of("synthetic")


def test_what_is_there_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "synthetic").mkdir()
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path))
    monkeypatch.setattr(folders, "_why_not_writable", lambda folder: "read-only")
    assert place_of("synthetic") == tmp_path / "synthetic"


def test_no_place_at_all_names_the_variable(homeless, monkeypatch):
    monkeypatch.setattr(folders, "_why_not_writable", lambda folder: "read-only")
    with pytest.raises(ValueError, match=r"neither .*FASTCONV_DATA name a folder"):
        place_of("synthetic")


def test_a_full_disk_is_named(tmp_path):
    with (
        pytest.raises(OSError, match=r"No space left.*FASTCONV_DATA.*photos'"),
        filled_at_once(tmp_path / "photos"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())
    # What has its own name or another reason stays as it is.
    with pytest.raises(ConnectionResetError) as caught, filled_at_once(tmp_path / "photos"):
        raise ConnectionResetError(errno.ECONNRESET, "reset")
    assert caught.value.filename is None


def test_a_set_that_does_not_fit_is_told_with_its_size_and_place(tmp_path, monkeypatch, capsys):
    free = shutil._ntuple_diskusage(10_000, 9_990, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "cache"))
    zipped = make_zip(tmp_path / "x.zip", {"train/a/1.jpg": b"1" * 1000})
    assert check.main([str(zipped)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "unpacks to 1,000 bytes, 10 are free" in said and "FASTCONV_DATA" in said
    assert f"'{tmp_path / 'cache' / 'dog-vs-cat'}-" in said and "fastconv-part" not in said
    assert not list((tmp_path / "cache").iterdir())


def test_the_main_job_works_without_a_home(tmp_path):
    """The real command, in a process whose home and FASTCONV_DATA are no help."""
    (tmp_path / "temporary").mkdir()
    kept = {k: v for k, v in os.environ.items() if k not in ("FASTCONV_DATA", "XDG_CACHE_HOME")}
    environment = {
        **kept,
        "HOME": os.devnull,
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry),
    }
    code = (
        "import sys; from fastconv.cli import train; from fastconv.datasets import stand_in; "
        "from fastconv.datasets import dogs_and_cats; dogs_and_cats.ADDRESS = 'http://127.0.0.1:9/';"
        "stand_in.COUNTS = {'train': 8, 'validation': 4}; sys.exit(train.main(sys.argv[1:]))"
    )
    arguments = ["--arch", "model1", "--epochs", "1", "--image-size", "20"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "training on the built-in synthetic set" in done.stdout
    assert "Drawing 24 pictures" in done.stderr and "FASTCONV_DATA" in done.stderr
    assert (tmp_path / "model1.npz").exists()
