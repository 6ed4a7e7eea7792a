"""Finding the photos: folder, zip, cache, download from a server on this machine."""

from __future__ import annotations

import http.server
import io
import socket
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastconv import datasets
from fastconv.datasets import dogs_and_cats
from fastconv.datasets.downloads import download
from fastconv.datasets.folders import cache_folder, filled_at_once
from fastconv.preprocessing.image import ImageDataGenerator


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """An empty working directory and cache, and no network."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(dogs_and_cats, "ADDRESS", "http://127.0.0.1:9/dog-vs-cat.zip")


def small_zip(prefix="dog-vs-cat/"):
    """A zip of one small JPEG per part and class, as bytes."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(picture, "JPEG")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in ("train", "validation"):
            for kind in ("cat", "dog"):
                archive.writestr(f"{prefix}{part}/{kind}/{kind}.1.jpg", picture.getvalue())
    return buffer.getvalue()


def assert_is_data_set(folder):
    assert isinstance(folder, Path)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.jpg")) == [
        "train/cat/cat.1.jpg",
        "train/dog/dog.1.jpg",
        "validation/cat/cat.1.jpg",
        "validation/dog/dog.1.jpg",
    ]


@pytest.fixture
def server():
    """Serve {path: (bytes, claimed length)} over HTTP; gives (address, contents, requests)."""
    contents, requests = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            data, length = contents.get(self.path, (None, 0))
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", contents, requests
        running.shutdown()
        thread.join()


