"""The CPU's caches, of which blocks of work take a share.

Blocks that decide in what groups numbers are summed have fixed sizes instead, where they are used:
the bits of a result do not depend on the machine.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1024, "M": 1024**2}


def data_cache(level: int, usual: int, most: int, folder: Path = _FOLDER) -> int:
    """Return the bytes of a core's data cache: `usual` where the system does not tell, and at
    most `most`, as a cache that large has more than one core's data."""
    for index in sorted(folder.glob("index*")):
        try:
            found, kind, size = (
                (index / name).read_text("ascii").strip() for name in ("level", "type", "size")
            )
            if int(found) == level and kind != "Instruction":
                return max(usual // 2, min(int(size[:-1]) * _UNITS[size[-1]], most))
        except (OSError, ValueError, KeyError, IndexError):
            continue
    return usual


L1 = data_cache(1, 32 * 1024, 64 * 1024)
L2 = data_cache(2, 1024**2, 2 * 1024**2)
