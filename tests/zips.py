"""Zips for tests, with names and contents that no tool would write on this machine."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path


def zip_bytes(members: Mapping[str | zipfile.ZipInfo, bytes]) -> bytes:
    """Return a zip of {name or ZipInfo: contents}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def make_zip(path: Path, members: Mapping[str | zipfile.ZipInfo, bytes]) -> Path:
    """Write a zip of {name or ZipInfo: contents} and return its path."""
    path.write_bytes(zip_bytes(members))
    return path


def make_raw_zip(path: Path, members: Mapping[bytes, bytes]) -> Path:
    """Write a zip whose names are these bytes, without the flag that says UTF-8."""
    stand_ins = {
        f"{number:04d}".ljust(len(name), "_").encode(): name for number, name in enumerate(members)
    }
    contents = zip(stand_ins, members.values(), strict=True)
    data = zip_bytes({name.decode(): content for name, content in contents})
    for stand_in, name in stand_ins.items():
        assert len(stand_in) == len(name)
        data = data.replace(stand_in, name)
    path.write_bytes(data)
    return path


def member(name: str, mode: int = stat.S_IFREG | 0o644, extra: bytes = b"") -> zipfile.ZipInfo:
    """Return a member with exactly this name, which the constructor would tidy."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    info.create_system = 3
    info.external_attr = mode << 16
    info.extra = extra
    return info


def unicode_path(raw: bytes, name: str, checksum: int | None = None) -> bytes:
    """Return Info-ZIP's extra field that gives the name once more, in UTF-8."""
    checksum = zlib.crc32(raw) if checksum is None else checksum
    field = struct.pack("<BL", 1, checksum) + name.encode()
    return struct.pack("<HH", 0x7075, len(field)) + field
