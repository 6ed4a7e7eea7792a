import numpy as np

def forward(
    x: np.ndarray,
    packed: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    argmax: np.ndarray | None,
    run_offset: np.ndarray,
    padded_image: bytes,
    pooled: bytes,
    run_length: int,
    block_rows: int,
    scratch: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
