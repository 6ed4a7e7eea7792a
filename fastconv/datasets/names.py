"""What the names in a zip mean: how they are encoded, and where they lead."""

from __future__ import annotations

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # Info-ZIP's extra field: the name once more, in UTF-8
_MAX_NAME_BYTES = 255  # of a file on Linux, macOS and Windows
_MAX_PATH_BYTES = 3000  # below the 4,096 that Linux takes, with room for the folder
_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
)


class LeadsOut(ValueError):
    """A name that leads out of the folder it is unpacked in."""


def decode_names(members: Sequence[zipfile.ZipInfo]) -> tuple[list[str], list[str]]:
    """Return the members' names, and those of them whose encoding could not be told.

    A name says that it is UTF-8 by a flag or comes along in UTF-8 in an extra
    field. The others are read alike: as UTF-8 if all of them are that, which a
    Mac writes; else as CP949, which a Korean Windows writes, if that makes
    words of Hangul; else each by itself, in the end as CP437, zip's own.
    """
    said = [_said_name(member) for member in members]
    raw = [b"" if name is not None else _raw(m) for name, m in zip(said, members, strict=True)]
    foreign = [name for name in raw if not name.isascii()]
    read, doubtful = _reader(foreign), []
    names = []
    for known, unsaid in zip(said, raw, strict=True):
        name = known if known is not None else read(unsaid)
        if name is None:
            name = unsaid.decode("cp437")
            doubtful.append(name)
        names.append(name)
    return names, doubtful


def _said_name(member: zipfile.ZipInfo) -> str | None:
    """Return the name of a member that tells how it is encoded."""
    if member.flag_bits & _UTF8_FLAG:
        return member.orig_filename
    extra = member.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        # The field has version 1 and the checksum of the name that it stands for; another tool
        # may have renamed the member without changing the field.
        expected = struct.pack("<BL", 1, zlib.crc32(_raw(member)))
        if kind == _UNICODE_PATH and field[:5] == expected:
            return _utf8(field[5:]) or None
    return None


def _raw(member: zipfile.ZipInfo) -> bytes:
    """Return the name's bytes: `zipfile` reads them as CP437, which has a character for each."""
    return member.orig_filename.encode("cp437", "replace")


def _reader(foreign: Sequence[bytes]) -> Callable[[bytes], str | None]:
    """Return the function that reads all names alike, or else each by itself."""
    if all(_utf8(name) is not None for name in foreign):
        return _utf8
    if _korean(b"/".join(foreign)) is not None:
        return lambda name: name.decode("cp949")
    return lambda name: _utf8(name) or _korean(name)


def _utf8(name: bytes) -> str | None:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _korean(name: bytes) -> str | None:
    """Return the name read as CP949 if that gives Korean.

    Any two bytes may be a rare syllable or a Chinese character, a letter with
    an accent and its neighbour for instance. Of Korean names nearly all is
    Hangul, and most of it the 2,350 syllables of KS X 1001.
    """
    try:
        text = name.decode("cp949")
    except UnicodeDecodeError:
        return None
    letters = [letter for letter in text if not letter.isascii()]
    hangul = [letter for letter in letters if "가" <= letter <= "힣"]
    common = [pair for pair in (letter.encode("cp949") for letter in hangul)
              if 0xB0 <= pair[0] <= 0xC8 and pair[1] >= 0xA1]  # fmt: skip
    return text if 4 * len(hangul) >= 3 * len(letters) and 2 * len(common) >= len(hangul) else None


def destination(name: str) -> tuple[PurePosixPath, str | None]:
    """Return where a member goes, relative to the folder, and why it is to be skipped, if it is.

    Backslashes separate, as PowerShell 5.1 writes them. Letters and their
    accents are joined (NFC): a Mac writes them apart, and the same name must be
    the same on every machine. So must be what is skipped: streams and devices
    of Windows are harmless elsewhere.

    Raises:
        LeadsOut: the name is absolute, begins with a drive or has "..".
    """
    text = unicodedata.normalize("NFC", name).replace("\\", "/")
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(text):
        raise LeadsOut(f"{name!r} leads out of the folder it would be unpacked in")
    return path, _oddity(path)


def _oddity(path: PurePosixPath) -> str | None:
    if not path.parts:
        return "no name"
    try:
        sizes = [len(part.encode("utf-8")) for part in path.parts]
    except UnicodeEncodeError:
        return "no Unicode"
    if max(sizes) > _MAX_NAME_BYTES:
        return f"a name of more than {_MAX_NAME_BYTES} bytes"
    if sum(sizes) + len(sizes) > _MAX_PATH_BYTES:
        return f"a path of more than {_MAX_PATH_BYTES:,} bytes"
    if any(unicodedata.category(letter) == "Cc" for letter in str(path)):
        return "a control character"
    if ":" in str(path):
        return "a colon"
    if any(_is_device(part) for part in path.parts):
        return "a device of Windows"
    return None


def _is_device(part: str) -> bool:
    return part.partition(".")[0].rstrip(" ").upper() in _DEVICES
