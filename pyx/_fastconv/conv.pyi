import numpy as np

LANES: dict[str, int]
TILE: int
NARROW_TILE: int

def direct(
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
) -> None: ...
def direct_batch(
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
) -> None: ...
def direct_overlap_add(
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
) -> None: ...
def pack(
    kernel: np.ndarray,
    packed: np.ndarray,
    taps: np.ndarray,
    groups: int,
    transposed: bool,
    num_threads: int,
) -> None: ...
def pack_dots(
    kernel: np.ndarray, packed: np.ndarray, taps: np.ndarray, groups: int, transposed: bool
) -> None: ...
