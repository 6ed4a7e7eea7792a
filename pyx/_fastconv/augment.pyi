import numpy as np

FILL_MODES: dict[str, int]

def scratch_size(height: int, width: int, channels: int, /) -> int: ...
def transform(
    source: np.ndarray,
    rows: np.ndarray,
    matrices: np.ndarray,
    shifts: np.ndarray,
    gains: np.ndarray,
    fill: int,
    cval: float,
    channel_values: np.ndarray,
    center: bool,
    scale: bool,
    epsilon: float,
    scratch: np.ndarray,
    out: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
