"""Zips that are damaged or hostile are refused; good ones are unpacked whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import warnings
import zipfile

import pytest
from zips import make_raw_zip, make_zip, member, unicode_path, zip_bytes

from fastconv.datasets import archives
from fastconv.datasets.archives import unpack


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
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/evil.txt",
        "..\\evil.txt",
        "\\evil.txt",
        "\\\\server\\share\\evil.txt",
        "C:\\evil.txt",
        "C:evil.txt",
    ],
)
def test_names_that_lead_out_are_refused(tmp_path, target, name):
    path = make_zip(tmp_path / "x.zip", {"good.txt": b"1", member(name): b"2"})
    with pytest.raises(ValueError, match="leads out of the folder"):
        unpack(path, target)
    assert files_in(tmp_path) == ["x.zip"]


def skipping(path, target):
    """Unpack, and return what the one warning says."""
    with pytest.warns(UserWarning) as caught:
        unpack(path, target)
    (warning,) = caught
    assert warning.filename == __file__
    return str(warning.message)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_special_files_are_skipped(tmp_path, target, kind):
    odd = member("link", kind | 0o777)
    path = make_zip(tmp_path / "x.zip", {odd: b"/etc", "link/x.txt": b"0", "good.txt": b"1"})
    assert "1 of its members skipped: 'link' (a link or a special file)" in skipping(path, target)
    assert files_in(target) == ["good.txt", "link/x.txt"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/at 12:30.jpg", "a colon"),
        ("a/file.jpg:stream", "a colon"),
        ("a/" + "x" * 252 + ".jpg", "a name of more than 255 bytes"),
        ("a/" + "가" * 84 + ".jpg", "a name of more than 255 bytes"),
        ("/".join("x" * 200 for _ in range(20)), "a path of more than 3,000 bytes"),
        ("a/" * 20_000 + "x.jpg", "a path of more than 3,000 bytes"),
        ("a/two\nlines.jpg", "a control character"),
        ("a/nul\0.jpg", "a control character"),
        ("a/NUL.jpg", "a device of Windows"),
        ("con/x.jpg", "a device of Windows"),
        ("a/Aux .x.jpg", "a device of Windows"),
        ("a/com1", "a device of Windows"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_odd_name_is_skipped_and_the_rest_unpacked(tmp_path, target, name, reason):
    path = make_zip(tmp_path / "x.zip", {member(name): b"odd", "a/good.jpg": b"1"})
    text = skipping(path, target)
    assert "'a" in text or "'x" in text or "'con" in text
    assert f"({reason})" in text
    assert files_in(target) == ["a/good.jpg"]


def test_names_that_are_long_or_look_odd_and_are_not(tmp_path, target):
    names = [
        "x" * 251 + ".jpg",
        "가" * 83 + ".jpg",
        "console.jpg",
        "com10",
        "nullable/a b.jpg",
        "...",
    ]
    unpack(make_zip(tmp_path / "x.zip", dict.fromkeys(names, b"1")), target)
    assert files_in(target) == sorted(names)


def test_folders_of_powershell(tmp_path, target):
    folder = member("set\\train\\cat\\", 0)
    paths = {folder: b"", member("set\\train\\cat\\one.jpg", 0): b"1", member("set\\empty\\"): b""}
    unpack(make_zip(tmp_path / "x.zip", paths), target)
    assert files_in(target) == ["set/train/cat/one.jpg"]
    assert (target / "set" / "empty").is_dir()


def test_folders_by_their_attributes(tmp_path, target):
    dos = member("dos", 0)
    dos.external_attr = 0x10
    folders = {dos: b"", member("unix", stat.S_IFDIR | 0o755): b"", member("./"): b""}
    unpack(make_zip(tmp_path / "x.zip", {**folders, "dos/a": b"1"}), target)
    assert sorted(p.name for p in target.iterdir() if p.is_dir()) == ["dos", "unix"]


KOREAN = ("사진/고양이/나비.jpg", "사진/강아지/뽀삐.jpg", "사진/새/짹.jpg")


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_korean_names_without_a_flag(tmp_path, target, encoding):
    members = {name.encode(encoding): name.encode() for name in KOREAN}
    unpack(make_raw_zip(tmp_path / "x.zip", members), target)
    assert files_in(target) == sorted(KOREAN)
    assert (target / KOREAN[0]).read_bytes() == KOREAN[0].encode()


def test_korean_names_of_powershell(tmp_path, target):
    members = {name.replace("/", "\\").encode("cp949"): b"1" for name in KOREAN}
    unpack(make_raw_zip(tmp_path / "x.zip", members), target)
    assert files_in(target) == sorted(KOREAN)


def test_names_are_written_composed(tmp_path, target):
    import unicodedata

    members = {unicodedata.normalize("NFD", name).encode(): b"1" for name in KOREAN}
    unpack(make_raw_zip(tmp_path / "x.zip", members), target)
    assert files_in(target) == sorted(KOREAN)


def test_an_encoding_that_is_unknown_is_warned_of(tmp_path, target):
    path = make_raw_zip(tmp_path / "x.zip", {b"caf\x82/x.jpg": b"1", b"na\x8bve.jpg": b"2"})
    text = skipping(path, target)
    assert "the encoding of 2 of its names is unknown, CP437 is taken: 'café/x.jpg'" in text
    assert files_in(target) == ["café/x.jpg", "naïve.jpg"]


def test_the_extra_field_of_info_zip(tmp_path, target):
    right, wrong = "고양이.jpg", "개.jpg"
    members = {
        member("a.jpg", extra=unicode_path(b"a.jpg", right)): b"1",
        member("b.jpg", extra=b"\x01\0\x02\0xx" + unicode_path(b"b.jpg", "새.jpg")): b"2",
    }
    unpack(make_zip(tmp_path / "x.zip", members), target)
    assert files_in(target) == sorted([right, "새.jpg"])
    other = target.parent / "other"
    other.mkdir()
    # Of another name than the member's: it was renamed, and the field is not its own.
    stale = member("c.jpg", extra=unicode_path(b"old.jpg", wrong))
    unpack(make_zip(tmp_path / "y.zip", {stale: b"3"}), other)
    assert files_in(other) == ["c.jpg"]


def test_a_name_in_the_extra_field_may_not_lead_out(tmp_path, target):
    evil = member("a.jpg", extra=unicode_path(b"a.jpg", "../evil.jpg"))
    with pytest.raises(ValueError, match="leads out of the folder"):
        unpack(make_zip(tmp_path / "x.zip", {evil: b"1"}), target)
    assert files_in(tmp_path) == ["x.zip"]


def test_case_tells_names_apart_where_the_disk_does(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {"Cat.jpg": b"1", "cat.jpg": b"2"})
    (target / "probe").touch()
    if (target / "PROBE").exists():
        with pytest.raises(ValueError, match="cannot be kept apart"):
            unpack(path, target)
        return
    unpack(path, target)
    assert files_in(target) == ["Cat.jpg", "cat.jpg", "probe"]


def test_bounds(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {"a": bytes(600), "b": bytes(600)})
    with pytest.raises(ValueError, match="would unpack to 1,200 bytes; at most 1,000"):
        unpack(path, target, max_bytes=1000)
    with pytest.raises(ValueError, match="holds 2 files; at most 1"):
        unpack(path, target, max_files=1)
    assert files_in(target) == []
    unpack(path, target, max_bytes=1200)


def test_folders_count_too(tmp_path, target):
    path = make_zip(tmp_path / "x.zip", {f"{n}/a/b/c/d/x": b"" for n in range(10)})
    with pytest.raises(ValueError, match="holds 10 files in 50 folders; at most 40"):
        unpack(path, target, max_files=40)
    assert not list(target.iterdir())


def test_a_bomb_is_refused_by_its_ratio(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archives, "_RATIO_COUNTS_FROM", 1 << 20)
    path = make_zip(tmp_path / "x.zip", {"bomb": bytes(2 << 20), "a.jpg": os.urandom(1000)})
    with pytest.raises(ValueError, match="would unpack to 2,098,152; at most 200 times its size"):
        unpack(path, target)
    assert not list(target.iterdir())
    unpack(make_zip(tmp_path / "y.zip", {"flat.bmp": bytes(1 << 20)}), target)


def test_what_the_disk_has_no_room_for_is_refused_before_anything_is_written(
    tmp_path, target, monkeypatch
):
    path = make_zip(tmp_path / "x.zip", {"a": bytes(1000)})
    free = shutil._ntuple_diskusage(10_000, 9_500, 500)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(OSError, match=r"x\.zip' unpacks to 1,000 bytes, 500 are free"):
        unpack(path, target)
    assert not list(target.iterdir())


def test_members_that_overlap_are_refused(tmp_path, target):
    data = zip_bytes({"a.txt": b"1" * 1000, "b.txt": b"2" * 1000})
    start = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    offset = data.index(b"PK\x03\x04", 4)
    table = data[start:].replace(struct.pack("<I", offset), struct.pack("<I", 0), 1)
    (tmp_path / "x.zip").write_bytes(data[:start] + table)
    with pytest.raises(ValueError, match="overlaps what comes behind it"):
        unpack(tmp_path / "x.zip", target)
    assert not list(target.iterdir())


def test_a_table_of_contents_is_bounded_before_it_is_read(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archives, "_MAX_TABLE_BYTES", 1 << 16)
    path = make_zip(tmp_path / "x.zip", {f"{n:050}": b"" for n in range(1000)})
    with pytest.raises(ValueError, match="table of contents has 96,000 bytes; at most 65,536"):
        unpack(path, target)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_take_little_memory(tmp_path, target, method):
    import tracemalloc

    with zipfile.ZipFile(tmp_path / "y.zip", "w", method) as archive:
        archive.writestr("a", bytes(40 << 20))
    tracemalloc.start()
    unpack(tmp_path / "y.zip", target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All of it and a copy, of the few bytes that 4 KB of the zip are; by megabytes it is no bound.
    assert peak < 130 << 20
    assert os.path.getsize(target / "a") == 40 << 20


def test_a_method_that_is_not_known_is_named(tmp_path, target):
    data = bytearray(zip_bytes({"a.txt": b"1" * 100}))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", data, data.index(signature) + offset, 9)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(ValueError, match=r"'a\.txt' is packed .*Deflate64.*by other means"):
        unpack(tmp_path / "x.zip", target)


def test_a_name_that_is_no_utf8_though_it_says_so(tmp_path, target):
    data = zip_bytes({"é.txt": b"1"}).replace("é".encode(), b"\xb0\xb3")
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(ValueError, match="a name that should be UTF-8 is not"):
        unpack(tmp_path / "x.zip", target)


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


def twice(path, first, second):
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.txt", first)
        archive.writestr("a.txt", second)
    return path


def test_names_that_clash_are_refused(tmp_path, target):
    with pytest.raises(ValueError, match=r"'a\.txt' is in it twice"):
        unpack(twice(tmp_path / "x.zip", b"1", b"2"), target)
    for members in ({"a": b"1", "a/b": b"2"}, {"a/b": b"2", "a": b"1"}, {"a/": b"", "a": b"1"}):
        path = make_zip(tmp_path / "y.zip", members)
        with pytest.raises(ValueError, match="cannot be kept apart: 'a' is a file and a folder"):
            unpack(path, target)
    assert not list(target.iterdir())


def test_the_same_file_twice_is_unpacked_once(tmp_path, target):
    text = skipping(twice(tmp_path / "x.zip", b"same", b"same"), target)
    assert r"'a.txt' (in it twice)" in text
    assert (target / "a.txt").read_bytes() == b"same"


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
