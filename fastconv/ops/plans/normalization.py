"""Batch normalization over rows of channels, alone or with what is added and clipped behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._core import runtime
from .scratch import Scratch, constant

_kernels = runtime.kernels.normalization
_elementwise = runtime.kernels.elementwise
_lanes = runtime.kernels.conv.LANES["f"]

SPLIT_K = 16
"""Private sums at most; fixed, so that results do not depend on the threads."""
PART_VALUES = 16 * 1024
"""Values of a part at least."""


class NormalizationPlan:
    """y = [clipped]((x - center) * scale + shift) for x of (rows, channels), and its gradients.

    With `residual`, `forward` takes an array like x that is added before the ReLU.  Where the
    ReLU passes, then, only y tells: `gate` gives the gradient before it, which is that of the
    residual, and which `sums` and `input_gradient` take.

    float32.  Fewer channels than a vector count as one: a row of *lanes* is then as many
    rows as fill whole vectors, and what is left over at the end is a row padded with zeros.
    """

    def __init__(
        self, rows: int, channels: int, *, limit: float = 0.0, residual: bool = False
    ) -> None:
        self._shape = (rows, channels)
        self._limit = limit
        self._gates = 0.0 if residual else limit  # x alone tells what the clipping passes
        self._scratch = Scratch(np.float32)
        self._lanes = channels if channels >= _lanes else math.lcm(max(channels, 1), _lanes)
        self._whole = rows * channels // self._lanes
        self._rest = rows * channels - self._whole * self._lanes
        self._split_k = min(SPLIT_K, -(-self._whole * self._lanes // PART_VALUES))
        bounds = np.arange(self._split_k + 1) * self._whole // max(self._split_k, 1)
        self._counts = np.concatenate(
            [
                np.repeat(np.diff(bounds), self._lanes // max(channels, 1)),
                np.ones(self._rest // max(channels, 1)),
            ]
        )[:, None]

    def describe(self) -> dict[str, Any]:
        """Return the split-k sums, and the channels or pixels' channels of a row of lanes."""
        return {"split_k": self._split_k, "lanes": self._lanes, "whole_rows": self._whole}

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the variance of each channel, in float64."""
        channels, extra = self._shape[1], self._rest // max(self._shape[1], 1)
        many = len(self._counts)
        mean, squares = (
            self._scratch(name, (many or 1) * channels, dtype=np.float64)[: many * channels]
            for name in ("mean", "squares")
        )
        parted = self._split_k * self._lanes
        if self._split_k:
            threads = runtime.get_num_threads()
            _kernels.moments(
                self._body(x),
                mean[:parted].reshape(self._split_k, self._lanes),
                squares[:parted].reshape(self._split_k, self._lanes),
                self._scratch.rows("block", threads, 2 * self._lanes),
                threads,
            )
        if extra:  # each leftover pixel is a sample of its own
            mean[parted:] = x.reshape(-1)[-self._rest :]
            squares[parted:] = 0
        mean, squares = mean.reshape(many, channels), squares.reshape(many, channels)
        total = (mean * self._counts).sum(axis=0) / self._shape[0]
        variance = squares.sum(axis=0) + (self._counts * (mean - total) ** 2).sum(axis=0)
        return total, variance / self._shape[0]

    def set_affine(self, center: np.ndarray, scale: np.ndarray, shift: np.ndarray | float) -> None:
        """Set each channel's center, scale and shift for what follows."""
        self._affine = constant(self._scratch, "affine", 3 * self._lanes).reshape(3, self._lanes)
        self._fill(self._affine, center, scale, shift)

    def forward(self, x: np.ndarray, out: np.ndarray, residual: np.ndarray | None = None) -> None:
        """Write the normalized x, with the residual added, to `out`, which is neither of them."""
        affine, threads = self._affine, runtime.get_num_threads()
        if self._whole:
            added = None if residual is None else self._body(residual)
            _kernels.affine(self._body(x), affine, added, self._limit, self._body(out), threads)
        if self._rest:
            row = self._padded("last x", x)
            added = None if residual is None else self._padded("last residual", residual)
            _kernels.affine(row, affine, added, self._limit, row, threads)
            out.reshape(-1)[-self._rest :] = row[0, : self._rest]

    def gate(self, dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> np.ndarray:
        """Return the gradient before the ReLU, of a plan with a residual and of that itself.

        That is dy where y > 0, written to `dz`, or dy itself where there is no ReLU.
        """
        if self._limit and dy.size:
            threads = runtime.threads_for(dy.size)
            _elementwise.relu_gradient(
                dy.reshape(-1), y.reshape(-1), self._limit, dz.reshape(-1), threads
            )
        return dz if self._limit else dy

    def sums(self, dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums over rows of dy before the ReLU, and of it times (x - center).

        With a residual, dy is what `gate` gave.
        """
        affine, threads = self._affine, runtime.get_num_threads()
        parts = self._split_k + (self._rest > 0)
        total, along = (
            self._scratch(name, max(parts, 1), self._lanes, dtype=np.float64)
            for name in ("total", "along")
        )
        block = self._scratch.rows("block", threads, 2 * self._lanes)
        if self._split_k:
            _kernels.affine_sums(
                self._body(dy), self._body(x), affine, self._gates, total[: self._split_k],
                along[: self._split_k], block, threads,
            )  # fmt: skip
        if self._rest:
            _kernels.affine_sums(
                self._padded("last dy", dy), self._padded("last x", x), affine, self._gates,
                total[self._split_k :], along[self._split_k :], block, 1,
            )  # fmt: skip
        return self._folded(total[:parts]), self._folded(along[:parts])

    def input_gradient(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        by_dy: np.ndarray,
        by_x: np.ndarray | float,
        shift: np.ndarray | float,
        dx: np.ndarray,
    ) -> None:
        """Write by_dy * (dy before the ReLU) + by_x * (x - center) + shift."""
        factors = self._scratch("factors", 3 * self._lanes).reshape(3, self._lanes)
        self._fill(factors, by_dy, by_x, shift)
        affine = self._affine
        threads = runtime.get_num_threads()
        if self._whole:
            _kernels.affine_gradient(
                self._body(dy), self._body(x), affine, self._gates, factors, self._body(dx), threads
            )
        if self._rest:
            row = self._padded("last dy", dy)
            _kernels.affine_gradient(
                row, self._padded("last x", x), affine, self._gates, factors, row, threads
            )
            dx.reshape(-1)[-self._rest :] = row[0, : self._rest]

    def _body(self, rows: np.ndarray) -> np.ndarray:
        """Return the whole rows of lanes."""
        return rows.reshape(-1)[: self._whole * self._lanes].reshape(self._whole, self._lanes)

    def _padded(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return the last, short row of lanes, with zeros behind it."""
        row = self._scratch(name, self._lanes).reshape(1, -1)
        row[0, : self._rest] = rows.reshape(-1)[-self._rest :]
        row[0, self._rest :] = 0
        return row

    def _fill(self, lanes: np.ndarray, *values: np.ndarray | float) -> None:
        lines = lanes.reshape(3, -1, max(self._shape[1], 1))
        for line, value in zip(lines, values, strict=True):
            line[...] = value

    def _folded(self, sums: np.ndarray) -> np.ndarray:
        """Return each channel's sum over parts and over the pixels of a row of lanes."""
        by_lane: np.ndarray = sums[:, : self._lanes].sum(axis=0)
        by_channel: np.ndarray = by_lane.reshape(-1, max(self._shape[1], 1)).sum(axis=0)
        return by_channel
