"""What a checkpoint says of its run, read without its weights."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np

# Settings and history have some kilobytes; what claims far more is no checkpoint of a run.
_MOST_BYTES = 64 << 20


class Summary(NamedTuple):
    """The settings of the run that wrote a file, not checked yet, and the epochs it had done."""

    settings: dict[str, Any]
    epoch: int

    @property
    def run(self) -> str | None:
        """What tells the run from others; None in files that no command wrote."""
        run = self.settings.get("run")
        return run if isinstance(run, str) else None


def summary_of(path: str | os.PathLike[str]) -> Summary | None:
    """Return the summary of a checkpoint, None for anything else.

    Reads little, so that it can be asked of many files; that the rest of the
    file is whole is for `load_model` to say.
    """
    try:
        if not os.path.isfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            if not _text(archive, "format").startswith("fastconv/"):
                return None
            config = json.loads(_text(archive, "config"))
            state = json.loads(_text(archive, "state")) if "state.npy" in archive.NameToInfo else {}
        settings = (config.get("metadata") or {}).get("training") or {}
        return Summary(dict(settings), int(state.get("epoch", 0)))
    # Whatever the reader of a damaged zip or text raises, it means one thing.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, TypeError,
            AttributeError, KeyError, OSError, OverflowError, SyntaxError):  # fmt: skip
        return None


def _text(archive: zipfile.ZipFile, name: str) -> str:
    """Return the string in a member; raise ValueError unless it holds one of a sound size."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > _MOST_BYTES:
        raise ValueError(f"{name} is too large")
    with archive.open(info) as member:
        stream = io.BytesIO(member.read(_MOST_BYTES + 1))
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    data = stream.read()
    if dtype.kind != "U" or math.prod(shape) != 1 or dtype.itemsize != len(data):
        raise ValueError(f"{name} is no text")
    return str(np.frombuffer(data, dtype)[0])
