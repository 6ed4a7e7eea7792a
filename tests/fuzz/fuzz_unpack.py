"""Unpack whatever bytes come: `python tests/fuzz/fuzz_unpack.py CORPUS`, with the extra `fuzz`.

An input that begins with "PK" is a zip as it is. Any other is a recipe for one (see `built`), so
that names, attributes and sizes are tried without guessing checksums.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import sys
import tempfile
import unicodedata
import warnings
import zlib
from pathlib import Path

from fastconv.datasets.archives import unpack
from fastconv.datasets.dogs_and_cats import _fingerprint
from fastconv.datasets.folders import filled_at_once
from fastconv.preprocessing.parts import find_data_set

MAX_BYTES, MAX_FILES = 1 << 16, 50
_METHODS = (0, 8, 8, 8, 12, 14, 9, 99)
_MODES = (0, stat.S_IFREG, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO)


def check(data: bytes) -> None:
    """Unpack; raise AssertionError where a promise is broken, or what is no ValueError."""
    with tempfile.TemporaryDirectory(dir=_memory()) as place:
        root = Path(place)
        archive, cache = root / "x.zip", root / "cache"
        archive.write_bytes(data if data[:2] == b"PK" else built(data))
        with contextlib.suppress(ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _fingerprint(archive)
            with filled_at_once(cache / "set", Path.is_dir) as folder:
                unpack(archive, folder, MAX_BYTES, MAX_FILES)
            find_data_set(cache / "set")
        _check_tree(root)


def _check_tree(root: Path) -> None:
    """Nothing outside the target, nothing half done, nothing but bounded files and folders."""
    assert {path.name for path in root.iterdir()} <= {"x.zip", "cache"}
    assert {path.name for path in root.glob("cache/*")} <= {"set"}
    total = count = 0
    for path in (root / "cache").rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path
        assert unicodedata.is_normalized("NFC", path.name) and ":" not in path.name, path
        total += path.lstat().st_size if stat.S_ISREG(mode) else 0
        count += 1
    assert total <= MAX_BYTES and count <= MAX_FILES + 1


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class _Recipe:
    """Reads an input from its front; at the end come zeros."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken.ljust(count, b"\0")

    def byte(self) -> int:
        return self.take(1)[0]


def built(data: bytes) -> bytes:
    """Return the zip that a recipe stands for: up to 12 members and an end, each with what the
    recipe says of name, flags, extra field, attributes, method, sizes and place.
    """
    recipe, body, table = _Recipe(data), b"", b""
    count = recipe.byte() % 13
    for _ in range(count):
        lies, flags = recipe.byte(), recipe.byte()
        method, mode = _METHODS[recipe.byte() % 8], _MODES[recipe.byte() % 6]
        name = recipe.take(recipe.byte()) * (1 + 40 * (lies == 255))
        content = recipe.take(recipe.byte()) * (1 + 200 * (lies & 1))
        extra = _extra(name, recipe) if flags & 4 else b""
        packed = content
        if method == 8:
            deflate = zlib.compressobj(wbits=-15)
            packed = deflate.compress(content) + deflate.flush()
        size = len(content) + (recipe.byte() if lies & 2 else 0)
        flag_bits = (0x800 if flags & 1 else 0) | (1 if flags & 64 else 0)
        fields = struct.pack(
            "<HHHHIIIHH", flag_bits, method, 0, 33, zlib.crc32(content), len(packed), size,
            len(name), len(extra),
        )  # fmt: skip
        place = recipe.byte() if lies & 4 else len(body)
        attributes = (mode | 0o644) << 16 | (0x10 if flags & 8 else 0)
        table += b"PK\x01\x02" + struct.pack("<HH", 0x314, 20) + fields
        table += struct.pack("<HHHII", 0, 0, 0, attributes, place) + name + extra
        body += b"PK\x03\x04" + struct.pack("<H", 20) + fields + name + extra + packed
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(table), len(body), 0)
    return body + table + b"PK\x05\x06" + end


def _extra(name: bytes, recipe: _Recipe) -> bytes:
    field = struct.pack("<BL", 1, zlib.crc32(name)) + recipe.take(recipe.byte() % 64)
    return struct.pack("<HH", 0x7075, len(field)) + field


def main() -> None:
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
