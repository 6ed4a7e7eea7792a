"""Zips that are damaged or hostile are refused; good ones are unpacked whole or not at all."""

from __future__ import annotations

import stat
import struct
import zipfile

import pytest

from fastconv.datasets.archives import unpack


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    """Write a zip of {name or ZipInfo: bytes}."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def link(name, mode):
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = mode << 16
    return member


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "outer" / "target"
    folder.mkdir(parents=True)
    return folder


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_a_good_zip(tmp_path, target):
    members = {"a/b/one.txt": b"1" * 3_000_000, "a/two.txt": b"", "a/한글.txt": b"3", "d/": b""}
    unpack(make_zip(tmp_path / "x.zip", members), target)
    assert files_in(target) == ["a/b/one.txt", "a/two.txt", "a/한글.txt"]
    assert (target / "a/b/one.txt").read_bytes() == members["a/b/one.txt"]


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "a/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt", "C:evil.txt"],
)
def test_names_that_lead_out_are_refused(tmp_path, target, name):
    member = zipfile.ZipInfo("x")
    member.filename = name  # the constructor would tidy it
    path = make_zip(tmp_path / "x.zip", {"good.txt": b"1", member: b"2"})
    with pytest.raises(ValueError, match="leads out of the folder"):
        unpack(path, target)
    assert files_in(tmp_path) == ["x.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(tmp_path, target, kind):
    path = make_zip(tmp_path / "x.zip", {"good.txt": b"1", link("link", kind | 0o777): b"/etc"})
    with pytest.raises(ValueError, match="'link' is a link or a special file"):
        unpack(path, target)
    assert files_in(target) == []


def test_bounds(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {"a": bytes(600), "b": bytes(600)})
    with pytest.raises(ValueError, match="would unpack to 1,200 bytes; at most 1,000"):
        unpack(path, target, max_bytes=1000)
    with pytest.raises(ValueError, match="holds 2 files; at most 1"):
        unpack(path, target, max_files=1)
    assert files_in(target) == []
    unpack(path, target, max_bytes=1200)


def test_a_zip_that_lies_about_its_size(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {"bomb": bytes(5_000_000)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 10)))
    with pytest.raises(ValueError, match="damaged"):
        unpack(path, target, max_bytes=1000)
    assert sum(p.stat().st_size for p in target.rglob("*") if p.is_file()) <= 1000


def test_damage_is_named(tmp_path, target):
    good = make_zip(tmp_path / "good.zip", {"a.txt": bytes(range(256)) * 100}).read_bytes()
    flipped = bytearray(good)
    flipped[60] ^= 0xFF
    for name, data in {
        "half.zip": good[: len(good) // 2],
        "flipped.zip": bytes(flipped),
        "page.zip": b"<html>moved</html>",
        "empty.zip": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=rf"{name}' is damaged or no zip"):
            unpack(tmp_path / name, target)


def test_names_that_clash_are_refused(tmp_path, target):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = make_zip_twice(tmp_path / "x.zip")
    with pytest.raises(ValueError, match=r"'a\.txt' is in it twice"):
        unpack(path, target)
    path = make_zip(tmp_path / "y.zip", {"a": b"1", "a/b": b"2"})
    with pytest.raises(ValueError, match="cannot be kept apart"):
        unpack(path, target)


def make_zip_twice(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"1")
        archive.writestr("a.txt", b"2")
    return path


def test_an_encrypted_zip_is_refused(tmp_path, target):
    data = bytearray(make_zip(tmp_path / "x.zip", {"a.txt": b"secret"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(ValueError, match=r"'a\.txt' is encrypted"):
        unpack(tmp_path / "x.zip", target)


def test_a_missing_zip(tmp_path, target):
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "none.zip", target)
