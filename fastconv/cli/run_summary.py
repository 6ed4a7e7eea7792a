"""What a checkpoint says of its run, read without its weights."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from ..saving import npz
from ..saving.checkpoint_file import text_of


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
        with npz.reading(os.fsdecode(path)):
            parts = npz.read(path, only=("format", "config", "state"))
            if not text_of(parts.get("format"), path).startswith("fastconv/"):
                return None
            config = json.loads(text_of(parts.get("config"), path))
            state = json.loads(text_of(parts["state"], path)) if "state" in parts else {}
            settings = (config.get("metadata") or {}).get("training") or {}
            return Summary(dict(settings), int(state.get("epoch", 0)))
    except (npz.CheckpointError, OSError):
        return None
