import numpy as np

def forward(
    x: np.ndarray,
    packed: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    winners: np.ndarray | None,
    run_offset: np.ndarray,
    strip: np.ndarray,
    block: np.ndarray,
    run_length: int,
    strip_rows: int,
    scratch: np.ndarray,
    num_threads: int,
) -> None: ...
