"""How many channels fill whole vectors."""

from __future__ import annotations

import numpy as np

from ... import runtime

_lanes = runtime.kernels.conv.LANES


def pad_channels(channels: int, dtype: np.dtype) -> int:
    """Return `channels` rounded up to whole vectors of the SIMD level in use."""
    lanes = _lanes[dtype.name]
    return -(-channels // lanes) * lanes
