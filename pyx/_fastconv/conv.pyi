import numpy as np

LANES: dict[str, int]
TILE: int
NARROW_TILE: int

def gather(
    source: np.ndarray,
    packed: np.ndarray,
    bias: np.ndarray,
    target: np.ndarray,
    run_offset: np.ndarray,
    run_row: np.ndarray,
    padded_image: bytes,
    grid: bytes,
    strip_rows: int,
    splits: int,
    scratch: np.ndarray,
    stage: np.ndarray,
    stage_pixels: int,
    num_threads: int,
) -> None: ...
def gather_images(
    source: np.ndarray,
    packed: np.ndarray,
    bias: np.ndarray,
    target: np.ndarray,
    row_offset: np.ndarray,
    padded_image: bytes,
    grid: bytes,
    tiles: bytes,
    image_step: int,
    strip_rows: int,
    splits: int,
    scratch: np.ndarray,
    num_threads: int,
) -> None: ...
def gather_overlapping(
    source: np.ndarray,
    packed: np.ndarray,
    zeros: np.ndarray,
    target: np.ndarray,
    run_offset: np.ndarray,
    padded_image: bytes,
    grid: bytes,
    overlap: bytes,
    strip_rows: int,
    stage_rows: int,
    scratch: np.ndarray,
    stage: np.ndarray,
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