def test_the_cache_folder(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(ValueError, match=r"FASTCONV_DATA is .* a file; .* --data"):
        cache_folder()
    monkeypatch.delenv("FASTCONV_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "fastconv"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "fastconv"


@pytest.mark.parametrize("prefix", ["dog-vs-cat/", "", "other/"])
def test_a_zip_is_unpacked_into_the_cache_once(tmp_path, prefix):
    path = tmp_path / "photos.zip"
    path.write_bytes(small_zip(prefix))
    folder = datasets.dog_vs_cat(path)
    assert_is_data_set(folder)
    assert folder.parent == tmp_path / "cache"
    assert not [p for p in folder.parent.iterdir() if p.name.startswith(".")]
    marker = folder / "marker"
    marker.touch()
    assert datasets.dog_vs_cat(str(path)) == folder and marker.exists()


def test_another_zip_is_another_folder(tmp_path):
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    first.write_bytes(small_zip())
    second.write_bytes(small_zip("x/"))
    assert datasets.dog_vs_cat(first) != datasets.dog_vs_cat(second)


def test_a_folder_or_the_folder_around_it(tmp_path):
    for part in ("train", "validation"):
        (tmp_path / "outer" / "set" / part).mkdir(parents=True)
    assert datasets.dog_vs_cat(tmp_path / "outer" / "set") == tmp_path / "outer" / "set"
    assert datasets.dog_vs_cat(str(tmp_path / "outer")) == tmp_path / "outer" / "set"


def test_the_working_directory_comes_first_then_the_cache(tmp_path):
    for part in ("train", "validation"):
        (tmp_path / "cache" / "dog-vs-cat" / part).mkdir(parents=True)
    assert datasets.dog_vs_cat() == tmp_path / "cache" / "dog-vs-cat"
    for part in ("train", "validation"):
        (tmp_path / "here" / "dog-vs-cat" / part).mkdir(parents=True)
    assert datasets.dog_vs_cat().absolute() == tmp_path / "here" / "dog-vs-cat"


def test_download(server, tmp_path, monkeypatch, capsys):
    address, contents, requests = server
    data = small_zip()
    contents["/dog-vs-cat.zip"] = (data, len(data))
    monkeypatch.setattr(dogs_and_cats, "ADDRESS", f"{address}/dog-vs-cat.zip")
    folder = datasets.dog_vs_cat()
    assert_is_data_set(folder)
    assert folder == tmp_path / "cache" / "dog-vs-cat"
    assert f"Downloading {address}" in capsys.readouterr().err
    assert datasets.dog_vs_cat() == folder and len(requests) == 1
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["dog-vs-cat"]


def test_nothing_found_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        datasets.dog_vs_cat()
    message = str(caught.value)
    for part in ("no photos found", "127.0.0.1:9", "refused", "give its path", "synthetic()"):
        assert part in message
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("data", "length", "reason"),
    [
        (None, 0, "404"),
        (b"<html>log in</html>", 19, "no zip"),
        (small_zip()[:300], 5000, "ended after 300 of 5,000"),
        (small_zip()[:300], 300, "no zip"),
    ],
)
def test_a_bad_answer_leaves_nothing_behind(server, tmp_path, monkeypatch, data, length, reason):
    address, contents, _ = server
    if data is not None:
        contents["/dog-vs-cat.zip"] = (data, length)
    monkeypatch.setattr(dogs_and_cats, "ADDRESS", f"{address}/dog-vs-cat.zip")
    with pytest.raises(FileNotFoundError, match=reason):
        datasets.dog_vs_cat()
    assert not list((tmp_path / "cache").iterdir())


def test_a_silent_server_is_given_up_on(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(OSError, match=r"nothing came for 0\.2 seconds"):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/x", tmp_path / "x", timeout=0.2)
        assert time.monotonic() - start < 5


def test_too_large_a_download_is_stopped(server, tmp_path):
    address, contents, _ = server
    contents["/big"] = (bytes(200_000), 200_000)
    with pytest.raises(ValueError, match="larger than 100,000 bytes"):
        download(f"{address}/big", tmp_path / "big", max_bytes=100_000)


def test_wrong_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*none\.zip"):
        datasets.dog_vs_cat(tmp_path / "none.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="does not hold a data set"):
        datasets.dog_vs_cat(tmp_path / "empty")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match="damaged or no zip"):
        datasets.dog_vs_cat(tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(FileNotFoundError, match="does not hold a data set"):
        datasets.dog_vs_cat(tmp_path / "other.zip")
    assert not list((tmp_path / "cache").iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new"
    with pytest.raises(KeyboardInterrupt), filled_at_once(target) as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    assert not target.exists()
    with filled_at_once(target) as folder:
        (folder / "train").mkdir()
        (folder / "validation").mkdir()
        assert not target.exists()
    # Whoever comes second finds the first one's folder and leaves it.
    with filled_at_once(target) as folder:
        (folder / "late").touch()
    assert sorted(p.name for p in target.iterdir()) == ["train", "validation"]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").touch()
    with (
        pytest.raises(FileExistsError, match="taken' is there already"),
        filled_at_once(tmp_path / "taken"),
    ):
        pass
    left = sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("."))
    assert left == []


def test_the_real_photos(dog_vs_cat, capsys):
    folder = datasets.dog_vs_cat(dog_vs_cat)
    options = {"target_size": (100, 100), "class_mode": "binary"}
    train = ImageDataGenerator(rescale=1 / 255).flow_from_directory(folder / "train", **options)
    valid = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder / "validation", shuffle=False, **options
    )
    assert capsys.readouterr().out == (
        "Found 2000 images belonging to 2 classes.\nFound 800 images belonging to 2 classes.\n"
    )
    assert train.class_indices == {"cat": 0, "dog": 1}
    assert (len(train), len(valid)) == (63, 25)
    np.testing.assert_array_equal(np.bincount(train.classes), [1000, 1000])
    targets = np.concatenate([valid[i][1] for i in range(25)])
    np.testing.assert_array_equal(targets, [0] * 400 + [1] * 400)
    x, y = train[62]
    assert x.shape == (16, 100, 100, 3) and y.shape == (16,)
    assert 0 <= x.min() < 0.1 and 0.9 < x.max() <= 1
