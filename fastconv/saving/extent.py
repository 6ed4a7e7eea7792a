"""How much a model's configuration asks for, known before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Of layers, calls, and tensors read; the largest networks have a few thousand.
LARGEST_EXTENT = 30_000


def check_extent(config: Any) -> int:
    """Return the number of layers, calls and tensors read of a model's configuration.

    A model within counts as often as it is called: it runs so often. Raises ValueError for more
    than `LARGEST_EXTENT`, which a short text can ask for, and KeyError, IndexError or TypeError
    for calls that are none.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        return 1
    extent = len(config["layers"])
    _check(extent)
    within = [
        check_extent(one.get("config")) if isinstance(one, Mapping) else 1
        for one in config["layers"]
    ]
    _check(extent := extent + sum(within))
    if isinstance(config.get("calls"), list):  # not of a chain
        _check(extent := extent + len(config["inputs"]) + len(config["outputs"]))
        for call in config["calls"]:
            _check(extent := extent + 1 + len(call["inputs"]) + within[call["layer"]])
    return extent


def _check(extent: int) -> None:
    if extent > LARGEST_EXTENT:
        raise ValueError(
            f"it has more than {LARGEST_EXTENT:,} layers and calls, which no file may have"
        )
