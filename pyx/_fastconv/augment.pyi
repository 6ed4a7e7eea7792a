import numpy as np

FILL_MODES: dict[str, int]
GROUP: int

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
    padded: np.ndarray,
    out: np.ndarray,
    num_threads: int,
) -> None: ...
