from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: there is one such module for each width of vectors.
@type_check_only
class Conv(Protocol):
    LANES: dict[str, int]
    TILE: int
    NARROW_TILE: int

    def direct(
        self,
        source: np.ndarray,
        packed: np.ndarray,
        bias: np.ndarray,
        target: np.ndarray,
        run_offset: np.ndarray,
        run_row: np.ndarray,
        padded_image: bytes,
        grid: bytes,
        block_rows: int,
        splits: int,
        scratch: np.ndarray,
        buffer: np.ndarray,
        buffer_pixels: int,
        num_threads: int,
        /,
    ) -> None: ...
    def direct_batch(
        self,
        source: np.ndarray,
        packed: np.ndarray,
        bias: np.ndarray,
        target: np.ndarray,
        row_offset: np.ndarray,
        padded_image: bytes,
        grid: bytes,
        tiles: bytes,
        image_step: int,
        block_rows: int,
        splits: int,
        scratch: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
    def direct_overlap_add(
        self,
        source: np.ndarray,
        packed: np.ndarray,
        zeros: np.ndarray,
        target: np.ndarray,
        run_offset: np.ndarray,
        padded_image: bytes,
        grid: bytes,
        overlap: bytes,
        block_rows: int,
        buffer_rows: int,
        scratch: np.ndarray,
        buffer: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
    def pack(
        self,
        kernel: np.ndarray,
        packed: np.ndarray,
        taps: np.ndarray,
        groups: int,
        transposed: bool,
        num_threads: int,
        /,
    ) -> None: ...
    def pack_dots(
        self,
        kernel: np.ndarray,
        packed: np.ndarray,
        taps: np.ndarray,
        groups: int,
        transposed: bool,
        /,
    ) -> None: ...
