"""What the algorithms cost, by which `choice` decides: data of `costs.json`, not of the source.

`bench/fit_costs.py` fits them to timings and writes such a file; FASTCONV_COSTS names one to use
instead.  It has a row for each SIMD level, with where its numbers are from.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..._core import runtime

SHIPPED = Path(__file__).with_name("costs.json")
ByTaps = dict[int, float]
"""By the m or r of Winograd's F(m x m, r x r)."""


@dataclass
class Costs:
    """Times in those of a multiply-add: of Winograd's products, or where gradients of the kernel
    compete of `product`, of a lane or, where it says so, of a vector."""

    winograd_point: float
    """A multiply-add of the products, the unit."""
    winograd_transform: ByTaps
    """One value's share of a tile's input or output transform, by m."""
    short_tile: float
    short_pooled_tile: float
    """A tile of at most two outputs along an axis, or one window; in whole tiles."""
    winograd_kernel: float
    winograd_large_kernel: float
    """A value of the transformed kernel, made once a call; if it does not stay in the cache."""
    winograd_rotated_kernel: float
    """In addition where the kernel is rotated, for the input gradient."""
    narrow_tile: float
    narrow_gradient_tile: float
    """A tile of Winograd's algorithm for few channels, in outputs by the fastest of the others."""
    narrow_channels: int
    narrow_gradient_channels: int
    """Channels of that at most: its panel should stay in L1."""
    direct: float
    direct_kernel: float
    """A multiply-add of panels, and packing a value of the kernel."""
    direct_phase: float
    """A multiply-add in a strided input gradient, whose runs are short; over `direct`."""
    batch_tile: float
    """A tile of one output of several images, over one along a row."""
    latency: float
    """A multiply-add that waits for the one before, where a row has few independent sums."""
    plane: float
    """A depthwise multiply-add: it reads its operands from the L2 cache."""
    plane_shuffle: float
    plane_copy: float
    """A vector of a plane, permuted from one of the source (or twice that, from two) or copied."""
    panel: float
    narrow_panel: float
    """A vector's multiply-add where planes or overlap-add compete, of panels of two or of one."""
    half_width: float
    """A lane of half as wide vectors, where planes have the long ones."""
    dot: float
    """A dot product's vector, where planes or overlap-add compete."""
    dot_sum: float
    """Summing its lanes."""
    dot_output: float
    """An output of it, where Winograd's algorithm competes."""
    dot_pool: float
    """Writing an output of few filters, and pooling it."""
    panel_store: float
    overlap_store: float
    overlap_load: float
    """An input gradient's vector that is stored; one of sums; and adding one where they overlap."""
    overlap_over_planes: float
    overlap_beside_winograd: float
    """Overlap-add where planes or Winograd's algorithm compete, over what these three say."""
    gradient_point: float
    gradient_transform: ByTaps
    gradient_kernel: ByTaps
    """Kernel gradient, Winograd: a multiply-add; a value's share of a tile's transform, by m; a
    value of dU, whose transform is made once a call, by r."""
    product: float
    product_patch: float
    product_read: float
    """As a matrix product: a multiply-add, a packed value of a pixel's patch, one read in place."""
    product_pixel: float
    product_group: float
    product_sum: float
    """A packed value of dy, a pixel of each group, a value of the kernel in all split-k sums."""
    patch_tile: float
    patch_piece: float
    patch_pixel: float
    patch_source: float
    """Along the patch: a value of it that a tile of filters loads, a lane of a filter that a piece
    loads, a packed value of dy, a copied value of x."""
    patch_near: float
    patch_far: float
    """A sum that a tile loads and stores for each block of rows, in a cache or not."""
    patch_sum: float
    patch_step: float
    """A value of the kernel in all split-k sums; the least of a tile at a pixel, for each of up to
    8 lanes: too few independent accumulators to hide the latency."""
    gradient_plane: float
    gradient_plane_shuffle: float
    gradient_plane_copy: float
    """By planes: a multiply-add, and a value of a plane that is permuted or copied."""
    gradient_plane_pixel: float
    gradient_plane_sum: float
    """A value of dy, and a value of the kernel in all split-k sums."""


def load(path: Path, level: str) -> Costs:
    """Return the costs that a file has for a SIMD level.

    Raises ValueError, naming the file, for one that has not all of them, or others.
    """
    try:
        rows = {row["level"]: row["costs"] for row in json.loads(path.read_text("utf-8"))}
        table = rows[level]
        names = {field.name for field in fields(Costs)}
        wrong = names ^ table.keys()
        if wrong:
            raise ValueError(f"missing or unknown costs: {', '.join(sorted(wrong))}")
        return Costs(**{name: _number(name, value) for name, value in table.items()})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: no table of costs for {level!r}: {error}") from error


def _number(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {int(key): _number(name, entry) for key, entry in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"{name} is {value!r}; it must be a positive number")
    return value


COSTS = load(Path(os.environ.get("FASTCONV_COSTS", SHIPPED)), runtime.kernels.simd_level)
